"""The seconds of an episode, without those in which all its calls only waited for their turn.

In: calls that begin, wait in line, and end. Out: seconds, and how long each call waited. In a batch a call
may wait minutes for a free server; that is neither the call's duration nor time the sample had. Whoever makes
calls wait says so with `in_line`, and need not know whom it makes wait.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class Clock:
    """Of one episode. It starts with the first call and stands still while every call waits in line."""

    _began: float | None = None
    _ended: float | None = None
    _calls: int = 0
    _in_line: int = 0
    _still_since: float | None = None
    _still: float = 0.0

    @property
    def seconds(self) -> float:
        """Seconds until now, or until it was stopped."""
        if self._began is None:
            return 0.0
        now = time.monotonic() if self._ended is None else self._ended
        still = self._still + (0.0 if self._still_since is None else max(0.0, now - self._still_since))
        return now - self._began - still

    def stop(self) -> None:
        """From now on `seconds` stays as it is."""
        self._ended = self._ended or time.monotonic()

    @contextmanager
    def call(self) -> Iterator[Lap]:
        """Around one call."""
        self._began = time.monotonic() if self._began is None else self._began
        lap = Lap(self)
        token = _lap.set(lap)
        self.count(calls=1)
        try:
            yield lap
        finally:
            _lap.reset(token)
            self.count(calls=-1)

    def count(self, *, calls: int = 0, in_line: int = 0) -> None:
        """So many more, or fewer, calls under way, and of them waiting."""
        self._calls += calls
        self._in_line += in_line
        now, still = time.monotonic(), 0 < self._calls == self._in_line
        if still and self._still_since is None:
            self._still_since = now
        elif not still and self._still_since is not None:
            self._still += now - self._still_since
            self._still_since = None


@dataclass(slots=True, eq=False)
class Lap:
    """One call."""

    clock: Clock
    waited: float = 0.0
    """Seconds it waited in line."""
    timeout: asyncio.Timeout | None = field(default=None)
    """What ends it at the time limit; it stands still too."""
    until: float = 0.0
    """Seconds of the clock at which that is."""

    @contextmanager
    def in_line(self) -> Iterator[None]:
        """Around waiting."""
        began = time.monotonic()
        self.clock.count(in_line=1)
        if self.timeout:
            self.timeout.reschedule(None)
        try:
            yield
        finally:
            self.clock.count(in_line=-1)
            self.waited += time.monotonic() - began
            if self.timeout and not self.timeout.expired():
                left = max(0.0, self.until - self.clock.seconds)
                self.timeout.reschedule(asyncio.get_running_loop().time() + left)


_lap: ContextVar[Lap | None] = ContextVar("lap", default=None)


@contextmanager
def in_line() -> Iterator[None]:
    """Whatever is awaited within is waiting for one's turn, not the call itself."""
    lap = _lap.get()
    if lap is None:
        yield
    else:
        with lap.in_line():
            yield
