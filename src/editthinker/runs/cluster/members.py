"""The contracts of `core.contracts` on the driver's side: a call of a member is a call of its worker.

In: a request. Out: the worker's answer, with the node it was on in its notes, or its error. Losses of Ray
(a process, a node, an object) become errors of the role that pass. Cancelling a call cancels it over there.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from editthinker.core.contracts import EditorInfo, View
from editthinker.core.errors import FAILURES, EditThinkerError
from editthinker.core.images import Folded, Picture
from editthinker.core.types import Edited, EditRequest, Judged, Plan, Preference, Role, Sample, Thought
from editthinker.runs.cluster.faults import Fault
from editthinker.runs.cluster.parcels import Facts, Parcel, packed, unpacked
from editthinker.runs.cluster.worker import Model, Reply

PASSING = (
    "RayActorError",
    "WorkerCrashedError",
    "NodeDiedError",
    "ObjectLostError",
    "ObjectStoreFullError",
    "OutOfMemoryError",
    "TaskCancelledError",
)
"""Errors of Ray after which the same call may succeed on another worker, or on this one once it is back."""


class Store:
    """Pictures that were handed to Ray's store: each once, for as long as somebody here holds the picture."""

    def __init__(self) -> None:
        self._refs: WeakKeyDictionary[Picture, tuple[Facts, Any]] = WeakKeyDictionary()

    def has(self, picture: Picture) -> bool:
        """Whether `put` costs nothing."""
        return picture in self._refs

    def put(self, picture: Picture) -> tuple[Facts, Any]:
        """Facts and a reference of Ray's."""
        import ray

        known = self._refs.get(picture)
        if known is None:
            parcel = Parcel.of(picture)
            known = self._refs[picture] = parcel.facts, ray.put(parcel)
        return known


class Line(Protocol):
    """How a member reaches its worker."""

    name: str
    node: str

    @property
    def handle(self) -> Any:
        """Ray's, of the actor that is there at present."""
        ...

    def lose(self, why: str) -> None:
        """Hear that it does not answer."""
        ...


class Remote:
    """What all members have in common."""

    def __init__(self, role: Role, model: Model, line: Line, store: Store) -> None:
        self.name, self.price = model.name, model.price
        self._role: Role = role
        self._line, self._store = line, store

    async def _ask(self, verb: str, *request: object) -> Any:
        body, pictures = packed(request)
        if all(map(self._store.has, pictures)):
            sent = [self._store.put(picture) for picture in pictures]
        else:
            sent = await asyncio.to_thread(lambda: [self._store.put(picture) for picture in pictures])
        folded = [isinstance(picture, Folded) for picture in pictures]
        far = {place: known for place, known in enumerate(sent) if folded[place]}
        near = {place: ref for place, (_, ref) in enumerate(sent) if not folded[place]}
        answer = await self._answered(verb, body, far, near)
        return replace(answer, notes={**answer.notes, "node": self._line.node})

    async def _answered(self, verb: str, body: bytes, far: dict[int, Any], near: dict[int, Any]) -> Any:
        import ray
        from ray.exceptions import RayError

        line = self._line
        where = f"{line.name} on {line.node}"
        try:
            ref = line.handle.call.remote(verb, body, far, list(near), *near.values())
            try:
                reply = await ref
            except asyncio.CancelledError:
                ray.cancel(ref)
                raise
        except RayError as error:
            raise self._loss(error, where) from error
        if isinstance(reply, Fault):
            found = reply.error()
            if isinstance(found, EditThinkerError):
                found.endpoint = found.endpoint or where
            raise found
        assert isinstance(reply, Reply)  # noqa: S101 - `Worker.call` gives nothing else
        return await asyncio.to_thread(_opened, reply) if reply.pictures else unpacked(reply.body, ())

    def _loss(self, error: Exception, where: str) -> Exception:
        kinds = {kind.__name__ for kind in type(error).__mro__}
        if not kinds & set(PASSING):
            return error
        why = f"{where} was lost in mid-call ({type(error).__name__})"
        loss = FAILURES[self._role](why)
        loss.transient, loss.endpoint = True, where
        if "RayActorError" in kinds:
            self._line.lose(why)
        return loss


def _opened(reply: Reply) -> Any:
    return unpacked(reply.body, [parcel.picture() for parcel in reply.pictures])


class RemoteEditor(Remote):
    """An editor elsewhere."""

    def __init__(self, role: Role, model: Model, line: Line, store: Store) -> None:
        super().__init__(role, model, line, store)
        assert model.info is not None  # noqa: S101 - every editor has it
        self._info = model.info

    @property
    def info(self) -> EditorInfo:
        """As the worker says."""
        return self._info

    async def edit(self, request: EditRequest) -> Edited:
        """As `Editor.edit`."""
        edited: Edited = await self._ask("edit", request)
        return edited


class RemoteThinker(Remote):
    """A thinker elsewhere."""

    async def think(self, view: View) -> Thought:
        """As `Thinker.think`."""
        thought: Thought = await self._ask("think", view)
        return thought


class RemotePlanner(RemoteThinker):
    """A thinker elsewhere that plans."""

    async def plan(self, sample: Sample, editor: EditorInfo) -> Plan:
        """As `Planner.plan`."""
        plan: Plan = await self._ask("plan", sample, editor)
        return plan


class RemoteJudge(Remote):
    """A judge elsewhere."""

    async def score(self, sample: Sample, edited: Picture) -> Judged:
        """As `Judge.score`."""
        judged: Judged = await self._ask("score", sample, edited)
        return judged


class RemoteComparer(Remote):
    """A comparer elsewhere."""

    async def prefer(self, sample: Sample, first: Picture, second: Picture) -> Preference:
        """As `Comparer.prefer`."""
        preference: Preference = await self._ask("prefer", sample, first, second)
        return preference


KINDS: dict[str, type[Remote]] = {
    "edit": RemoteEditor,
    "think": RemoteThinker,
    "plan": RemotePlanner,
    "score": RemoteJudge,
    "prefer": RemoteComparer,
}
"""By the verb that is asked of it."""


def member(role: Role, verb: str, model: Model, line: Line, store: Store) -> Remote:
    """What the pool gets for a worker. A thinker that plans is one that does here too."""
    plans = verb == "think" and "plan" in model.verbs
    return KINDS["plan" if plans else verb](role, model, line, store)
