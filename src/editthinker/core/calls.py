"""One call of a model by the rules: allowed by the limits, told, timed, recorded, repeated if that may help.

In: what to call and the limits. Out: the answer and the record of every attempt. It knows roles and errors,
not what an answer is for; several calls may run at the same time.
"""

from __future__ import annotations

import asyncio
import inspect
import math
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from editthinker.core.clock import Clock, Lap
from editthinker.core.errors import FAILURES, EditThinkerError, Refused
from editthinker.core.events import CallFailed, EditStarted, Event, JudgeStarted, Listener, ThinkStarted
from editthinker.core.limits import LimitReached, Limits
from editthinker.core.past import Answer as Remembered
from editthinker.core.past import Past
from editthinker.core.types import (
    Call,
    Edited,
    Judged,
    Plan,
    Preference,
    Role,
    Spend,
    Stop,
    StopReason,
    Thought,
)

T = TypeVar("T")
Answer = TypeVar("Answer", Edited, Thought, Judged, Preference, Plan)
Known = TypeVar("Known", bound=Remembered)

FIRST_WAIT, LONGEST_WAIT = 0.5, 8.0
"""Seconds before the first repetition, doubled with each; up to a quarter less by chance (openai-python)."""
LEAST_WAIT = 0.3
"""Two attempts never start closer than this, whatever the other side asks for."""
LONGEST_ASKED = 60.0
"""What the other side may ask for (`Retry-After`); more, or nothing sensible, is as if it had not asked."""

NOTED = 0.001
"""Seconds of waiting for a turn from which the record tells of it."""


class Closed(Exception):
    """The episode was closed; no call may start and those in flight were cancelled."""


