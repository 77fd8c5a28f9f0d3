"""Several servers that do the same work, used as one: each gets what it can take, a sick one costs little.

In: named members, and calls as functions of a member. Out: the answer of one of them, its name in the notes
as `endpoint`. One `call` is one attempt: what fails is repeated, counted and recorded by whoever called
(`core.calls`). It never waits twice: the pool makes a call wait until a member should have it, and an error
that passes then asks its caller for the shortest wait there is (`retry_after`). How many calls a member takes
is found by its `Limiter`, whether it may be called at all by its `Health`. When no member is up, calls wait
for `patience` seconds, and a listener is told once that this begins, and once how it ends.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, Generic, TypeVar

from editthinker.core.clock import in_line
from editthinker.core.errors import FAILURES, EditThinkerError, InputError
from editthinker.core.types import Edited, Judged, Plan, Preference, Role, Thought
from editthinker.wire.endpoint import Endpoint, Place
from editthinker.wire.health import State

Member = TypeVar("Member")
Answer = TypeVar("Answer", Edited, Thought, Judged, Preference, Plan)

urgency: ContextVar[float] = ContextVar("urgency", default=0.0)
"""Of calls that wait, that with the most goes first: a runner sets it to what is still ahead of a sample."""

UNLIKE = 2.0
"""A member so many times slower than the fastest waits until there was too much to do for that long."""


@dataclass(frozen=True, slots=True)
class MemberState:
    """How one member does, for people who watch."""

    name: str
    state: State
    in_flight: int
    limit: int
    latency: float | None
    """Seconds an answer takes at present."""
    answered: int
    failed: int
    trouble: str
    """What went wrong last; for one that is out, why."""


class Pool(Generic[Member]):
    """Members of one role, by name. For one event loop at a time."""

    def __init__(
        self,
        role: Role,
        members: Mapping[str, Member],
        *,
        most: int = 256,
        patience: float = 600.0,
        hedge: bool = False,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        """Never more than `most` calls at a time at one member. Raises `InputError` without members.

        `hedge`: a call that takes longer than nineteen of twenty is given to another member too, and the
        first answer counts; both may have to be paid for. `tell` gets a sentence when no member is up any
        more, when one is back, and when one is out for good.
        """
        if not members:
            raise InputError(f"a pool needs at least one {role}")
        self._most = most
        self.role, self.patience, self.hedge, self.tell = role, patience, hedge, tell
        self.ended = ""
        """Why no call can succeed any more; empty while one may."""
        self._all = [
            Endpoint(name, member, most, self._serve, self._error) for name, member in members.items()
        ]
        self._queue: list[tuple[float, int, asyncio.Future[Place[Member]]]] = []
        self._tickets = count()
        self._timer: asyncio.TimerHandle | None = None
        self._down_since: float | None = None
        self._full_since = self._full_at = -math.inf
        """Since when, and when last, there was more to do than members took at once."""
        self._dropped: set[str] = set()

    @property
    def members(self) -> list[Member]:
        """All of them, whatever their state."""
        return [endpoint.member for endpoint in self._all]

    @property
    def capacity(self) -> int:
        """How many calls may be under way now; more would only wait here."""
        there = [endpoint for endpoint in self._all if not endpoint.health.out and not endpoint.away]
        return max(1, sum(endpoint.limiter.limit for endpoint in there))

    @property
    def waiting(self) -> int:
        """Calls that wait for a member."""
        return sum(not ticket.done() for _, _, ticket in self._queue)

    def states(self) -> list[MemberState]:
        """How each member does. Calls a second are differences of `answered` over time."""
        now = _now()
        return [
            MemberState(
                endpoint.name,
                "resting" if endpoint.away else endpoint.health.state(now),
                endpoint.running,
                endpoint.limiter.limit,
                endpoint.health.latency,
                endpoint.health.answered,
                endpoint.health.failed,
                endpoint.health.out or endpoint.away or endpoint.health.trouble,
            )
            for endpoint in self._all
        ]

    def join(self, name: str, member: Member) -> None:
        """A member is there: one more, or one of this name that had parted. Only in the pool's loop."""
        known = next((endpoint for endpoint in self._all if endpoint.name == name), None)
        if known is None:
            self._all.append(Endpoint(name, member, self._most, self._serve, self._error))
        else:
            known.member, known.away = member, ""
            known.health.row, known.health.rests_until = 0, None  # what failed was one that is gone
        self._serve()

    def part(self, name: str, why: str) -> None:
        """A member gets no call until it joins again. Only in the pool's loop."""
        for endpoint in self._all:
            if endpoint.name == name:
                endpoint.away = why
        self._serve()

    async def call(self, verb: Callable[[Member], Awaitable[Answer]]) -> Answer:
        """The answer of one member, in one attempt. Raises what it failed with, or that nobody is left.

        Cancelling takes the call out of the queue, or cancels it at the member.
        """
        place = await self._turn()
        try:
            return await (self._hedged(place, verb) if self.hedge else place.call(verb))
        except EditThinkerError as error:
            error.nobody = error.nobody and not any(endpoint.up for endpoint in self._all)
            raise

    # --- waiting for a member ---

    async def _turn(self) -> Place[Member]:
        if self.ended:
            raise self._error(self.ended)
        ticket: asyncio.Future[Place[Member]] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._queue, (-urgency.get(), next(self._tickets), ticket))
        self._serve()
        if ticket.done():
            return ticket.result()
        try:
            with in_line():
                return await ticket
        except asyncio.CancelledError:
            if ticket.done() and not ticket.cancelled() and not ticket.exception():
                ticket.result().leave()  # let in and cancelled at the same moment
            raise

    def _serve(self) -> None:
        """Let in whoever may start."""
        now = _now()
        self._look_around(now)
        while self._queue:
            if self._queue[0][2].done():  # cancelled
                heapq.heappop(self._queue)
                continue
            endpoint = self._choose(now)
            if endpoint is None:
                if now - self._full_at > self._fastest:
                    self._full_since = now
                self._full_at = now
                break
            heapq.heappop(self._queue)[2].set_result(endpoint.take())
        self._wake_later(now)

    def _choose(self, now: float, other_than: Endpoint[Member] | None = None) -> Endpoint[Member] | None:
        """The member that should have the next call: where it is done soonest. None: better wait."""
        fastest = self._fastest
        full = now - self._full_since if now - self._full_at <= fastest else 0.0
        worth = max(UNLIKE * fastest, full)
        able = [
            e
            for e in self._all
            if e is not other_than
            and e.room(now)
            and (e.health.latency is None or not fastest or e.health.latency <= worth)
        ]
        return min(able, key=Endpoint.expected, default=None)

    @property
    def _fastest(self) -> float:
        """Seconds an answer of the fastest member takes; 0 while nobody knows."""
        return min((e.health.latency for e in self._all if e.up and e.health.latency), default=0.0)

    def _wake_later(self, now: float) -> None:
        """Look again when time alone will have changed something."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._queue:
            return
        times = [e.ready_at for e in self._all if not e.health.out and e.ready_at > now]
        if self._down_since is not None:
            times.append(self._down_since + self.patience)
        slow = [e.health.latency for e in self._all if e.health.latency and e.room(now)]
        times.extend(self._full_since + latency for latency in slow)
        if times:
            wait = max(min(times) - now, 0.0) + 0.001
            self._timer = asyncio.get_running_loop().call_later(wait, self._serve)

    async def _hedged(self, place: Place[Member], verb: Callable[[Member], Awaitable[Answer]]) -> Answer:
        """The first answer of one or two members; the other attempt is noted beside it."""
        began, slow = _now(), place.endpoint.health.slow
        tasks = {asyncio.ensure_future(place.call(verb)): place}
        try:
            over, _ = await asyncio.wait(tasks, timeout=slow)
            if not over and (other := self._choose(_now(), place.endpoint)):
                second = other.take()
                tasks[asyncio.ensure_future(second.call(verb))] = second
            running = set(tasks)
            while running:
                done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                if won := next((task for task in done if not task.exception()), None):
                    break
            answer = (won or next(iter(tasks))).result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        beside = [
            {"endpoint": at.endpoint.name, "outcome": _outcome(task), "until": round(_now() - began, 3)}
            for task, at in tasks.items()
            if task is not won
        ]
        return replace(answer, notes={**answer.notes, "hedged": beside}) if beside else answer

    # --- when nobody is left ---

    def _look_around(self, now: float) -> None:
        left = [endpoint for endpoint in self._all if not endpoint.health.out]
        for endpoint in self._all:
            if endpoint.health.out and endpoint.name not in self._dropped:
                self._dropped.add(endpoint.name)
                self._say(f"{self.role} {endpoint.name!r} is not asked any more: {endpoint.health.out}")
        if not left:
            self._end(f"no {self.role} is left: {self._troubles}")
        elif back := next((endpoint.name for endpoint in left if endpoint.up), None):
            if self._down_since is not None:
                seconds = now - self._down_since
                self._say(f"{self.role} {back!r} answers again after {seconds:.0f} s; going on")
            self._down_since = None
        elif self._down_since is None:
            self._down_since = now
            self._say(
                f"no {self.role} answers at present ({self._troubles});"
                f" waiting up to {self.patience:g} s for one to come back"
            )
        elif now - self._down_since >= self.patience:
            self._end(f"no {self.role} came back within {self.patience:g} s: {self._troubles}")

    def _end(self, why: str) -> None:
        if not self.ended:
            self._say(why)
        self.ended = why
        while self._queue:
            ticket = heapq.heappop(self._queue)[2]
            if not ticket.done():
                ticket.set_exception(self._error(why))

    @property
    def _troubles(self) -> str:
        return "; ".join(dict.fromkeys(e.health.out or e.away or e.health.trouble for e in self._all))

    def _say(self, sentence: str) -> None:
        if self.tell is not None:
            self.tell(sentence)

    def _error(self, sentence: str) -> EditThinkerError:
        return FAILURES[self.role](sentence)


def _outcome(task: asyncio.Future[Any]) -> str:
    if task.cancelled():
        return "cancelled"
    return "ok" if (error := task.exception()) is None else type(error).__name__


def _now() -> float:
    return time.monotonic()
