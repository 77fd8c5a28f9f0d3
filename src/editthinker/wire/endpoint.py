"""One server of a pool: places for calls, and what is learned from what becomes of them.

In: a member, and calls as functions of it. Out: answers with the member's name in their notes, or errors that
know the name. A call that hangs is ended; long before, its place is given to another.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from editthinker.core.errors import EditThinkerError, ReplyError
from editthinker.core.types import Edited, Judged, Plan, Preference, Thought
from editthinker.wire.health import LONGEST_ASKED, USELESS, Health
from editthinker.wire.limiter import Limiter

Member = TypeVar("Member")
Answer = TypeVar("Answer", Edited, Thought, Judged, Preference, Plan)

SOON = 0.01
"""Seconds an error asks its caller to wait when the pool knows better than to wait longer."""
PAUSE = 1.0
"""Seconds an endpoint that is asked too often is left alone when it does not say how long."""
UNLUCKY = 3
"""Bad answers one after another that are still chance; `health.IN_A_ROW` are not."""
LOOK = 1.0
"""Seconds between looks at a call under way."""
DOWN = frozenset({None, 502, 503, 504, 529})
"""Statuses, and the lack of one, of a server that is not there, whatever the request."""
CROWDED = frozenset({503, 529})
"""Statuses that may, beside 429, turn a call away because there are too many: if they say until when."""


@dataclass(slots=True, eq=False)
class Endpoint(Generic[Member]):
    """One member and its state. Every `take` is followed by one `Place.call` or `Place.leave`."""

    name: str
    member: Member
    most: int
    changed: Callable[[], None]
    """Called when a place may have become free."""
    failure: Callable[[str], EditThinkerError]
    """Makes an error of the role that is called."""
    limiter: Limiter = field(init=False)
    health: Health = field(default_factory=Health)
    running: int = 0
    """Calls under way, those included that the limiter no longer counts."""
    away: str = ""
    """Why it is not there at present; empty when it is. Said by whoever put it into the pool."""

    def __post_init__(self) -> None:
        self.limiter = Limiter(most=self.most)

    def room(self, now: float) -> bool:
        """Whether a call may start."""
        free = self.limiter.in_flight < self.limiter.limit and self.running < self.most
        here = not self.away and now >= self.limiter.paused_until
        return free and here and self.health.may_start(now)

    @property
    def ready_at(self) -> float:
        """Before this time no call starts."""
        return max(self.limiter.paused_until, self.health.rests_until or 0.0)

    @property
    def up(self) -> bool:
        """Whether it is expected to answer."""
        return not self.health.out and not self.away and self.health.rests_until is None

    def expected(self) -> float:
        """Roughly how long the next call would take here; the unknown come first, those in trouble last."""
        load = (self.limiter.in_flight + 1) / self.limiter.limit + self.health.row
        return (self.health.latency or 0.0) * (1 + load) + load * 1e-6

    def take(self) -> Place[Member]:
        """A place for one call."""
        self.running += 1
        return Place(self, self.limiter.started(), self.health.started())


@dataclass(slots=True, eq=False)
class Place(Generic[Member]):
    """A call's place at an endpoint, from when it was let in."""

    endpoint: Endpoint[Member]
    epoch: int
    tries: bool
    """Whether this call finds out if the endpoint is back."""
    counted: bool = True
    """Whether the limiter still counts it."""

    async def call(self, verb: Callable[[Member], Awaitable[Answer]]) -> Answer:
        """The answer, with the endpoint's name in its notes. Cancelling cancels the call there."""
        began = _now()
        work = asyncio.ensure_future(verb(self.endpoint.member))
        try:
            answer: Answer = await self._watched(work, began)
        except EditThinkerError as error:
            self._failed(error, _now() - began)
            raise
        except BaseException:
            self._uncount()
            self.endpoint.health.given_up(tried=self.tries)
            raise
        else:
            self._answered(_now() - began)
        finally:
            try:
                await _ended(work)
            finally:
                self.leave()
        return replace(answer, notes={**answer.notes, "endpoint": self.endpoint.name})

    def leave(self) -> None:
        """The place is free again."""
        if self.counted:  # nothing was called
            self._uncount()
            self.endpoint.health.given_up(tried=self.tries)
        self.endpoint.running -= 1
        self.endpoint.changed()

    async def _watched(self, work: asyncio.Future[Any], began: float) -> Any:
        """What `work` brings. Raises a transient error when it hangs."""
        endpoint, health = self.endpoint, self.endpoint.health
        while not (await asyncio.wait({work}, timeout=LOOK))[0]:
            seconds = _now() - began
            if self.counted and seconds >= health.overdue and self._others_may_pass():
                self._uncount()
                endpoint.changed()
            if health.hangs is not None and seconds >= health.hangs:
                await _ended(work)
                error = endpoint.failure(f"{endpoint.name!r} did not answer within {seconds:.0f} s; it hangs")
                error.transient = True
                raise error
        return work.result()

    def _others_may_pass(self) -> bool:
        endpoint = self.endpoint
        return endpoint.running - endpoint.limiter.in_flight < endpoint.limiter.limit

    def _uncount(self) -> None:
        if self.counted:
            self.counted = False
            self.endpoint.limiter.failed()

    def _answered(self, seconds: float) -> None:
        if self.counted:
            self.counted = False
            self.endpoint.limiter.succeeded(seconds, _now())
        self.endpoint.health.succeeded(seconds, _now())

    def _failed(self, error: EditThinkerError, seconds: float) -> None:
        """Draw what follows for the endpoint."""
        now, endpoint = _now(), self.endpoint
        health, limiter = endpoint.health, endpoint.limiter
        error.endpoint = error.endpoint or endpoint.name
        if isinstance(error, ReplyError):  # it answered; the words were not to be used
            self._answered(seconds)
            return
        asked = error.retry_after or 0.0
        crowded = error.transient and (error.status == 429 or (error.status in CROWDED and asked))
        if crowded and self.counted and self.tries and error.status != 429:
            limiter.mistaken()  # alone, and turned away all the same: it was never about too many
        elif crowded and self.counted:
            self.counted = False
            pause = asked if 0 < asked <= LONGEST_ASKED else PAUSE
            limiter.rejected(self.epoch, now, pause, certain=error.status == 429)
        worked = error.status is None and seconds >= (health.latency or math.inf) / 2
        """It took as long as an answer: it was worked at, whatever came of it."""
        if self.counted and worked:
            self.counted = False
            limiter.succeeded(seconds, now)
        self._uncount()
        if error.transient and error.status == 429:
            health.given_up(tried=self.tries)
        elif error.transient:
            health.broke(error, now, tried=self.tries, alone=endpoint.running == 1)
            error.nobody = error.status in DOWN and not worked and not endpoint.up
        elif error.status in USELESS and not error.refused:
            health.useless(error)
        else:
            health.refused()
        if error.transient and (now < endpoint.ready_at or (worked and health.row <= UNLUCKY)):
            error.retry_after = SOON  # the pool makes it wait as it must, or the answer was at fault


async def _ended(work: asyncio.Future[Any]) -> None:
    """Cancel it, unless it is over, and wait until it has cleaned up."""
    if not work.done():
        work.cancel()
        await asyncio.wait({work})


def _now() -> float:
    return time.monotonic()
