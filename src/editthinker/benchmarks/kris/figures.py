"""KRIS-Bench's table out of stored replies, under each of the three rules.

In: cases and what the judge said. Out: a `Table` with the lines all, all without temporal, three knowledge
types, seven dimensions and the categories; figures are percent, (s - 1) * 25.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from editthinker.benchmarks.kris import scoring
from editthinker.benchmarks.kris.scoring import CALLS, COUNTS, NAN, TEMPORAL
from editthinker.benchmarks.suite import Answers, Case, answered, judges_of, state_of
from editthinker.benchmarks.table import Figures, Line, Over, Rules, Scored, Table, members_of, tabulate

ALL: Final = "all"
WITHOUT: Final = "all without temporal"
AVERAGE: Final = "AVG"
SHORT: Final = {
    scoring.CONSISTENCY: "VC",
    scoring.QUALITY: "VQ",
    scoring.INSTRUCTION: "IF",
    scoring.KNOWLEDGE_MARK: "KP",
}
FIGURES: Final = (AVERAGE, *SHORT.values())

_SLIP: Final = (
    "EditThinker's own replies differ: it asked gpt-4o-2024-11-20, and showed the edited image as the"
    " original one to the quality judge of the common categories"
)


def table(name: str, cases: Sequence[Case], answers: Answers, rules: Rules) -> Table:
    """The table of these cases. Never raises."""
    flags: dict[str, int] = {}
    known = [case for case in cases if case.category in COUNTS]
    kept = [case for case in known if rules != "paper" or case.category != TEMPORAL]
    if left := len(known) - len(kept):
        flags["temporal_prediction is left out"] = left
    if rules == "paper":
        flags[_SLIP] = 0
    if lacking := [name for name in COUNTS if not any(case.category == name for case in known)]:
        flags[f"no samples of {', '.join(lacking)}"] = 0
    scored = tuple(_scored(case, answers, rules, flags) for case in kept)
    layout: list[tuple[str, Over]] = [(line, "samples") for line in _layout(scored)]
    return Table(
        benchmark=name,
        rules=rules,
        headline=(ALL, AVERAGE),
        lines=_lines(scored, layout, flat=rules == "paper"),
        scored=scored,
        flags=tuple(f"{words} ({count})" if count else words for words, count in flags.items()),
        judge=judges_of(answers),
    )


def _layout(scored: Iterable[Scored]) -> list[str]:
    present = {line for one in scored for line in one.lines}
    order = [ALL, WITHOUT, *(f"{kind} Knowledge" for kind in scoring.KNOWLEDGE), *scoring.DIMENSIONS]
    order += [category for members in scoring.DIMENSIONS.values() for category in members]
    return [line for line in order if line in present]


def _lines(scored: Sequence[Scored], layout: Sequence[tuple[str, Over]], *, flat: bool) -> tuple[Line, ...]:
    """Lines whose average is over samples, or with `flat` over scores; criteria are over samples always."""
    averaged = tuple(SHORT.values()) if flat else (AVERAGE,)
    exact = {}
    for line, members in members_of(scored, [name for name, _ in layout]).items():
        values = [one.values[name] for one in members for name in averaged if name in one.values]
        exact[line, AVERAGE] = math.fsum(values) / len(values) if values else NAN
    lines = tabulate(scored, layout, FIGURES, exact)
    if not flat:
        return lines
    weighted = [replace(one, weight=float(len(SHORT.values() & one.values.keys()))) for one in scored]
    averages = tabulate(weighted, layout, FIGURES, exact)
    return tuple(_with_average(*both) for both in zip(lines, averages, strict=True))


def _with_average(line: Line, other: Line) -> Line:
    """The line with the average of the other."""
    made = Figures(FIGURES, lambda name: (other if name == AVERAGE else line).figures[name])
    return replace(line, figures=made)


def _scored(case: Case, answers: Answers, rules: Rules, flags: dict[str, int]) -> Scored:
    wanted = scoring.criteria(case.category)
    marks: dict[str, int | None] = dict.fromkeys(wanted)
    readable: dict[str, bool] = {}
    for call in CALLS:
        kind = scoring.kind_of(case.category, call)
        texts = answered(answers, case.id, kind)
        found = _found(kind, texts, rules)
        readable[kind] = all(mark is not None for mark in found.values())
        marks |= found
    state = state_of(answers, case.id, readable)
    _flag(case, state, marks, rules, flags)
    if rules == "strict":
        marks = {name: 1 if mark is None else mark for name, mark in marks.items()}
    values = {SHORT[name]: 25.0 * (mark - 1) for name, mark in marks.items() if mark is not None}
    if rules == "paper" and len(values) < len(marks):
        values = {}
    if values:
        values[AVERAGE] = math.fsum(values.values()) / len(values)
    return Scored(case.id, case.category, state, _lines_of(case), values)


def _found(kind: str, texts: Sequence[str], rules: Rules) -> Mapping[str, int | None]:
    """The marks of a call: strict takes the first reply that can be read whole, the scripts ask once."""
    read = [scoring.marks_of(kind, text, rules) for text in (texts if rules == "strict" else texts[:1])]
    whole = next((marks for marks in read if None not in marks.values()), None)
    return whole or (read[0] if read else scoring.marks_of(kind, "", rules))


def _flag(
    case: Case, state: str, marks: Mapping[str, int | None], rules: Rules, flags: dict[str, int]
) -> None:
    def add(words: str, count: int = 1) -> None:
        flags[words] = flags.get(words, 0) + count

    if rules == "strict":
        if state != "scored":
            add(f"{state} samples: the lowest mark for what is not there")
        return
    unread = sum(mark is None for mark in marks.values())
    if state == "missing":
        add("samples without edited image are not counted")
    elif unread and rules == "paper":
        add("samples with a score that could not be read are not counted")
    elif unread:
        add("scores that could not be read are left out of their samples' means", unread)
    if odd := sum(mark is not None and not 1 <= mark <= 5 for mark in marks.values()):
        add("marks off the scale are accepted", odd)


def _lines_of(case: Case) -> tuple[str, ...]:
    dimension = scoring.DIMENSION_OF[case.category]
    without = () if case.category == TEMPORAL else (WITHOUT,)
    return (ALL, *without, f"{scoring.KNOWLEDGE_OF[dimension]} Knowledge", dimension, case.category)
