"""Services that are only a clock: capacity, latencies, rates, queues, faults; hours of a run in a second.

The runner, its doors, the pools and the episodes are the real ones; time is the event loop's own and jumps to
whatever happens next. The work of a call depends on seed, sample and turn alone, not on who asks when.
"""

from __future__ import annotations

import asyncio
import random
import selectors
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from editthinker.core.contracts import EditorInfo, View
from editthinker.core.errors import FAILURES, EditThinkerError
from editthinker.core.images import Picture
from editthinker.core.limits import Limits
from editthinker.core.types import Critique, Edited, EditRequest, Role, Sample, Score, Thought
from editthinker.runs import runner as runs
from editthinker.runs.orders import Crew, Orders
from editthinker.runs.runner import Runner
from editthinker.runs.samples import Entry
from editthinker.runs.tally import Tally
from editthinker.testing import photograph
from editthinker.wire.pool import Pool
from editthinker.wire.pooled import PooledEditor, pooled_thinker

PHOTO = photograph(16, 16)
ANSWER = photograph(16, 16, seed=1)
TRAVEL = 0.005
"""Seconds to the server, and as many back, on average."""

START = 1000.0
"""When it all begins."""

Draw = Callable[[random.Random], float]


def constant(seconds: float) -> Draw:
    return lambda _: seconds


def lognormal(mean: float) -> Draw:
    """Scattered as generation times are; twenty times the mean at most."""
    return lambda dice: min(mean * dice.lognormvariate(-0.5, 1.0), 20 * mean)


@dataclass
class Fault:
    """What happens to some calls in place of, or after, the work."""

    kind: str
    """"500", "503", "reset": at once; "bad": after the work; "hang": never; "400"."""
    share: float = 1.0
    after: float = 0.0
    before: float = float("inf")
    retry_after: float | None = None
    samples: frozenset[int] | None = None
    turns: frozenset[int] | None = None
    first: int = 10**9
    """Only the first so many attempts."""


@dataclass
class Service:
    """One server."""

    draw: Draw
    capacity: int = 8
    per_second: float = 0.0
    burst: float = 8.0
    queue: int | None = None
    faults: Sequence[Fault] = ()
    log: list[tuple[float, float, str]] = field(default_factory=list)
    """Of each call: when it came, when it ended, what came of it."""
    in_flight: int = 0
    most: int = 0
    """That came at a time."""
    waits: list[tuple[float, int]] = field(default_factory=list)
    busy: int = 0
    line: deque[asyncio.Future[None]] = field(default_factory=deque)
    tokens: float = 0.0
    filled: float = 0.0

    async def serve(self, role: Role, key: tuple[Any, ...], attempt: int) -> None:
        await asyncio.sleep(TRAVEL * random.uniform(0.5, 1.5))
        came, outcome = now(), "gone"
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        try:
            outcome = await self._served(role, key, attempt)
        finally:
            self.in_flight -= 1
            self.log.append((came, now(), outcome))
        await asyncio.sleep(TRAVEL * random.uniform(0.5, 1.5))
        if outcome != "ok":
            raise _error(role, outcome, self._fault_of(outcome))

    def _fault_of(self, kind: str) -> float | None:
        if kind == "429":
            return 1.0
        return next((fault.retry_after for fault in self.faults if fault.kind == kind), None)

    async def _served(self, role: Role, key: tuple[Any, ...], attempt: int) -> str:
        if self.per_second:
            self.tokens = min(self.burst, self.tokens + (now() - self.filled) * self.per_second)
            self.filled = now()
            if self.tokens < 1:
                return "429"
            self.tokens -= 1
        if self.queue is not None and len(self.line) >= self.queue:
            return "429"
        fault = self._pick(role, key, attempt)
        if fault and fault.kind == "hang":
            await asyncio.sleep(7200)
        if fault and fault.kind != "bad":
            await asyncio.sleep(0.02)
            return fault.kind
        if self.busy >= self.capacity:
            turn = asyncio.get_running_loop().create_future()
            self.line.append(turn)
            self.waits.append((now(), len(self.line)))
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._next()
                raise
        else:
            self.busy += 1
        try:
            seconds = self.draw(random.Random(repr(("work", role, *key))))
            await asyncio.sleep(seconds)
        finally:
            self._next()
        return fault.kind if fault else "ok"

    def _next(self) -> None:
        while self.line:
            turn = self.line.popleft()
            if not turn.done():
                self.waits.append((now(), len(self.line)))
                turn.set_result(None)
                return
        self.busy -= 1

    def _pick(self, role: Role, key: tuple[Any, ...], attempt: int) -> Fault | None:
        for place, fault in enumerate(self.faults):
            if not fault.after <= now() - START < fault.before or attempt > fault.first:
                continue
            if fault.samples is not None and key[1] not in fault.samples:
                continue
            if fault.turns is not None and key[2] not in fault.turns:
                continue
            if random.Random(repr((place, role, *key, attempt))).random() < fault.share:
                return fault
        return None


