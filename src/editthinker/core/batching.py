"""One model in this process, many callers: a worker thread that gathers requests which can share a call.

In: jobs, from any event loop. Out: each job's own answer, failure, or silence when nobody waits any more. The
worker is the lock around the model: nothing else may touch it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Lock
from typing import Generic, TypeVar

Work = TypeVar("Work")
Answer = TypeVar("Answer")
T = TypeVar("T")

GATHERING = 0.005
"""Seconds to wait for company when a call has room for more."""


class Abandoned(Exception):
    """Nobody waits for any job of this call any more."""


@dataclass(eq=False, slots=True)
class Job(Generic[Work, Answer]):
    """One request in the queue."""

    work: Work
    key: Hashable
    """Jobs with equal keys may share a call."""
    answer: Future[Answer] = field(default_factory=Future)

    @property
    def wanted(self) -> bool:
        """Whether somebody still waits for it."""
        return not self.answer.cancelled()

    def succeed(self, answer: Answer) -> None:
        """Hand the answer over, if it is still wanted."""
        with suppress(InvalidStateError):
            self.answer.set_result(answer)

    def fail(self, error: BaseException) -> None:
        """Hand a failure over, if the job is still wanted."""
        with suppress(InvalidStateError):
            self.answer.set_exception(error)


class Queue(Generic[Work, Answer]):
    """Runs jobs in the order in which they came, up to `most` of one kind in a call."""

    def __init__(self, run: Callable[[Sequence[Job[Work, Answer]]], None], most: int) -> None:
        """`run` gets one to `most` jobs of one key, in the worker thread, and must answer each of them."""
        self._run, self._most = run, most
        self._waiting: deque[Job[Work, Answer]] = deque()
        self._lock = Lock()
        self._worker = ThreadPoolExecutor(1, "model")

    async def do(self, work: Work, key: Hashable = None) -> Answer:
        """The answer to `work`. Cancelling takes it out of the queue, or out of the call it is part of."""
        job: Job[Work, Answer] = Job(work, key)
        with self._lock:
            self._waiting.append(job)
        self._worker.submit(self._next)
        return await asyncio.wrap_future(job.answer)

    async def apart(self, verb: Callable[[], T]) -> T:
        """Run `verb` in the worker thread, alone."""
        return await asyncio.wrap_future(self._worker.submit(verb))

    def _next(self) -> None:
        with self._lock:
            room = len(self._waiting) < self._most
        if self._most > 1 and room:
            time.sleep(GATHERING)
        jobs = self._gathered()
        if not jobs:
            return
        try:
            self._run(jobs)
        except Abandoned:
            pass
        except BaseException as error:  # noqa: BLE001 - whoever waits must hear of it, whatever it is
            for job in jobs:
                job.fail(error)
        for job in jobs:
            if job.wanted and not job.answer.done():
                job.fail(RuntimeError("the call ended without an answer to this request"))

    def _gathered(self) -> list[Job[Work, Answer]]:
        """The oldest job that is wanted, and others that may share its call."""
        with self._lock:
            wanted = [job for job in self._waiting if job.wanted]
            jobs = [job for job in wanted if job.key == wanted[0].key][: self._most]
            self._waiting = deque(job for job in wanted if job not in jobs)
        return jobs
