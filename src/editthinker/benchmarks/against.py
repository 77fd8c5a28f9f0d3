"""One measured run against another: what is better, since which turn, and what it cost.

In: two `Measured`. Out: an `Against`: paired differences, what every number of turns would have given, and
the difference at equal editor calls, for which the dearer run is ended earlier. What cannot be compared is
refused, with what differs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from editthinker.benchmarks.compare import Comparison, as_json, best_of, compare, curve
from editthinker.benchmarks.course import Point
from editthinker.benchmarks.intervals import Estimate, estimate
from editthinker.benchmarks.measured import Measured
from editthinker.benchmarks.table import Rules, Table
from editthinker.core.errors import InputError

EQUAL: Final = 0.01
"""Editor calls per sample that may lie between two runs of the same price."""
ROLES: Final = ("editor", "thinker", "judge")


@dataclass(frozen=True, slots=True)
class Side:
    """One run under one set of rules."""

    name: str
    table: Table
    points: tuple[Point, ...]
    """What would have been delivered after each number of turns; empty if not every turn was judged."""
    own: tuple[Estimate, ...]
    """The headline of each turn's own images, delivered or not."""
    best: Estimate | None
    """The headline of each sample's best turn, chosen by the judge itself."""
    chosen: dict[int, int]
    """Delivered turn (0: the source) to samples; empty if not known."""

    @classmethod
    def of(cls, name: str, run: Measured, table: Table) -> Side:
        """Everything that is known of a run; `table` is of what it delivered."""
        turns, rules = run.turns(table.rules), table.rules
        points, own = tuple(run.points(rules)), curve(turns)
        return cls(
            name,
            table,
            points,
            (*own, *[estimate(())] * len(points))[: len(points)],  # the last images may be no images
            best_of(turns).value if turns else None,
            dict(sorted(Counter(course.delivered[-1] for course in run.courses.values()).items())),
        )

    @property
    def editor_calls(self) -> float | None:
        """Per sample; None where nobody counted them."""
        return self.table.per_sample.get("editor")

    def as_json(self) -> dict[str, Any]:
        """As JSON values, without the samples."""
        return {
            "run": self.name,
            "judge": self.table.judge,
            "calls_per_sample": dict(self.table.per_sample),
            "turns": [
                {
                    "turns": point.turns,
                    "delivered": point.table.value.as_json(),
                    "own_image": own.as_json(),
                    "editor_calls": point.editor_calls,
                    "thinker_calls": point.thinker_calls,
                }
                for point, own in zip(self.points, self.own, strict=True)
            ],
            "best_turn": self.best.as_json() if self.best else None,
            "chosen": {str(turn): number for turn, number in self.chosen.items()},
        }


@dataclass(frozen=True, slots=True)
class Budget:
    """The dearer run ended early, beside the cheaper one as it is."""

    dearer: str
    turns: int
    """After which the dearer one ends."""
    calls: tuple[float, float]
    """Editor calls per sample of the first and of the second run, once ended."""
    comparison: Comparison


@dataclass(frozen=True, slots=True)
class Against:
    """Two runs under one set of rules."""

    first: Side
    second: Side
    comparison: Comparison
    budgets: tuple[Budget, ...]
    """At no more editor calls than the cheaper run made, and at the next number of turns, if both exist."""
    budget: str
    """How their numbers of editor calls stand, in one sentence."""
    differences: tuple[str, ...] = ()
    """What makes them uncomparable, where that was not to matter."""

    def as_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            **as_json(self.comparison),
            "not_comparable": list(self.differences),
            "sides": {"first": self.first.as_json(), "second": self.second.as_json()},
            "equal_editor_calls": {
                "says": self.budget,
                "at": [
                    {
                        "ended_early": one.dearer,
                        "turns": one.turns,
                        "editor_calls": list(one.calls),
                        **as_json(one.comparison),
                    }
                    for one in self.budgets
                ],
            },
        }