def _error(role: Role, outcome: str, retry_after: float | None) -> EditThinkerError:
    error = FAILURES[role](f"the {role} answered {outcome}")
    error.status = int(outcome) if outcome.isdigit() else None
    error.transient = outcome != "400"
    error.retry_after = retry_after
    return error


def now() -> float:
    return time.monotonic()


@dataclass
class World:
    """What all servers share: the seed, and how often each call was tried."""

    seed: int
    turns: int
    happy: float = 0.0
    """Chance that a critique is content."""
    attempts: Counter[Any] = field(default_factory=Counter)

    def happens(self, sample: int, turn: int) -> bool:
        return random.Random(repr(("happy", self.seed, sample, turn))).random() < self.happy


@dataclass
class Editing:
    world: World
    service: Service

    @property
    def info(self) -> EditorInfo:
        return EditorInfo("simulated")

    async def edit(self, request: EditRequest) -> Edited:
        sample, turn = _place(request.instruction)
        key = (self.world.seed, sample, turn)
        self.world.attempts["editor", key] += 1
        await self.service.serve("editor", key, self.world.attempts["editor", key])
        return Edited(ANSWER)


@dataclass
class Thinking:
    world: World
    service: Service
    name: str = "simulated"

    async def think(self, view: View) -> Thought:
        sample, turn = _place(view.instruction)
        key = (self.world.seed, sample, turn)
        self.world.attempts["thinker", key] += 1
        await self.service.serve("thinker", key, self.world.attempts["thinker", key])
        score = 9.0 if self.world.happens(sample, turn) else 3.0
        return Thought(Critique(Score(score, score), "because", f"{sample} {turn + 1}"))


def _place(instruction: str) -> tuple[int, int]:
    sample, turn = instruction.split()
    return int(sample), int(turn)


class _Storeless:
    """A run folder that forgets."""

    path = Path("nowhere")

    def begun(self) -> list[Any]:
        return []

    def spent(self) -> dict[str, Any]:
        return {}

    def set_unusable(self, _: object) -> None: ...

    def recorder(self, *_: Any, **__: Any) -> Any:
        return _Deaf()


class _Deaf:
    async def __call__(self, event: object) -> None: ...

    async def finished(self, trajectory: object) -> None: ...

    def folded(self, picture: Picture) -> Picture:
        return picture


@dataclass
class Scenario:
    samples: int = 64
    editors: Sequence[Callable[[], Service]] = (lambda: Service(constant(0.4)),)
    thinkers: Sequence[Callable[[], Service]] = (lambda: Service(constant(0.25)),)
    turns: int = 5
    happy: float = 0.0
    most: int = 256
    """Calls at a time at one server, as configured."""
    at_once: int | None = None
    """Samples at a time; None: as many as the runner finds right."""
    retries: int = 6
    """As the command line has it."""
    patience: float = 600.0


