"""Steps of the darkroom for GRPO, with the exact judge, and a model that picks among a few replies.

Everybody wishes the same and was sent something else first: one of the replies gains, the others do not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from editthinker.core import reply
from editthinker.core.errors import JudgeError
from editthinker.core.images import Picture
from editthinker.core.records import score_record
from editthinker.core.types import Critique, EditRequest, Judged, Sample, Score
from editthinker.darkroom.editor import DarkroomEditor
from editthinker.darkroom.judge import Case
from editthinker.darkroom.program import Operation
from editthinker.data.records import ImageFile, StepRow, key_of
from editthinker.data.rows import written
from editthinker.testing.behaviour import photograph
from peers.tiny_qwen import SHORT_PROMPT, tiny_qwen3vl

RIGHT, SENT = "make it black and white", "add a white frame"
WISH, TARGET = "I want it without any colour", (Operation("black_and_white"),)
FEW = (RIGHT, "make it sepia", "make it brighter")
MANY = (*FEW, "blur it strongly", "invert the colours", "rotate it to the left")
SIDE = 96


class Exact:
    """The darkroom's judge for one wish; a source is prepared once, however many edits of it are judged."""

    name = "exact"

    def __init__(self) -> None:
        self._cases: dict[str, Case] = {}

    async def score(self, sample: Sample, edited: Picture) -> Judged:
        if sample.instruction != WISH:
            raise JudgeError("this judge knows one wish only")
        return Judged((await asyncio.to_thread(self._case(sample.source).verdict, edited)).score)

    def _case(self, source: Picture) -> Case:
        if source.sha256 not in self._cases:
            self._cases[source.sha256] = Case(source, TARGET)
        return self._cases[source.sha256]


def steps(folder: Path, count: int) -> list[StepRow]:
    """Rows whose edited image is what the darkroom makes of `SENT`."""
    folder.mkdir(parents=True, exist_ok=True)
    editor, judge, made = DarkroomEditor.load(), Exact(), []
    for number in range(count):
        source = photograph(SIDE, SIDE, seed=number)
        edited = asyncio.run(editor.edit(EditRequest((source,), SENT, number))).image
        score = asyncio.run(judge.score(Sample((source,), WISH), edited)).score
        files = []
        for name, picture in (("source", source), ("edited", edited)):
            picture.save(folder / f"{number}-{name}.png")
            files.append(ImageFile(path=str(folder / f"{number}-{name}.png")))
        made.append(
            StepRow(
                id=f"s{number}",
                key=key_of(number),
                instruction=WISH,
                turn=1,
                sent=SENT,
                score=score_record(score),
                images=(files[0],),
                edited=files[1],
                reasoning="it has a frame" if number % 2 else None,  # nobody need have answered
                refined=RIGHT if number % 2 else None,
            )
        )
    return made


def replies(asked: Sequence[str] = MANY) -> list[str]:
    """What the model may say: these words, stop, and no form at all."""
    said = [Critique(Score(4, 9), "hm", words) for words in (*asked, SENT)]
    return [*map(reply.render, said), "no form"]


def training(folder: Path, *, count: int = 8) -> Path:
    """A base, steps and a recipe `tiny.toml` in a folder; returns the recipe."""
    tiny_qwen3vl(folder / "base")
    (folder / "train.jsonl").write_bytes(
        b"".join(written(row, folder.resolve()) for row in steps(folder / "images", count))
    )
    (folder / "prompt.txt").write_text(SHORT_PROMPT)
    recipe = folder / "tiny.toml"
    recipe.write_text(
        '[model]\nbase = "base"\nprompt = "prompt.txt"\npixels = 4096\n'
        '[data]\ntrain = "train.jsonl"\nworkers = 0\n'
        "[optimiser]\nbatch = 8\nat_once = 8\nsteps = 3\nlearning_rate = 1e-3\nsave_memory = false\n"
        'schedule = "constant"\nwarmup = 0.0\n'
        "[saving]\nevery = 1\ntell_every = 1\nreport_to = []\n"
        "[rollouts]\ngroup = 4\nprompts = 2\nmax_tokens = 80\n"
        '[world]\neditor = "darkroom"\njudge = "exact"\ndeadline = 60\n'
    )
    return recipe


@contextmanager
def choosing(texts: Sequence[str]) -> Iterator[None]:
    """Qwen3-VL writes one of these replies, each token drawn by its own chances among those that go on so."""
    from transformers import Qwen3VLForConditionalGeneration as Net

    before = Net.generate
    trees: dict[int, dict[Any, Any]] = {}

    def tree_of(net: Any) -> dict[Any, Any]:
        from transformers import AutoTokenizer

        if id(net) not in trees:
            tokenizer = AutoTokenizer.from_pretrained(net.config._name_or_path)
            root = trees[id(net)] = {}
            for text in texts:
                here = root
                for token in tokenizer(text + "<|im_end|>")["input_ids"]:
                    here = here.setdefault(token, {})
        return trees[id(net)]

    def generate(net: Any, **more: Any) -> Any:
        root, asked = tree_of(net), more["input_ids"].shape[1]
        end = net.config.text_config.pad_token_id

        def allowed(_: int, tokens: Any) -> list[int]:
            here = root
            for token in tokens[asked:].tolist():
                here = here.get(token, {})
            return list(here) or [end]

        return before(net, **more, prefix_allowed_tokens_fn=allowed)

    Net.generate = generate
    try:
        yield
    finally:
        Net.generate = before
