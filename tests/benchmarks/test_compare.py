"""Two tables against each other: paired by sample, honest about what does not match."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from editthinker.benchmarks.compare import as_json, best_of, compare, curve
from editthinker.benchmarks.darkroom import Report, Row
from editthinker.benchmarks.darkroom_table import Reported
from editthinker.benchmarks.table import Scored, Table, tabulate
from editthinker.core.errors import InputError
from editthinker.core.types import Sample, Score
from editthinker.testing.behaviour import photograph

LAYOUT: list[Any] = [("all", "categories"), ("x", "samples"), ("y", "samples")]


def table(values: dict[str, float | None], **more: Any) -> Table:
    """Samples named x... and y... with one figure."""
    rows = tuple(
        Scored(
            name,
            name[0],
            "missing" if value is None else "scored",
            ("all", name[0]),
            {} if value is None else {"v": value},
        )
        for name, value in values.items()
    )
    return Table("b", "strict", ("all", "v"), tabulate(rows, LAYOUT, ["v"]), rows, **more)


def test_differences_are_paired_by_sample() -> None:
    first = table({"x1": 1, "x2": 9, "y1": 5})
    second = table({"x2": 10, "x1": 2, "y1": 5})
    found = compare(first, second)
    gain = found.of("x", "v")
    assert gain is not None
    assert (gain.difference.mean, gain.difference.low, gain.difference.high, gain.difference.n) == (
        1,
        1,
        1,
        2,
    )
    assert (gain.better, gain.ties, gain.worse, gain.sure) == (2, 0, 0, True)
    headline = found.of(*found.headline)
    assert headline is not None
    assert headline.difference.mean == 0.5  # the mean of the categories' gains, 1 and 0
    assert found.flags == ()


def test_pairing_sees_what_two_separate_intervals_cannot() -> None:
    rng = np.random.default_rng(0)
    base = rng.normal(5, 3, 100)
    first = table({f"x{place}": float(value) for place, value in enumerate(base)})
    second = table({f"x{place}": float(value) + 0.3 for place, value in enumerate(base)})
    one, other = first.value, second.value
    assert one.high > other.low  # apart they overlap
    found = compare(first, second).of("all", "v")
    assert found is not None
    assert found.sure


def test_samples_without_a_partner_are_left_out_and_told() -> None:
    first = table({"x1": 1, "x2": None, "x3": 4}, judge="m1")
    second = table({"x1": 3, "x2": 5, "y1": 7}, judge="m2", comparable=False)
    found = compare(first, second)
    gain = found.of("x", "v")
    assert gain is not None
    assert (gain.difference.mean, gain.difference.n) == (2, 1)
    assert found.flags == (
        "1 samples are in the first table only: x3",
        "1 samples are in the second table only: y1",
        "the second table is not comparable with published figures",
        "the judges differ: m1 and m2",
    )
    assert (found.only_first, found.only_second) == (("x3",), ("y1",))
    assert found.of("y", "v").difference.n == 0  # type: ignore[union-attr]
    json.dumps(as_json(found), allow_nan=False)


def test_unlike_tables_are_refused() -> None:
    first = table({"x1": 1})
    with pytest.raises(InputError, match="different rules: strict and official"):
        compare(first, replace(first, rules="official"))
    with pytest.raises(InputError, match="different benchmarks"):
        compare(first, replace(first, benchmark="c"))
    with pytest.raises(InputError, match="no sample in common"):
        compare(first, table({"x2": 1}))


def test_a_curve_and_the_best_turn() -> None:
    turns = [table({"x1": 1, "y1": 6}), table({"x1": 3, "y1": 2}), table({"x1": 3, "y1": None})]
    assert [point.mean for point in curve(turns)] == [3.5, 2.5, 3.0]
    assert [point.mean for point in curve(turns, "x")] == [1, 3, 3]
    best = best_of(turns)
    assert best.value.mean == 4.5
    assert best.scored[0] is turns[1].scored[0]  # a tie keeps the earlier
    assert "upper bound" in best.flags[0]
    with pytest.raises(InputError, match="no turns"):
        best_of([])


@pytest.mark.clock
def test_a_full_comparison_takes_seconds_at_most() -> None:
    rng = np.random.default_rng(0)
    tables = [
        table({f"{'xy'[place % 2]}{place}": float(rng.integers(1, 6)) for place in range(2000)})
        for _ in range(2)
    ]
    started = time.perf_counter()
    compare(*tables)
    assert time.perf_counter() - started < 5


def row(name: str, group: str, delivered: int, *judged: int) -> Row:
    sample = Sample((photograph(),), "warmer", id=name, tags={"group": group})
    scores = tuple(Score(value, value) for value in judged)
    last = judged.index(delivered) + 1
    return Row(sample, scores, (None,) * len(judged), Score(delivered, delivered), last, 2, 1, 0, "", (), 0.0)


def test_the_darkroom_bench_is_a_table_like_any_other() -> None:
    report = Report("s", "e", "t", 3, (row("a", "direct", 9, 4, 9), row("b", "reasoning", 6, 6)))
    found = Reported.of_report(report)
    table = found.table("strict")
    assert (table.value.mean, table.per_sample) == (0.5, {"editor": 2.0, "thinker": 1.0})
    assert {line.name: line.figures["overall"].mean for line in table.lines} == {
        "all": 7.5,
        "direct": 9,
        "reasoning": 6,
    }
    turns = found.turns("paper")
    assert [point.mean for point in curve(turns, figure="overall")] == [5, 7.5]
    gain = compare(turns[0], found.table("paper")).of("all", "overall")
    assert gain is not None
    assert (gain.difference.mean, gain.better, gain.worse) == (2.5, 1, 0)
    assert Reported.of_report(Report("s", "e", "t", 1, ())).table("strict").value.n == 0
