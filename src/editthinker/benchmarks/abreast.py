"""Many things done at the same time: as many as there is room for, which may change at any moment.

In: things, what is to be done with each, how many at a time. Out: it is done with all of them, or, once it is
stopped, with those that were under way.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


class Abreast(Generic[T]):
    """Single-use. `under_way` may be read at any time."""

    def __init__(self, work: Callable[[T], Awaitable[None]], room: Callable[[], int]) -> None:
        """`room` is asked whenever something begins or ends."""
        self._work, self._room = work, room
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._error: BaseException | None = None
        self._within = math.inf
        self.stopped = False

    @property
    def under_way(self) -> int:
        """Things that are worked on."""
        return len(self._tasks)

    async def run(self, things: Iterable[T]) -> None:
        """Raises the first error; what else is under way is then cancelled."""
        waiting = deque(things)
        try:
            while (waiting or self._tasks) and not self.stopped and not self._error:
                while waiting and not self.stopped and self.under_way < max(1, self._room()):
                    self._begin(waiting.popleft())
                await self._change()
            await self._calm()
        finally:
            left = list(self._tasks)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
        if self._error:
            raise self._error

    def stop(self, within: float = math.inf) -> None:
        """Begin nothing more; what is under way may end `within` so many seconds."""
        self.stopped, self._within = True, within
        self._changed.set()

    def _begin(self, thing: T) -> None:
        async def work() -> None:
            await self._work(thing)

        task = asyncio.create_task(work())
        self._tasks.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._error = self._error or error
        self._changed.set()

    async def _calm(self) -> None:
        """Wait for what is under way, as long as it may take."""
        clock = asyncio.get_running_loop().time
        began = clock()
        while self._tasks and not self._error and (left := began + self._within - clock()) > 0:
            await self._change(left)

    async def _change(self, seconds: float = math.inf) -> None:
        try:
            async with asyncio.timeout(None if math.isinf(seconds) else seconds):
                await self._changed.wait()
        except TimeoutError:
            return
        self._changed.clear()
