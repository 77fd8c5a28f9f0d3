"""All workers of a run: started, waited for, taken into the pools, and more of them when there is room.

In: the models to be held, how many workers were asked for. Out: members to begin with, one for each model at
least; later ones join the pools while the run goes on, and lost ones leave them until they are back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import Any

from editthinker.core.errors import InputError
from editthinker.runs.cluster import address
from editthinker.runs.cluster.members import Remote, Store
from editthinker.runs.cluster.seat import Post, Seat, Unfit, is_hopeless
from editthinker.runs.cluster.shares import Asked, Node, Share, shares
from editthinker.wire.pool import Pool

__all__ = ["Post", "Staff"]

LOOK_AROUND = 5.0
"""Seconds between looks at whether the cluster has grown."""
BROKEN_AGAIN = 10.0
"""Seconds until a worker whose model could not be built tries again."""
SILENT = 10.0
"""Seconds of waiting for the first workers after which a person is told what for."""


class Staff:
    """The workers. Ray is connected before, and until after `close`."""

    def __init__(self, posts: Sequence[Post], asked: Asked, tell: Callable[[str], None]) -> None:
        self.posts = posts
        self._asked, self._tell = asked, tell
        self._store = Store()
        self._seats: dict[Post, list[Seat]] = {post: [] for post in posts}
        self._shares: dict[Post, Share] = {}
        self._keepers: list[asyncio.Task[None]] = []

    # --- before the run ---

    def begin(self, patience: float, *, grows: bool) -> list[dict[str, Remote]]:
        """Start workers; for each model, in order, members by name as soon as all have at least one.

        `grows`: whether machines may still join. Raises `InputError` when a model gets no worker within
        `patience` seconds, or cannot get one at all; else what its workers failed with.
        """
        nodes = address.nodes()
        self._hire(nodes)
        if lack := self._lack(nodes):
            if not grows:
                raise InputError(lack)
            self._tell(f"{lack}; waiting up to {patience:g} s for one")
        asyncio.run(self._first(patience))
        return [
            {seat.name: seat.member for seat in self._seats[post] if seat.member is not None}
            for post in self.posts
        ]

    def _hire(self, nodes: Sequence[Node]) -> list[Seat]:
        """Ask for the workers that are still wanted, one of each model in turn: none takes all the room."""
        wanted = shares([(post.role, post.heavy) for post in self.posts], self._asked, nodes)
        self._shares = dict(zip(self.posts, wanted, strict=True))
        fresh: list[list[Seat]] = []
        for post, share in self._shares.items():
            seats = self._seats[post]
            numbers = range(len(seats) + 1, share.workers + 1)
            made = [Seat(f"{post.name}@{number}", post, share, self._store) for number in numbers]
            seats.extend(made)
            fresh.append(made)
        hired = [seat for turn in zip_longest(*fresh) for seat in turn if seat is not None]
        for seat in hired:
            seat.hire()
        return hired

    def _lack(self, nodes: Sequence[Node]) -> str:
        """Why a model cannot get a worker; empty when each can."""
        for post, share in self._shares.items():
            if not any(node.cpus >= share.cpus and node.gpus >= share.gpus for node in nodes):
                return (
                    f"no machine of this Ray cluster has room for a worker of {post.told}, which needs"
                    f" {share.told}: the cluster has {_told(nodes)}"
                )
        return ""

    async def _first(self, patience: float) -> None:
        """Until each model has a worker."""
        loop = asyncio.get_running_loop()
        began, told = loop.time(), False
        coming = {
            asyncio.create_task(seat.introduced()): seat for seats in self._seats.values() for seat in seats
        }
        failed: dict[Seat, Exception] = {}
        try:
            while missing := [
                post for post in self.posts if not any(seat.model for seat in self._seats[post])
            ]:
                for post in missing:
                    seats = self._seats[post]
                    if all(seat in failed for seat in seats):
                        raise _of_worker(seats[0], failed[seats[0]])
                waited = loop.time() - began
                if waited >= patience:
                    raise InputError(self._unplaced(missing, f"got no worker within {patience:g} s"))
                if waited >= SILENT and not told:
                    told = True
                    self._tell(self._unplaced(missing, "waits for its first worker"))
                over, _ = await asyncio.wait(coming, timeout=1.0, return_when=asyncio.FIRST_COMPLETED)
                for task in over:
                    seat = coming.pop(task)
                    if error := task.exception():
                        failed[seat] = error  # type: ignore[assignment]  # a worker raises no BaseException
        finally:
            for task in coming:
                task.cancel()
            await asyncio.gather(*coming, return_exceptions=True)

    def _unplaced(self, missing: Sequence[Post], what: str) -> str:
        told = " and ".join(f"{post.told} (each worker needs {self._shares[post].told})" for post in missing)
        return f"{told} {what}; the cluster has {_told(address.nodes())}"

    # --- during the run ---

    async def tend(self, pools: Sequence[Pool[Any]]) -> None:
        """Keep the pools, one for each model in order, as the workers are. Until cancelled."""
        of = dict(zip(self.posts, pools, strict=True))
        try:
            for post, seats in self._seats.items():
                self._keep(of[post], seats)
            while True:
                await asyncio.sleep(LOOK_AROUND)
                nodes = await asyncio.to_thread(address.nodes)
                for seat in self._hire(nodes):
                    self._keep(of[seat.post], [seat])
        finally:
            for keeper in self._keepers:
                keeper.cancel()
            await asyncio.gather(*self._keepers, return_exceptions=True)

    def _keep(self, pool: Pool[Any], seats: Sequence[Seat]) -> None:
        self._keepers.extend(asyncio.create_task(self._kept(pool, seat)) for seat in seats)

    async def _kept(self, pool: Pool[Any], seat: Seat) -> None:
        """One worker in its pool whenever it is there."""
        seat.lost = asyncio.Event()
        seat.on_loss = lambda why: pool.part(seat.name, why)
        told, known = "", seat.model is not None
        while True:
            try:
                if not known:
                    await seat.introduced()
                self._check_alike(seat)
            except Exception as error:  # noqa: BLE001 - whatever a worker says must not end the others
                if told != str(error):
                    told = str(error)
                    self._tell(f"{seat.name} on {seat.node} is not used: {error}")
                if is_hopeless(error):
                    seat.dismiss()
                    return
                await asyncio.sleep(BROKEN_AGAIN)
                continue
            told, known = "", False
            pool.join(seat.name, seat.member)
            await seat.lost.wait()

    def _check_alike(self, seat: Seat) -> None:
        """Raises `InputError` when the worker's model is another than that of the first one."""
        first = next(other for other in self._seats[seat.post] if other.model is not None)
        if seat.model != first.model:
            raise InputError(
                f"its model differs from that of {first.name}: {seat.model} is not {first.model}"
            )

    def close(self) -> None:
        """Stop every worker."""
        for seats in self._seats.values():
            for seat in seats:
                seat.dismiss()


def _of_worker(seat: Seat, error: Exception) -> Exception:
    """What a person is told who gets no worker at all."""
    if isinstance(error, Unfit):
        return InputError(f"{seat.post.told} cannot be held on {seat.node}: {error}")
    if is_hopeless(error):
        return error
    return InputError(f"{seat.post.told} cannot be loaded on {seat.node}: {type(error).__name__}: {error}")


def _told(nodes: Sequence[Node]) -> str:
    """What a cluster has, for a person."""
    cpus, gpus = sum(node.cpus for node in nodes), sum(node.gpus for node in nodes)
    machines = f"{len(nodes)} machine{'s' * (len(nodes) != 1)}"
    return f"{machines} with {cpus:g} CPUs and {f'{gpus:g}' if gpus else 'no'} GPU{'s' * (gpus > 1)} together"
