"""A chat judge that is never wrong: it reads off the prompt what was asked, and the darkroom's judge marks.

Beside it, photographs with known targets in the layout of every benchmark's authors.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from editthinker.core.images import Picture
from editthinker.core.types import Sample
from editthinker.darkroom.cases import draw_samples
from editthinker.darkroom.judge import verdict
from editthinker.darkroom.photographs import photographs
from peers.chat_server import Asked

_ASKED = re.compile(r"What was asked(?: for)?: (.+)")
_FORMS: dict[str, Callable[[int, int], str]] = {
    "imgedit": lambda done, good: f"Seen.\nInstruction: {done}\nPreservation: {done}\nQuality: {good}",
    "uge": lambda done, good: f"Brief reasoning: seen.\nScore: {done}",
    "gedit": lambda done, good: json.dumps({"score": [2 * done, 2 * good], "reasoning": "seen"}),
    "rise": lambda done, good: f"Seen.\nFinal Score: {done}",
    "kris": lambda done, good: json.dumps(
        {"reasoning": "seen", "consistency_score": done, "instruction_score": done, "quality_score": good}
    ),
    "uniredit": lambda done, good: f"Seen.\nFinal Score: {done}",
}


def cases(number: int) -> list[Sample]:
    """Held-out photographs with a wish and its target."""
    pictures = [(photo.name, photo.picture()) for photo in photographs("test")]
    found: dict[str, Sample] = {}
    for sample in draw_samples(pictures, 4 * number, seed=11):
        found.setdefault(sample.instruction, sample)
    return list(found.values())[:number]


@dataclass
class ExactJudge:
    """What `ChatPeer.says` wants, for one benchmark."""

    suite: str
    samples: Sequence[Sample]
    marks: list[int] = field(default_factory=list)
    """Given so far for what was done, in the order of asking."""

    def __call__(self, asked: Asked) -> str:
        """Marks of 1-5 for doing what was asked, and for quality; full ones without the source."""
        found = _ASKED.search(asked.text)
        if found is None or len(asked.pictures) < 2:
            return _FORMS[self.suite](5, 5)
        (sample,) = [one for one in self.samples if one.instruction == found[1].strip()]
        program = sample.truth.program  # type: ignore[union-attr]
        score = verdict(sample.source, Picture.open(asked.pictures[-1]), program).score
        done, good = (1 + round(4 * mark / 10) for mark in (score.semantic, score.quality))
        self.marks.append(done)
        return _FORMS[self.suite](done, good)


def written(suite: str, samples: Sequence[Sample], folder: Path) -> Path:
    """The data folder of a benchmark with these photographs and wishes."""
    words = [sample.instruction for sample in samples]
    below = {"kris": "KRIS_Bench/color_change", "rise": "data"}.get(suite, "")
    (folder / below).mkdir(parents=True)
    for number, sample in enumerate(samples, 1):
        data = sample.source.encode("image/jpeg" if suite == "kris" else "image/png")
        (folder / below / f"{number}.{'jpg' if suite == 'kris' else 'png'}").write_bytes(data)
    name, content = _RECORDS[suite](list(enumerate(words, 1)))
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return folder


def _rise(words: list[tuple[int, str]]) -> tuple[str, Any]:
    category = "temporal_reasoning"
    common = {
        "category": category,
        "subtask": "Life Progression",
        "reference": "As asked.",
        "reasoning_img": 1,
    }
    return "datav2_total_w_subtask.json", [
        {"index": f"{category}_{number}", "instruction": wish, "image": f"{number}.png", **common}
        for number, wish in words
    ]


def _gedit(words: list[tuple[int, str]]) -> tuple[str, Any]:
    common = {"task_type": "tone_transfer", "instruction_language": "en", "Intersection_exist": True}
    rows = [
        {"key": f"{number:032x}", "instruction": wish, "file_name": f"{number}.png", **common}
        for number, wish in words
    ]
    return "metadata.jsonl", "\n".join(map(json.dumps, rows))


def _uniredit(words: list[tuple[int, str]]) -> tuple[str, Any]:
    return "data.json", [
        {
            "name": "attribute_modification",
            "idx": number,
            "instruction": wish,
            "original_image_path": f"{number}.png",
            "reference_image_path": f"{number}.png",
            "reference_effect": "As asked.",
        }
        for number, wish in words
    ]


_RECORDS: dict[str, Callable[[list[tuple[int, str]]], tuple[str, Any]]] = {
    "imgedit": lambda words: (
        "singleturn.json",
        {str(n): {"id": f"{n}.png", "prompt": wish, "edit_type": "adjust"} for n, wish in words},
    ),
    "uge": lambda words: (
        "UGE_edit.json",
        {str(n): {"id": f"{n}.png", "prompt": wish} for n, wish in words},
    ),
    "gedit": _gedit,
    "rise": _rise,
    "kris": lambda words: (
        "KRIS_Bench/color_change/annotation.json",
        {
            str(n): {"ori_img": f"{n}.jpg", "gt_img": "", "ins_en": wish, "explain_en": ""}
            for n, wish in words
        },
    ),
    "uniredit": _uniredit,
}
