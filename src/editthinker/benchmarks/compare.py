"""Two configurations on the same samples: how much better, where, and how sure that is.

In: tables of one benchmark under the same rules. Out: paired differences with 95 % intervals; what each turn
would have given; the best turn of each sample, which nobody can choose without the judge.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from editthinker.benchmarks.intervals import Estimate, estimate
from editthinker.benchmarks.table import Scored, Table, tabulate
from editthinker.core.errors import InputError

MOST_NAMED = 5
"""Samples without a partner that are named in a sentence."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure of one line in both tables."""

    line: str
    figure: str
    first: Estimate
    second: Estimate
    """As printed in the two tables, each over the samples it has."""
    difference: Estimate
    """Second minus first over the samples that have the figure in both; its interval pairs them."""
    better: int
    worse: int
    """Samples in which the second is higher, and lower."""

    @property
    def ties(self) -> int:
        """Samples in which both are alike."""
        return self.difference.n - self.better - self.worse

    @property
    def sure(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.difference.low > 0 or self.difference.high < 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """Every line and figure that both tables have."""

    benchmark: str
    rules: str
    headline: tuple[str, str]
    differences: tuple[Difference, ...]
    flags: tuple[str, ...]
    """What makes the two unequal: other samples, another judge, uncomparable prompts."""
    only_first: tuple[str, ...] = ()
    only_second: tuple[str, ...] = ()
    """Samples without a partner: they are in no difference."""

    def of(self, line: str, figure: str) -> Difference | None:
        """One of them."""
        return next((one for one in self.differences if (one.line, one.figure) == (line, figure)), None)


def compare(first: Table, second: Table, *, anyway: bool = False) -> Comparison:
    """Paired differences, second minus first.

    Raises `InputError` for tables of different kinds, unless `anyway`, and where no sample is in both.
    """
    for word, one, other in (
        ("benchmarks", first.benchmark, second.benchmark),
        ("rules", first.rules, second.rules),
    ):
        if one != other and not anyway:
            raise InputError(f"the two tables have different {word}: {one} and {other}")
    others = {one.case: one for one in second.scored}
    pairs = [(one, others[one.case]) for one in first.scored if one.case in others]
    if not pairs:
        raise InputError("the two tables have no sample in common; compare runs over the same data")
    differences = []
    for line in first.lines:
        if (counterpart := second.line(line.name)) is None:
            continue
        members = [(one, other) for one, other in pairs if line.name in one.lines]
        for figure, value in line.figures.items():
            if figure in counterpart.figures:
                paired = _paired(members, figure, macro=line.over == "categories")
                differences.append(Difference(line.name, figure, value, counterpart.figures[figure], *paired))
    alone = _alone(first, second), _alone(second, first)
    flags = _unequal(first, second, alone)
    return Comparison(first.benchmark, first.rules, first.headline, tuple(differences), flags, *alone)


def _paired(
    members: Sequence[tuple[Scored, Scored]], figure: str, *, macro: bool
) -> tuple[Estimate, int, int]:
    having = [
        (one, other)
        for one, other in members
        if math.isfinite(one.values.get(figure, math.nan) + other.values.get(figure, math.nan))
    ]
    gains = [other.values[figure] - one.values[figure] for one, other in having]
    weights = [one.weight for one, _ in having]
    value = estimate(
        gains,
        groups=[one.category for one, _ in having] if macro else None,
        weights=None if macro or set(weights) <= {1.0} else weights,
    )
    return value, sum(gain > 0 for gain in gains), sum(gain < 0 for gain in gains)


def _alone(table: Table, other: Table) -> tuple[str, ...]:
    """Samples that the other table does not have."""
    there = {one.case for one in other.scored}
    return tuple(one.case for one in table.scored if one.case not in there)


def _unequal(first: Table, second: Table, alone: tuple[tuple[str, ...], tuple[str, ...]]) -> tuple[str, ...]:
    flags = []
    for name, table, cases in zip(("first", "second"), (first, second), alone, strict=True):
        if cases:
            more = f" and {len(cases) - MOST_NAMED} more" * (len(cases) > MOST_NAMED)
            flags.append(
                f"{len(cases)} samples are in the {name} table only: {', '.join(cases[:MOST_NAMED])}{more}"
            )
        if not table.comparable:
            flags.append(f"the {name} table is not comparable with published figures")
    if first.judge != second.judge:
        flags.append(f"the judges differ: {first.judge or 'unknown'} and {second.judge or 'unknown'}")
    return tuple(flags)


def curve(turns: Sequence[Table], line: str = "", figure: str = "") -> tuple[Estimate, ...]:
    """The headline (or another) figure turn by turn; a turn's table counts samples that stopped earlier."""
    points = []
    for table in turns:
        found = table.line(line or table.headline[0])
        points.append(found.figures[figure or table.headline[1]] if found else estimate(()))
    return tuple(points)


def best_of(turns: Sequence[Table]) -> Table:
    """Of each sample the table where its headline figure is highest, the earlier at a tie.

    Of turns it is the oracle; of n single edits best-of-n with the judge itself choosing. It bounds what any
    choice can reach. Raises `InputError` for no tables.
    """
    if not turns:
        raise InputError("there are no turns to take the best of")
    base, figure = turns[0], turns[0].headline[1]
    chosen: dict[str, Scored] = {}
    for one in (one for table in turns for one in table.scored):
        held = chosen.get(one.case)
        if held is None or one.values.get(figure, -math.inf) > held.values.get(figure, -math.inf):
            chosen[one.case] = one
    figures = list(dict.fromkeys(name for line in base.lines for name in line.figures))
    layout = [(line.name, line.over) for line in base.lines]
    lines = tabulate(list(chosen.values()), layout, figures)
    words = "the best of each sample by the judge itself: an upper bound, no method"
    return replace(
        base, lines=lines, scored=tuple(chosen.values()), flags=(words, *base.flags), per_sample={}
    )


def as_json(comparison: Comparison) -> dict[str, Any]:
    """The comparison as JSON values."""
    return {
        "benchmark": comparison.benchmark,
        "rules": comparison.rules,
        "headline": {"line": comparison.headline[0], "figure": comparison.headline[1]},
        "flags": list(comparison.flags),
        "unpaired": {"first": list(comparison.only_first), "second": list(comparison.only_second)},
        "differences": [
            {
                "line": one.line,
                "figure": one.figure,
                "first": one.first.as_json(),
                "second": one.second.as_json(),
                "difference": one.difference.as_json(),
                "better": one.better,
                "ties": one.ties,
                "worse": one.worse,
                "sure": one.sure,
            }
            for one in comparison.differences
        ],
    }
