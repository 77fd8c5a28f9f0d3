"""Two measured runs: what compares, what does not, and what fewer turns would have come to."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from editthinker.benchmarks.against import Against, against
from editthinker.benchmarks.course import SOURCE, Course
from editthinker.benchmarks.darkroom_table import Reported
from editthinker.benchmarks.judged import About, Asked
from editthinker.benchmarks.known import benchmark_named, options_of
from editthinker.benchmarks.measured import measured
from editthinker.benchmarks.scoring import Scoring
from editthinker.benchmarks.suite import Case, Reply
from editthinker.core.errors import InputError

ABOUT = About("imgedit", options_of(benchmark_named("imgedit")), 3, prompts="p", every_turn=True)


@dataclass
class Drawn:
    """Marks of the images of each case, turn by turn; what was delivered; calls."""

    marks: dict[str, list[int]]
    chosen: dict[str, tuple[int, ...]]
    source: int | None = None
    judge: str = "j"
    model: str = "m"
    words: str = "warmer"
    about: About = ABOUT
    more: dict[str, Any] = field(default_factory=dict)

    def run(self) -> Scoring:
        asked, replies = [], {}
        for case, marks in self.marks.items():
            images = dict(enumerate(marks, 1)) | ({} if self.source is None else {SOURCE: self.source})
            for turn, mark in images.items():
                question = f"{case} {turn}"
                asked.append(Asked(case, turn, "marks", turn == self.chosen[case][-1], question, "gpt-4o"))
                text = f"Fine.\nInstruction: {mark}\nPreservation: {mark}\nQuality: {mark}"
                replies[question] = [Reply(text, model=self.model)]
        cases = [Case(case, self.words, (), "add") for case in self.marks]
        courses = {
            case: Course(chosen, tuple(range(1, len(chosen) + 1)), tuple(range(1, len(chosen) + 1)))
            for case, chosen in self.chosen.items()
        }
        calls = {"editor": sum(map(len, self.chosen.values())), "thinker": 0, "judge": len(asked)}
        return Scoring(self.judge, self.about, cases, asked, replies, calls, courses)


LOOP = Drawn({"1": [2, 5], "2": [4], "3": [3, 2, 5]}, {"1": (1, 2), "2": (1,), "3": (1, 1, 3)})
SINGLE = Drawn({"1": [2], "2": [4], "3": [3]}, {"1": (1,), "2": (1,), "3": (1,)})


def compared(first: Drawn, second: Drawn, **more: Any) -> Against:
    return against(first.run(), second.run(), "strict", ("a", "b"), **more)


def test_what_fewer_turns_would_have_delivered() -> None:
    run = LOOP.run()
    points = run.points("strict")
    assert [point.table.value.mean for point in points] == [3.0, 4.0, pytest.approx(14 / 3, abs=0.01)]
    assert [point.editor_calls for point in points] == [1.0, pytest.approx(5 / 3), 2.0]
    assert points[-1].table.value == run.table("strict").value
    own = [table.value.mean for table in run.turns("strict")]
    assert own[1] == pytest.approx(11 / 3, abs=0.01), "the image of turn 2, though turn 1 would be delivered"


def test_a_turn_whose_image_was_none_is_missing() -> None:
    broken = LOOP.run()
    broken = replace(broken, asked=[one for one in broken.asked if (one.case, one.turn) != ("3", 3)])
    found = against(LOOP.run(), broken, "strict", ("a", "b"))
    assert [len(found.second.points), len(found.second.own)] == [3, 3]
    last = found.second.points[-1].table
    assert [one.state for one in last.scored] == ["scored", "scored", "missing"]
    assert last.value == found.second.table.value


def test_a_source_given_back_counts_as_itself() -> None:
    chosen = {"1": (SOURCE, 2), "2": (1,), "3": (1, 1, 3)}
    judged = replace(LOOP, chosen=chosen, source=1).run().points("strict")[0].table
    assert judged.value.mean == pytest.approx((1 + 4 + 3) / 3, abs=0.01)
    unjudged = replace(LOOP, chosen=chosen).run().points("strict")[0].table
    assert unjudged.value.mean == pytest.approx((2 + 4 + 3) / 3, abs=0.01)
    assert "1 samples: the source, given back, was not judged" in unjudged.flags[0]


def test_the_dearer_run_is_ended_early() -> None:
    found = compared(SINGLE, LOOP)
    headline = found.comparison.of(*found.comparison.headline)
    assert headline is not None
    assert headline.difference.mean == pytest.approx(5 / 3, abs=0.01)
    assert found.budget.startswith("b made 2.00 editor calls per sample and a 1.00")
    (equal,) = found.budgets
    assert (equal.dearer, equal.turns, equal.calls) == ("b", 1, (1.0, 1.0))
    fair = equal.comparison.of(*equal.comparison.headline)
    assert fair is not None
    assert (fair.difference.mean, fair.ties) == (0, 3)
    told = found.as_json()
    assert told["equal_editor_calls"]["at"][0]["ended_early"] == "b"
    assert told["sides"]["second"]["chosen"] == {"1": 1, "2": 1, "3": 1}
    json.dumps(told, allow_nan=False)
    assert compared(LOOP, LOOP).budgets == ()
    assert "both made 2.00" in compared(LOOP, LOOP).budget


def test_between_two_numbers_of_turns_both_are_told() -> None:
    middle = Drawn({"1": [2, 2], "2": [4], "3": [3]}, {"1": (1, 1), "2": (1,), "3": (1,)})
    assert [one.turns for one in compared(middle, LOOP).budgets] == [1, 2]
    assert [one.calls[0] for one in compared(middle, LOOP).budgets] == [pytest.approx(4 / 3)] * 2
    blind = replace(LOOP, about=replace(ABOUT, every_turn=False), chosen=LOOP.chosen).run()
    blind = replace(blind, courses={})
    told = against(SINGLE.run(), blind, "strict", ("a", "b"))
    assert told.budgets == ()
    assert "not every turn of b was judged" in told.budget


@pytest.mark.parametrize(
    ("other", "clause"),
    [
        (replace(LOOP, judge="k"), "the judges differ: j (answered by m) and k (answered by m)"),
        (replace(LOOP, model="n"), "the judges differ: j (answered by m) and j (answered by n)"),
        (replace(LOOP, about=replace(ABOUT, prompts="q")), "the judge prompts differ"),
        (replace(LOOP, about=replace(ABOUT, options={})), "the benchmark's options differ"),
        (replace(LOOP, words="colder"), "3 samples have other instructions, the first of them 1"),
    ],
)
def test_what_is_not_comparable_is_refused(other: Drawn, clause: str) -> None:
    if "options" in clause and not ABOUT.options:
        other = replace(LOOP, about=replace(ABOUT, options={"suite": "basic"}))
        with pytest.raises((InputError, TypeError)):
            compared(LOOP, other)
        return
    with pytest.raises(InputError, match="--anyway does it nevertheless") as refused:
        compared(LOOP, other)
    assert clause in str(refused.value)
    found = compared(LOOP, other, anyway=True)
    assert clause in found.differences[0]
    assert found.as_json()["not_comparable"] == list(found.differences)


def report(path: Path, **more: Any) -> Path:
    rows = [
        {"id": "a", "group": "direct", "instruction": "warmer", "judged": [[5, 5], [9, 9]]}
        | {"thought": [[4, 4], [8, 8]], "delivered": [9, 9], "chosen": 2},
        {"id": "b", "group": "reasoning", "instruction": "old", "judged": [[3, 3]]}
        | {"thought": [[1, 1]], "delivered": [2, 2], "chosen": None},
    ]
    table = [{"editor_calls": 1.5, "thinker_calls": 1.5}]
    path.write_text(json.dumps({"table": table, "rows": rows, **more}))
    return path


def test_reports_of_the_darkroom_bench_are_runs_too(tmp_path: Path) -> None:
    run = measured(report(tmp_path / "a.json"))
    assert isinstance(run, Reported)
    assert [point.table.value.mean for point in run.points("strict")] == [0.0, 0.5]
    assert [point.editor_calls for point in run.points("strict")] == [1.0, 1.5]
    assert run.points("strict")[0].thinker_calls is None, "older reports do not tell"
    with pytest.raises(InputError, match="the benchmarks differ: darkroom and imgedit"):
        against(run, LOOP.run(), "strict", ("a", "b"))
    with pytest.raises(InputError, match="no sample in common"):
        against(run, LOOP.run(), "strict", ("a", "b"), anyway=True)


@pytest.mark.parametrize("content", ["[]", "{}", "3", '{"table": [], "rows": []}', '{"table": [{}]}'])
def test_another_file_is_no_run(content: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(InputError, match="neither a judged run nor a report"):
        measured(tmp_path / "x.json")
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(InputError, match="not valid JSON"):
        measured(tmp_path / "x.json")
