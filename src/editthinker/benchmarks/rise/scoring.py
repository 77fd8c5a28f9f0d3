"""RISEBench's formulas: from judge replies to marks, a row's score and completeness, and the table of means.

In: replies by call and what a record says about itself. Out: plain numbers. `official` repeats the authors'
script (PhoenixZ810/RISEBench 5f22651, `gpt_eval.py`) with every quirk; where that script stops, the row
says which error would have ended it. `strict` never guesses: what cannot be read has the lowest mark.
UniREditBench uses the same replies.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

NAN: Final = math.nan
LOGICAL: Final = "logical_reasoning"
CATEGORIES: Final = {
    "temporal_reasoning": "Temporal",
    "causal_reasoning": "Causal",
    "spatial_reasoning": "Spatial",
    LOGICAL: "Logical",
}
SUBTASKS: Final[Mapping[str, tuple[str, ...]]] = {
    "Temp": ("Life Progression", "Material Progression", "Environmental Cycles", "Societal Transformation"),
    "Causal": (
        "Structural Deformation",
        "State Transition",
        "Chemical and Biological Transformation",
        "Physics Manifestation",
    ),
    "Spa": (
        "Component Assembly",
        "Object Arrangement",
        "Viewpoint Generation",
        "Structural Inference",
        "Layout Reasoning",
    ),
    "Logic": ("Pattern Prediction", "Mathematical Derivation", "Puzzle Solving"),
}
"""The 16 subtasks the official table knows; others count only overall."""

_RUN = r"[\d*\s,]*"
_SINGULAR = re.compile(rf"final score\*{{0,2}}:?\s*({_RUN})", re.IGNORECASE)
_PLURAL = re.compile(rf"final scores\*{{0,2}}:?\s*({_RUN})", re.IGNORECASE)
_PLAIN = re.compile(
    r"final\s+scores?\s*[*_`]*\s*[:：=]?\s*[*_`\s]*(?P<digits>-?\d+)(?P<rest>[^\n]*)", re.IGNORECASE
)
_AFTER = re.compile(r"[*_`]*\s*(?:(?:/|out of)\s*[*_`]*(?P<full>\d+))?\D*", re.IGNORECASE)
"""What may follow the number on its line: the scale's end, and words."""


@dataclass(frozen=True, slots=True)
class Marks:
    """What one row got; NaN where a criterion was not asked or its reply could not be read."""

    consistency: float = NAN
    reasoning: float = NAN
    quality: float = NAN
    failed: bool = False
    """Whether the row has no marks at all."""
    crash: str = ""
    """The error the official script would have ended with on this row."""


FAILED: Final = Marks(failed=True)


def numbers(reply: str) -> list[int]:
    """Every number the official expression finds behind the first "Final Score" that has one.

    "4/5" gives [4], "**1-5**" [1], "5" and "1. more" on a later line [5, 1]. Empty where it finds none.
    """
    for pattern in (_SINGULAR, _PLURAL):
        for found in pattern.findall(reply):
            if digits := re.findall(r"\d+", found):
                return [_whole(number) for number in digits]
    return []


def _whole(digits: str) -> int:
    """`int`; of absurdly long ones only what a float holds exactly (Python refuses beyond 4,300 digits)."""
    return int(digits[:15])


def final_score(reply: str, lowest: int, highest: int) -> int | None:
    """The one whole number of the scale that follows "Final Score"; None for none, or several.

    "4", "**4**", "4." and "4/5" are read; "4.5", "1-5", "4, 5", "X" and numbers off the scale are not.
    """
    found = set()
    for match in _PLAIN.finditer(reply):
        rest = _AFTER.fullmatch(match["rest"])
        if rest is None or len(match["digits"]) > 3 or rest["full"] not in (None, str(highest)):
            return None
        found.add(int(match["digits"]))
    if len(found) != 1 or not lowest <= (value := found.pop()) <= highest:
        return None
    return value


def official_marks(category: str, replies: Mapping[str, str | None]) -> Marks:
    """What the official script makes of one row; `judge1` None means consistency was not asked."""
    first, second, third = (replies.get(name) for name in ("judge1", "judge2", "judge3"))
    if "judge3" not in replies:
        if first is None:
            return Marks(failed=True, crash="KeyError: 'judge3'")
        asked: list[str | None] = [first, second]
    else:
        asked = [second, third] if first is None else [first, second, third]
    found = [numbers(reply or "") for reply in asked]
    if not all(found):
        return FAILED
    flat: list[float] = [NAN] if first is None else []
    flat += [number for group in found for number in group]
    if len(flat) == 3:  # also two answers with three numbers, of whatever category
        return Marks(flat[0], flat[1], flat[2])
    if len(flat) == 2:
        return Marks(consistency=4 * min(flat[0], 1) + 1, reasoning=4 * min(flat[1], 1) + 1)
    return Marks(failed=True, crash="ValueError: Length of values does not match length of index")


def strict_marks(category: str, free: bool, replies: Mapping[str, str | None]) -> Marks:
    """Marks with the lowest one for what is missing or cannot be read."""
    logical = category == LOGICAL
    lowest, highest = (0, 1) if logical else (1, 5)

    def mark(name: str) -> float:
        value = final_score(replies.get(name) or "", lowest, highest)
        value = lowest if value is None else value
        return float(4 * value + 1 if logical else value)

    consistency = NAN if free else mark("judge1")
    return Marks(consistency, mark("judge2"), NAN if logical else mark("judge3"))


def score(category: str, marks: Marks, *, free: bool) -> float:
    """The weighted score of a row, 1..5; NaN for a failed one (official `calculate_score`)."""
    if category == LOGICAL:
        value = marks.reasoning if free else 0.3 * marks.consistency + 0.7 * marks.reasoning
    elif free:
        value = 0.2 * marks.quality + 0.8 * marks.reasoning
    else:
        value = 0.3 * marks.consistency + 0.5 * marks.reasoning + 0.2 * marks.quality
    if marks.reasoning == 1:
        value = value * 0.5
        value = 1 if value < 1 else value
    return value


def complete(category: str, marks: Marks, *, free: bool) -> int:
    """1 when every criterion that counts has full marks (official `calculate_completion`, headline).

    `free`: consistency does not count. The rule before 2026-04-13, which the EditThinker paper used, counts
    it always, so that a row without it can never be complete.
    """
    needed = [marks.reasoning]
    if not free:
        needed.append(marks.consistency)
    if category != LOGICAL:
        needed.append(marks.quality)
    return int(all(mark == 5 for mark in needed))


def percent(value: float) -> float:
    """A score of 1..5 as 0..100."""
    return 25 * (value - 1)


def mean(values: Iterable[float]) -> float:
    """The mean of what is not NaN, summed as pandas does, so that the last digit agrees; NaN for none."""
    array = np.asarray(list(values), np.float64)
    read = ~np.isnan(array)
    if not read.any():
        return NAN
    return float(np.where(read, array, 0.0).sum() / read.sum())


def grouped_mean(values: Sequence[float]) -> float:
    """The same for one group of a pandas `groupby`, which sums with Kahan's compensation."""
    total = lost = 0.0
    count = 0
    for value in values:
        if not math.isnan(value):
            step = value - lost
            grown = total + step
            lost = grown - total - step
            total, count = grown, count + 1
    return total / count if count else NAN
