"""Where the time of a GRPO step goes, and the share in which the trainer waits for editor and judge.

`python benchmarks/grpo.py`: a Qwen3-VL of random weights on the CPU, the darkroom's editor and exact judge on
the shipped validation photos, 16 prompts x 8 replies as in the paper. So that its replies can be read, the
model writes one of 48, each token drawn by its own chances among those that go on so; no edit of a step was
made before. Each line is one training, medians over its steps but the first. Editor and judge work on the
model's own cores, so what they do is partly not waited for but slows the model: `alone_seconds` is what the
edits and judgements of one such step take when nobody else works. Prints and saves `docs/results/grpo.json`.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import statistics
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from editthinker.core import reply
from editthinker.core.images import Picture
from editthinker.core.records import score_record
from editthinker.core.types import Critique, Judged, Sample, Score
from editthinker.darkroom.cases import draw_samples
from editthinker.darkroom.editor import DarkroomEditor
from editthinker.darkroom.judge import Case
from editthinker.darkroom.language import sentences
from editthinker.darkroom.photographs import photographs
from editthinker.data.records import ImageFile, StepRow, key_of
from editthinker.data.rows import written
from editthinker.training import grpo, recipe
from editthinker.training.rollouts import Environment, Scene, Wish

ROOT = Path(__file__).parent.parent
PROMPTS, GROUP, STEPS = 16, 8, 3
WORDS = 48
HEAD = 48
"""Size of the model's heads; its layers are four times as wide."""
THOUGHTS = {"short": "it is not yet what was asked", "long": "it is not yet what was asked, " * 12}
"""What every reply begins with."""


class Exact:
    """The exact judge of known wishes; a case is prepared once, however many edits of it are judged."""

    name = "exact"

    def __init__(self, samples: list[Sample]) -> None:
        self._programs = {(s.source.sha256, s.instruction): s.truth.program for s in samples}
        self._cases: dict[tuple[str, str], Case] = {}

    async def score(self, sample: Sample, edited: Picture) -> Judged:
        return Judged(await asyncio.to_thread(self._verdict, sample, edited))

    def _verdict(self, sample: Sample, edited: Picture) -> Score:
        key = sample.source.sha256, sample.instruction
        if key not in self._cases:
            self._cases[key] = Case(sample.source, self._programs[key])
        return self._cases[key].verdict(edited).score


def prepared(folder: Path) -> list[Sample]:
    """Samples, and their steps in `steps.jsonl`: what was sent first is another's wish."""
    photos = [(photo.name, photo.picture()) for photo in photographs("validation")]
    samples = draw_samples(photos, PROMPTS * STEPS, split="train")
    rows = []
    for number, sample in enumerate(samples):
        path = folder / f"{number}.png"
        sample.source.save(path)
        rows.append(
            StepRow(
                id=sample.id,
                key=key_of(number),
                instruction=sample.instruction,
                turn=1,
                sent=samples[number - 1].instruction,
                score=score_record(Score(4, 8)),
                images=(ImageFile(path=str(path)),),
                edited=ImageFile(path=str(path)),
            )
        )
    (folder / "steps.jsonl").write_bytes(b"".join(written(row, folder.resolve()) for row in rows))
    (folder / "prompt.txt").write_text("{source}{edited}{instruction}\n{sent}")
    return samples


def replies(thought: str) -> list[str]:
    """What the model may say."""
    rng = random.Random(0)
    words = [sentences.draw(rng, "train", rng.choice(sentences.GROUPS)).instruction for _ in range(WORDS)]
    return [reply.render(Critique(Score(rng.randrange(11), 8), thought, one)) for one in words]


def alone(folder: Path, samples: list[Sample], world: recipe.World, texts: list[str]) -> float:
    """Seconds for the edits and judgements of one step, nobody else working."""
    said = [reply.parse(text, previous_instruction="").refined_instruction for text in texts]
    wishes = [
        Wish(
            Scene(
                str(number), sample.instruction, samples[number - 1].instruction, (folder / f"{number}.png",)
            ),
            one,
        )
        for number, sample in enumerate(samples[:PROMPTS])
        for one in random.Random(number).sample(said, GROUP)
    ]
    with Environment(DarkroomEditor.load(), Exact(samples), world, Path(tempfile.mkdtemp(dir=folder))) as env:
        began = time.monotonic()
        env.looks(env.begin(wishes))
        return time.monotonic() - began


def line(folder: Path, samples: list[Sample], thought: str, kl: float) -> dict[str, Any]:
    """One training."""
    from darkroom_lessons import choosing

    from peers.tiny_qwen import tiny_qwen3vl

    base = tiny_qwen3vl(folder / "base", head_dim=HEAD)
    out = folder / f"{thought} {kl}"
    table = folder / "recipe.toml"
    table.write_text(
        f'[model]\nbase = "{base}"\nprompt = "prompt.txt"\npixels = 16384\n'
        '[data]\ntrain = "steps.jsonl"\nworkers = 0\n'
        f"[optimiser]\nbatch = {PROMPTS * GROUP}\nat_once = 16\nsteps = {STEPS}\nsave_memory = false\n"
        "[saving]\nevery = 100\ntell_every = 1\nreport_to = []\n"
        f"[rollouts]\ngroup = {GROUP}\nprompts = {PROMPTS}\nmax_tokens = 256\nkl = {kl}\n"
        '[world]\neditor = "darkroom"\njudge = "exact"\n'
    )
    asked, texts = recipe.read("grpo", table), replies(THOUGHTS[thought])
    if not isinstance(asked, recipe.GrpoRecipe):
        raise TypeError("a GRPO recipe is one")
    cpu = time.process_time()
    with choosing(texts):
        grpo.train(asked, DarkroomEditor.load(), Exact(samples), out)
    cpu = time.process_time() - cpu
    lines = [json.loads(text) for text in (out / "training" / "log.jsonl").read_text().splitlines()]
    steps = [one for one in lines if "share/editor" in one]
    seconds = [later["seconds"] - one["seconds"] for one, later in pairwise(steps)]

    def median(name: str) -> float:
        return statistics.median(step[name] for step in steps[1:])

    return {
        "thought": thought,
        "kl": kl,
        "tokens": round(median("completions/mean_length")),
        "seconds": round(statistics.median(seconds), 2),
        "cpu_seconds": round(cpu / STEPS, 1),
        "share": {part: round(median(f"share/{part}"), 3) for part in grpo.PARTS},
        "waiting": round(median("share/editor") + median("share/judge"), 3),
        "edits": round(median("world/editor_calls")),
        "judgements": round(median("world/judge_calls")),
        "alone_seconds": round(alone(folder, samples, asked.world, texts), 2),
    }


def main() -> None:
    """Measure, print, save."""
    sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "training")]
    torch.set_num_threads(1)
    figures = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        samples = prepared(folder)
        for thought, kl in (("short", 1e-3), ("long", 1e-3), ("long", 0.0)):
            figures.append(line(folder, samples, thought, kl))
            print(json.dumps(figures[-1]), flush=True)
            save(figures)


def save(figures: list[dict[str, Any]]) -> None:
    """What was measured until now."""
    result = {
        "what": "GRPO steps of 16 prompts x 8 replies on the CPU, darkroom editor, exact judge",
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[1], 1),
        "threads": torch.get_num_threads(),
        "steps": STEPS,
        "figures": figures,
    }
    (ROOT / "docs" / "results" / "grpo.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
