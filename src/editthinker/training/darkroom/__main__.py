"""`python -m editthinker.training.darkroom STEP`: the darkroom's weights from nothing.

Steps, in order: editor, answers, words, looks, thinker, rl, export. Each goes on where it stopped and logs
to its folder under `--out` (default `checkpoints/`). `all` runs them one after the other. words, looks and
thinker are trainings as `editthinker train sft` does them, rl as `train grpo`, by `recipes/darkroom/`; what a
recipe says may be said anew behind the step (`words optimiser.steps=100 out=/tmp/words`), and `accelerate
launch` shares a step among processes. `unpack` writes the thinker that ships into `shipped`, to be trained
further: `rl model.base=checkpoints/shipped`. The other two editors, which only measurements need, are made by
`python -m editthinker.training.darkroom.editor small` and `... large`.
"""

from __future__ import annotations

import argparse
import logging
from functools import partial
from pathlib import Path
from typing import TypeVar

import cv2
import torch
from accelerate import PartialState
from tokenizers import Tokenizer

from editthinker.core.errors import EditThinkerError, InputError
from editthinker.darkroom.decoder import Decoder
from editthinker.darkroom.editor import DarkroomEditor, ProgramWriter
from editthinker.training import grpo, recipe, watching
from editthinker.training.darkroom import answers, editor, lessons, packing, prompts, shipped, thinker
from editthinker.training.darkroom.sightings import Sightings
from editthinker.training.darkroom.sources import Sources, draw_sources
from editthinker.training.darkroom.trajectories import Trajectories, read_requests
from editthinker.training.recipe import GrpoRecipe, SftRecipe

SOURCES = 1000
"""Pictures of the prompts."""
R = TypeVar("R", SftRecipe, GrpoRecipe)
tell = logging.getLogger(__name__).info


def train_editor(arguments: argparse.Namespace) -> None:
    """Step 1: the language model that writes programs."""
    editor.make("base", arguments.out)


def collect_answers(arguments: argparse.Namespace) -> None:
    """Step 2: what that editor makes of the language the thinker learns."""
    folder = arguments.out / "editor"
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    writer = ProgramWriter(Decoder(folder / "editor.onnx"), tokenizer)
    answers.collect(writer, arguments.out / answers.FILE, arguments.answers)


def train_words(arguments: argparse.Namespace) -> None:
    """Step 3: the thinker learns to read wishes."""
    _teach("words", lessons.of_words, arguments)


def train_looks(arguments: argparse.Namespace) -> None:
    """Step 4: it learns to look, at images alone."""
    _teach("looks", partial(lessons.of_looks, sightings=Sightings(_sources(arguments))), arguments)


def train_thinker(arguments: argparse.Namespace) -> None:
    """Step 5: it learns to criticise, by imitation of the expert."""
    drawn = Trajectories(_sources(arguments), read_requests(arguments.out / answers.FILE))
    _teach("sft", partial(lessons.of_steps, trajectories=drawn), arguments)


def reinforce(arguments: argparse.Namespace) -> None:
    """Step 6: it learns what its editor can do."""
    asked = _recipe("grpo", arguments, GrpoRecipe)
    steps, out = asked.optimiser.steps, asked.out or arguments.out / "grpo"
    if steps is None:
        raise InputError("the darkroom's prompts never end: say optimiser.steps")
    found = DarkroomEditor.load(asked.world.editor[0].partition(":")[2])
    sources = prompts.stored(arguments.photos, arguments.out / "sources", SOURCES)
    drawn = prompts.Prompts(sources, found, seed=asked.optimiser.seed)
    rows = prompts.dataset(drawn, steps * asked.rollouts.prompts)
    _export(grpo.train(asked, found, prompts.PromptJudge(drawn), out, dataset=rows, tell=tell))


def pack(arguments: argparse.Namespace) -> None:
    """Step 7: ONNX files and manifest into the package."""
    packing.pack(arguments.out, models=("editor", "thinker"), stage=arguments.stage)


def unpack(arguments: argparse.Namespace) -> None:
    """The other way round: the package's thinker as a folder."""
    shipped.unpack(arguments.out / "shipped")
    tell("%s", arguments.out / "shipped")


def _teach(stage: str, taught: thinker.Lessons, arguments: argparse.Namespace) -> None:
    asked = _recipe(stage, arguments, SftRecipe)
    _export(thinker.train(asked, asked.out or arguments.out / stage, taught, tell=tell))


def _export(folder: Path) -> None:
    """ONNX files beside what was trained, for `--thinker onnx:FOLDER`; one of several processes writes."""
    if PartialState().is_main_process:
        packing.export_thinker(folder, folder)
        tell("try it: editthinker edit PHOTO WORDS --thinker onnx:%s", folder)


def _sources(arguments: argparse.Namespace) -> Sources:
    return Sources(draw_sources(arguments.photos, arguments.sources))


def _recipe(name: str, arguments: argparse.Namespace, kind: type[R]) -> R:
    asked = recipe.read(
        "grpo" if name == "grpo" else "sft", arguments.recipes / f"{name}.toml", arguments.said
    )
    assert isinstance(asked, kind)  # noqa: S101 that is what this kind reads
    return asked


STEPS = {
    "editor": train_editor,
    "answers": collect_answers,
    "words": train_words,
    "looks": train_looks,
    "thinker": train_thinker,
    "rl": reinforce,
    "export": pack,
}
"""In their order; `unpack` stands apart."""


def main() -> None:
    """Run the steps asked for."""
    parser = argparse.ArgumentParser(prog="editthinker.training.darkroom", description=__doc__)
    parser.add_argument("step", choices=[*STEPS, "all", "unpack"])
    parser.add_argument("said", nargs="*", metavar="key=value", help="in place of what the recipe says")
    parser.add_argument("--out", type=Path, default=Path("checkpoints"))
    parser.add_argument("--recipes", type=Path, default=Path("recipes/darkroom"))
    parser.add_argument("--photos", type=Path, default=Path("training-photos"))
    parser.add_argument("--sources", type=int, default=4000, help="small source pictures to draw")
    parser.add_argument("--answers", type=int, default=30_000, help="instructions to ask the editor")
    parser.add_argument(
        "--stage", choices=packing.STAGES, default=packing.SHIPS, help="which thinker to export"
    )
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    watching.quiet()
    torch.set_num_threads(arguments.threads)
    cv2.setNumThreads(1)
    asked = STEPS if arguments.step == "all" else {arguments.step: STEPS.get(arguments.step, unpack)}
    try:
        for name, step in asked.items():
            tell("step %s", name)
            step(arguments)
    except EditThinkerError as error:
        parser.exit(2, f"error: {error}\n")
    except KeyboardInterrupt:
        parser.exit(130)


if __name__ == "__main__":
    main()
