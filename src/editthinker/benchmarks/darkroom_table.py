"""The darkroom bench as tables, so that what compares benchmarks compares it too.

In: a `Report`, judged exactly while it was made. Out: its table, and one for each turn. There are no replies
to read and nothing unreadable, so all rules agree.
"""

from __future__ import annotations

from collections.abc import Sequence

from editthinker.benchmarks.darkroom import SUCCESS, Report, Row
from editthinker.benchmarks.table import Over, Scored, Table, tabulate
from editthinker.core.types import Score
from editthinker.darkroom.language.sentences import GROUPS

FIGURES = ("success", "overall", "semantic", "quality")


def table_of(report: Report) -> Table:
    """Of the delivered images."""
    return _table(report, [row.delivered for row in report.rows])


def turns_of(report: Report) -> list[Table]:
    """Of every turn; a sample that stopped earlier counts with its last, one without any with its result."""
    return [
        _table(report, [(row.judged[:turn] or (row.delivered,))[-1] for row in report.rows])
        for turn in range(1, max((len(row.judged) for row in report.rows), default=0) + 1)
    ]


def _table(report: Report, scores: Sequence[Score]) -> Table:
    scored = [_scored(row, score) for row, score in zip(report.rows, scores, strict=True)]
    present = {one.category for one in scored}
    layout: list[tuple[str, Over]] = [("all", "samples")]
    layout += [(group, "samples") for group in GROUPS if group in present]
    number = max(1, len(report.rows))
    return Table(
        benchmark="darkroom",
        rules="strict",
        headline=("all", "success"),
        lines=tabulate(scored, layout, FIGURES),
        scored=tuple(scored),
        judge="darkroom",
        per_sample={
            "editor": sum(row.editor_calls for row in report.rows) / number,
            "thinker": sum(row.thinker_calls for row in report.rows) / number,
        },
    )


def _scored(row: Row, score: Score) -> Scored:
    group = row.sample.tags["group"]
    values = {
        "success": float(score.overall >= SUCCESS),
        "overall": score.overall,
        "semantic": score.semantic,
        "quality": score.quality,
    }
    return Scored(row.sample.id, group, "scored", ("all", group), values)
