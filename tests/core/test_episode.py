"""Whatever happens, the turns already made, every attempt and the blame are on the trajectory."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import Any

import pytest

from editthinker.core.contracts import EditorInfo, View
from editthinker.core.desk import Desk
from editthinker.core.episode import MAX_INSTRUCTION, Episode, think_while_edit
from editthinker.core.errors import EditorError, InputError, Refused, ReplyError, StoreError, ThinkerError
from editthinker.core.events import CallFailed, EditFinished, Event, ThinkStarted, TurnFinished
from editthinker.core.limits import Limits
from editthinker.core.policies import Move
from editthinker.core.reply import render
from editthinker.core.strategies import STRATEGIES, Strategy, Turns
from editthinker.core.types import (
    Critique,
    Edited,
    EditRequest,
    Failure,
    Sample,
    Score,
    StopReason,
    Thought,
    Trajectory,
)
from editthinker.testing import ScriptedEditor, ScriptedThinker, photograph

SAMPLE = Sample((photograph(),), "warmer")


def episode(editor: Any = None, thinker: Any = None, **settings: Any) -> Episode:
    listener, strategy = settings.pop("listener", None), settings.pop("strategy", "think-while-edit")
    return Episode(
        SAMPLE,
        editor or ScriptedEditor(),
        thinker or ScriptedThinker(),
        limits=Limits(**settings),
        listener=listener,
        strategy=strategy,
    )


async def play(editor: Any = None, thinker: Any = None, **settings: Any) -> Trajectory:
    return await episode(editor, thinker, **settings).run()


def outcomes(trajectory: Trajectory) -> list[tuple[str, str]]:
    return [(call.role, call.outcome) for call in trajectory.calls]


# --- the door ---


@pytest.mark.parametrize("instruction", ["", " \n\t ", "x" * (MAX_INSTRUCTION + 1), "broken \ud83d"])
def test_unusable_instructions_are_refused_before_anything_is_spent(instruction: str) -> None:
    editor = ScriptedEditor()
    with pytest.raises(InputError, match="instruction"):
        Episode(Sample((photograph(),), instruction), editor, None)
    assert editor.requests == []


@pytest.mark.parametrize(
    "instruction", ["x" * MAX_INSTRUCTION, "把天空变红 🎈", "write <think> and {this} %s \x00"]
)
async def test_odd_instructions_arrive_unchanged(instruction: str) -> None:
    editor = ScriptedEditor()
    await Episode(Sample((photograph(),), instruction), editor, None).run()
    assert editor.requests[0].instruction == instruction


def test_more_images_or_a_mask_than_the_editor_takes() -> None:
    photo = photograph()
    with pytest.raises(InputError, match="takes 1 image"):
        Episode(Sample((photo, photo), "mix"), ScriptedEditor(), None)
    with pytest.raises(InputError, match="takes no mask"):
        Episode(Sample((photo,), "fill", mask=photo), ScriptedEditor(), None)


async def test_an_episode_is_played_once() -> None:
    played = episode()
    await played.run()
    with pytest.raises(RuntimeError, match="once"):
        await played.run()


# --- the stream ---


async def test_turns_come_out_as_they_finish() -> None:
    editor = ScriptedEditor()
    played = episode(editor)
    seen = []
    async for turn in played:
        seen.append(turn)
        assert len(editor.requests) == turn.index  # the next edit waits until this turn was taken
        assert played.trajectory.turns == tuple(seen)
    assert played.trajectory.stop.reason is StopReason.TURN_LIMIT


async def test_the_best_turn_is_delivered() -> None:
    trajectory = await play(thinker=ScriptedThinker((4, 4), (7, 7), (6, 6)))
    assert trajectory.chosen == 2
    assert trajectory.image is trajectory.turns[1].image
    assert trajectory.delivered


async def test_nothing_better_than_the_source_is_said_so() -> None:
    trajectory = await play(thinker=ScriptedThinker((1, 9), (2, 9), (0, 0)))
    assert trajectory.chosen is None
    assert not trajectory.delivered
    assert trajectory.image is SAMPLE.source
    assert len(trajectory.turns) == 3


@pytest.mark.clock
async def test_calls_and_spend() -> None:
    trajectory = await play(ScriptedEditor(cost=0.5, seconds=0.01), ScriptedThinker(cost=0.25), turns=2)
    assert outcomes(trajectory) == [("editor", "ok"), ("thinker", "ok")] * 2
    assert [call.turn for call in trajectory.calls] == [1, 1, 2, 2]
    assert (trajectory.spend.editor_calls, trajectory.spend.thinker_calls) == (2, 2)
    assert trajectory.spend.cost == pytest.approx(1.5)
    assert 0.02 <= sum(call.seconds for call in trajectory.calls) <= trajectory.spend.seconds


async def test_the_clock_stops_with_the_episode() -> None:
    played = episode(turns=1)
    await played.run()
    before = played.trajectory.spend.seconds
    await asyncio.sleep(0.02)
    assert played.trajectory.spend.seconds == before


# --- failures ---


async def test_an_editor_failure_at_turn_2_still_delivers_turn_1() -> None:
    trajectory = await play(ScriptedEditor(None, EditorError("CUDA out of memory")))
    assert [turn.index for turn in trajectory.turns] == [1]
    assert trajectory.chosen == 1
    assert trajectory.stop.reason is StopReason.FAILED
    assert trajectory.failure == Failure("editor", "EditorError", "CUDA out of memory")
    assert outcomes(trajectory)[-1] == ("editor", "EditorError")


async def test_a_thinker_failure_keeps_the_image_it_should_have_judged() -> None:
    trajectory = await play(thinker=ScriptedThinker(ThinkerError("no connection")))
    assert trajectory.failure == Failure("thinker", "ThinkerError", "no connection")
    assert len(trajectory.turns) == 1
    assert trajectory.turns[0].critique is None
    assert trajectory.chosen == 1


async def test_nothing_made_and_the_source_comes_back() -> None:
    trajectory = await play(ScriptedEditor(EditorError("down")))
    assert trajectory.turns == ()
    assert trajectory.image is SAMPLE.source
    assert not trajectory.delivered


async def test_a_refusal_is_its_own_reason_and_is_not_repeated() -> None:
    editor = ScriptedEditor(Refused("this provider does not edit faces"))
    trajectory = await play(editor)
    assert trajectory.stop.reason is StopReason.REFUSED
    assert "faces" in trajectory.stop.sentence
    assert trajectory.failure
    assert trajectory.failure.blame == "editor"
    assert len(editor.requests) == 1


@pytest.mark.parametrize(("role", "kind"), [("editor", "EditorError"), ("thinker", "ThinkerError")])
async def test_a_bug_in_a_model_is_that_models_failure(role: str, kind: str) -> None:
    broken = ZeroDivisionError("division by zero \ud83d")
    editor = ScriptedEditor(None, broken) if role == "editor" else None
    thinker = ScriptedThinker((5, 5), broken) if role == "thinker" else None
    trajectory = await play(editor, thinker)
    assert trajectory.failure
    assert (trajectory.failure.blame, trajectory.failure.kind) == (role, kind)
    assert "ZeroDivisionError: division by zero ?" in trajectory.failure.message
    assert trajectory.chosen == 1


class Odd:
    """An editor and thinker that answers with whatever it was given."""

    name = "odd"
    info = EditorInfo("odd")

    def __init__(self, answer: Callable[[], Any]) -> None:
        self.answer = answer

    async def edit(self, request: EditRequest) -> Edited:
        return self.answer()  # type: ignore[no-any-return]

    async def think(self, view: View) -> Thought:
        return self.answer()  # type: ignore[no-any-return]


def _cancels_itself() -> None:
    raise asyncio.CancelledError


@pytest.mark.parametrize(
    "answer",
    [lambda: None, lambda: photograph(), lambda: Edited(None), _cancels_itself],  # type: ignore[arg-type]
)
async def test_wrong_answers_are_failures_of_the_model(answer: Callable[[], Any]) -> None:
    trajectory = await play(Odd(answer))
    assert trajectory.failure
    assert trajectory.failure.blame == "editor"
    trajectory = await play(thinker=Odd(answer))
    assert trajectory.failure
    assert trajectory.failure.blame == "thinker"


async def test_a_bug_of_ours_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    async def careless(desk: Desk) -> Turns:
        yield await desk.edit(desk.whole, Move("one"))
        raise KeyError("oops")

    monkeypatch.setitem(STRATEGIES, "careless", Strategy("careless", "", careless))  # type: ignore[arg-type]
    trajectory = await play(strategy="careless")
    assert len(trajectory.turns) == 1
    assert trajectory.failure
    assert (trajectory.failure.blame, trajectory.failure.kind) == ("ours", "KeyError")


# --- replies that cannot be read ---

UNREADABLE = "I think it looks great!"


async def test_an_unreadable_reply_is_asked_for_again_with_the_complaint() -> None:
    good = render(Critique(Score(9, 9), "fine", "warmer"))
    thinker = ScriptedThinker(UNREADABLE, good)
    trajectory = await play(thinker=thinker)
    assert thinker.views[0].complaint == ""
    assert "no <think>, <score> and <answer>" in thinker.views[1].complaint
    assert thinker.views[1].edited is thinker.views[0].edited
    assert outcomes(trajectory) == [("editor", "ok"), ("thinker", "ReplyError"), ("thinker", "ok")]
    assert trajectory.spend.thinker_calls == 2
    assert trajectory.stop.reason is StopReason.SATISFIED


@pytest.mark.parametrize("reasks", [0, 1, 2])
async def test_re_asking_is_bounded_and_silence_is_never_approval(reasks: int) -> None:
    thinker = ScriptedThinker(*[UNREADABLE] * 9)
    trajectory = await play(thinker=thinker, reasks=reasks)
    assert len(thinker.views) == reasks + 1
    assert trajectory.stop.reason is StopReason.FAILED
    assert trajectory.failure
    assert trajectory.failure.kind == "ReplyError"
    assert [turn.critique for turn in trajectory.turns] == [None]


async def test_an_empty_refined_instruction_is_a_reply_error() -> None:
    thinker = ScriptedThinker(Critique(Score(5, 5), "", "  "), (9, 9))
    trajectory = await play(thinker=thinker)
    assert outcomes(trajectory)[1] == ("thinker", "ReplyError")
    assert trajectory.stop.reason is StopReason.SATISFIED


async def test_each_critique_has_its_own_re_asks() -> None:
    thinker = ScriptedThinker(ReplyError("x"), (5, 5), ReplyError("x"), (5, 5))
    assert len((await play(thinker=thinker, turns=2, reasks=1)).turns) == 2
    assert thinker.views[2].complaint == ""


# --- budgets ---


async def test_editor_calls_are_a_hard_limit() -> None:
    editor = ScriptedEditor()
    trajectory = await play(editor, turns=9, editor_calls=2)
    assert len(editor.requests) == 2
    assert trajectory.stop.reason is StopReason.CALL_LIMIT
    assert trajectory.failure is None
    assert all(turn.critique for turn in trajectory.turns)


async def test_re_asks_count_as_thinker_calls() -> None:
    thinker = ScriptedThinker(UNREADABLE, UNREADABLE, (5, 5))
    trajectory = await play(thinker=thinker, thinker_calls=2)
    assert len(thinker.views) == 2
    assert trajectory.stop.reason is StopReason.CALL_LIMIT
    assert len(trajectory.turns) == 1


async def test_no_edit_is_made_that_could_not_be_judged() -> None:
    editor = ScriptedEditor()
    trajectory = await play(editor, turns=9, thinker_calls=1)
    assert len(editor.requests) == 1
    assert trajectory.stop.reason is StopReason.CALL_LIMIT


async def test_cost_is_a_hard_limit() -> None:
    trajectory = await play(ScriptedEditor(cost=0.04), turns=9, cost=0.1)
    assert trajectory.stop.reason is StopReason.COST_LIMIT
    assert trajectory.spend.editor_calls == 3  # a price is known only after the call


@pytest.mark.parametrize("slow", ["editor", "thinker"])
async def test_seconds_cancel_the_call_in_flight(slow: str) -> None:
    editor = ScriptedEditor(seconds=30 if slow == "editor" else 0)
    thinker = ScriptedThinker(seconds=30 if slow == "thinker" else 0)
    trajectory = await asyncio.wait_for(play(editor, thinker, seconds=0.05), 5)
    assert trajectory.stop.reason is StopReason.TIME_LIMIT
    assert trajectory.stop.detail == "0.05 s"
    assert trajectory.failure is None
    assert (editor.cancelled, thinker.cancelled) == ((1, 0) if slow == "editor" else (0, 1))
    assert trajectory.delivered == (slow == "thinker")
    assert outcomes(trajectory)[-1] == (slow, "LimitReached")


async def test_a_models_own_timeout_is_its_failure_not_our_limit() -> None:
    trajectory = await play(ScriptedEditor(TimeoutError("upstream")), seconds=60)
    assert trajectory.stop.reason is StopReason.FAILED
    assert trajectory.failure
    assert trajectory.failure.blame == "editor"


# --- cancelling ---


async def test_cancelling_the_task_cancels_the_call_and_keeps_the_turns() -> None:
    editor = ScriptedEditor()
    played = episode(editor, ScriptedThinker(seconds=0.0))
    editor_slow = asyncio.Event()

    async def watch() -> None:
        async for _ in played:
            editor._seconds = 30  # the second edit hangs
            editor_slow.set()

    task = asyncio.create_task(watch())
    await editor_slow.wait()
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert editor.cancelled == 1
    trajectory = played.trajectory
    assert trajectory.stop.reason is StopReason.CANCELLED
    assert [turn.index for turn in trajectory.turns] == [1]
    assert trajectory.chosen == 1
    assert trajectory.failure is None
    assert outcomes(trajectory)[-1] == ("editor", "cancelled")


async def test_aclose_from_another_task_ends_the_iteration() -> None:
    editor = ScriptedEditor(seconds=30)
    played = episode(editor)
    task = asyncio.create_task(played.run())
    await asyncio.sleep(0.01)
    await played.aclose()
    trajectory = await asyncio.wait_for(task, 5)
    assert editor.cancelled == 1
    assert trajectory.stop.reason is StopReason.CANCELLED


async def test_aclose_between_turns_allows_no_other_call() -> None:
    editor = ScriptedEditor()
    played = episode(editor)
    async for _ in played:
        await played.aclose()
    assert len(editor.requests) == 1
    assert played.trajectory.stop.reason is StopReason.CANCELLED


async def test_whoever_stops_listening_has_cancelled() -> None:
    played = episode()
    async for _ in played:
        break
    assert played.trajectory.stop.reason is StopReason.CANCELLED
    assert len(played.trajectory.turns) == 1
    await played.aclose()
    gc.collect()


# --- events ---


async def test_events_tell_everything_in_order() -> None:
    events: list[Event] = []
    thinker = ScriptedThinker(UNREADABLE, (9, 9))
    trajectory = await play(thinker=thinker, listener=events.append)
    assert [type(event).__name__ for event in events] == [
        "EditStarted",
        "EditFinished",
        "ThinkStarted",
        "CallFailed",
        "ThinkStarted",
        "ThinkFinished",
        "TurnFinished",
    ]
    calls = [event.call for event in events if not isinstance(event, TurnFinished) and hasattr(event, "call")]
    assert tuple(calls) == trajectory.calls
    assert isinstance(events[3], CallFailed)
    assert isinstance(events[4], ThinkStarted)
    assert events[4].complaint == events[3].call.error


async def test_a_turn_is_stored_before_the_next_starts() -> None:
    order: list[str] = []

    async def store(event: Event) -> None:
        if isinstance(event, TurnFinished):
            await asyncio.sleep(0.01)
            order.append(f"stored {event.turn.index}")
        elif isinstance(event, EditFinished):
            order.append(f"edited {event.call.turn}")

    await play(listener=store, turns=2)
    assert order == ["edited 1", "stored 1", "edited 2", "stored 2"]


@pytest.mark.parametrize("at", [EditFinished, TurnFinished])
async def test_a_store_that_fails_ends_it_and_loses_nothing(at: type[Event]) -> None:
    def full(event: Event) -> None:
        if isinstance(event, at):
            raise StoreError("no space left on the disk")

    editor = ScriptedEditor()
    trajectory = await play(editor, listener=full)
    assert len(editor.requests) == len(trajectory.turns) == 1
    assert trajectory.failure == Failure("ours", "StoreError", "no space left on the disk")
    assert trajectory.stop.reason is StopReason.FAILED


# --- the plain stream ---


async def test_think_while_edit_streams_turns() -> None:
    seen = [
        turn
        async for turn in think_while_edit(
            SAMPLE, ScriptedEditor(), ScriptedThinker(), Limits(turns=2), seed=3
        )
    ]
    assert [turn.seed for turn in seen] == [3, 4]


async def test_think_while_edit_raises_what_failed_after_the_turns() -> None:
    turns = think_while_edit(SAMPLE, ScriptedEditor(None, EditorError("down")), ScriptedThinker())
    assert (await anext(turns)).index == 1
    with pytest.raises(EditorError, match="down"):
        await anext(turns)
