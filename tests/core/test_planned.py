"""Plan and edit: what each step edits and is compared with, what is accepted, and the check at the end."""

from __future__ import annotations

from typing import Any

import pytest

from editthinker.core.episode import Episode
from editthinker.core.errors import EditorError, InputError, ReplyError, ThinkerError
from editthinker.core.events import Event, PlanFinished
from editthinker.core.limits import Limits
from editthinker.core.method import MOST_STEPS
from editthinker.core.records import TrajectoryRecord, trajectory_record
from editthinker.core.types import Plan, Sample, StopReason, Trajectory
from editthinker.testing import ScriptedEditor, ScriptedThinker, photograph
from peers.scripted_models import Judging, Planning, says

PHOTO = photograph()
WISH = "warmer and sharper"
GOOD, FAIR, POOR = (9, 9), (6, 6), (1, 5)


async def play(thinker: Any, editor: Any = None, **more: Any) -> Trajectory:
    limits = Limits(**{"turns": 2, **more.pop("limits", {})})
    sample = Sample((PHOTO,), WISH, truth="the whole")
    return await Episode(
        sample, editor or ScriptedEditor(), thinker, strategy="plan-and-edit", limits=limits, **more
    ).run()


def path(trajectory: Trajectory) -> list[tuple[int, int, str]]:
    return [(turn.step, turn.base, turn.instruction) for turn in trajectory.turns]


async def test_each_step_edits_the_last_accepted_image_and_the_whole_is_checked() -> None:
    thinker, editor = Planning("warmer", "sharper", script=(GOOD, GOOD, GOOD)), ScriptedEditor(cost=0.5)
    trajectory = await play(thinker, editor)
    assert path(trajectory) == [(1, 0, "warmer"), (2, 1, "sharper"), (0, 2, "warmer, then sharper")]
    one, two, whole = trajectory.turns
    assert [request.images[0] for request in editor.requests] == [PHOTO, one.image]
    assert whole.image is two.image
    assert [turn.edited.cost for turn in trajectory.turns] == [0.5, 0.5, 0.0]
    assert trajectory.spend.cost == 1.0
    assert trajectory.spend.editor_calls == 2
    assert [(view.sample.source, view.sample.instruction) for view in thinker.views] == [
        (PHOTO, "warmer"),
        (one.image, "sharper"),
        (PHOTO, WISH),
    ]
    assert [view.stacked for view in thinker.views] == [False, False, True]
    assert [view.sample.truth for view in thinker.views] == [None, None, "the whole"]
    assert trajectory.stop.reason is StopReason.SATISFIED
    assert (trajectory.chosen, trajectory.accepted) == (3, (1, 2))
    assert trajectory.plan == Plan(("warmer", "sharper"), "two things are asked for")
    assert [turn.why for turn in trajectory.turns] == ["", "", "the whole instruction, checked on turn 2"]


async def test_a_step_is_refined_until_it_is_accepted() -> None:
    script = (says("warmer!", FAIR), GOOD, GOOD, GOOD)
    trajectory = await play(Planning("warmer", "sharper", script=script))
    assert path(trajectory)[:3] == [(1, 0, "warmer"), (1, 0, "warmer!"), (2, 2, "sharper")]
    assert trajectory.accepted == (2, 3)


async def test_a_step_whose_turns_are_used_up_goes_on_from_its_best() -> None:
    script = (says("warmer!", (7, 7)), says("x", FAIR), GOOD, GOOD)
    trajectory = await play(Planning("warmer", "sharper", script=script))
    assert path(trajectory)[2] == (2, 1, "sharper")
    assert trajectory.accepted == (1, 3)


async def test_a_step_that_comes_to_nothing_is_skipped_and_said_to_be() -> None:
    script = (GOOD, says("x", POOR), says("y", POOR), GOOD, GOOD)
    trajectory = await play(Planning("warmer", "worse", "sharper", script=script))
    assert path(trajectory) == [
        (1, 0, "warmer"),
        (2, 1, "worse"),
        (2, 1, "x"),
        (3, 1, "sharper"),
        (0, 4, "warmer, then sharper"),
    ]
    assert trajectory.accepted == (1, None, 4)
    assert trajectory.turns[3].why == "step 2 came to nothing and was skipped"
    assert trajectory.turns[4].why == "the whole instruction, checked on turn 4 (step 2 skipped)"


