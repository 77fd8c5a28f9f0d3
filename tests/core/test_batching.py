"""The queue around a model: order, sharing, leaving, failing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from editthinker.core.batching import Abandoned, Job, Queue


class Model:
    """Doubles numbers; a gate holds it until opened, and every call is written down."""

    def __init__(self, most: int = 4) -> None:
        self.calls: list[list[int]] = []
        self.busy = threading.Event()
        self.gate = threading.Event()
        self.queue: Queue[int, int] = Queue(self.run, most)

    def run(self, jobs: Sequence[Job[int, int]]) -> None:
        self.calls.append([job.work for job in jobs])
        self.busy.set()
        assert self.gate.wait(5)
        if not any(job.wanted for job in jobs):
            raise Abandoned
        for job in jobs:
            if job.work < 0:
                raise ValueError("negative")
            job.succeed(2 * job.work)

    async def start(self, *numbers: int) -> list[asyncio.Task[int]]:
        """One task for each number; the first is being worked at when this returns."""
        tasks = [asyncio.create_task(self.queue.do(number, number % 10)) for number in numbers]
        await asyncio.to_thread(self.busy.wait, 5)
        return tasks


async def test_requests_of_one_kind_share_a_call() -> None:
    model = Model()
    tasks = await model.start(1, 11, 2, 21, 31, 41)
    model.gate.set()
    assert await asyncio.gather(*tasks) == [2, 22, 4, 42, 62, 82]
    assert model.calls == [[1, 11, 21, 31], [2], [41]]


async def test_without_sharing_everyone_is_served_alone_and_in_order() -> None:
    model = Model(most=1)
    tasks = await model.start(1, 11, 2)
    model.gate.set()
    await asyncio.gather(*tasks)
    assert model.calls == [[1], [11], [2]]


async def test_one_who_leaves_a_shared_call_does_not_disturb_the_others() -> None:
    model = Model()
    tasks = await model.start(1, 11, 21)
    tasks[1].cancel()
    with pytest.raises(asyncio.CancelledError):
        await tasks[1]
    model.gate.set()
    assert await tasks[0] == 2
    assert await tasks[2] == 42


async def test_one_who_leaves_the_queue_is_never_worked_for() -> None:
    model = Model(most=1)
    tasks = await model.start(1, 2, 3)
    tasks[1].cancel()
    await asyncio.sleep(0)
    model.gate.set()
    assert await tasks[0] == 2
    assert await tasks[2] == 6
    assert model.calls == [[1], [3]]


async def test_a_call_that_nobody_waits_for_ends_and_the_next_one_works() -> None:
    model = Model()
    tasks = await model.start(1)
    tasks[0].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    model.gate.set()
    assert await model.queue.do(5, 5) == 10


async def test_a_failure_reaches_everyone_in_the_call_and_nobody_else() -> None:
    model = Model()
    model.gate.set()
    done = await asyncio.gather(*(model.queue.do(n, n) for n in (-1, 3)), return_exceptions=True)
    assert isinstance(done[0], ValueError)
    assert done[1] == 6


async def test_nobody_waits_for_ever_when_an_answer_is_missing() -> None:
    queue: Queue[int, int] = Queue(lambda jobs: None, 4)
    with pytest.raises(RuntimeError, match="without an answer"):
        await asyncio.wait_for(queue.do(1), 5)


def test_it_serves_one_loop_after_another() -> None:
    model = Model()
    model.gate.set()
    assert [asyncio.run(model.queue.do(n, n)) for n in (1, 2)] == [2, 4]
