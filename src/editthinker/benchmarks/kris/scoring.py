"""KRIS-Bench's formulas: which judge calls a category has, how replies become marks.

In: replies and categories. Out: marks 1..5. The parsers repeat the authors' scripts (mercurystraw/Kris_Bench,
`metrics_*.py`) and those of the EditThinker evaluation (appletea233/EditThinker 803d1a7, `eval/kris`), quirks
included; `strict` reads only the JSON field that was asked for.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

COUNTS: Final[Mapping[str, int]] = {
    "abstract_reasoning": 75,
    "anomaly_correction": 75,
    "biology": 68,
    "chemistry": 75,
    "color_change": 50,
    "count_change": 50,
    "geography": 75,
    "humanities": 75,
    "mathematics": 50,
    "medicine": 50,
    "multi-element_composition": 75,
    "multi-instruction_execution": 75,
    "part_completion": 50,
    "physics": 75,
    "position_movement": 50,
    "practical_knowledge": 50,
    "rule-based_reasoning": 75,
    "size_adjustment": 50,
    "temporal_prediction": 74,
    "viewpoint_change": 50,
}
"""Records per category; 1,267 in all."""

DIMENSIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "Attribute Perception": (
        "count_change",
        "color_change",
        "size_adjustment",
        "part_completion",
        "anomaly_correction",
    ),
    "Spatial Perception": ("viewpoint_change", "position_movement"),
    "Temporal Prediction": ("temporal_prediction",),
    "Social Science": ("humanities", "practical_knowledge"),
    "Natural Science": ("biology", "chemistry", "geography", "medicine", "mathematics", "physics"),
    "Logical Reasoning": ("abstract_reasoning", "rule-based_reasoning"),
    "Instruction Decomposition": ("multi-element_composition", "multi-instruction_execution"),
}
KNOWLEDGE: Final[Mapping[str, tuple[str, ...]]] = {
    "Factual": ("Attribute Perception", "Spatial Perception", "Temporal Prediction"),
    "Conceptual": ("Social Science", "Natural Science"),
    "Procedural": ("Logical Reasoning", "Instruction Decomposition"),
}
DIMENSION_OF: Final = {category: name for name, members in DIMENSIONS.items() for category in members}
KNOWLEDGE_OF: Final = {name: kind for kind, members in KNOWLEDGE.items() for name in members}

MULTI: Final = "multi-element_composition"
TEMPORAL: Final = "temporal_prediction"
VIEWPOINT: Final = "viewpoint_change"
DUAL: Final = frozenset(
    category
    for dimension in ("Social Science", "Natural Science", "Logical Reasoning")
    for category in DIMENSIONS[dimension]
)
"""Categories with a fourth score, knowledge, which comes in one reply with the instruction score."""

NAN: Final = math.nan
CONSISTENCY, INSTRUCTION, QUALITY, KNOWLEDGE_MARK = "consistency", "instruction", "quality", "knowledge"
CALLS: Final = (CONSISTENCY, INSTRUCTION, QUALITY)
"""The three judge calls of every sample; the second is the dual one where there is a knowledge score."""


def criteria(category: str) -> tuple[str, ...]:
    """The scores a sample of this category has."""
    return (*CALLS, KNOWLEDGE_MARK) if category in DUAL else CALLS


def _key(criterion: str) -> str:
    return f"{criterion}_score"


# ---- the authors' parsers -------------------------------------------------------------------------------


def _field(reply: str, criterion: str) -> dict[str, Any] | None:
    """The first JSON object without nested braces that names the score; None when it cannot be loaded."""
    found = re.search(r"\{[^{}]*" + _key(criterion) + r"[^{}]*\}", reply)
    try:
        data: dict[str, Any] | None = json.loads(found.group()) if found else None
    except (ValueError, RecursionError):
        return None
    return data


def _integer(value: Any) -> int | None:
    """`int(value)` as the scripts do it: 4.7 is 4, "3" is 3, true is 1; None where it fails or is no mark."""
    try:
        whole = int(value)
    except (ValueError, TypeError, OverflowError):
        return None
    return whole if abs(whole) < 2**53 else None


def _first(reply: str, patterns: Iterable[str]) -> int | None:
    for pattern in patterns:
        if found := re.search(pattern, reply, re.IGNORECASE):
            return int(found[1])
    return None


_ANYWHERE: Final = (r"([1-5])\s*/\s*5", r"([1-5])\s+out\s+of\s+5", r"\b([1-5])\b")


def _named(criterion: str, colon: str) -> str:
    return rf"{criterion}[_\s]*score\s*{colon}\s*([1-5])"


def _common(reply: str, criterion: str, *, named: bool = True) -> int | None:
    """`metrics_common.py`; not `named`: those of multi-element and temporal, which skip the name."""
    data = _field(reply, criterion)
    if data is not None and (value := _integer(data.get(_key(criterion)))) is not None:
        return value
    return _first(reply, ((_named(criterion, "[:：]?"),) if named else ()) + _ANYWHERE)


def _of_knowledge(reply: str, criterion: str, colon: str = "[:：]") -> int | None:
    """`metrics_knowledge.py`: an object that loads decides, even when its score is null or absent."""
    data = _field(reply, criterion)
    if data is not None:
        raw = data.get(_key(criterion))
        if raw is None or (value := _integer(raw)) is not None:
            return None if raw is None else value
    return _first(reply, (_named(criterion, colon), *_ANYWHERE))


def _pair(data: Mapping[str, Any]) -> tuple[bool, dict[str, int | None]]:
    """Both scores of a loaded object, and whether the script could turn them into integers."""
    raw = {name: data.get(_key(name)) for name in (INSTRUCTION, KNOWLEDGE_MARK)}
    marks = {name: None if value is None else _integer(value) for name, value in raw.items()}
    return all(raw[name] is None or marks[name] is not None for name in raw), marks


def _dual(reply: str) -> dict[str, int | None]:
    """Both scores of the dual call; there is no fallback to a bare digit."""
    data = _field(reply, INSTRUCTION)
    if data is not None:
        sound, marks = _pair(data)
        if sound:
            return marks
    return {name: _first(reply, (_named(name, "[:：]"),)) for name in (INSTRUCTION, KNOWLEDGE_MARK)}


def _dual_of_paper(reply: str) -> dict[str, int | None]:
    """EditThinker's copy: the whole text as JSON, its first balanced block, then names that may be quoted."""
    for text in (reply, _block(reply)):
        try:
            data = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if data:
            nothing: dict[str, int | None] = {INSTRUCTION: None, KNOWLEDGE_MARK: None}
            # anything but an object of numbers ends that script's work on the sample
            sound, marks = _pair(data) if isinstance(data, dict) else (False, nothing)
            return marks if sound else nothing
        break
    pattern = r'"?{}[_\s]*score"?\s*:\s*([1-5])'
    return {name: _first(reply, (pattern.format(name),)) for name in (INSTRUCTION, KNOWLEDGE_MARK)}


