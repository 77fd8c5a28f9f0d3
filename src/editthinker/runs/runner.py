"""Many samples at a time, each an episode of its own, as fast as the models allow and never twice.

In: entries, models, a run folder, how it is done. Out: ends in the ledger, and a `Tally`. What an episode is
told is durable before its next call, so that after a crash the next process goes on where this one stopped.
It is handed objects and builds none; that one editor is many servers is the business of whoever built it.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

from editthinker.core.episode import Episode
from editthinker.core.errors import EditThinkerError, InputError, Refused, StoreError
from editthinker.core.past import Past
from editthinker.core.strategies import strategy_named
from editthinker.core.types import Role, Sample, StopReason, Trajectory
from editthinker.runs.delivering import deliver, sweep
from editthinker.runs.doors import Doors
from editthinker.runs.folder import RunFolder
from editthinker.runs.ledger import Begun
from editthinker.runs.opening import changes, opened
from editthinker.runs.orders import Crew, Orders, capacities, prices, seed_of
from editthinker.runs.recorder import Recorder
from editthinker.runs.samples import Entry
from editthinker.runs.tally import Ending, Failed, Tally
from editthinker.runs.usher import Usher

MOST_IN_FLIGHT = 256
"""Samples at a time, whatever the models take: what bounds the memory."""
DRAIN_SECONDS = 4.0
"""How long calls that are under way may go on once the run is to end."""
HEARTBEAT_SECONDS = 2.0
HOPELESS = 25
"""Samples that fail one after another, without one that does not, until the run gives up."""


class Runner:
    """One start of a run. Single-use; `tally` may be read at any time."""

    def __init__(self, folder: RunFolder, entries: Sequence[Entry], crew: Crew, orders: Orders) -> None:
        """Raises `InputError` when an input is not what it was when the run began."""
        self.tally = Tally(inputs=len(entries))
        self._folder, self._crew, self._orders = folder, crew, orders
        if orders.out:
            sweep(orders.out)
        self._begun = {begun.key: begun for begun in folder.begun()}
        self._todo = deque(self._sorted(entries))
        spent = folder.spent()
        self.tally.calls.update({cast(Role, role): number for role, (number, _) in spent.items()})
        self.tally.cost = sum(cost for _, cost in spent.values())
        self.doors = Doors(
            capacity=capacities(crew),
            price=prices(crew),
            budget=orders.budget,
            spent=self.tally.cost,
            editor_calls=self.tally.calls["editor"],
        )
        self._ushers: dict[asyncio.Task[None], Usher] = {}
        self._grace = DRAIN_SECONDS
        self._error: Exception | None = None
        self._held: list[_End] = []
        """Samples that failed before any call of the role succeeded: it may be its fault, not theirs."""
        self._in_a_row: Counter[Role] = Counter()
        self._unusable: dict[str, str] = {}
        self.halted = ""
        """Why it ended before its inputs did; empty when it did not."""

    async def run(self) -> Tally:
        """Until every input has ended, the budget is used up, or somebody stops it. Raises `StoreError`."""
        folder, tally = self._folder, self.tally
        tally.state = "running"
        clocks = [asyncio.create_task(self._beat()), asyncio.create_task(self._deadline())]
        try:
            await self._play()
        finally:
            self.doors.close()
            tasks = [*clocks, *self._ushers]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            tally.state = "broken" if self._error else "stopped" if self.halted else "done"
            self._note()
            tally.write_heartbeat(folder.path)
        if self._error:
            raise self._error
        folder.set_unusable(self._unusable)
        tally.write_summary(folder.path)
        return tally

    def drain(self, why: str) -> None:
        """Start no further call; what is under way may end, for a few seconds."""
        self.halted = self.halted or why
        self.tally.state = "stopping"
        self.doors.close()

    def stop(self, why: str) -> None:
        """The same, and cancel what is under way."""
        self._grace = 0.0
        self.drain(why)

    # --- what there is to do ---

    def _sorted(self, entries: Sequence[Entry]) -> list[Entry]:
        """Those still to be played: samples that were begun first, as they are nearest to their end."""
        fresh, started = [], []
        for entry in entries:
            begun = self._begun.get(entry.key)
            if begun is None:
                fresh.append(entry)
                continue
            if difference := changes(entry, begun.inputs):
                raise InputError(
                    f"sample {entry.id!r} is not what it was when this run began: {difference};"
                    " put it back, or begin another run in a folder of its own"
                )
            ending = _ending(begun)
            if ending is None or (ending == "failed" and self._orders.retry_failed):
                started.append(entry)
            else:
                self._count_before(entry, begun, ending)
        return started + fresh

    def _count_before(self, entry: Entry, begun: Begun, ending: Ending) -> None:
        tally, failure = self.tally, begun.failure
        tally.before += 1
        tally.endings[ending] += 1
        tally.stops[str(begun.reason)] += 1
        tally.delivered += begun.chosen is not None
        if failure and ending != "finished":
            tally.failures.append(
                Failed(entry.id, ending, failure["blame"], failure["kind"], failure["message"])
            )
        if self._orders.out and begun.chosen:
            turn = self._folder.turn(begun.number, begun.chosen)
            if turn:
                deliver(self._folder.image_path(turn.image), self._orders.out, entry.id)

    # --- playing ---

    async def _play(self) -> None:
        doors, changed = self.doors, self.doors.changed
        while not doors.closed:
            while self._todo and self._may_start():
                self._start(self._todo.popleft())
            self._note()
            if not self._ushers:
                break
            await changed.wait()
            changed.clear()
        if doors.why:
            self.drain(doors.why)
        await self._calm()
        if not self.halted and not self._error:
            for end in self._held:
                await self._keep(end)

    async def _calm(self) -> None:
        """Wait for calls under way and for what they bring to be stored; not for ever."""
        clock = asyncio.get_running_loop().time
        began, quiet = clock(), 0
        while self._ushers and quiet < 3 and clock() - began < self._grace:
            if any(getattr(model, "waiting", 0) for model in self._models):
                return  # calls that are not under way but wait for a server would start now
            stirring = self.doors.in_flight.total() or any(usher.busy for usher in self._ushers.values())
            quiet = 0 if stirring else quiet + 1
            await asyncio.sleep(0.01)

    def _may_start(self) -> bool:
        """Whether another sample would find work before those in flight are done."""
        number, doors = len(self._ushers), self.doors
        if self._orders.samples is not None:
            return number < self._orders.samples
        if number >= min(MOST_IN_FLIGHT, 2 * sum(map(doors.room, self._roles))):
            return False
        first = self._first_role
        room = doors.room(first)
        if len(self._todo) <= room:  # the end is near: begun now, the last ones are not left over
            return True
        queued = doors.waiting(first) + sum(not usher.seated for usher in self._ushers.values())
        swamped = any(doors.waiting(role) > doors.room(role) for role in self._roles if role != first)
        return queued < max(2, room // 2) and not swamped

    @property
    def _models(self) -> list[object]:
        crew = self._crew
        models = (crew.editor, crew.thinker, crew.judge, crew.comparer, *crew.alternates)
        return [getattr(model, "pool", model) for model in models]

    @property
    def _ended(self) -> str:
        """Why no call of some role can succeed any more; empty while all may."""
        return next((why for model in self._models if (why := getattr(model, "ended", ""))), "")

    @property
    def _roles(self) -> list[Role]:
        crew = self._crew
        models = {"editor": crew.editor, "thinker": crew.thinker, "judge": crew.judge or crew.comparer}
        return [cast(Role, role) for role, model in models.items() if model is not None]

    @property
    def _first_role(self) -> Role:
        method = self._orders.method
        strategy = strategy_named(method.strategy)
        asks = strategy.rewrites or (strategy.plans and method.plan is None)
        return "thinker" if asks and self._crew.thinker is not None else "editor"

    def _start(self, entry: Entry) -> None:
        usher = Usher(self.doors, self.tally, self._orders.limits.turns)
        task = asyncio.create_task(self._sample(entry, usher), name=entry.id)
        self._ushers[task] = usher
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._ushers.pop(task).leave()
        if not task.cancelled() and (error := task.exception()):
            self._error = self._error or cast(Exception, error)
            self.drain(str(error))  # calls under way are paid for: what they bring may still find a place
        self.doors.changed.set()

    async def _sample(self, entry: Entry, usher: Usher) -> None:
        """One sample from its files to its end. Raises `StoreError`: without a store nothing goes on."""
        past = Past()
        try:
            sample, inputs = await asyncio.to_thread(opened, entry)
            if entry.key in self._begun:
                past = await asyncio.to_thread(self._folder.past, entry.key)
            recorder = self._folder.recorder(sample, key=entry.key, inputs=inputs, past=past)
            usher.recorder = recorder
            episode = self._episode(sample, usher, past)
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - one file that nobody can read must not cost the others
            self._unusable[entry.id] = str(error)
            self._count(entry.id, None, Failed.of(entry.id, error))
            return
        try:
            trajectory = await episode.run()
        except asyncio.CancelledError:
            if usher.called:
                with suppress(StoreError):  # only what was cancelled would be missing
                    await recorder.finished(episode.trajectory)
            raise
        if isinstance(episode.error, StoreError):
            raise episode.error
        if episode.error and (ended := self._ended):
            self.drain(ended)  # no fault of the sample's: it goes on when the run does
            return
        usher.busy += 1
        await self._end(_End(entry, recorder, trajectory, episode.error))
        usher.busy -= 1

    def _episode(self, sample: Sample, usher: Usher, past: Past) -> Episode:
        crew, orders, method = self._crew, self._orders, self._orders.method
        return Episode(
            sample,
            crew.editor,
            crew.thinker,
            strategy=method.strategy,
            limits=orders.limits,
            seed=seed_of(orders.seed, sample.id),
            listener=usher,
            judge=crew.judge,
            comparer=crew.comparer,
            alternates=crew.alternates,
            policy=method.policy,
            candidates=method.candidates,
            stack=method.stack,
            plan=method.plan,
            paste_back=method.paste_back,
            past=past,
            fold=usher.recorder.folded if usher.recorder else None,
        )

    # --- ends ---

    async def _end(self, end: _End) -> None:
        role = _at_fault(end.error)
        self._in_a_row = Counter({role: self._in_a_row[role] + 1} if role else {})
        self._held.append(end)
        for held in [held for held in self._held if _at_fault(held.error) in (None, *self.doors.proven)]:
            self._held.remove(held)
            await self._keep(held)
        if role and self._in_a_row[role] >= HOPELESS:
            self.drain(f"the last {HOPELESS} samples failed: {end.error}; --retry-failed takes them up again")

    async def _keep(self, end: _End) -> None:
        """Store an end, deliver its image, count it."""
        await end.recorder.finished(end.trajectory)
        trajectory, out = end.trajectory, self._orders.out
        if out and trajectory.turn:
            image = self._folder.image_path(end.recorder.image(trajectory.turn.image))
            await asyncio.to_thread(deliver, image, out, end.entry.id)
        self.tally.turns += len(trajectory.turns)
        self._count(end.entry.id, trajectory, Failed.of(end.entry.id, end.error))
        if self._orders.fail_fast and end.error:
            self.drain(f"sample {end.entry.id!r} failed (--fail-fast): {end.error}")

    def _count(self, name: str, trajectory: Trajectory | None, failed: Failed | None) -> None:
        tally = self.tally
        tally.endings[failed.ending if failed else "finished"] += 1
        if failed:
            tally.failures.append(failed)
        if trajectory:
            tally.stops[trajectory.stop.reason.value] += 1
            tally.delivered += trajectory.delivered
        elif self._orders.fail_fast and failed:
            self.drain(f"sample {name!r} cannot be used (--fail-fast): {failed.message}")

    # --- clocks ---

    def _note(self) -> None:
        tally, doors = self.tally, self.doors
        tally.samples_in_flight = len(self._ushers)
        tally.in_flight = doors.in_flight
        for role in tally.calls:
            tally.room[role] = doors.room(role)
        for model in cast(list[Any], self._models):
            if hasattr(model, "states"):
                tally.servers[model.role] = model.states()

    async def _beat(self) -> None:
        while True:
            self._note()
            await asyncio.to_thread(self.tally.write_heartbeat, self._folder.path)
            await asyncio.sleep(HEARTBEAT_SECONDS)

    async def _deadline(self) -> None:
        if (seconds := self._orders.budget.seconds) is not None:
            await asyncio.sleep(seconds)
            self.stop(f"the limit of {seconds:g} s was reached")


@dataclass(frozen=True, slots=True)
class _End:
    entry: Entry
    recorder: Recorder
    trajectory: Trajectory
    error: Exception | None


def _ending(begun: Begun) -> Ending | None:
    """How a sample ended; None when it has not, and can go on."""
    if not begun.finished:
        return None
    if begun.reason == StopReason.REFUSED:
        return "refused"
    return "failed" if begun.failure else "finished"


def _at_fault(error: Exception | None) -> Role | None:
    """The role that failed for reasons that need not be the sample's."""
    if not isinstance(error, EditThinkerError) or isinstance(error, Refused):
        return None
    return error.blame if error.blame in ("editor", "thinker", "judge") else None
