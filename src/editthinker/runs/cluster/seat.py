"""One worker's place, from its start through every loss to its end; at times nobody sits there.

In: a factory, what the worker may use, what its model must be. Out: a member that can be called while the
worker is there, and word of when it is not. Ray starts the actor again by itself; where it cannot, this does.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from editthinker.core.errors import EditThinkerError, InputError
from editthinker.core.types import Role
from editthinker.runs.cluster.faults import Fault
from editthinker.runs.cluster.members import Remote, Store, member
from editthinker.runs.cluster.shares import Share
from editthinker.runs.cluster.worker import Model, Worker, version

AGAIN = 0.25
"""Seconds between looks at a worker that is not there."""
AT_ONCE = 300
"""Calls an actor takes at a time; more than a pool ever gives it, so that nothing waits where nobody sees."""


class Unfit(InputError):
    """A worker that must not be used, wherever it is started again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """A model that is to be held by workers."""

    role: Role
    verb: str
    """What it is asked: edit, think, score or prefer."""
    name: str
    """For records and messages."""
    factory: Callable[[], object]
    """Builds it on any node; can be pickled."""
    heavy: bool = False
    """Whether it wants a GPU."""

    @property
    def told(self) -> str:
        """For a person."""
        return f"{self.role} {self.name!r}"


@dataclass(slots=True, eq=False)
class Seat:
    """One of them."""

    name: str
    post: Post
    share: Share
    store: Store
    handle: Any = None
    node: str = "a node"
    model: Model | None = None
    """What it said of its model last."""
    member: Remote | None = None
    lost: asyncio.Event = field(default_factory=asyncio.Event)
    on_loss: Callable[[str], None] | None = None

    def hire(self) -> None:
        """Ask Ray for a worker; it may be long until there is one."""
        import ray

        share = self.share
        actor = ray.remote(Worker).options(
            num_cpus=share.cpus,
            num_gpus=share.gpus,
            max_restarts=-1,
            max_task_retries=0,
            max_concurrency=AT_ONCE,
            scheduling_strategy="SPREAD",
        )
        self.handle = actor.remote(self.post.factory, os.getcwd(), share.threads)  # noqa: PTH109

    def dismiss(self) -> None:
        """Stop the worker for good."""
        import ray

        if self.handle is not None:
            ray.kill(self.handle, no_restart=True)
            self.handle = None

    def lose(self, why: str) -> None:
        """The worker does not answer: whoever relies on it hears of it once, at once."""
        if not self.lost.is_set():
            self.lost.set()
            if self.on_loss is not None:
                self.on_loss(why)

    async def introduced(self) -> Model:
        """Wait until the worker is there and has its model. Raises what keeps it from that, or `Unfit`."""
        from ray.exceptions import ActorDiedError, RayError

        while True:
            try:
                hello = await self.handle.hello.remote()
                self._check(hello)
                facts = await self.handle.facts.remote()
            except ActorDiedError as error:  # for good: it never came to be, or somebody killed it
                if "ModuleNotFoundError" in str(error) or "No module named" in str(error):
                    raise Unfit(_absent(str(error))) from error
                await asyncio.sleep(AGAIN)
                self.hire()
            except RayError:
                await asyncio.sleep(AGAIN)
            else:
                break
        if isinstance(facts, Fault):
            raise facts.error()
        if self.post.verb not in facts.verbs:
            raise Unfit(f"it is no {self.post.role}")
        self.model = model = cast(Model, facts)
        self.member = self.member or member(self.post.role, self.post.verb, model, self, self.store)
        self.lost.clear()
        return model

    def _check(self, hello: dict[str, Any]) -> None:
        self.node = str(hello["node"])
        if hello["version"] != version():
            raise Unfit(
                f"it runs editthinker {hello['version']} and this is {version()};"
                " install the same version on every machine of the cluster"
            )


def _absent(message: str) -> str:
    missing = message.rpartition("No module named")[2].strip().splitlines()[0].strip(" '\"")
    return f"a machine of the cluster lacks the module {missing!r}; install editthinker alike on all of them"


def is_hopeless(error: Exception) -> bool:
    """Whether the same worker would fail the same way again."""
    return isinstance(error, EditThinkerError) and error.blame == "input"