def _block(reply: str) -> str:
    """The first `{...}` with balanced braces; empty when there is none."""
    depth, start = 0, -1
    for place, letter in enumerate(reply):
        if letter == "{":
            start = place if start < 0 else start
            depth += 1
        elif letter == "}" and depth:
            depth -= 1
            if not depth:
                return reply[start : place + 1]
    return ""


# ---- the three rules ------------------------------------------------------------------------------------

SEVERAL, OF_KNOWLEDGE = "several:", "knowledge:"
"""Families of categories whose scripts read replies in a way of their own; the others have no prefix."""


def kind_of(category: str, call: str) -> str:
    """How a call is stored: its name, with the family of scripts that reads the reply."""
    if category in DUAL:
        return f"{OF_KNOWLEDGE}{call}"
    return f"{SEVERAL}{call}" if category in (MULTI, TEMPORAL) else call


def marks_of(kind: str, reply: str, rules: str) -> dict[str, int | None]:
    """The marks in one reply under the rules; None for each that cannot be read."""
    call = kind.rpartition(":")[2]
    of_knowledge = kind.startswith(OF_KNOWLEDGE)
    if rules == "strict":
        names = (INSTRUCTION, KNOWLEDGE_MARK) if of_knowledge and call == INSTRUCTION else (call,)
        return {name: _strict(reply, name) for name in names}
    if not of_knowledge:
        return {call: _common(reply, call, named=not kind.startswith(SEVERAL))}
    if call == INSTRUCTION:
        return _dual_of_paper(reply) if rules == "paper" else _dual(reply)
    return {call: _of_knowledge(reply, call, "[:：]?" if rules == "paper" else "[:：]")}


_STATED: Final = {
    name: re.compile(
        rf"{name}[_ ]score[\"'*_`]*\s*[:：=]\s*[\"'*_`]*(?P<value>-?\d[\w.,/+-]*|[^\s,}}]*)", re.IGNORECASE
    )
    for name in (*CALLS, KNOWLEDGE_MARK)
}
_WHOLE: Final = re.compile(r"([1-5])(?:\.0+|/5)?[\"'*_`]*")


def _strict(reply: str, criterion: str) -> int | None:
    """The whole number 1..5 of the asked field, which must stand once or always with the same value."""
    values = {value.rstrip(".,") for value in _STATED[criterion].findall(reply)}
    found = _WHOLE.fullmatch(values.pop()) if len(values) == 1 else None
    return int(found[1]) if found else None