@dataclass
class Outcome:
    tally: Tally
    runner: Runner
    span: float
    """From the first call to the last answer."""
    editors: list[Service]
    thinkers: list[Service]
    told: list[str]
    bound: float
    """Seconds below which nobody can be: work over capacity of what was served, or the longest chain."""

    def count(self, outcome: str) -> int:
        return sum(it == outcome for s in (*self.editors, *self.thinkers) for _, _, it in s.log)

    @property
    def ratio(self) -> float:
        return self.span / self.bound


def play(scenario: Scenario, seed: int = 0, watch: Callable[[Runner], Any] | None = None) -> Outcome:
    world = World(seed, scenario.turns, scenario.happy)
    editors = [make() for make in scenario.editors]
    thinkers = [make() for make in scenario.thinkers]
    for service in (*editors, *thinkers):
        service.tokens = service.burst
    told: list[str] = []
    with virtual_time() as run, pytest.MonkeyPatch.context() as patch:
        random.seed(seed)
        how: dict[str, Any] = {"most": scenario.most, "patience": scenario.patience, "tell": told.append}
        edit = {f"e{n}": Editing(world, one) for n, one in enumerate(editors)}
        think = {f"t{n}": Thinking(world, one) for n, one in enumerate(thinkers)}
        crew = Crew(
            editor=PooledEditor(Pool("editor", cast(Any, edit), **how)),
            thinker=pooled_thinker(Pool("thinker", cast(Any, think), **how)),
        )
        patch.setattr(runs, "opened", lambda entry: (Sample((PHOTO,), entry.instruction, id=entry.id), ""))
        patch.setattr(Tally, "write_heartbeat", lambda *_: None)
        patch.setattr(Tally, "write_summary", lambda *_: None)
        entries = [Entry(str(number), f"{number} 1") for number in range(scenario.samples)]
        orders = Orders(
            limits=Limits(turns=scenario.turns, retries=scenario.retries), samples=scenario.at_once
        )
        runner = Runner(cast(Any, _Storeless()), entries, crew, orders)

        async def main() -> Tally:
            watching = asyncio.ensure_future(watch(runner)) if watch else None
            try:
                return await runner.run()
            finally:
                if watching:
                    watching.cancel()

        tally = run(main())
    logs = [entry for service in (*editors, *thinkers) for entry in service.log]
    span = max(end for _, end, _ in logs) - min(began for began, _, _ in logs)
    return Outcome(tally, runner, span, editors, thinkers, told, bound(scenario, world))


def bound(scenario: Scenario, world: World) -> float:
    """Work over capacity, or the longest chain, whichever is more; faults not counted."""
    work = {"editor": 0.0, "thinker": 0.0}
    longest = 0.0
    draws = {"editor": scenario.editors[0]().draw, "thinker": scenario.thinkers[0]().draw}
    for sample in range(scenario.samples):
        chain = 0.0
        for turn in range(1, scenario.turns + 1):
            content = world.happens(sample, turn)
            for role in ("editor", "thinker"):
                seconds = draws[role](random.Random(repr(("work", role, world.seed, sample, turn))))
                work[role] += seconds
                chain += seconds
            if content:
                break
        longest = max(longest, chain)
    capacity = {
        "editor": sum(make().capacity for make in scenario.editors),
        "thinker": sum(make().capacity for make in scenario.thinkers),
    }
    return max(longest, *(work[role] / capacity[role] for role in work))


class _Jump(selectors.SelectSelector):
    """Never waits: time jumps to what happens next."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise RuntimeError("everybody waits for somebody")
            self.now += max(timeout, 0.0)
        return ready


class _VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.clock = _Jump()
        super().__init__(self.clock)

    def time(self) -> float:
        return self.clock.now

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:
        """At once: threads would live in another time."""
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - handed to whoever waits
            done.set_exception(error)
        return done


@contextmanager
def virtual_time() -> Iterator[Callable[[Any], Any]]:
    """Runs coroutines in a time of their own, which `time.monotonic` tells too."""
    loop = _VirtualLoop()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "monotonic", loop.time)
        try:
            yield loop.run_until_complete
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()
