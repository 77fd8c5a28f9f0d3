"""The one thread that writes the ledger: whatever has come together goes to disk in one transaction.

In: jobs of several episodes at the same time. Out: each is told when its job is durable. While the disk works
at one transaction the next gathers, so a slow disk costs waiting, not throughput.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Sequence
from contextlib import suppress

from editthinker.runs.ledger import Job, Ledger

_Waiting = tuple[Sequence[Job], "asyncio.Future[None]"]


class Commits:
    """Starts its thread with the first job; `close` ends it once everything is written."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    async def write(self, jobs: Sequence[Job]) -> None:
        """Returns when the jobs are durable; all of them or none. Raises `StoreError`.

        Cancelling the wait does not take them back.
        """
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="editthinker-ledger", daemon=True)
            self._thread.start()
        written = asyncio.get_running_loop().create_future()
        self._queue.put((jobs, written))
        await written

    def close(self) -> None:
        """Wait until everything is written."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def _work(self) -> None:
        while (first := self._queue.get()) is not None:
            waiting, last = [first], False
            while not self._queue.empty() and not last:
                more = self._queue.get()
                if more is None:
                    last = True
                else:
                    waiting.append(more)
            self._commit(waiting)
            if last:
                return

    def _commit(self, waiting: Sequence[_Waiting]) -> None:
        failure: Exception | None = None
        try:
            self._ledger.commit([job for jobs, _ in waiting for job in jobs])
        except Exception as error:  # noqa: BLE001 - raised again by each of those who wait
            failure = error
        for loop in {written.get_loop() for _, written in waiting}:
            mine = [written for _, written in waiting if written.get_loop() is loop]
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(_settle, mine, failure)


def _settle(written: Sequence[asyncio.Future[None]], failure: Exception | None) -> None:
    for future in written:
        if future.done():  # cancelled
            continue
        if failure is None:
            future.set_result(None)
        else:
            future.set_exception(failure)
