"""A separate judge, verdicts without scores, refusals and the impossible."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from editthinker.core.episode import Episode
from editthinker.core.errors import InputError, JudgeError, Refused, ThinkerError
from editthinker.core.limits import Limits
from editthinker.core.types import Failure, Sample, Score, StopReason, Trajectory
from editthinker.testing import ScriptedEditor, ScriptedThinker, photograph
from peers.scripted_models import Judging, says

SAMPLE = Sample((photograph(),), "warmer")


async def play(editor: Any = None, thinker: Any = None, **more: Any) -> Trajectory:
    limits = Limits(**more.pop("limits", {}))
    return await Episode(SAMPLE, editor or ScriptedEditor(), thinker, limits=limits, **more).run()


# --- a judge in the thinker's place ---


async def test_the_judge_decides_when_to_stop_and_what_is_delivered() -> None:
    judge = Judging((4, 4), (7, 7), (6, 6))
    thinker = ScriptedThinker(says("two", (10, 10)), says("three", (1, 1)), says("four", (9, 9)))
    trajectory = await play(None, thinker, judge=judge)
    assert trajectory.stop.reason is StopReason.TURN_LIMIT
    assert trajectory.chosen == 2
    assert [turn.judged for turn in trajectory.turns] == [Score(4, 4), Score(7, 7), Score(6, 6)]
    assert trajectory.turns[0].critique
    assert trajectory.turns[0].critique.score == Score(10, 10)
    assert [turn.instruction for turn in trajectory.turns] == ["warmer", "two", "three"]
    assert [picture for _, picture in judge.asked] == [turn.image for turn in trajectory.turns]
    assert (trajectory.spend.judge_calls, trajectory.spend.thinker_calls) == (3, 3)


async def test_the_judge_satisfied_ends_it_whatever_the_thinker_says() -> None:
    trajectory = await play(None, ScriptedThinker(says("more", (1, 1))), judge=Judging((9, 9)))
    assert trajectory.stop.reason is StopReason.SATISFIED
    assert trajectory.chosen == 1


async def test_a_thinker_with_a_verdict_only_needs_no_judge() -> None:
    thinker = ScriptedThinker(
        says("two", None, satisfied=False), says("two", None, satisfied=True), says("x", None)
    )
    trajectory = await play(None, thinker, limits={"turns": 5})
    assert trajectory.stop.reason is StopReason.SATISFIED
    assert len(trajectory.turns) == 2
    assert trajectory.chosen == 2


async def test_a_verdict_does_not_count_against_a_judge() -> None:
    thinker = ScriptedThinker(says("two", None, satisfied=True), says("three", None, satisfied=False))
    trajectory = await play(None, thinker, judge=Judging((5, 5), (9, 9)))
    assert len(trajectory.turns) == 2
    assert trajectory.stop.reason is StopReason.SATISFIED


@pytest.mark.clock
async def test_judge_and_thinker_look_at_the_same_time() -> None:
    began = time.monotonic()
    await play(None, ScriptedThinker(seconds=0.2), judge=Judging(seconds=0.2), limits={"turns": 1})
    assert time.monotonic() - began < 0.38


async def test_under_a_cost_limit_they_are_asked_one_after_the_other() -> None:
    thinker = ScriptedThinker(cost=0.5)
    trajectory = await play(None, thinker, judge=Judging(cost=1.0), limits={"cost": 1.0})
    assert trajectory.stop.reason is StopReason.COST_LIMIT
    assert thinker.views == []
    assert trajectory.spend.cost == 1.0
    assert trajectory.turns[0].judged == Score(5, 5)


async def test_a_judge_that_fails_is_to_blame_and_the_critique_stays() -> None:
    trajectory = await play(None, ScriptedThinker((6, 6)), judge=Judging(JudgeError("no answer")))
    assert trajectory.failure == Failure("judge", "JudgeError", "no answer")
    assert trajectory.turns[0].critique
    assert trajectory.chosen == 1


async def test_a_thinker_that_fails_leaves_the_judges_score() -> None:
    trajectory = await play(None, ScriptedThinker(ThinkerError("down")), judge=Judging((7, 7)))
    assert trajectory.failure == Failure("thinker", "ThinkerError", "down")
    assert trajectory.turns[0].judged == Score(7, 7)


async def test_a_judge_has_a_budget_of_its_own() -> None:
    trajectory = await play(None, ScriptedThinker(), judge=Judging(), limits={"turns": 9, "judge_calls": 2})
    assert len(trajectory.turns) == 2
    assert trajectory.stop.sentence == "the limit on calls was reached: 2 judge calls"


async def test_a_judge_alone_is_enough_for_best_of_n() -> None:
    trajectory = await play(None, None, strategy="best-of-n", judge=Judging((5, 5), (7, 7), (6, 6)))
    assert trajectory.chosen == 2
    assert trajectory.spend.thinker_calls == 0
    with pytest.raises(InputError, match="needs a thinker or a judge"):
        await play(None, None, strategy="best-of-n")


async def test_turn_1_that_is_good_enough_is_the_only_one() -> None:
    editor = ScriptedEditor()
    trajectory = await play(editor, ScriptedThinker((8, 8)), limits={"turns": 5})
    assert len(editor.requests) == 1
    assert trajectory.stop.reason is StopReason.SATISFIED


# --- the impossible, and refusals ---


async def test_the_impossible_ends_it_with_the_thinkers_reason() -> None:
    thinker = ScriptedThinker(says("two", (1, 9), impossible="the photo shows no dog"))
    trajectory = await play(None, thinker, limits={"turns": 5})
    assert trajectory.stop.reason is StopReason.IMPOSSIBLE
    assert "the photo shows no dog" in trajectory.stop.sentence
    assert trajectory.chosen is None
    assert trajectory.failure is None


async def test_what_is_good_enough_is_not_impossible() -> None:
    thinker = ScriptedThinker(says("two", (9, 9), impossible="no dog"))
    assert (await play(None, thinker)).stop.reason is StopReason.SATISFIED


async def test_a_refusal_in_a_later_turn_still_delivers_the_earlier_one() -> None:
    editor = ScriptedEditor(None, Refused("this provider does not edit faces"))
    trajectory = await play(editor, ScriptedThinker((6, 6)), limits={"turns": 5})
    assert trajectory.stop.reason is StopReason.REFUSED
    assert trajectory.stop.detail == "this provider does not edit faces"
    assert len(editor.requests) == 2
    assert trajectory.chosen == 1


async def test_the_adaptive_policy_rewords_what_was_refused_once() -> None:
    editor = ScriptedEditor(Refused("no faces"), None)
    thinker = ScriptedThinker(says("a gentler wording"), says("x", (9, 9)))
    trajectory = await play(editor, thinker, policy="adaptive")
    assert [request.instruction for request in editor.requests] == ["warmer", "a gentler wording"]
    assert "no faces" in thinker.views[0].complaint
    assert thinker.views[0].edited is None
    assert trajectory.turns[0].why == "refused: put in other words"
    assert trajectory.stop.reason is StopReason.SATISFIED
    assert trajectory.failure is None


async def test_a_second_refusal_of_other_words_ends_it() -> None:
    editor = ScriptedEditor(*(Refused(f"no {number}") for number in range(5)))
    trajectory = await play(editor, ScriptedThinker(says("other words")), policy="adaptive")
    assert len(editor.requests) == 2
    assert (trajectory.stop.reason, trajectory.stop.detail) == (StopReason.REFUSED, "no 1")
    assert trajectory.failure == Failure("editor", "Refused", "no 1")


async def test_another_editor_is_tried_before_other_words() -> None:
    first, second = ScriptedEditor(Refused("no faces"), name="first"), ScriptedEditor(name="second")
    trajectory = await play(first, ScriptedThinker((9, 9)), policy="adaptive", alternates=(second,))
    assert [turn.editor for turn in trajectory.turns] == ["second"]
    assert trajectory.turns[0].why == "refused: the same words for second"
    assert [call.name for call in trajectory.calls] == ["first", "second", "scripted"]


async def test_refusals_count_against_the_editor_calls() -> None:
    editor = ScriptedEditor(Refused("no"), None)
    trajectory = await play(editor, ScriptedThinker(says("x")), policy="adaptive", limits={"editor_calls": 1})
    assert len(editor.requests) == 1
    assert trajectory.stop.reason is StopReason.CALL_LIMIT


async def test_cancelling_while_judge_and_thinker_look() -> None:
    episode = Episode(SAMPLE, ScriptedEditor(), ScriptedThinker(seconds=30), judge=Judging(seconds=30))
    task = asyncio.create_task(episode.run())
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)
    assert sorted(call.outcome for call in episode.trajectory.calls) == ["cancelled", "cancelled", "ok"]