@dataclass(slots=True, eq=False)
class Calls:
    """The calls of one episode. Single-use."""

    limits: Limits
    listener: Listener | None = None
    past: Past = field(default_factory=Past)
    """What an earlier episode of this sample was told already."""
    made: list[Call] = field(default_factory=list)
    """Every attempt, in the order in which they ended."""
    _started: Counter[Role] = field(default_factory=Counter)
    """Attempts begun, those still running included: what the limits on calls are held against."""
    _before: float = 0.0
    """Seconds of calls that an earlier episode made."""
    _clock: Clock = field(default_factory=Clock)
    _closed: bool = False
    _in_flight: set[asyncio.Future[Any]] = field(default_factory=set)

    async def make(
        self,
        role: Role,
        name: str,
        start: EditStarted | ThinkStarted | JudgeStarted,
        verb: Callable[[], Awaitable[Answer]],
        checked: Callable[[str, Answer], Answer],
        question: str = "",
    ) -> tuple[Answer, Call]:
        """The answer and its call; what failed in passing is repeated, each attempt being a call."""
        self._take_in(self.past.take()[1])
        repeated = 0
        while True:
            try:
                return await self._attempt(role, name, start, verb, checked, repeated, question)
            except _Again as again:
                await self._cancellable(asyncio.sleep(again.seconds))
                repeated += again.counts

    def recall(self, question: str, kind: type[Known]) -> Known | None:
        """What was answered to this question before; its calls, failed ones too, count as made from now on.

        Raises `Refused` when that was the answer.
        """
        answer, calls = self.past.take(question)
        self._take_in(calls)
        if isinstance(answer, Refused):
            raise answer
        return answer if isinstance(answer, kind) else None

    async def together(self, verbs: Sequence[Callable[[], Awaitable[T]]]) -> list[T | Exception]:
        """The outcomes of several calls, in the order given, made at the same time.

        Under a cost limit they are made one after another: what a call costs is known only after it.
        """
        if self.limits.cost is not None:
            outcomes = [await _outcome(verb) for verb in verbs]
        else:
            tasks = [asyncio.ensure_future(_outcome(verb)) for verb in verbs]
            try:
                outcomes = [await task for task in tasks]
            finally:  # cancelled: every call has cleaned up before this one is over
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Closed):
                raise outcome
        return outcomes

    def room(self, role: Role) -> float:
        """How many calls of a role the limits still allow; infinite without a limit."""
        allowed: int | None = getattr(self.limits, f"{role}_calls")
        return math.inf if allowed is None else max(0, allowed - self._started[role])

    async def tell(self, event: Event) -> None:
        """Hand an event to the listener and wait for it."""
        if self.listener is not None:
            waiting = self.listener(event)
            if inspect.isawaitable(waiting):
                await waiting

    def close(self) -> None:
        """Cancel the calls in flight and allow no other."""
        self._closed = True
        for call in self._in_flight:
            call.cancel()

    def stop_clock(self) -> None:
        """From now on `spend.seconds` stays as it is."""
        self._clock.stop()

    @property
    def spend(self) -> Spend:
        """What was spent until now, failed attempts included."""
        count = {role: sum(call.role == role for call in self.made) for role in FAILURES}
        return Spend(
            editor_calls=count["editor"],
            thinker_calls=count["thinker"],
            judge_calls=count["judge"],
            seconds=self._before + self._clock.seconds,
            cost=sum(call.cost for call in self.made),
        )

    async def _attempt(
        self,
        role: Role,
        name: str,
        start: EditStarted | ThinkStarted | JudgeStarted,
        verb: Callable[[], Awaitable[Answer]],
        checked: Callable[[str, Answer], Answer],
        repeated: int,
        question: str,
    ) -> tuple[Answer, Call]:
        if self._closed:
            raise Closed
        if stop := self._refused(role):
            raise LimitReached(stop)
        self._started[role] += 1
        with self._clock.call() as lap:
            await self.tell(start)
            return await self._timed(role, name, start.turn, verb, checked, repeated, question, lap)

    async def _timed(
        self,
        role: Role,
        name: str,
        turn: int,
        verb: Callable[[], Awaitable[Answer]],
        checked: Callable[[str, Answer], Answer],
        repeated: int,
        question: str,
        lap: Lap,
    ) -> tuple[Answer, Call]:
        """The call itself; what it waited for its turn since now is noted, and no part of its duration."""
        began, clock, before = time.time(), time.monotonic(), lap.waited

        def record(outcome: str, error: str = "", cost: float = 0.0, notes: Any = None) -> Call:
            waited = lap.waited - before
            seconds = time.monotonic() - clock - waited
            kept = {**(notes or {}), **({"waited": round(waited, 3)} if waited >= NOTED else {})}
            call = Call(role, name, turn, began + waited, seconds, outcome, error, cost, kept, question)
            self.made.append(call)
            return call

        try:
            answer = checked(name, await self._cancellable(verb(), lap))
        except (asyncio.CancelledError, Closed):
            record("cancelled")
            raise
        except EditThinkerError as error:
            where = {"endpoint": error.endpoint} if error.endpoint else None
            call = record(type(error).__name__, str(error), error.cost, where)
            wait = self._wait(role, error, repeated, call.seconds)
            await self.tell(CallFailed(call, wait))
            if wait is None:
                raise
            raise _Again(wait, counts=not error.nobody) from error
        except Exception as error:  # a model may raise anything; it is the model's failure, not ours
            blamed = FAILURES[role](f"{role} {name!r} broke: {type(error).__name__}: {error}")
            await self.tell(CallFailed(record(type(blamed).__name__, str(blamed))))
            raise blamed from error
        noted = None if isinstance(answer, Edited) else dict(answer.notes)
        return answer, record("ok", cost=answer.cost, notes=noted)

    def _take_in(self, calls: Sequence[Call]) -> None:
        self.made.extend(calls)
        self._started.update(call.role for call in calls)
        self._before += sum(call.seconds for call in calls)

    def _refused(self, role: Role) -> Stop | None:
        """Why no other call of this role may start; calls in flight count as made."""
        counts = {f"{role}_calls": count for role, count in self._started.items()}
        return self.limits.before(role, replace(self.spend, **counts))

    def _wait(self, role: Role, error: EditThinkerError, repeated: int, took: float = 0.0) -> float | None:
        """Seconds until a call that took so many is worth repeating; None when it is not, or not allowed."""
        spent = repeated == self.limits.retries and not error.nobody
        if not error.transient or spent or self._refused(role):
            return None
        asked = error.retry_after or 0.0
        grown = min(FIRST_WAIT * 2.0 ** min(repeated, 10), LONGEST_WAIT) * random.uniform(0.75, 1.0)
        wait = max(asked if 0 < asked <= LONGEST_ASKED else grown, LEAST_WAIT - took)
        left = self._left()
        return None if left is not None and wait >= left else wait

    def _left(self) -> float | None:
        """Seconds until the time limit."""
        return None if self.limits.seconds is None else max(0.0, self.limits.seconds - self.spend.seconds)

    async def _cancellable(self, work: Awaitable[T], lap: Lap | None = None) -> T:
        """Await within the time limit; `close` cancels it."""
        call = asyncio.ensure_future(work)
        self._in_flight.add(call)
        try:
            async with asyncio.timeout(self._left()) as timeout:
                if lap is not None and self.limits.seconds is not None:
                    lap.timeout, lap.until = timeout, self.limits.seconds - self._before
                return await call
        except TimeoutError:
            if timeout.expired():
                raise LimitReached(Stop(StopReason.TIME_LIMIT, f"{self.limits.seconds:g} s")) from None
            raise
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._closed:
                raise Closed from None
            if task is not None and not task.cancelling():
                raise RuntimeError("the call was cancelled, and not by us") from None
            raise
        finally:
            self._in_flight.discard(call)


async def _outcome(verb: Callable[[], Awaitable[T]]) -> T | Exception:
    try:
        return await verb()
    except Exception as error:  # noqa: BLE001 - handed to whoever asked for several, who knows what one is worth
        return error


class _Again(Exception):
    """The attempt failed in passing; it is repeated after so many seconds."""

    def __init__(self, seconds: float, *, counts: bool) -> None:
        super().__init__(seconds)
        self.seconds, self.counts = seconds, counts
