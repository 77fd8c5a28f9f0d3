"""Several images of one turn: how many are made, which is kept, what stays of the others."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from editthinker.core.episode import Episode
from editthinker.core.errors import EditorError, InputError, JudgeError, Refused, StoreError, ThinkerError
from editthinker.core.events import EditFinished, Event
from editthinker.core.images import Picture
from editthinker.core.limits import Limits
from editthinker.core.types import Edited, EditRequest, Preference, Sample, Score, StopReason, Trajectory
from editthinker.testing import ScriptedEditor, ScriptedThinker, photograph
from peers.scripted_models import Comparing, Judging, says

PHOTO = photograph()
ONE, TWO, THREE = (photograph(seed=seed) for seed in (1, 2, 3))


async def play(editor: Any = None, thinker: Any = None, **more: Any) -> Trajectory:
    more.setdefault("candidates", 3)
    limits = Limits(**{"turns": 1, **more.pop("limits", {})})
    editor = editor or ScriptedEditor(ONE, TWO, THREE)
    return await Episode(Sample((PHOTO,), "warmer"), editor, thinker, limits=limits, **more).run()


def prefers(*order: Picture) -> Comparing:
    """Prefers what stands further left in `order`; images beyond it are all the same."""

    def rule(first: Picture, second: Picture) -> int:
        places = [order.index(p) if p in order else len(order) for p in (first, second)]
        return (places[0] > places[1]) - (places[0] < places[1])

    return Comparing(rule)


# --- making them ---


@pytest.mark.clock
async def test_each_has_a_seed_of_its_own_and_all_are_made_at_once() -> None:
    editor = ScriptedEditor(seconds=0.15)
    began = time.monotonic()
    trajectory = await play(editor, ScriptedThinker(), limits={"turns": 2}, seed=10)
    assert time.monotonic() - began < 0.7
    assert [request.seed for request in editor.requests] == [10, 11, 12, 13, 14, 15]
    assert [request.instruction for request in editor.requests][:3] == ["warmer"] * 3
    assert [len(turn.others) for turn in trajectory.turns] == [2, 2]
    assert trajectory.spend.editor_calls == 6
    assert [call.turn for call in trajectory.calls if call.role == "editor"] == [1, 1, 1, 2, 2, 2]


async def test_the_thinker_chooses_by_its_scores_and_its_critique_is_the_winners() -> None:
    thinker = ScriptedThinker(says("a", (5, 5)), says("b", (7, 7)), says("c", (6, 6)))
    trajectory = await play(None, thinker)
    (turn,) = trajectory.turns
    assert turn.image is TWO
    assert turn.seed == 1
    assert turn.critique == says("b", (7, 7))
    assert [(other.seed, other.edited.image, other.score) for other in turn.others] == [
        (0, ONE, Score(5, 5)),
        (2, THREE, Score(6, 6)),
    ]
    assert trajectory.image is TWO


async def test_the_judge_scores_each_and_the_thinker_sees_the_winner_only() -> None:
    judge, thinker = Judging((5, 5), (6, 6), (7, 7)), ScriptedThinker(says("next", (1, 1)))
    trajectory = await play(None, thinker, judge=judge)
    (turn,) = trajectory.turns
    assert turn.image is THREE
    assert turn.judged == Score(7, 7)
    assert [other.score for other in turn.others] == [Score(5, 5), Score(6, 6)]
    assert [view.edited for view in thinker.views] == [THREE]
    assert len(judge.asked) == 3


async def test_a_comparer_makes_it_a_contest_and_ties_keep_the_earlier() -> None:
    comparer = prefers(TWO)
    trajectory = await play(None, ScriptedThinker((6, 6)), comparer=comparer)
    assert trajectory.turns[0].image is TWO
    assert [(first, second) for _, first, second in comparer.asked] == [(ONE, TWO), (TWO, THREE)]
    assert [other.score for other in trajectory.turns[0].others] == [None, None]
    assert trajectory.spend.judge_calls == 2
    trajectory = await play(None, ScriptedThinker((6, 6)), comparer=prefers())
    assert trajectory.turns[0].image is ONE


async def test_verdicts_choose_where_nobody_gives_a_score() -> None:
    thinker = ScriptedThinker(
        says("a", None, satisfied=False), says("b", None, satisfied=True), says("c", None, satisfied=True)
    )
    trajectory = await play(None, thinker)
    assert trajectory.turns[0].image is TWO
    assert trajectory.stop.reason is StopReason.SATISFIED


async def test_ties_keep_the_first_seed() -> None:
    trajectory = await play(None, ScriptedThinker(*[(6, 6)] * 3))
    assert trajectory.turns[0].seed == 0


# --- budgets and failures ---


@pytest.mark.parametrize(("allowed", "made"), [(1, 1), (2, 2), (4, 4), (5, 5)])
async def test_never_more_edits_than_allowed(allowed: int, made: int) -> None:
    editor = ScriptedEditor(seconds=0.01)
    trajectory = await play(editor, ScriptedThinker(), limits={"turns": 9, "editor_calls": allowed})
    assert len(editor.requests) == made
    assert trajectory.stop.reason is StopReason.CALL_LIMIT
    assert all(turn.critique for turn in trajectory.turns)


async def test_no_more_are_made_than_can_be_scored() -> None:
    editor = ScriptedEditor()
    await play(editor, ScriptedThinker(), limits={"thinker_calls": 2})
    assert len(editor.requests) == 2
    editor = ScriptedEditor()
    await play(editor, ScriptedThinker(), judge=Judging(), limits={"judge_calls": 2})
    assert len(editor.requests) == 2
    editor = ScriptedEditor()
    await play(editor, ScriptedThinker(), comparer=prefers(), limits={"judge_calls": 1})
    assert len(editor.requests) == 2


async def test_repetitions_never_break_the_limit_either() -> None:
    busy = EditorError("busy")
    busy.transient, busy.retry_after = True, 0.0
    editor = ScriptedEditor(busy, None, None, None, None)
    trajectory = await play(editor, ScriptedThinker(), limits={"turns": 9, "editor_calls": 3})
    assert len(editor.requests) == 3
    assert len(trajectory.turns) == 1
    assert len(trajectory.turns[0].others) == 1


async def test_under_a_cost_limit_the_call_that_crosses_the_line_is_the_last() -> None:
    editor = ScriptedEditor(cost=0.5)
    trajectory = await play(editor, ScriptedThinker(), limits={"cost": 0.6, "turns": 5})
    assert len(editor.requests) == 2
    assert trajectory.stop.reason is StopReason.COST_LIMIT
    assert len(trajectory.turns[0].others) == 1


async def test_what_failed_is_missing_and_the_others_go_on() -> None:
    editor = ScriptedEditor(EditorError("out of memory"), TWO, Refused("no"))
    trajectory = await play(editor, ScriptedThinker((7, 7)))
    assert trajectory.turns[0].image is TWO
    assert trajectory.turns[0].others == ()
    assert trajectory.failure is None
    assert sorted(call.outcome for call in trajectory.calls) == ["EditorError", "Refused", "ok", "ok"]


async def test_all_failed_is_a_failure() -> None:
    editor = ScriptedEditor(*(EditorError(f"broken {number}") for number in range(3)))
    trajectory = await play(editor, ScriptedThinker())
    assert trajectory.failure
    assert trajectory.failure.message == "broken 0"
    assert trajectory.turns == ()


async def test_one_that_could_not_be_scored_does_not_win() -> None:
    thinker = ScriptedThinker(ThinkerError("down"), (3, 3), (4, 4))
    trajectory = await play(None, thinker)
    assert trajectory.turns[0].image is THREE
    assert trajectory.failure is None
    assert [other.score for other in trajectory.turns[0].others] == [None, Score(3, 3)]


async def test_a_comparison_that_fails_costs_no_image() -> None:
    comparer = Comparing(lambda first, second: JudgeError("no answer"))
    trajectory = await play(None, ScriptedThinker((6, 6)), comparer=comparer)
    assert trajectory.turns[0].image is ONE
    assert trajectory.failure is None
    assert trajectory.turns[0].why == "not all candidates could be compared: no answer"


async def test_time_runs_out_between_candidates() -> None:
    editor = ScriptedEditor(ONE, cost=0.0)
    slow = ScriptedThinker(seconds=30)
    trajectory = await play(editor, slow, limits={"seconds": 0.1})
    assert trajectory.stop.reason is StopReason.TIME_LIMIT
    assert slow.cancelled == 3
    assert len(trajectory.turns) == 1
    assert len(trajectory.turns[0].others) == 2


async def test_a_store_that_fails_loses_no_candidate() -> None:
    def full(event: Event) -> None:
        if isinstance(event, EditFinished):
            raise StoreError("no space left on the disk")

    trajectory = await play(None, ScriptedThinker(), listener=full)
    assert trajectory.failure
    assert trajectory.failure.kind == "StoreError"
    assert [turn.image for turn in trajectory.turns] == [ONE]
    assert [other.edited.image for other in trajectory.turns[0].others] == [TWO, THREE]


async def test_cancelling_waits_until_every_call_has_cleaned_up() -> None:
    class Thorough(ScriptedEditor):
        cleaned = 0

        async def edit(self, request: EditRequest) -> Edited:
            try:
                await asyncio.sleep(30)
            finally:
                await asyncio.sleep(0.02 * (1 + request.seed))
                self.cleaned += 1
            raise AssertionError("nobody waits that long")

    editor = Thorough()
    episode = Episode(Sample((PHOTO,), "warmer"), editor, ScriptedThinker(), candidates=3)
    task = asyncio.create_task(episode.run())
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)
    assert editor.cleaned == 3
    assert [call.outcome for call in episode.trajectory.calls] == ["cancelled"] * 3


@pytest.mark.parametrize("number", [0, 17, 2.5, True])
async def test_senseless_numbers_are_refused(number: Any) -> None:
    with pytest.raises(InputError, match="candidates"):
        await play(None, ScriptedThinker(), candidates=number)


async def test_somebody_has_to_choose() -> None:
    with pytest.raises(InputError, match="to choose among them"):
        await play(None, None)
    assert (await play(None, None, comparer=prefers(THREE))).turns[0].image is THREE


# --- the final choice ---


async def final(scores: list[tuple[float, float]], comparer: Comparing, **limits: Any) -> Trajectory:
    editor = ScriptedEditor(ONE, TWO, THREE, photograph(seed=4))
    thinker = ScriptedThinker(*scores)
    return await play(
        editor, thinker, candidates=1, comparer=comparer, limits={"turns": len(scores), **limits}
    )


async def test_the_comparer_chooses_the_turn_to_deliver() -> None:
    trajectory = await final([(5, 5), (7, 7), (6, 6)], prefers(THREE, ONE))
    assert trajectory.chosen == 3
    assert trajectory.chosen_by == "turns 1 and 2 and 3 were compared by comparing"
    assert trajectory.spend.judge_calls == 2


async def test_ties_keep_the_earlier_turn() -> None:
    assert (await final([(5, 5), (7, 7)], prefers())).chosen == 1


async def test_only_the_best_by_score_are_compared() -> None:
    comparer = prefers(ONE)
    trajectory = await final([(3, 3), (7, 7), (6, 6), (5, 5)], comparer)
    assert trajectory.chosen == 2
    assert ONE not in [picture for _, *pair in comparer.asked for picture in pair]


async def test_what_is_no_better_than_the_source_is_not_compared() -> None:
    comparer = prefers(ONE)
    trajectory = await final([(1, 9), (7, 7)], comparer)
    assert (trajectory.chosen, trajectory.chosen_by, comparer.asked) == (2, "", [])


async def test_a_comparison_that_fails_falls_back_to_the_scores() -> None:
    trajectory = await final([(5, 5), (7, 7)], Comparing(lambda first, second: JudgeError("no answer")))
    assert trajectory.chosen == 2
    assert trajectory.chosen_by == "by score; turns 1 and 2 could not be compared: no answer"
    assert trajectory.failure is None


async def test_comparing_keeps_to_the_budget() -> None:
    comparer = prefers(ONE)
    trajectory = await final([(5, 5), (7, 7), (6, 6)], comparer, judge_calls=1)
    assert len(comparer.asked) == 1
    assert trajectory.chosen == 2
    assert "could not be compared: the limit on calls was reached: 1 judge calls" in trajectory.chosen_by
    assert trajectory.stop.reason is StopReason.TURN_LIMIT


async def test_the_choice_is_made_although_a_later_turn_failed() -> None:
    editor = ScriptedEditor(ONE, TWO, EditorError("down"))
    trajectory = await play(
        editor, ScriptedThinker((5, 5), (7, 7)), candidates=1, comparer=prefers(ONE), limits={"turns": 3}
    )
    assert trajectory.chosen == 1
    assert trajectory.stop.reason is StopReason.FAILED


async def test_closing_while_turns_are_compared() -> None:
    class Slow(Comparing):
        async def prefer(self, sample: Sample, first: Picture, second: Picture) -> Preference:
            asked.set()
            await asyncio.sleep(30)
            raise AssertionError("nobody waits that long")

    asked = asyncio.Event()
    thinker = ScriptedThinker((5, 5), (7, 7))
    episode = Episode(
        Sample((PHOTO,), "warmer"),
        ScriptedEditor(ONE, TWO),
        thinker,
        comparer=Slow(lambda first, second: 0),
        limits=Limits(turns=2),
    )
    task = asyncio.create_task(episode.run())
    await asked.wait()
    await episode.aclose()
    trajectory = await asyncio.wait_for(task, 5)
    assert (trajectory.stop.reason, trajectory.failure) == (StopReason.TURN_LIMIT, None)
    assert (trajectory.chosen, trajectory.chosen_by) == (2, "")
