"""What a run would have come to with fewer turns: the same as playing it with that limit."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from editthinker.benchmarks.course import SOURCE, by_scores, course_of
from editthinker.benchmarks.evaluation import of_run
from editthinker.benchmarks.suite import Case
from editthinker.core.episode import Episode
from editthinker.core.errors import EditorError
from editthinker.core.limits import Limits
from editthinker.core.records import TrajectoryRecord
from editthinker.core.types import Sample, Score
from editthinker.runs.folder import RunFolder
from editthinker.testing.behaviour import photograph
from editthinker.testing.scripted import EditStep, ScriptedEditor, ScriptedThinker, ThinkStep


def played(
    folder: RunFolder, scores: list[ThinkStep], turns: int, edits: tuple[EditStep, ...] = (), **more: object
) -> TrajectoryRecord:
    """An episode with these scores, stored and read back."""
    sample = Sample((photograph(32, 24),), "warmer", id=f"{scores} {turns} {more}")
    limits = Limits(turns=turns)
    episode = Episode(sample, ScriptedEditor(*edits), ScriptedThinker(*scores), limits=limits, **more)  # type: ignore[arg-type]
    recorder = folder.recorder(sample)
    episode.listen(recorder)
    return recorder.finish(asyncio.run(episode.run()))


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "run", {})


@pytest.mark.parametrize(
    "scores",
    [
        [(5.0, 5.0), (3.0, 9.0), (7.0, 7.0), (6.0, 6.0)],
        [(1.0, 9.0), (5.0, 5.0), (5.0, 5.0), (4.0, 4.0)],
        [(1.0, 1.0), (1.0, 1.0), (1.0, 1.0), (1.0, 1.0)],
    ],
)
def test_ending_early_is_playing_with_a_smaller_limit(scores: list[ThinkStep], folder: RunFolder) -> None:
    with folder:
        whole = course_of(played(folder, scores, 4))
        assert whole is not None
        for turns in range(1, 5):
            record = played(folder, scores, turns)
            assert whole.after(turns) == (record.chosen or SOURCE)
            assert whole.calls(turns) == (record.spend.editor_calls, record.spend.thinker_calls)
    assert whole.after(9) == whole.after(4)


def test_the_source_is_no_edit_and_failed_calls_cost(folder: RunFolder) -> None:
    same = photograph(32, 24)
    with folder:
        given = course_of(played(folder, [(5.0, 5.0), (4.0, 4.0)], 2, (same,)))
        assert given is not None
        assert given.delivered == (SOURCE, 2)
        down = EditorError("it is down")
        down.transient, down.retry_after = True, 0.0
        failing = (None, down, None)
        failed = played(folder, [(5.0, 5.0), (6.0, 6.0)], 2, failing)
        course = course_of(failed)
        assert course is not None
        assert course.editor_calls[-1] == failed.spend.editor_calls == 3
        assert course.editor_calls[0] == 1
        sample = Sample((photograph(32, 24),), "colder", id="refused")
        untouched = Episode(sample, ScriptedEditor(), None)
        assert course_of(folder.recorder(sample).finish(untouched.trajectory)) is None


def test_scores_alone_tell_what_was_chosen() -> None:
    scores = [Score(1, 9), Score(6, 6), None, Score(7, 7)]
    assert by_scores(scores, 4) == (SOURCE, 2, 2, 4)
    assert by_scores(scores, None)[-1] == SOURCE
    assert by_scores([], None) == ()


def test_the_source_is_judged_where_an_early_end_would_give_it_back(
    folder: RunFolder, tmp_path: Path
) -> None:
    photograph(32, 24).save(tmp_path / "s.png")
    cases = [Case(name, "warmer", (tmp_path / "s.png",), "add") for name in ("poor", "good")]
    with folder:
        for case, first in zip(cases, ((1.0, 1.0), (5.0, 5.0)), strict=True):
            sample = Sample((photograph(32, 24),), "warmer", id=case.id, tags={"case": case.id})
            thinker = ScriptedThinker(first, (7.0, 7.0))
            episode = Episode(sample, ScriptedEditor(), thinker, limits=Limits(turns=2))
            recorder = folder.recorder(sample, key=case.entry.key)
            episode.listen(recorder)
            recorder.finish(asyncio.run(episode.run()))
        every = [(one.case.id, one.turn, one.delivered) for one in of_run(folder, cases, every_turn=True)]
        last = [(one.case.id, one.turn) for one in of_run(folder, cases, every_turn=False)]
    assert every == [
        ("poor", 0, False),
        ("poor", 1, False),
        ("poor", 2, True),
        ("good", 1, False),
        ("good", 2, True),
    ]
    assert last == [("poor", 2), ("good", 2)]
