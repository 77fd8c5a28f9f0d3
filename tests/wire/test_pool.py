"""Several servers as one: who gets a call, who does not, and what is said when nobody is left."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from editthinker.core import clock
from editthinker.core.errors import EditorError, InputError, Refused
from editthinker.core.types import Edited
from editthinker.testing import photograph
from editthinker.wire import endpoint, health
from editthinker.wire.pool import Pool, urgency

pytestmark = pytest.mark.clock

PHOTO = photograph(16, 16)


class Server:
    """Works at `capacity` calls at a time, the rest wait; `broken` may name what happens instead."""

    def __init__(self, name: str, seconds: float = 0.01, capacity: int = 4) -> None:
        self.name, self.seconds = name, seconds
        self.broken: Callable[[], BaseException | float | None] = lambda: None
        self.calls: list[float] = []
        self.in_flight = self.peak = self.cancelled = 0
        self._room = asyncio.Semaphore(capacity)

    async def edit(self) -> Edited:
        self.calls.append(time.monotonic())
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        try:
            trouble = self.broken()
            if isinstance(trouble, BaseException):
                await asyncio.sleep(0.002)
                raise trouble
            async with self._room:
                await asyncio.sleep(self.seconds if trouble is None else trouble)
            return Edited(PHOTO)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.in_flight -= 1


def failure(status: int | None, *, after: float | None = None, transient: bool = True) -> EditorError:
    error = EditorError(f"the server answered {status}")
    error.status, error.transient, error.retry_after = status, transient, after
    return error


def pool(*servers: Server, **settings: Any) -> tuple[Pool[Server], list[str]]:
    told: list[str] = []
    return Pool("editor", {server.name: server for server in servers}, tell=told.append, **settings), told


async def many(made: Pool[Server], number: int) -> list[Edited | BaseException]:
    calls = (made.call(lambda server: server.edit()) for _ in range(number))
    return await asyncio.gather(*calls, return_exceptions=True)


async def until_done(made: Pool[Server], attempts: int = 8) -> tuple[Edited, int]:
    """As the desk does: what fails in passing is repeated."""
    for attempt in range(1, attempts + 1):
        try:
            return await made.call(lambda server: server.edit()), attempt
        except EditorError as error:
            if not error.transient or attempt == attempts:
                raise
            await asyncio.sleep(0.01)
    raise AssertionError


async def test_the_answer_says_where_it_is_from() -> None:
    made, _ = pool(Server("a"))
    edited = await made.call(lambda server: server.edit())
    assert edited.notes["endpoint"] == "a"
    with pytest.raises(InputError, match="at least one editor"):
        Pool("editor", {})


async def test_equal_members_share_equally_and_learn_what_fits() -> None:
    first, second = Server("a"), Server("b")
    made, _ = pool(first, second)
    await many(made, 800)
    assert 0.45 <= len(first.calls) / 800 <= 0.55
    assert 8 <= made.capacity <= 24
    assert made.waiting == 0
    assert [state.in_flight for state in made.states()] == [0, 0]


async def test_never_more_than_configured() -> None:
    server = Server("a", capacity=50)
    made, _ = pool(server, most=3)
    await many(made, 100)
    assert server.peak == 3


async def test_a_slow_member_gets_a_small_share() -> None:
    fast, slow = Server("fast", 0.02), Server("slow", 0.2)
    made, _ = pool(fast, slow)
    began = time.monotonic()
    await many(made, 400)
    assert 0 < len(slow.calls) <= 80
    assert time.monotonic() - began <= 1.5 * 400 * 0.02 / 4


async def test_a_slow_member_gets_nothing_of_what_others_do_sooner() -> None:
    fast, slow = Server("fast", 0.01), Server("slow", 0.5)
    made, _ = pool(fast, slow)
    await many(made, 20)
    assert slow.calls
    slow.calls.clear()
    await many(made, 60)  # more than fits at once, but not for half a second
    assert slow.calls == []


async def test_a_sick_member_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "FIRST_REST", 0.1)
    sick, well = Server("sick"), Server("well")
    sick.broken = lambda: failure(500)
    made, told = pool(sick, well)
    outcomes = await asyncio.gather(*(until_done(made) for _ in range(200)))
    assert len(sick.calls) <= 12
    assert all(edited.notes["endpoint"] == "well" for edited, _ in outcomes)
    assert told == []


async def test_a_member_that_recovers_is_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "FIRST_REST", 0.05)
    sick, well = Server("sick"), Server("well")
    until = time.monotonic() + 0.3
    sick.broken = lambda: failure(None) if time.monotonic() < until else None
    made, _ = pool(sick, well)
    await asyncio.gather(*(until_done(made) for _ in range(600)))
    during = [at for at in sick.calls if at < until]
    assert len(during) <= health.IN_A_ROW + 5  # at first, then one after each rest
    assert sum(at >= until for at in sick.calls) >= 50


async def test_an_outage_of_all_is_waited_for_and_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "FIRST_REST", 0.05)
    servers = Server("a"), Server("b")
    made, told = pool(*servers)
    await many(made, 200)
    fits, until = made.capacity, time.monotonic() + 0.4
    for server in servers:
        server.broken = lambda: failure(503) if time.monotonic() < until else None
        server.calls.clear()
    await asyncio.gather(*(until_done(made) for _ in range(100)))
    assert told[0].startswith("no editor answers at present (the server answered 503); waiting up to 600 s")
    assert "answers again after" in told[1]
    assert len(told) == 2
    # Those that were let in before the first failure was known, and then one after each rest.
    assert sum(at < until for server in servers for at in server.calls) <= fits + 16


async def test_patience_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "FIRST_REST", 0.05)
    server = Server("a")
    server.broken = lambda: failure(None)
    made, told = pool(server, patience=0.3)
    outcomes = await asyncio.gather(*(until_done(made, 99) for _ in range(20)), return_exceptions=True)
    assert {str(outcome) for outcome in outcomes} == {
        "no editor came back within 0.3 s: the server answered None"
    }
    assert made.ended
    assert len(told) == 2


async def test_a_wrong_key_takes_a_member_out_at_once() -> None:
    wrong, well = Server("wrong"), Server("well")
    wrong.broken = lambda: failure(401, transient=False)
    made, told = pool(wrong, well)
    outcomes = await many(made, 50)
    assert len(wrong.calls) == 1
    assert sum(isinstance(outcome, EditorError) for outcome in outcomes) == 1
    assert told == ["editor 'wrong' is not asked any more: the server answered 401"]
    assert Counter(state.state for state in made.states()) == {"out": 1, "up": 1}


async def test_when_all_are_out_every_call_fails_at_once() -> None:
    server = Server("wrong")
    server.broken = lambda: failure(401, transient=False)
    made, _ = pool(server)
    outcomes = await many(made, 20)
    assert len(server.calls) == 1
    assert all(isinstance(outcome, EditorError) and not outcome.transient for outcome in outcomes)
    assert made.ended == "no editor is left: the server answered 401"


async def test_a_member_that_worked_is_not_dropped_for_one_404() -> None:
    server = Server("a")
    made, _ = pool(server)
    await many(made, 3)
    server.broken = lambda: failure(404, transient=False)
    await many(made, 1)
    server.broken = lambda: None
    assert [isinstance(outcome, Edited) for outcome in await many(made, 3)] == [True] * 3


@pytest.mark.parametrize("error", [failure(400, transient=False), Refused("not this"), EditorError("bad")])
async def test_what_is_the_requests_fault_says_nothing_of_the_member(error: EditorError) -> None:
    server = Server("a")
    server.broken = lambda: error
    made, told = pool(server)
    await many(made, 20)
    assert len(server.calls) == 20
    assert made.states()[0].state == "up"
    assert told == []


async def test_too_many_requests_pause_the_member_for_as_long_as_it_says() -> None:
    server = Server("a")
    made, _ = pool(server)
    await many(made, 30)
    answers = iter([failure(429, after=0.2)])
    server.broken = lambda: next(answers, None)
    server.calls.clear()
    rejected = next(outcome for outcome in await many(made, 30) if isinstance(outcome, EditorError))
    assert rejected.retry_after == endpoint.SOON  # the pool waits, not also the caller
    assert rejected.endpoint == "a"
    gaps = [after - before for before, after in zip(server.calls, server.calls[1:], strict=False)]
    assert max(gaps) >= 0.18
    assert made.states()[0].state == "up"


async def test_failures_by_chance_slow_nobody_down() -> None:
    server = Server("a")
    made, _ = pool(server)
    await many(made, 50)
    number = iter(range(1000))
    server.broken = lambda: failure(503) if next(number) % 7 == 0 else None
    began = time.monotonic()
    await asyncio.gather(*(until_done(made) for _ in range(200)))
    assert time.monotonic() - began <= 2 * 240 * server.seconds / 4
    assert made.capacity >= 4


async def test_a_call_that_hangs_is_ended_and_does_not_hold_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(endpoint, "LOOK", 0.02)
    monkeypatch.setattr(health, "OVERDUE", 0.1)
    monkeypatch.setattr(health, "PATIENT", 0.4)
    server = Server("a", capacity=9)
    troubles = iter([30.0])
    server.broken = lambda: next(troubles, None)  # the very first call hangs, with nothing to compare it with
    made, _ = pool(server)
    began = time.monotonic()
    outcomes = await many(made, 20)
    assert time.monotonic() - began < 2
    hung = [outcome for outcome in outcomes if isinstance(outcome, EditorError)]
    assert len(hung) == 1
    assert hung[0].transient
    assert "it hangs" in str(hung[0])
    assert server.cancelled == 1
    assert made.states()[0].in_flight == 0


async def test_hanging_calls_count_against_what_was_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "LOOK", 0.02)
    monkeypatch.setattr(health, "OVERDUE", 0.05)
    server = Server("a", seconds=0.5, capacity=9)
    made, _ = pool(server, most=1)
    await many(made, 2)
    assert server.peak == 1


def test_one_call_at_a_time_tries_whether_a_member_is_back() -> None:
    member = health.Health()
    for _ in range(health.IN_A_ROW):
        member.broke(failure(500), 0.0, tried=member.started())
    assert member.state(0.1) == "resting"
    assert not member.may_start(0.1)
    assert member.may_start(1.0)
    tried = member.started()
    assert tried
    assert not member.may_start(1.0)
    member.broke(failure(500, after=30.0), 1.0, tried=tried)
    assert not member.may_start(30.9)
    assert member.may_start(31.1)
    member.started()
    member.succeeded(0.1)
    assert member.state(31.2) == "up"


def test_slow_but_healthy_is_not_hanging() -> None:
    server = health.Health()
    assert server.hangs is None
    for _ in range(5):
        server.succeeded(40.0)
    assert server.hangs == 200.0
    assert server.overdue == 120.0


async def test_cancelling_frees_the_place_in_line_and_at_the_member() -> None:
    server = Server("a", seconds=5.0)
    made, _ = pool(server, most=1)
    running = asyncio.create_task(made.call(lambda server: server.edit()))
    waiting = [asyncio.create_task(made.call(lambda server: server.edit())) for _ in range(3)]
    await asyncio.sleep(0.01)
    assert made.waiting == 3
    waiting[0].cancel()
    await asyncio.sleep(0)
    assert made.waiting == 2
    server.seconds = 0.01
    running.cancel()
    await asyncio.gather(*waiting[1:])
    assert server.cancelled == 1
    assert made.states()[0].in_flight == 0
    assert made.waiting == 0


async def test_cancelled_at_the_moment_of_being_let_in() -> None:
    server = Server("a", seconds=0.01)
    made, _ = pool(server, most=1)
    place = await made._turn()
    waiting = asyncio.create_task(made.call(lambda server: server.edit()))
    await asyncio.sleep(0)
    place.leave()  # lets it in
    assert made.waiting == 0
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert made.states()[0].in_flight == 0
    assert isinstance(await asyncio.wait_for(made.call(lambda server: server.edit()), 1), Edited)


async def test_the_most_urgent_goes_first_and_equals_in_order() -> None:
    server = Server("a")
    made, _ = pool(server, most=1)
    order: list[str] = []

    async def call(name: str, ahead: float) -> None:
        urgency.set(ahead)
        await made.call(lambda server: server.edit())
        order.append(name)

    calls = [("first", 0), ("a", 1), ("b", 5), ("c", 5), ("d", 2)]
    await asyncio.gather(*(asyncio.create_task(call(*one)) for one in calls))
    assert order == ["first", "b", "c", "d", "a"]


async def test_waiting_is_told_to_the_clock() -> None:
    server = Server("a", seconds=0.05)
    made, _ = pool(server, most=1)
    waited = []

    async def call() -> None:
        with clock.Clock().call() as lap:
            await made.call(lambda server: server.edit())
            waited.append(lap.waited)

    await asyncio.gather(*(asyncio.create_task(call()) for _ in range(3)))
    assert waited[0] < 0.01
    assert 0.04 <= waited[1] <= 0.09
    assert 0.09 <= waited[2] <= 0.15


async def test_a_hedged_call_takes_the_first_answer_and_notes_both() -> None:
    first, second = Server("a"), Server("b")
    made, _ = pool(first, second)
    await many(made, 100)
    made.hedge = True
    first.seconds = second.seconds = 0.01
    troubles = iter([3.0])
    first.broken = second.broken = lambda: next(troubles, None)
    began = time.monotonic()
    edited = await made.call(lambda server: server.edit())
    assert time.monotonic() - began < 1
    (beside,) = edited.notes["hedged"]
    assert {beside["endpoint"], edited.notes["endpoint"]} == {"a", "b"}
    assert beside["outcome"] == "cancelled"
    assert first.cancelled + second.cancelled == 1
    assert [state.in_flight for state in made.states()] == [0, 0]


async def test_what_is_no_error_of_ours_leaves_as_it_is() -> None:
    server = Server("a")
    server.broken = lambda: TypeError("a bug")
    made, _ = pool(server)
    (outcome,) = await many(made, 1)
    assert isinstance(outcome, TypeError)
    assert made.states()[0].in_flight == 0
