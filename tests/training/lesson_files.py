"""A tiny base and steps to train it with, as files; shared by the tests of the training room."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from editthinker.core.records import score_record
from editthinker.core.types import Score
from editthinker.data.records import ImageFile, StepRow, key_of
from editthinker.data.rows import written
from editthinker.testing.behaviour import photograph
from peers.tiny_qwen import tiny_qwen3vl

PROMPT = "{source}{edited}{others}{instruction}\n{sent}"
REPLIES = ("too cold", "too dark", "fine as it is")


def steps(folder: Path, count: int, *, side: int = 48, first: int = 0, **more: Any) -> list[StepRow]:
    """Rows with photos of their own, every third one with a second input image."""
    made = []
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + count):
        dice = random.Random(number)
        files = []
        for name in ("source", "edited", "further")[: 3 if number % 3 == 0 else 2]:
            path = folder / f"{number}-{name}.png"
            seed = dice.randrange(10**6)
            photograph(side, side + 16 * (number % 2), seed=seed).save(path, overwrite=True)
            files.append(ImageFile(path=str(path)))
        source, edited, *further = files
        fields: dict[str, Any] = {
            "id": f"s{number}",
            "key": key_of(number),
            "instruction": "make it warm",
            "turn": 1,
            "sent": "make it warm",
            "score": score_record(Score(float(number % 11), float(number % 7))),
            "images": (source, *further),
            "edited": edited,
            "reasoning": REPLIES[number % 3],
            "refined": f"make it {dice.choice(['warmer', 'lighter', 'softer'])}",
            "tags": {"task": "style", "licence": "CC-BY-4.0", "dataset": "made up"},
        }
        made.append(StepRow.model_validate(fields | more))
    return made


def save(path: Path, rows: Iterable[StepRow]) -> Path:
    """A file of rows, as a stage writes it."""
    path.write_bytes(b"".join(written(row, path.parent.resolve()) for row in rows))
    return path


def training(folder: Path, *, count: int = 12, held_out: int = 4, side: int = 48) -> Path:
    """A base, steps and a recipe `tiny.toml` in a folder; returns the recipe."""
    tiny_qwen3vl(folder / "base")
    save(folder / "train.jsonl", steps(folder / "images", count, side=side))
    save(folder / "held_out.jsonl", steps(folder / "images", held_out, first=1000, side=side))
    (folder / "prompt.txt").write_text(PROMPT)
    recipe = folder / "tiny.toml"
    recipe.write_text(
        'out = "out"\n'
        '[model]\nbase = "base"\nprompt = "prompt.txt"\npixels = 4096\nfreeze_vision = false\n'
        '[data]\ntrain = "train.jsonl"\nheld_out = "held_out.jsonl"\nworkers = 0\n'
        "[optimiser]\nbatch = 4\nat_once = 2\nsteps = 6\nlearning_rate = 1e-3\nsave_memory = false\n"
        "[saving]\nevery = 2\ntell_every = 1\nreport_to = []\n"
    )
    return recipe
