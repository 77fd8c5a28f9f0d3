"""What one endpoint is good for, judged from what became of its calls; times are arguments, there is no I/O.

In: successes and failures. Out: whether it may be called now, how fast it is, when a call to it hangs. A few
failures in a row that pass (overload, lost connections) rest it; then one call at a time tries whether it is
back. A wrong key or address takes it out for good. What is the request's own fault says nothing about it.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from random import uniform
from typing import Literal

from editthinker.core.errors import EditThinkerError

State = Literal["up", "resting", "trying", "out"]

IN_A_ROW = 4
"""Failures in a row that rest an endpoint: at one in ten by chance, that happens once in 10,000 calls."""
FIRST_REST, LONGEST_REST = 0.5, 15.0
"""Seconds; each rest is half again as long as the one before, so a pause outlasts an outage by a third."""
LONGEST_ASKED = 60.0
"""Seconds an endpoint may ask to be left alone (`Retry-After`), as OpenAI's client has it."""
USELESS = frozenset({401, 402, 403, 404})
"""A key or an address that is wrong: no other call will do better."""
TRUSTED = 3
"""Such answers in a row that take out an endpoint which did work before."""
REMEMBERED = 200
"""Latencies kept."""
ENOUGH = 3
"""Latencies from which is judged what is too long."""
PATIENT, TIMES = 30.0, 5.0
"""A call hangs after so many seconds, and so many times the slowest answer seen, whichever is more."""
OVERDUE, OFTEN = 10.0, 3.0
"""Likewise, until its place is given to another call."""


@dataclass(slots=True, eq=False)
class Health:
    """Of one endpoint."""

    answered: int = 0
    failed: int = 0
    latency: float | None = None
    """Seconds an answer takes at present, None until there was one."""
    out: str = ""
    """Why it is never called again."""
    trouble: str = ""
    """What went wrong last."""
    trying: bool = False
    """Whether a call is finding out if it is back."""
    rests_until: float | None = None
    """None while it is up."""
    row: int = 0
    """Failures in a row that may pass."""
    _rests_since: float = 0.0
    _useless: int = 0
    _rest: float = FIRST_REST
    _seen: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    def state(self, now: float) -> State:
        """Whether it may be called: while "trying", one call is under way and no other may start."""
        if self.out:
            return "out"
        if self.rests_until is None:
            return "up"
        return "trying" if self.trying or now >= self.rests_until else "resting"

    def may_start(self, now: float) -> bool:
        """Whether a call may start now."""
        return not self.out and (self.rests_until is None or (not self.trying and now >= self.rests_until))

    def started(self) -> bool:
        """A call starts; whether it is the one that tries."""
        self.trying = self.rests_until is not None
        return self.trying

    def succeeded(self, seconds: float, now: float = math.inf) -> None:
        """It answered, after so many seconds. To a call from before its rest: that it was there then."""
        self.answered += 1
        self.latency = seconds if self.latency is None else 0.8 * self.latency + 0.2 * seconds
        self._seen.append(seconds)
        if self.rests_until is None or now - seconds >= self._rests_since:
            self._well()

    def refused(self) -> None:
        """It answered that this request cannot be served: it lives."""
        self.failed += 1
        self._well()

    def broke(self, error: EditThinkerError, now: float, *, tried: bool, alone: bool = False) -> None:
        """It failed in a way that may pass. `tried`: the call was to find out whether it is back.

        `alone`: no other call was under way that could have been answered meanwhile; it counts twice.
        """
        self.failed += 1
        self.trouble = str(error)
        self.row += 2 if alone else 1
        if tried:
            self.trying = False
            self._rest = min(self._rest * 1.5, LONGEST_REST)
        if tried or (self.rests_until is None and self.row >= IN_A_ROW):
            self._rests_since = now
            self.rests_until = now + self._rest * uniform(0.9, 1.1)
        if self.rests_until is not None and error.retry_after and error.retry_after <= LONGEST_ASKED:
            self.rests_until = max(self.rests_until, now + error.retry_after)

    def useless(self, error: EditThinkerError) -> None:
        """It does not accept the key, or does not know the model."""
        self.failed += 1
        self.trouble = str(error)
        self._useless += 1
        if not self.answered or self._useless >= TRUSTED:
            self.out = str(error)
        self._up_again()

    def given_up(self, *, tried: bool) -> None:
        """A call was cancelled: that says nothing."""
        if tried:
            self.trying = False

    @property
    def overdue(self) -> float:
        """Seconds after which a call no longer counts against what the endpoint can do."""
        return max(OVERDUE, OFTEN * max(self._seen)) if self._seen else OVERDUE

    @property
    def hangs(self) -> float | None:
        """Seconds after which a call is given up; None while too little is known."""
        return max(PATIENT, TIMES * max(self._seen)) if len(self._seen) >= ENOUGH else None

    @property
    def slow(self) -> float | None:
        """Seconds that nineteen of twenty answers do not take; None while too little is known."""
        return sorted(self._seen)[int(0.95 * len(self._seen))] if len(self._seen) >= 20 else None

    def _well(self) -> None:
        self._useless = 0
        self._up_again()

    def _up_again(self) -> None:
        self.row = 0
        self._rest = FIRST_REST
        self.rests_until, self.trying = None, False