async def test_a_step_that_was_done_already_is_accepted() -> None:
    script = (says("x", FAIR), GOOD, GOOD, GOOD)
    editor = ScriptedEditor(photograph(seed=3), photograph(seed=4), photograph(seed=4))
    trajectory = await play(Planning("warmer", "sharper", script=script), editor)
    assert trajectory.accepted == (2, 3)  # the second step changed no pixel, and there was nothing to change


async def test_an_impossible_step_is_skipped() -> None:
    script = (says("x", POOR, impossible="there is no dog"), GOOD, GOOD)
    trajectory = await play(Planning("remove the dog", "sharper", script=script))
    assert trajectory.accepted == (None, 2)
    assert trajectory.stop.reason is StopReason.SATISFIED


async def test_when_no_step_came_to_anything_the_whole_is_tried_from_the_source() -> None:
    script = (says("x", POOR), POOR, says("x", POOR), POOR, GOOD)
    trajectory = await play(Planning("warmer", "sharper", script=script))
    assert path(trajectory)[-1] == (0, 0, WISH)
    assert trajectory.accepted == (None, None)
    assert trajectory.chosen == 5


async def test_a_whole_that_does_not_satisfy_is_refined_from_there() -> None:
    script = (GOOD, GOOD, says("a little sharper", FAIR), says("x", (7, 7)))
    trajectory = await play(Planning("warmer", "sharper", script=script))
    assert path(trajectory)[2:] == [(0, 2, "warmer, then sharper"), (0, 3, "a little sharper")]
    assert trajectory.stop.reason is StopReason.TURN_LIMIT
    assert trajectory.chosen == 4


async def test_worse_refinement_of_the_whole_is_not_delivered() -> None:
    script = (GOOD, GOOD, says("a little sharper", FAIR), says("x", (3, 3)))
    assert (await play(Planning("warmer", "sharper", script=script))).chosen == 3


async def test_a_judge_judges_steps_and_the_whole() -> None:
    judge = Judging(GOOD, GOOD, GOOD)
    trajectory = await play(Planning("warmer", "sharper"), judge=judge)
    assert [sample.instruction for sample, _ in judge.asked] == ["warmer", "sharper", WISH]
    assert trajectory.stop.reason is StopReason.SATISFIED


# --- plans ---


async def test_one_step_is_the_ordinary_loop() -> None:
    script = (says("b", FAIR), GOOD)
    planned = await play(Planning("in other words", script=script))
    plain = await Episode(
        Sample((PHOTO,), WISH), ScriptedEditor(), ScriptedThinker(*script), limits=Limits(turns=2)
    ).run()
    assert path(planned) == path(plain) == [(0, 0, WISH), (0, 0, "b")]
    assert [t.image.sha256 for t in planned.turns] == [t.image.sha256 for t in plain.turns]
    assert (planned.chosen, planned.stop) == (plain.chosen, plain.stop)


async def test_a_given_plan_needs_nobody_who_plans() -> None:
    events: list[Event] = []
    plan = Plan(("warmer", "sharper"))
    trajectory = await play(ScriptedThinker(GOOD, GOOD, GOOD), plan=plan, listener=events.append)
    assert trajectory.plan is plan
    assert events[0] == PlanFinished(None, plan)
    assert [call.role for call in trajectory.calls] == ["editor", "thinker", "editor", "thinker", "thinker"]
    only = await play(ScriptedThinker(GOOD), plan=Plan(("these words",)))
    assert path(only) == [(0, 0, "these words")]


async def test_the_plan_is_a_call_like_others() -> None:
    events: list[Event] = []
    thinker = Planning("warmer", "sharper", script=(GOOD, GOOD, GOOD))
    trajectory = await play(thinker, listener=events.append)
    assert [call.turn for call in trajectory.calls] == [0, 1, 1, 2, 2, 3]
    assert isinstance(events[1], PlanFinished)
    assert events[1].call is trajectory.calls[0]
    ((sample, info),) = thinker.planned
    assert (sample.instruction, info.name) == (WISH, "scripted")


