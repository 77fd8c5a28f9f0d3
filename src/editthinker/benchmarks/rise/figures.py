"""RISEBench's table out of stored replies, under each of the three rules.

In: cases and what the judge said. Out: a `Table` with the lines all, the four categories and the 16 subtasks;
accuracy (0..1), the weighted score (1..5) and its percent, and the means of the three criteria.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from editthinker.benchmarks.records import given
from editthinker.benchmarks.rise import scoring
from editthinker.benchmarks.rise.scoring import LOGICAL, NAN, Marks
from editthinker.benchmarks.suite import Answers, Case, answered, judges_of, state_of
from editthinker.benchmarks.table import Over, Rules, Scored, State, Table, tabulate

FIGURES: Final = ("accuracy", "score", "percent", "reasoning", "consistency", "quality")
ALL: Final = "all"
_PREFIX: Final = {
    subtask: f"{prefix}-{subtask}" for prefix, members in scoring.SUBTASKS.items() for subtask in members
}


@dataclass(slots=True)
class Flags:
    """What a reader must know, each with the number of records it concerns."""

    found: dict[str, int] = field(default_factory=dict)

    def add(self, words: str, count: int = 1) -> None:
        """Count one more, or `count`."""
        if count:
            self.found[words] = self.found.get(words, 0) + count

    @property
    def sentences(self) -> tuple[str, ...]:
        """In the order in which they were first seen."""
        return tuple(f"{words} ({count} records)" for words, count in self.found.items())


def table(name: str, cases: Sequence[Case], answers: Answers, rules: Rules) -> Table:
    """The table of these cases. Never raises."""
    flags = Flags()
    _flag_data(cases, rules, flags)
    row = _strict if rules == "strict" else _as_official
    scored = tuple(row(case, answers, rules, flags) for case in cases)
    present = {line for one in scored for line in one.lines}
    columns = [line for line in (ALL, *scoring.CATEGORIES.values()) if line in present]
    groups = [line for line in _PREFIX.values() if line in present]
    layout: list[tuple[str, Over]] = [(line, "samples") for line in (*columns, *groups)]
    return Table(
        benchmark=name,
        rules=rules,
        headline=(ALL, "accuracy"),
        lines=tabulate(scored, layout, FIGURES, exact(scored, columns, groups)),
        scored=scored,
        flags=flags.sentences,
        judge=judges_of(answers),
    )


def values_of(marks: Marks, score: float, complete: float) -> dict[str, float]:
    """The figures of one row; those it does not have are left out."""
    values = {
        "accuracy": complete,
        "score": score,
        "percent": scoring.percent(score),
        "reasoning": marks.reasoning,
        "consistency": marks.consistency,
        "quality": marks.quality,
    }
    return {name: value for name, value in values.items() if not math.isnan(value)}


def exact(
    scored: Sequence[Scored], columns: Sequence[str], groups: Sequence[str]
) -> dict[tuple[str, str], float]:
    """Every mean to the last digit of the official script, where pandas sums groups in a way of its own."""
    made = {}
    for line in (*columns, *groups):
        mean = scoring.grouped_mean if line in groups else scoring.mean
        members = [one.values for one in scored if line in one.lines]
        for figure in FIGURES:
            made[line, figure] = mean([values.get(figure, NAN) for values in members])
        made[line, "percent"] = scoring.percent(made[line, "score"])
    return made


def _flag_data(cases: Sequence[Case], rules: Rules, flags: Flags) -> None:
    """What the official script does with the data as a whole."""
    fields = {name for case in cases for name in case.tags.get("fields", "").split()}
    with_reference = [
        case for case in cases if case.category == LOGICAL and not given(case.record, "reference_txt")
    ]
    if "reasoning_wo_ins" in fields:
        flags.add(
            "logical records with a reference image are judged without their question, because one record"
            " in the data has reasoning_wo_ins",
            len(with_reference),
        )
    else:
        flags.add(
            "logical records with a reference image are judged by prompt_logical_img, of unknown sha256",
            len(with_reference),
        )
    if rules != "official":
        return
    for name in ("reasoning_img", "subtask"):
        if name not in fields:
            flags.add(f"the official script stops at this data with KeyError: {name!r}", len(cases))
    odd = [case for case in cases if case.category not in scoring.CATEGORIES]
    flags.add("the official script stops at records of an unknown category", len(odd))
    strange = [case for case in cases if case.tags.get("subtask") and case.tags["subtask"] not in _PREFIX]
    flags.add("records of a subtask that the table does not know count overall only", len(strange))


def _as_official(case: Case, answers: Answers, rules: Rules, flags: Flags) -> Scored:
    """A row as the script makes it; `paper` differs in the rule of accuracy only."""
    free, logical = given(case.record, "consistency_free"), case.category == LOGICAL
    if case.category not in scoring.CATEGORIES:
        return _scored(case, state_of(answers, case.id, {"judge2": False}), {"accuracy": 0.0})
    kinds = _kinds(case)
    replies: dict[str, str | None] = {"judge1": None}
    replies |= {kind: next(iter(answered(answers, case.id, kind)), "") for kind in kinds}
    marks = scoring.official_marks(case.category, replies)
    read = {kind: bool(scoring.numbers(replies[kind] or "")) for kind in kinds}
    state = state_of(answers, case.id, read)
    if marks.failed and state == "scored":
        state = "unparsed"  # every reply has a number, but the script cannot sort them
    if state == "missing":
        flags.add("no edited image: the official script ends the run with FileNotFoundError; accuracy 0 here")
    elif marks.crash:
        flags.add(f"the official script stops with {marks.crash}; counted as failed")
    elif marks.failed:
        flags.add("failed: accuracy 0, left out of the scores")
    elif not on_scale(marks):
        flags.add("a mark off the scale is accepted")
    elif logical and any(scoring.numbers(replies[kind] or "")[0] > 1 for kind in kinds):
        flags.add("logical, judged off its scale of 0 and 1: what is above counts as 1")
    known = "consistency_free" in case.tags["fields"].split()
    # the script asks `if row["consistency_free"]`, and the NaN of a record without it is true
    lightened = known and not logical and bool(case.record.get("consistency_free", NAN))
    if lightened and not free and not marks.failed:
        flags.add(
            "scored 0.2 quality + 0.8 reasoning although consistency counts, because another record is"
            " consistency_free; accuracy is not affected"
        )
    score = scoring.score(case.category, marks, free=lightened)
    uncounted = free and rules == "official"
    if free and not uncounted and not marks.failed:
        flags.add("consistency_free, never complete under the rule before 2026-04-13")
    complete = scoring.complete(case.category, marks, free=uncounted)
    return _scored(case, state, values_of(marks, score, float(complete)))


def _strict(case: Case, answers: Answers, rules: Rules, flags: Flags) -> Scored:
    """A row with the lowest mark for whatever is missing; consistency counts where it is asked."""
    free = given(case.record, "consistency_free")
    scale = (0, 1) if case.category == LOGICAL else (1, 5)
    replies: dict[str, str | None] = {}
    for kind in _kinds(case):
        texts = answered(answers, case.id, kind)
        replies[kind] = next((text for text in texts if scoring.final_score(text, *scale) is not None), None)
    marks = scoring.strict_marks(case.category, free, replies)
    state = state_of(answers, case.id, {kind: text is not None for kind, text in replies.items()})
    if state != "scored":
        flags.add(f"{state}: the lowest mark for what is not there")
    score = scoring.score(case.category, marks, free=free)
    complete = scoring.complete(case.category, marks, free=free)
    return _scored(case, state, values_of(marks, score, float(complete)))


def _kinds(case: Case) -> tuple[str, ...]:
    first = () if given(case.record, "consistency_free") else ("judge1",)
    return (*first, "judge2") if case.category == LOGICAL else (*first, "judge2", "judge3")


def on_scale(marks: Marks) -> bool:
    """Whether every mark there is lies within 1..5."""
    found = (marks.consistency, marks.reasoning, marks.quality)
    return all(math.isnan(mark) or 1 <= mark <= 5 for mark in found)


def _scored(case: Case, state: State, values: dict[str, float]) -> Scored:
    lines = [ALL, scoring.CATEGORIES.get(case.category, case.category)]
    if subtask := _PREFIX.get(case.tags.get("subtask", "")):
        lines.append(subtask)
    return Scored(case.id, case.category, state, tuple(lines), values)
