"""Editors, an expert and judges that note every call in `calls.txt`, as a module of the current folder."""

from __future__ import annotations

import json
from pathlib import Path

from editthinker.testing import photograph

POOL = (
    *("data", "generate", "samples.jsonl", "--images", "photos"),
    *("--out", "pool", "--thinker", "makers:expert"),
)
"""The verb that makes a pool of trajectories with them, but for its editors."""

MAKERS = '''
import asyncio

from editthinker.core.contracts import EditorInfo
from editthinker.core.errors import EditorError, JudgeError, Refused, ThinkerError
from editthinker.core.images import Picture
from editthinker.core.types import Critique, Edited, Judged, Score, Thought
from editthinker.testing import ScriptedEditor
from editthinker.thinkers import prompts


def noted(*words):
    with open("calls.txt", "a") as calls:
        calls.write(" ".join(words) + "\\\\n")


class Editor(ScriptedEditor):
    async def edit(self, request):
        noted("edit", self.info.name, request.instruction)
        if "impossible" in request.instruction:
            raise EditorError("the GPU is gone")
        if "forbidden" in request.instruction:
            raise Refused("not this")
        return await super().edit(request)


def one():
    return Editor(cost=0.1)


def two():
    return Editor(cost=0.1, name="two")


def slow():
    return Editor(seconds=0.2)


class Polyglot:
    """What it says of itself is not as usual."""

    info = EditorInfo(
        "polyglot", languages=("en", "zh"), prompt_limit=40, prompt_hint="be brief", seeded=False, price=0.0
    )

    async def edit(self, request):
        return await Editor().edit(request)


class Expert:
    """Satisfied at the third turn; a verdict and no score."""

    name = "expert"
    price = 0.01

    async def think(self, view):
        asked = prompts.load("grammar").parts(view)
        noted("think", view.sample.id)
        with open("asked.txt", "a") as file:
            text = "".join(part if isinstance(part, str) else "<image>" for part in asked)
            file.write(repr((view.sample.id, view.instruction, text)) + "\\\\n")
        if "puzzling" in view.sample.instruction:
            raise ThinkerError("I cannot help with that")
        turn = len(view.turns) + 1
        if turn > 2:
            return Thought(Critique(None, "fine", view.instruction, satisfied=True), 0.01)
        words = f"{view.sample.instruction}, take {turn + 1}"
        return Thought(Critique(None, "too little", words, satisfied=False), 0.01)


def expert():
    return Expert()


class Judge:
    """Better with every take; "unclear" is too much for it."""

    name = "judge"
    price = 0.02

    def __init__(self, seconds=0.0):
        self.seconds = seconds

    async def score(self, sample, edited):
        noted("score", self.name, sample.id)
        await asyncio.sleep(self.seconds)
        if "unclear" in sample.instruction:
            raise JudgeError("cannot say")
        return Judged(Score(4.0 + len(sample.tags), 9), cost=0.02)


def judge():
    return Judge()


def slow_judge():
    return Judge(0.15)


def second_judge():
    made = Judge(0.01)
    made.name = "second"
    return made


class Down(Judge):
    async def score(self, sample, edited):
        noted("score", "down", sample.id)
        raise JudgeError("does not answer")


def down():
    return Down()
'''


def lay_out(folder: Path, *wishes: str) -> None:
    """`makers.py`, `photos/` and `samples.jsonl` with these wishes, of two kinds by turns."""
    (folder / "makers.py").write_text(MAKERS.replace("\\\\n", "\\n"), "utf-8")
    (folder / "photos").mkdir(exist_ok=True)
    rows = []
    for number, wish in enumerate(wishes):
        photograph(48, 32, seed=number).save(folder / "photos" / f"p{number}.png")
        tags = {"task": "style" if number % 2 else "background", "licence": "CC0-1.0"}
        rows.append({"id": f"s{number}", "image": f"p{number}.png", "instruction": wish, "tags": tags})
    (folder / "samples.jsonl").write_text("\n".join(map(json.dumps, rows)))


def calls(folder: Path, role: str = "") -> int:
    """How many calls were made."""
    path = folder / "calls.txt"
    lines = path.read_text().splitlines() if path.exists() else []
    return sum(line.startswith(role) for line in lines)