@pytest.mark.parametrize("thinker", [ScriptedThinker(), None])
def test_somebody_has_to_plan(thinker: Any) -> None:
    with pytest.raises(InputError, match=r"cannot plan; give a plan|needs a thinker"):
        Episode(Sample((PHOTO,), WISH), ScriptedEditor(), thinker, strategy="plan-and-edit")


def test_plans_that_make_no_sense() -> None:
    sample, editor, thinker = Sample((PHOTO,), WISH), ScriptedEditor(), ScriptedThinker()
    with pytest.raises(InputError, match="does not go by a plan"):
        Episode(sample, editor, thinker, plan=Plan(("a", "b")))
    with pytest.raises(InputError, match="at most 12 steps"):
        Episode(sample, editor, thinker, strategy="plan-and-edit", plan=Plan(("a",) * 13))


async def test_a_plan_that_cannot_be_read_is_asked_for_again() -> None:
    thinker = Planning("warmer", "sharper", script=(GOOD, GOOD, GOOD), fails=(ReplyError("no list"),))
    trajectory = await play(thinker)
    assert [call.outcome for call in trajectory.calls][:2] == ["ReplyError", "ok"]
    assert trajectory.failure is None


@pytest.mark.parametrize(
    ("thinker", "kind"),
    [
        (Planning("a", "b", fails=(ThinkerError("down"),)), "ThinkerError"),
        (Planning(*["a"] * (MOST_STEPS + 1)), "ReplyError"),
        (Planning("a", fails=tuple(ReplyError("x") for _ in range(9))), "ReplyError"),
    ],
)
async def test_no_plan_no_edit(thinker: Planning, kind: str) -> None:
    editor = ScriptedEditor()
    trajectory = await play(thinker, editor)
    assert trajectory.failure
    assert (trajectory.failure.blame, trajectory.failure.kind) == ("thinker", kind)
    assert editor.requests == []
    assert trajectory.image is PHOTO


# --- budgets and failures ---


async def test_calls_that_run_out_in_a_step_leave_the_check() -> None:
    script = (says("x", FAIR), says("y", FAIR), FAIR)
    trajectory = await play(Planning("warmer", "sharper", script=script), limits={"editor_calls": 2})
    assert path(trajectory) == [(1, 0, "warmer"), (1, 0, "x"), (0, 1, "warmer")]
    assert trajectory.stop.reason is StopReason.CALL_LIMIT
    assert trajectory.chosen == 3
    assert trajectory.accepted == (1,)


async def test_without_room_for_the_check_the_last_step_is_delivered_and_said_so() -> None:
    limits = {"thinker_calls": 3, "turns": 1}
    trajectory = await play(Planning("warmer", "sharper", script=(GOOD, FAIR)), limits=limits)
    assert [turn.step for turn in trajectory.turns] == [1, 2]
    assert trajectory.stop.reason is StopReason.CALL_LIMIT
    assert trajectory.chosen == 2
    assert trajectory.chosen_by == "the last step that came to something; the whole was not checked"


async def test_a_failure_in_a_later_step_keeps_the_earlier_ones() -> None:
    trajectory = await play(
        Planning("warmer", "sharper", script=(GOOD,)), ScriptedEditor(None, EditorError("x"))
    )
    assert trajectory.stop.reason is StopReason.FAILED
    assert trajectory.chosen == 1
    assert trajectory.accepted == (1,)


async def test_the_record_comes_back_equal() -> None:
    from test_records import Shelf

    script = (GOOD, says("x", POOR), POOR, GOOD)
    trajectory = await play(Planning("warmer", "worse", script=script), candidates=2)
    record = trajectory_record(trajectory, Shelf())
    assert TrajectoryRecord.model_validate_json(record.model_dump_json()) == record
    assert record.plan
    assert record.plan.steps == ("warmer", "worse")
    assert record.accepted == trajectory.accepted
    assert len(record.turns[0].others) == 1
