"""What a person reads while it runs, and afterwards: plan, steps, reasons, candidates, repetitions."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from editthinker.cli.progress import Live, Plain, again
from editthinker.cli.show import _lines
from editthinker.core.episode import Episode
from editthinker.core.errors import EditorError
from editthinker.core.limits import Limits
from editthinker.core.types import Sample
from editthinker.runs import RunFolder
from editthinker.testing import ScriptedEditor, photograph
from peers.scripted_models import Judging, Planning, says

GOOD, POOR = (9, 9), (1, 5)


def busy() -> EditorError:
    error = EditorError("the server is busy")
    error.transient, error.retry_after = True, 0.0
    return error


def play(view: Plain | Live, editor: Any = None, **more: Any) -> Episode:
    thinker = Planning("warmer", "worse", "sharper", script=(GOOD, GOOD, POOR, POOR, GOOD, GOOD, GOOD))
    episode = Episode(
        Sample((photograph(),), "all of it"),
        editor or ScriptedEditor(),
        thinker,
        strategy="plan-and-edit",
        limits=Limits(turns=1),
        listener=view.hear,
        **more,
    )
    with view.watching():
        asyncio.run(episode.run())
    return episode


@pytest.mark.parametrize("view", [Plain, Live])
def test_plan_steps_reasons_and_candidates(view: Any, capsys: pytest.CaptureFixture[str]) -> None:
    play(view(), candidates=2)
    said = " ".join(capsys.readouterr().err.split())
    for part in (
        "plan: 3 steps (two things are asked for) 1. warmer 2. worse 3. sharper",
        "turn 1 (step 1)",
        "best of 2, ",
        "step 2 came to nothing and was skipped",
        "the whole instruction, checked on turn 3 (step 2 skipped)",
    ):
        assert part in said


@pytest.mark.parametrize("view", [Plain, Live])
def test_a_repetition_is_announced(view: Any, capsys: pytest.CaptureFixture[str]) -> None:
    play(view(), ScriptedEditor(busy()))
    said = " ".join(capsys.readouterr().err.split())
    assert "the server is busy; again at once" in said
    assert [again(seconds) for seconds in (None, 0.2, 3.2)] == ["", "; again at once", "; again in 3 s"]


def test_calls_at_the_same_time_are_not_added_up(capsys: pytest.CaptureFixture[str]) -> None:
    play(Plain(), ScriptedEditor(seconds=0.3), candidates=3)
    first = next(line for line in capsys.readouterr().err.splitlines() if "best of 3" in line)
    took = re.search(r"best of 3, ([\d.]+) s", first)
    assert took
    assert 0.3 <= float(took[1]) < 0.8


def test_show_tells_it_all_again(tmp_path: Path) -> None:
    sample = Sample((photograph(),), "all of it")
    with RunFolder.create(tmp_path / "run", {}) as run:
        recorder = run.recorder(sample)
        thinker = Planning("warmer", "worse", script=(says("x", GOOD), says("x", POOR), says("x", (7, 8))))
        episode = Episode(
            sample,
            ScriptedEditor(cost=0.5),
            thinker,
            judge=Judging(GOOD, POOR, GOOD),
            strategy="plan-and-edit",
            limits=Limits(turns=1),
            listener=recorder,
        )
        asyncio.run(episode.run())
        recorder.finish(episode.trajectory)
        lines = "\n".join(_lines(run))
    assert "    1. warmer: turn 1\n    2. worse: skipped\n" in lines
    assert "  turn 2 (step 2, from turn 1): semantic 1.0" in lines
    assert "  turn 3 (delivered, from turn 1): semantic 9.0, quality 9.0, overall 9.0: warmer\n" in lines
    assert "    why: the whole instruction, checked on turn 1 (step 2 skipped)\n" in lines
    assert "    the thinker gave semantic 7.0, quality 8.0, overall 7.5\n" in lines
    assert "  cost: 2 edits, 4 thoughts, 3 judgements, " in lines
    assert lines.endswith("$1")
