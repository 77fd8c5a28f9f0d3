"""The experiments of the paper in miniature: figures by hand, sharing that changes nothing, honest gaps."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import paper  # the scripts, after the path
import paper_cells as cells
import paper_figures as figures
from paper_goals import Goal, goals, told
from paper_page import write_page

from editthinker.benchmarks import darkroom as bench
from editthinker.core.errors import StoreError
from editthinker.core.limits import Limits
from editthinker.darkroom.editor import DarkroomEditor
from editthinker.darkroom.judge import DarkroomJudge
from editthinker.darkroom.thinker import ExpertThinker

WORLD = cells.World("validation", 1, {})


def row(judged: list[float], after: list[int], group: str = "direct", source: float = 0.0) -> dict[str, Any]:
    """A line of a cell whose scores are the same for semantic and quality."""
    calls = list(range(1, len(judged) + 1))
    return {
        "group": group,
        "judged": [[score, score] for score in judged],
        "thought": [[score, score] for score in judged],
        "after": after,
        "source": [source, source],
        "calls": {"editor": calls, "thinker": calls},
    }


def test_fewer_turns_are_read_off_the_same_line() -> None:
    one = row([3, 9, 5], [1, 2, 2])
    assert [figures.success(one, k) for k in (1, 2, 3, 8)] == [0, 1, 1, 1]
    assert [figures.edits(one, k) for k in (1, 2, 3, 8)] == [1, 2, 3, 3]
    assert figures.success(row([9], [0])) == 0, "the source was given back"
    assert figures.overall((10, 6.4)) == pytest.approx(8)


def test_a_share_of_a_gain_is_that_of_the_means() -> None:
    share = figures.ratio([1, 0, 1, 0], [1, 1, 1, 1])
    assert share is not None
    assert share["mean"] == 50
    assert 0 <= share["low"] <= 50 <= share["high"] <= 100
    assert figures.ratio([], []) is None
    assert figures.ratio([1, 0], [0, 0]) is None, "no gain has no share"


def test_best_of_n_is_compared_at_the_same_number_of_edits() -> None:
    refined = [row([3, 9], [1, 2]), row([9], [1])]  # 1.5 edits, all succeed
    sampled = [row([3, 3, 9], [1, 1, 3]), row([9, 9, 9], [1, 1, 1])]
    rows = {figures.cell("base", "sft-rl"): refined, figures.cell("base", "sft-rl", "best-of-n"): sampled}
    found = figures.best_of_n(lambda cell: rows.get(cell, []))
    second = found["base"]["points"][1]
    assert second["edits"] == 1.5
    assert (second["refine"]["mean"], second["best-of-n"]["mean"]) == (100, 50)
    assert second["difference"]["mean"] == 50
    assert found["large"]["points"] == []


def test_gains_are_paired_and_their_mean_is_over_editors() -> None:
    lost, won = row([3], [1]), row([9], [1])
    rows = {}
    for editor, pair in zip(figures.EDITORS, ((lost, won), (won, won), (lost, lost)), strict=True):
        for stage, one in zip(("sft", "sft-rl"), pair, strict=True):
            rows[figures.cell(editor, stage)] = [one] * 3
        rows[figures.cell(editor, "none")], rows[figures.cell(editor, "expert")] = [lost] * 3, [won] * 3
    found = figures.stages(lambda cell: rows.get(cell, []))
    assert [found["gain"][editor]["mean"] for editor in figures.EDITORS] == [100, 0, 0]
    assert found["gain"]["mean"]["mean"] == pytest.approx(100 / 3)
    assert found["way_to_expert"]["mean"]["mean"] == pytest.approx(200 / 3)


@pytest.mark.parametrize(
    ("goal", "said"),
    [
        (Goal("it", 3, "points", {"mean": 4, "low": 1, "high": 7, "n": 500}, "test"), ": met"),
        (Goal("it", 3, "points", {"mean": 2.5, "low": 1, "high": 4, "n": 500}, "test"), "0.5 points short"),
        (Goal("it", 3, "points", {"mean": 4, "low": 1, "high": 7, "n": 40}, "test"), "would be met"),
        (Goal("it", 3, "points", {"mean": 4, "low": 1, "high": 7, "n": 500}, "fresh"), "would be met"),
        (
            Goal("it", 0, "points", {"mean": 4, "low": -1, "high": 7, "n": 500}, "test", above=True),
            "1.0 points",
        ),
        (Goal("it", 3, "points", None), "not measured"),
    ],
)
def test_a_goal_says_whether_it_is_met(goal: Goal, said: str) -> None:
    assert said in told(goal)
    assert goal.met == (said == ": met")


def test_the_page_says_what_was_not_measured(tmp_path: Path) -> None:
    empty = {name: make(lambda _: []) for name, (make, _) in figures.EXPERIMENTS.items()}
    results = {
        name: {
            "figures": found,
            "command": "x",
            "date": "d",
            "split": "test",
            "n": 500,
            "seed": 0,
            "judge": "j",
        }
        for name, found in empty.items()
    }
    assert not any(goal.met for goal in goals(results))
    text = write_page(results, tmp_path).read_text(encoding="utf-8")
    assert "not trained" in text
    assert "nan" not in text.lower().split()
    assert list(tmp_path.glob("*.svg")) == []
    text = write_page({}, tmp_path).read_text(encoding="utf-8")
    assert text.count("Not measured yet") == len(figures.EXPERIMENTS)
    assert "7.19" in text, "the paper's own figures stand there all the same"


def test_thinkers_that_are_not_there_are_not_trained(tmp_path: Path) -> None:
    world = cells.World("validation", 0, {"sft": str(tmp_path), "sft-rl": "shipped"})
    assert world.identity(figures.cell("base", "sft")) is None
    assert world.identity(figures.cell("base", "untrained")) is None
    there = world.identity(figures.cell("base", "sft-rl"))
    assert there is not None
    assert there["thinker_weights"]
    assert paper.folder_of(str(tmp_path)) == ""
    assert paper.folder_of("shipped") == "shipped"


def test_what_was_measured_is_told_when_its_thinker_is_gone(tmp_path: Path) -> None:
    """Nobody has to keep the weights of every thinker of a table."""
    cell = figures.cell("base", "sft")
    there = cells.World("validation", 0, {"sft": "shipped"}).identity(cell)
    assert there is not None
    (tmp_path / f"{cell.name}.jsonl").write_text(json.dumps(there) + "\n")
    gone = cells.World("validation", 0, {})
    assert gone.measured(cell, tmp_path) == there
    assert gone.measured(figures.cell("large", "sft"), tmp_path) is None, "never measured"
    assert cells.World("validation", 1, {}).measured(cell, tmp_path) is None, "other samples"
    (tmp_path / f"{cell.name}.jsonl").write_text(json.dumps({**there, "editor_weights": "old"}) + "\n")
    assert gone.measured(cell, tmp_path) is None, "another editor"
    (tmp_path / f"{cell.name}.jsonl").write_text(json.dumps({**there, "thinker_weights": "old"}) + "\n")
    assert cells.World("validation", 0, {"sft": "shipped"}).measured(cell, tmp_path) is None


@pytest.mark.slow
def test_sharing_changes_nothing_and_what_is_there_is_not_played_again(tmp_path: Path) -> None:
    """Cells played sample by sample say what the bench says of each alone, also after an interruption."""
    asked = [figures.cell("base", "none"), figures.cell("base", "expert"), figures.cell("base", "untrained")]
    said: list[str] = []
    spent = cells.measure(asked, WORLD, 4, tmp_path, workers=1, tell=said.append)
    assert spent["spared"] > 0
    assert "base.untrained.think-while-edit: its thinker is not here, not played" in said
    player = cells.Player(WORLD, 4)
    for cell, thinker in zip(asked[:2], (None, ExpertThinker()), strict=True):
        models = DarkroomEditor.load(), thinker, DarkroomJudge()
        report = asyncio.run(
            bench.run(player.samples, *models, strategy=cell.strategy, limits=Limits(turns=8), seed=1)
        )
        for ours, theirs in zip(cells.rows_of(tmp_path, cell, 4), bench.as_json(report)["rows"], strict=True):
            assert {key: theirs[key] for key in ours if key != "number"} == {
                key: value for key, value in ours.items() if key != "number"
            }
    file = tmp_path / f"{asked[1].name}.jsonl"
    whole = file.read_text(encoding="utf-8")
    lines = whole.splitlines(keepends=True)
    file.write_text("".join(lines[:3]) + lines[3][:20], encoding="utf-8")  # killed in the middle of a line
    cells.measure(asked, WORLD, 4, tmp_path, workers=1, tell=said.append)
    again = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert sorted(map(str, again)) == sorted(str(json.loads(line)) for line in lines)
    assert cells.measure(asked, WORLD, 4, tmp_path, workers=1, tell=said.append)["turns"] == 0
    with pytest.raises(StoreError, match="seed"):
        cells.measure(asked, cells.World("validation", 2, {}), 4, tmp_path, tell=said.append)