def against(
    first: Measured, second: Measured, rules: Rules, names: tuple[str, str], *, anyway: bool = False
) -> Against:
    """Second against first. Raises `InputError` when they are not comparable, unless `anyway`."""
    tables = first.table(rules), second.table(rules)
    found = unlike(first, second, (tables[0].judge, tables[1].judge))
    if found and not anyway:
        raise InputError(f"{'; '.join(found)}. Such figures do not compare; --anyway does it nevertheless")
    one, other = Side.of(names[0], first, tables[0]), Side.of(names[1], second, tables[1])
    compared = compare(one.table, other.table, anyway=anyway)
    return Against(one, other, compared, *_budgets(one, other, anyway=anyway), tuple(found))


def unlike(first: Measured, second: Measured, answered: tuple[str, str]) -> list[str]:
    """Why the figures of two runs do not compare; a clause each. Empty: they do.

    `answered`: the models that gave the replies.
    """
    one, other = first.about, second.about
    if one.benchmark != other.benchmark:
        return [f"the benchmarks differ: {one.benchmark} and {other.benchmark}"]
    found = []
    if one.options != other.options:
        found.append(f"the benchmark's options differ: {_told(one.options)} and {_told(other.options)}")
    if first.judge != second.judge or (all(answered) and answered[0] != answered[1]):
        judges = zip((first.judge, second.judge), answered, strict=True)
        told = (f"{asked} (answered by {model or 'nobody'})" for asked, model in judges)
        found.append(f"the judges differ: {' and '.join(told)}")
    if one.prompts != other.prompts:
        sums = (f"{about.origin or 'ours'} ({about.prompts[:8]})" for about in (one, other))
        found.append(f"the judge prompts differ: {' and '.join(sums)}")
    words = {case.id: case.instruction for case in first.cases}
    changed = [case.id for case in second.cases if words.get(case.id, case.instruction) != case.instruction]
    if changed:
        found.append(f"{len(changed)} samples have other instructions, the first of them {changed[0]}")
    return found


def _told(options: Any) -> str:
    return ", ".join(f"{name}={value}" for name, value in options.items()) or "none"


def _budgets(first: Side, second: Side, *, anyway: bool) -> tuple[tuple[Budget, ...], str]:
    """The comparisons at equal editor calls, and how the two runs' calls stand."""
    one, other = first.editor_calls, second.editor_calls
    if one is None or other is None:
        return (), "editor calls are not known of both runs"
    if abs(one - other) <= EQUAL:
        return (), f"both made {one:.2f} editor calls per sample"
    dear, cheap, least = (first, second, other) if one > other else (second, first, one)
    told = (
        f"{dear.name} made {max(one, other):.2f} editor calls per sample and {cheap.name} {least:.2f}:"
        " they are not equally dear"
    )
    if not dear.points:
        return (), f"{told}, and not every turn of {dear.name} was judged, so it cannot be ended earlier"
    below = [point for point in dear.points if point.editor_calls <= least + EQUAL][-1:]
    above = [point for point in dear.points if point.editor_calls > least + EQUAL][:1]
    if not below:
        told += f", and even one turn of {dear.name} costs more"
    made = []
    for point in below if below and below[0].editor_calls >= least - EQUAL else below + above:
        tables = [point.table if side is dear else side.table for side in (first, second)]
        calls = (point.editor_calls, least) if dear is first else (least, point.editor_calls)
        made.append(Budget(dear.name, point.turns, calls, compare(*tables, anyway=anyway)))
    return tuple(made), told


def by_calls(side: Side) -> Sequence[tuple[float, Estimate]]:
    """Editor calls per sample and the headline, for every number of turns, or for the end alone."""
    if side.points:
        return [(point.editor_calls, point.table.value) for point in side.points]
    return [] if side.editor_calls is None else [(side.editor_calls, side.table.value)]
