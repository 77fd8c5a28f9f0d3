"""The bench: intervals that hold, rows that add up, and the expert above the single edit."""

from __future__ import annotations

import asyncio
import math

import pytest

from editthinker.benchmarks import darkroom as bench
from editthinker.benchmarks.intervals import estimate, rank_correlation, ranks
from editthinker.core.limits import Limits
from editthinker.darkroom.cases import draw_samples
from editthinker.darkroom.editor import DarkroomEditor
from editthinker.darkroom.judge import DarkroomJudge
from editthinker.darkroom.photographs import photographs
from editthinker.darkroom.thinker import ExpertThinker

pytestmark = pytest.mark.slow


def test_intervals_hold_the_mean() -> None:
    values = [0.0] * 30 + [1.0] * 70
    found = estimate(values)
    assert found.mean == pytest.approx(0.7)
    assert found.low < 0.7 < found.high
    # the normal approximation of the same interval
    assert found.high - found.low == pytest.approx(2 * 1.96 * math.sqrt(0.7 * 0.3 / 100), rel=0.15)
    assert estimate([3.0]).low == estimate([3.0]).high == 3.0
    assert math.isnan(estimate([]).mean)


def test_rank_correlation_is_spearmans() -> None:
    assert ranks([10, 30, 20, 20]).tolist() == [0, 3, 1.5, 1.5]
    assert rank_correlation([1, 2, 3, 4], [10, 100, 1000, 10_000]) == pytest.approx(1)
    assert rank_correlation([1, 2, 3, 4], [4, 3, 2, 1]) == pytest.approx(-1)
    assert math.isnan(rank_correlation([1, 1, 1], [1, 2, 3]))


def run(thinker: ExpertThinker | None, strategy: str, turns: int) -> bench.Report:
    photos = [(p.name, p.picture()) for p in photographs("validation")]
    samples = draw_samples(photos, 16, split="validation", seed=1)
    models = DarkroomEditor.load(), thinker, DarkroomJudge()
    return asyncio.run(bench.run(samples, *models, strategy=strategy, limits=Limits(turns=turns)))


def test_the_expert_beats_a_single_edit_and_figures_add_up() -> None:
    single, expert = run(None, "single", 1), run(ExpertThinker(), "think-while-edit", 3)
    assert expert.table()[0]["success"].mean > single.table()[0]["success"].mean
    for report in (single, expert):
        whole, *groups = report.table()
        assert sum(line["success"].n for line in groups) == whole["success"].n == 16
        share = sum(line["success"].mean * line["success"].n for line in groups) / 16
        assert share == pytest.approx(whole["success"].mean)
    agreement = expert.agreement()
    assert agreement["semantic_error"] == pytest.approx(0, abs=1e-6), "the expert sees by the judge's eyes"
    assert agreement["satisfied_right"] == 1
    assert single.agreement() == {}
    first = bench.as_json(expert)["rows"][0]
    assert len(first["judged"]) == len(first["instructions"])


def test_the_same_seed_gives_the_same_rows() -> None:
    one, two = (bench.as_json(run(ExpertThinker(), "think-while-edit", 2)) for _ in range(2))
    for row in (*one["rows"], *two["rows"]):
        row.pop("seconds")
    assert one["rows"] == two["rows"]
