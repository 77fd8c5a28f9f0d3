"""The darkroom bench as tables, so that `bench score` and `bench compare` work on its reports too.

In: a `Report`, or the file that `bench darkroom` wrote. Out: the tables of a `Measured`. The exact
judge answered while the bench ran: there is nothing unreadable, so all rules agree.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from editthinker.benchmarks.course import SOURCE, Course, Point, by_scores
from editthinker.benchmarks.darkroom import SUCCESS, Report, as_json
from editthinker.benchmarks.evaluation import Edited
from editthinker.benchmarks.judged import About
from editthinker.benchmarks.reading import json_of
from editthinker.benchmarks.suite import Case
from editthinker.benchmarks.table import Over, Rules, Scored, Table, tabulate
from editthinker.core.errors import InputError
from editthinker.core.files import shown
from editthinker.core.types import Score
from editthinker.darkroom.language.sentences import GROUPS
from editthinker.runs.folder import RunFolder

NAME = "darkroom"
FILE = "darkroom.json"
"""The report in the folder of a run."""
FIGURES = ("success", "overall", "semantic", "quality")


@dataclass(frozen=True, slots=True)
class _Row:
    case: Case
    judged: tuple[Score, ...]
    delivered: Score
    source: Score | None
    course: Course


@dataclass(frozen=True)
class Reported:
    """A report of the darkroom bench, as `benchmarks.measured.Measured` wants it."""

    rows: tuple[_Row, ...]
    per_sample: dict[str, float] = field(default_factory=dict)
    judge: str = NAME

    @classmethod
    def of(cls, path: Path) -> Reported:
        """The report in a file. Raises `InputError`."""
        content = json_of(path)
        try:
            return cls._of(content)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError):
            raise InputError(
                f"{shown(str(path))} is neither a judged run nor a report of 'bench darkroom --json'"
            ) from None

    @classmethod
    def of_report(cls, report: Report) -> Reported:
        """The same of a report that was just made."""
        return cls._of(json.loads(json.dumps(as_json(report))))

    @classmethod
    def _of(cls, content: Any) -> Reported:
        whole = content["table"][0]
        calls = {"editor": float(whole["editor_calls"]), "thinker": float(whole["thinker_calls"])}
        return cls(tuple(_row(row) for row in content["rows"]), calls)

    @cached_property
    def about(self) -> About:
        """There are no options and no prompts."""
        return About(NAME, {}, len(self.rows), origin=NAME, every_turn=True)

    @cached_property
    def cases(self) -> list[Case]:
        """Without their images."""
        return [row.case for row in self.rows]

    @cached_property
    def courses(self) -> dict[str, Course]:
        """By case."""
        return {row.case.id: row.course for row in self.rows}

    def table(self, rules: Rules) -> Table:
        """Of the delivered images."""
        return self._table(rules, [row.delivered for row in self.rows])

    def turns(self, rules: Rules) -> list[Table]:
        """Of every turn's own images; a sample that stopped earlier counts with its last."""
        return [
            self._table(rules, [(row.judged[:turn] or (row.delivered,))[-1] for row in self.rows])
            for turn in range(1, self._last + 1)
        ]

    def points(self, rules: Rules) -> list[Point]:
        """What would have been delivered after each number of turns."""
        points, number = [], max(1, len(self.rows))
        counted = any(row.course.thinker_calls for row in self.rows)
        for turns in range(1, self._last + 1):
            table = self._table(rules, [_after(row, turns) for row in self.rows])
            calls = [row.course.calls(turns) for row in self.rows if row.judged]
            editor, thinker = (sum(made) / number for made in zip(*calls, strict=True))
            points.append(Point(turns, table, editor, thinker if counted else None))
        return points

    @property
    def _last(self) -> int:
        return max((len(row.judged) for row in self.rows), default=0)

    def _table(self, rules: Rules, scores: Sequence[Score]) -> Table:
        scored = [_scored(row.case, score) for row, score in zip(self.rows, scores, strict=True)]
        present = {one.category for one in scored}
        layout: list[tuple[str, Over]] = [("all", "samples")]
        layout += [(group, "samples") for group in GROUPS if group in present]
        return Table(
            benchmark=NAME,
            rules=rules,
            headline=("all", "success"),
            lines=tabulate(scored, layout, FIGURES),
            scored=tuple(scored),
            judge=NAME,
            per_sample=self.per_sample,
        )


def delivered(folder: RunFolder) -> Iterator[Edited]:
    """The delivered images of a bench that was kept, as far as there are any."""
    for record in folder.trajectories():
        sample, source = record.sample, folder.image_path(record.sample.images[0])
        case = Case(sample.id, sample.instruction, (source,), sample.tags["group"])
        turn = next((turn for turn in record.turns if turn.index == record.chosen), None)
        if turn:
            yield Edited(case, folder.image_path(turn.image), turn.index)
        elif record.failure is None:
            yield Edited(case, source, SOURCE)


def _after(row: _Row, turns: int) -> Score:
    if turns >= len(row.course.delivered):
        return row.delivered
    index = row.course.after(turns)
    if index == SOURCE:  # reports of before do not say what the source is worth: the turn itself counts
        return row.source or row.judged[turns - 1]
    return row.judged[index - 1]


def _row(row: Any) -> _Row:
    judged = tuple(Score(*marks) for marks in row["judged"])
    thought = [None if marks is None else Score(*marks) for marks in row["thought"]]
    calls = row.get("calls") or {}
    course = Course(
        tuple(row["after"]) if "after" in row else by_scores(thought, row["chosen"]),
        tuple(calls.get("editor", range(1, len(judged) + 1))),
        tuple(calls.get("thinker", ())),
    )
    case = Case(row["id"], row["instruction"], (), row["group"])
    source = None if row.get("source") is None else Score(*row["source"])
    return _Row(case, judged, Score(*row["delivered"]), source, course)


def _scored(case: Case, score: Score) -> Scored:
    values = {
        "success": float(score.overall >= SUCCESS),
        "overall": score.overall,
        "semantic": score.semantic,
        "quality": score.quality,
    }
    return Scored(case.id, case.category, "scored", ("all", case.category), values)
