"""What fails in passing is repeated, within the limits, and every attempt is there to be seen."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime
from typing import Any

import pytest

from editthinker.core import calls
from editthinker.core.clock import in_line
from editthinker.core.episode import Episode
from editthinker.core.errors import EditorError, EditThinkerError, ThinkerError
from editthinker.core.events import CallFailed, Event
from editthinker.core.limits import Limits
from editthinker.core.types import Edited, EditRequest, Sample, StopReason, Trajectory
from editthinker.testing import ScriptedEditor, ScriptedThinker, photograph
from editthinker.wire import failures
from editthinker.wire.failures import Peer, of_status

FIRST, LEAST = calls.FIRST_WAIT, calls.LEAST_WAIT
"""As they are; the tests below wait less."""
SAMPLE = Sample((photograph(),), "warmer")


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(calls, "LEAST_WAIT", 0.002)


def busy(error: EditThinkerError | None = None, *, after: float | None = None, cost: float = 0.0) -> Any:
    """An error that passes; the other side asks to wait `after` seconds."""
    error = error or EditorError("the server is busy")
    error.transient, error.retry_after, error.cost = True, after, cost
    return error


async def play(
    editor: ScriptedEditor, thinker: ScriptedThinker | None = None, *, listener: Any = None, **limits: Any
) -> Trajectory:
    limits.setdefault("turns", 1)
    return await Episode(SAMPLE, editor, thinker, limits=Limits(**limits), listener=listener).run()


def outcomes(trajectory: Trajectory) -> list[str]:
    return [call.outcome for call in trajectory.calls]


async def test_what_failed_in_passing_is_repeated_and_counted() -> None:
    events: list[Event] = []
    trajectory = await play(ScriptedEditor(busy(), busy()), listener=events.append)
    assert outcomes(trajectory) == ["EditorError", "EditorError", "ok"]
    assert trajectory.spend.editor_calls == 3
    assert trajectory.failure is None
    assert len(trajectory.turns) == 1
    waits = [event.again_in for event in events if isinstance(event, CallFailed)]
    assert len(waits) == 2
    assert None not in waits


@pytest.mark.parametrize("retries", [0, 1, 3])
async def test_repeating_is_bounded(retries: int) -> None:
    editor = ScriptedEditor(*(busy() for _ in range(9)))
    events: list[Event] = []
    trajectory = await play(editor, retries=retries, listener=events.append)
    assert len(editor.requests) == retries + 1
    assert trajectory.stop.reason is StopReason.FAILED
    assert [event.again_in for event in events if isinstance(event, CallFailed)][-1] is None


async def test_what_would_fail_again_is_not_repeated() -> None:
    editor = ScriptedEditor(EditorError("the key is wrong"))
    await play(editor)
    assert len(editor.requests) == 1


async def test_a_thinker_is_asked_again_too() -> None:
    trajectory = await play(ScriptedEditor(), ScriptedThinker(busy(ThinkerError("overloaded")), (9, 9)))
    assert outcomes(trajectory) == ["ok", "ThinkerError", "ok"]
    assert trajectory.stop.reason is StopReason.SATISFIED


async def test_retry_after_is_honoured() -> None:
    began = time.monotonic()
    trajectory = await play(ScriptedEditor(busy(after=0.15)))
    assert time.monotonic() - began >= 0.15
    first, second = trajectory.calls
    assert second.started - first.started >= 0.15


async def test_waits_grow_where_nobody_said_how_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "LONGEST_WAIT", 0.05)
    events: list[Event] = []
    await play(ScriptedEditor(*(busy() for _ in range(6))), retries=6, listener=events.append)
    waits = [event.again_in for event in events if isinstance(event, CallFailed)]
    for wait, most in zip(waits, (0.01, 0.02, 0.04, 0.05, 0.05, 0.05), strict=True):
        assert wait is not None
        assert 0.75 * most <= wait <= most


OPENAIS = [
    ("20", 20, 0),
    ("0", 0.5, 0),
    ("-10", 0.5, 0),
    ("60", 60, 0),
    ("61", 0.5, 0),
    ("Fri, 29 Sep 2023 16:26:57 GMT", 20, 0),
    ("Fri, 29 Sep 2023 16:26:37 GMT", 0.5, 0),
    ("Fri, 29 Sep 2023 16:26:27 GMT", 0.5, 0),
    ("Fri, 29 Sep 2023 16:27:37 GMT", 60, 0),
    ("Fri, 29 Sep 2023 16:27:38 GMT", 0.5, 0),
    ("99999999999999999999999999999999999", 0.5, 0),
    ("Zun, 29 Sep 2023 16:26:27 GMT", 0.5, 0),
    ("", 0.5, 0),
    ("", 1.0, 1),
    ("", 2.0, 2),
    ("", 8.0, 1100),
]
"""What a server says, the seconds waited, and after how many repetitions: the table of openai-python's
`test_parse_retry_after_header`, where the time is 16:26:37."""


@pytest.mark.clock
@pytest.mark.parametrize(("said", "seconds", "repeated"), OPENAIS)
def test_retry_after_is_read_as_openais_client_reads_it(
    said: str, seconds: float, repeated: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Then(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Then:
            return cls.fromtimestamp(1_696_004_797, tz)

    monkeypatch.setattr(failures, "datetime", Then)
    monkeypatch.setattr(calls, "FIRST_WAIT", 0.5)
    monkeypatch.setattr(calls, "LEAST_WAIT", 0.3)
    error = of_status(Peer("editor", "e"), 429, "", {"retry-after": said})
    wait = calls.Calls(Limits(retries=2000))._wait("editor", error, repeated)
    assert wait is not None
    assert 0.75 * seconds <= wait <= seconds
    assert seconds not in (20, 60) or wait == seconds


def test_two_attempts_are_never_close(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "LEAST_WAIT", LEAST)
    assert FIRST * 0.75 > LEAST == 0.3
    limits = calls.Calls(Limits())
    for after in (None, 0.0, 0.01, 0.29):
        wait = limits._wait("editor", busy(after=after), 0)
        assert wait is not None
        assert wait >= calls.LEAST_WAIT


@pytest.mark.clock
async def test_a_wait_beyond_the_time_limit_is_not_begun() -> None:
    began = time.monotonic()
    trajectory = await play(ScriptedEditor(busy(after=30.0)), seconds=5.0)
    assert time.monotonic() - began < 2
    assert trajectory.stop.reason is StopReason.FAILED
    assert trajectory.failure
    assert trajectory.failure.message == "the server is busy"


async def test_the_last_allowed_call_is_not_waited_for() -> None:
    editor = ScriptedEditor(busy(after=30.0))
    trajectory = await asyncio.wait_for(play(editor, editor_calls=1), 5)
    assert len(editor.requests) == 1
    assert trajectory.failure
    assert trajectory.failure.message == "the server is busy"


async def test_repetitions_count_against_calls_and_cost() -> None:
    editor = ScriptedEditor(busy(), None)
    trajectory = await play(editor, ScriptedThinker(), turns=9, editor_calls=2)
    assert len(editor.requests) == 2
    assert trajectory.stop.reason is StopReason.CALL_LIMIT
    assert len(trajectory.turns) == 1
    trajectory = await play(ScriptedEditor(busy(cost=0.5), None), cost=0.5)
    assert outcomes(trajectory) == ["EditorError"]
    assert trajectory.spend.cost == 0.5


async def test_cancelling_ends_the_wait() -> None:
    waiting = asyncio.Event()

    def hear(event: Event) -> None:
        if isinstance(event, CallFailed):
            waiting.set()

    episode = Episode(SAMPLE, ScriptedEditor(busy(after=30.0)), None, listener=hear)
    task = asyncio.create_task(episode.run())
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)
    assert episode.trajectory.stop.reason is StopReason.CANCELLED
    assert outcomes(episode.trajectory) == ["EditorError"]


async def test_closing_ends_the_wait() -> None:
    waiting = asyncio.Event()

    def hear(event: Event) -> None:
        if isinstance(event, CallFailed):
            waiting.set()

    editor = ScriptedEditor(busy(after=30.0))
    episode = Episode(SAMPLE, editor, None, listener=hear)
    task = asyncio.create_task(episode.run())
    await waiting.wait()
    await episode.aclose()
    trajectory = await asyncio.wait_for(task, 5)
    assert trajectory.stop.reason is StopReason.CANCELLED
    assert len(editor.requests) == 1


class Queued(ScriptedEditor):
    """Makes every call wait for its turn first."""

    async def edit(self, request: EditRequest) -> Edited:
        with in_line():
            await asyncio.sleep(0.2)
        return await super().edit(request)


@pytest.mark.clock
async def test_waiting_for_a_turn_is_no_part_of_a_call() -> None:
    began = time.time()
    trajectory = await play(Queued(busy(), seconds=0.05))
    failed, edited = trajectory.calls
    for call in (failed, edited):
        assert 0.05 <= call.seconds < 0.15
        assert 0.2 <= call.notes["waited"] < 0.3
    assert failed.started - began >= 0.2
    assert trajectory.spend.seconds < 0.3


@pytest.mark.clock
async def test_waiting_for_a_turn_uses_up_no_time_limit() -> None:
    trajectory = await play(Queued(seconds=0.05), ScriptedThinker((9, 9)), seconds=0.15)
    assert trajectory.stop.reason is StopReason.SATISFIED
    trajectory = await play(Queued(seconds=0.3), seconds=0.15)
    assert trajectory.stop.reason is StopReason.TIME_LIMIT
    assert 0.15 <= trajectory.spend.seconds < 0.25


@pytest.mark.clock
async def test_the_clock_runs_while_any_call_does() -> None:
    """Two candidates, of which one waits: the other works meanwhile."""

    class OneWaits(ScriptedEditor):
        async def edit(self, request: EditRequest) -> Edited:
            if request.seed % 2:
                with in_line():
                    await asyncio.sleep(0.1)
            return await super().edit(request)

    editor = OneWaits(seconds=0.2)
    episode = Episode(SAMPLE, editor, ScriptedThinker(), limits=Limits(turns=1), candidates=2)
    trajectory = await episode.run()
    assert 0.29 <= trajectory.spend.seconds < 0.45


async def test_the_record_of_a_failed_call_names_the_endpoint() -> None:
    error = busy()
    error.endpoint = "gpu2"
    trajectory = await play(ScriptedEditor(error))
    assert trajectory.calls[0].notes == {"endpoint": "gpu2"}
