"""Judging from the command line: one judge out of those named, its questions watched, stopped and told of."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from editthinker import resolve
from editthinker.benchmarks.evaluation import Asker, Ended, Evaluation
from editthinker.cli import batch, naming
from editthinker.cli.run_progress import LINE_SECONDS, LIVE_SECONDS
from editthinker.cli.terminal import inert, say
from editthinker.core import names
from editthinker.core.errors import InputError, StoreError
from editthinker.runs.disk import put
from editthinker.runs.folder import RunFolder
from editthinker.runs.runner import DRAIN_SECONDS, HEARTBEAT_SECONDS
from editthinker.runs.tally import HEARTBEAT
from editthinker.wire.pool import Pool
from editthinker.wire.pooled import PooledAsker

OF_CONNECTION = ("base_url", "key", "timeout", "cache", "price_in", "price_out", "reasks")
"""Settings of a judge that do not change what it says."""


def asker_of(judges: Sequence[str], patience: float, most: int | None) -> tuple[Asker, str]:
    """One judge out of several at different addresses, and what it is called in the store.

    Raises `InputError` when they are not one and the same judge.
    """
    members = {}
    for name in judges:
        naming.look_here_too("judge", name)
        members[names.recorded(name)] = resolve.resolve_asker(name)
    called = {judge_id(name): name for name in judges}
    if len(called) > 1:
        raise InputError(
            f"these judges cannot share one table: {', '.join(called)}; judge with one after the other, their"
            " marks are kept beside each other"
        )
    if len(set(judges)) < len(judges):
        raise InputError(f"the same judge is named twice: {names.recorded(judges[0])!r}")
    pool = Pool("judge", members, most=most or 256, patience=patience, tell=say)
    return PooledAsker(pool), next(iter(called))


def judge_id(name: str) -> str:
    """A judge's name as far as it says who judges, without where that is."""
    meaning = resolve.understood("judge", name)
    called = f"{meaning.model.name}:{meaning.what}" if meaning.what else meaning.model.name
    given = {key: value for key, value in meaning.given.items() if key not in OF_CONNECTION}
    return names.put_together(called, given)


async def judged(asking: Evaluation, work: Any, folder: RunFolder, *, quiet: bool) -> Ended:
    """Wait for `work`, the coroutine of `asking`; the first Ctrl-C lets calls under way end, a second not."""
    task = asyncio.ensure_future(work)
    _stop_on_signals(asking, task.cancel)
    watching = asyncio.create_task(_Watch(asking, folder).follow(quiet=quiet))
    try:
        ended: Ended = await task
    except asyncio.CancelledError:
        if not asking.ended.halted:
            raise
        return asking.ended
    else:
        return ended
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


def _stop_on_signals(asking: Evaluation, cancel: Callable[[], object]) -> None:
    asked = 0

    def leave() -> None:
        nonlocal asked
        asked += 1
        if asked > 1:
            cancel()
            return
        say("stopping: questions under way may be answered, for a few seconds; once more stops at once")
        asking.stop(batch.INTERRUPTED, DRAIN_SECONDS)

    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):  # Windows: Ctrl-C then ends in KeyboardInterrupt
            asyncio.get_running_loop().add_signal_handler(number, leave)


class _Watch:
    """How far it is: a line now and then, in place on a terminal; and the heartbeat of the run."""

    def __init__(self, asking: Evaluation, folder: RunFolder) -> None:
        self._asking, self._folder = asking, folder
        self._began = time.monotonic()

    async def follow(self, *, quiet: bool) -> None:
        """Until cancelled."""
        live = sys.stderr.isatty() and not quiet
        step = LIVE_SECONDS if live else HEARTBEAT_SECONDS
        told = beaten = self._began
        try:
            while True:
                await asyncio.sleep(step)
                now = time.monotonic()
                if now - beaten >= HEARTBEAT_SECONDS:
                    beaten = now
                    await asyncio.to_thread(self._beat, "judging")
                if live:
                    print(f"\r\x1b[K{inert(self._line())}", end="", file=sys.stderr, flush=True)
                elif not quiet and now - told >= LINE_SECONDS:
                    told = now
                    say(self._line())
        finally:
            if live:
                print("\r\x1b[K", end="", file=sys.stderr, flush=True)
            self._beat("stopped" if self._asking.ended.halted else "done")

    @property
    def _rate(self) -> float:
        """Calls a second."""
        return self._asking.ended.calls / max(time.monotonic() - self._began, 1e-3)

    @property
    def _eta(self) -> float | None:
        ended = self._asking.ended
        done = ended.answered - ended.kept
        seconds = time.monotonic() - self._began
        return seconds / done * (ended.questions - ended.answered - len(ended.failed)) if done else None

    def _line(self) -> str:
        ended = self._asking.ended
        phrases = [f"judge: {ended.answered} of {ended.questions} questions answered"]
        phrases += [f"{len(ended.failed)} failed"] * bool(ended.failed)
        phrases.append(f"{self._rate:.1f} calls/s")
        phrases.append(f"{self._asking.under_way} of {self._asking.room()} under way")
        if self._eta is not None and ended.answered < ended.questions:
            phrases.append(f"about {rough(self._eta)} left")
        phrases += [f"${ended.cost:.4f}"] * bool(ended.cost)
        return ", ".join(phrases)

    def _beat(self, state: str) -> None:
        """What others may want to know; that it cannot be written is no reason to stop."""
        ended = self._asking.ended
        told: Mapping[str, Any] = {
            "schema_version": 1,
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "state": state,
            "seconds": round(time.monotonic() - self._began, 3),
            "questions": ended.questions,
            "answered": ended.answered,
            "answered_before": ended.kept,
            "failed": len(ended.failed),
            "calls": {"judge": ended.calls},
            "calls_per_second": {"judge": round(self._rate, 2)},
            "in_flight": {"judge": self._asking.under_way},
            "room": {"judge": self._asking.room()},
            "cost": round(ended.cost, 6),
            "eta_seconds": None if self._eta is None else round(self._eta, 1),
        }
        with suppress(StoreError):
            put(self._folder.path / HEARTBEAT, json.dumps(told, indent=2).encode(), overwrite=True)


def rough(seconds: float) -> str:
    """For people who wait."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{round(seconds / 60)} min"
