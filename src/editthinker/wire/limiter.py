"""How many calls one endpoint is given at a time: as many as raise its throughput, and hardly one more.

In: when calls start, succeed, fail or are turned away (times are arguments: no clock, no I/O). Out: `limit`,
and `paused_until`. Nobody tells a client how much a server does at once, and asking for more only makes calls
wait there, where they can be neither reordered nor counted. So the limit starts at one and climbs as long as
throughput follows. Then Little's law says how many calls are really being worked at: throughput times the
time a call took before the limit was too high. Servers that batch get slower with every call and still gain;
they are followed as long as twice the calls bring a third more. A rejection (429, 503) lowers the limit, once
for all calls that were under way. Every comparison allows for what chance explains: where answers take
anything from one to thirty seconds, rather too much is asked for than too little.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

SECOND = 4
"""The limit after the first call has shown that it answers; from there on it doubles."""
GAIN = 0.3
"""Part of the added calls that must come back as throughput for a higher limit to be worth it."""
SLACK = 1
"""Calls beyond what is worked at: the next one is there when one ends, and growth is noticed."""
SHRINK = 0.85
"""What a rejection leaves of the limit."""
SURE = 2.0
"""Standard deviations from which a difference is no chance."""
FASTER = 3.0
"""Times that from which the endpoint is taken to have become faster."""
WEIGHT = 16
"""So many calls' worth is what two successive windows say about how latencies scatter."""
JUDGED = 14
"""Calls without congestion that must be known before anything is slower than they: fewer prove nothing."""
AT_ONCE = 8
"""Limit from which it does not take so many, when even the quickest call was slower than they were."""
CALM = 128
"""Calls after a rejection before more is tried."""
STEADY = 0.3
"""Relative deviation of latencies up to which even single calls prove something."""
TURNAROUND = 0.1
"""Part of a call's time that may pass until the next call takes its place."""
WINDOW = 16
"""Calls from which a settled limit is judged, at least; up to four times as many where latencies scatter."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What calls took under one limit."""

    limit: int
    calls: int
    latency: float

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.limit / self.latency


@dataclass(slots=True, eq=False)
class Limiter:
    """The limit of one endpoint. Every `started` is followed by `succeeded`, `failed` or `rejected`."""

    most: int = 256
    limit: int = 1
    in_flight: int = 0
    paused_until: float = 0.0
    """Nothing should start before this time."""
    _rejected_at: float = -math.inf
    _accepted: int = CALM
    _latencies: float = 0.0
    """Calls since the last rejection, and their latencies."""
    _epoch: int = 0
    """Number of the limit's changes: rejections of calls from before the last one say nothing new."""
    _crowd: tuple[int, int, int] = (-1, 0, 0)
    """The epoch of the last rejections, the limit then, and how many calls of it were turned away."""
    _climbing: bool = True
    _climb: list[_Seen] = field(default_factory=list)
    """What was seen on the way up."""
    _last: _Seen | None = None
    """The window before, once settled."""
    _higher: _Seen | None = None
    """What was seen before the limit was last lowered."""
    _scatter: float = 0.3
    _scattered: float = 1.0
    """Squared relative deviations of latencies and their number, as if one call had deviated by 55 %."""
    _since: float = math.nan
    """When the window began; within it there were always about `limit` calls in flight."""
    _full_at: float = -math.inf
    """When there were last as many calls in flight as may be."""
    _stale: int = 0
    """Calls still to end that the window does not count: they began under another limit."""
    _calls: int = 0
    _sum: float = 0.0
    _squares: float = 0.0
    _quickest: float = math.inf
    """Calls that succeeded in the window, and their latencies: sum, sum of squares, least."""

    def started(self) -> int:
        """A call starts; hand what this returns to `rejected`."""
        self.in_flight += 1
        return self._epoch

    def succeeded(self, seconds: float, now: float) -> None:
        """A call that took so long brought an answer (whatever the answer says)."""
        if self.in_flight >= self.limit:
            self._full_at = now
        full = now - self._full_at <= TURNAROUND * seconds
        self.in_flight -= 1
        self._accepted += 1
        self._latencies += seconds
        if math.isnan(self._since):
            self._since = now - seconds
        if not full:
            self._restart(now)
        elif self._stale:
            self._stale -= 1
            self._since = now
        else:
            self._calls += 1
            self._sum += seconds
            self._squares += seconds * seconds
            self._quickest = min(self._quickest, seconds)
            if self._calls >= self._window:
                self._judge(now)

    def failed(self) -> None:
        """A call broke, was cancelled or given up; that says nothing about how many fit."""
        self.in_flight -= 1

    def rejected(self, epoch: int, now: float, pause: float, *, certain: bool = True) -> None:
        """The endpoint turned a call away because there were too many; nothing starts for `pause` seconds.

        `certain`: that is what it said, and not perhaps that it is down.
        """
        self.in_flight -= 1
        self.paused_until = max(self.paused_until, now + pause)
        if epoch == self._epoch:
            self._climbing, self._higher = False, None
            self._crowd = (self._epoch, self.limit, 1)
            self._epoch += 1
            lower = int(self.limit * SHRINK)
            # Where a rate is limited, waiting as told may serve more than fewer calls at a time would.
            rested = self._accepted / max(now - self._rejected_at, 1e-6)
            steadily = lower / self._latencies * self._accepted if self._latencies else math.inf
            self._set(lower if steadily >= rested else self.limit, now)
            self._accepted, self._latencies, self._rejected_at = 0, 0.0, now
        elif certain and epoch == self._crowd[0]:
            # Of a crowd that came at once, as many fit as were not turned away.
            _, limit, away = self._crowd
            self._crowd = (epoch, limit, away + 1)
            self._set(min(self.limit, max(limit - away - 1, limit // 2)), now)

    def mistaken(self) -> None:
        """The last rejections were none: the endpoint was down, and will take as many as before."""
        self.limit = max(self.limit, self._crowd[1])

    @property
    def _window(self) -> int:
        if self._climbing:
            return self.limit
        return max(self.limit, WINDOW, int(4 * WINDOW * min(1.0, self._scatter / self._scattered)))

    def _noise(self, one: _Seen, other: _Seen) -> float:
        """Relative difference of two mean latencies that chance explains."""
        return SURE * math.sqrt(self._scatter / self._scattered * (1 / one.calls + 1 / other.calls))

    def _judge(self, now: float) -> None:
        """Draw the window's conclusion."""
        mean = max(self._sum / self._calls, 1e-6)
        if not self._climbing:
            self._adjust(_Seen(self.limit, self._calls, mean), now)
            return
        # Little's law knows of the calls still under way: short ones, which end first, do not flatter.
        seen = _Seen(self.limit, self._calls, max(self.limit * (now - self._since) / self._calls, 1e-6))
        before = self._scatter, self._scattered
        self._scatter += max(0.0, self._squares / self._calls / mean**2 - 1) * self._calls
        self._scattered += self._calls - 1
        base = self._uncongested()
        last = self._climb[-1] if self._climb else None
        if base is not None and self._congested(seen, base):
            if last is None or seen.rate < last.rate * (1 + GAIN):
                self._scatter, self._scattered = before  # some waited: that is no scatter of the endpoint's
                self._climbing, self._higher = False, seen
                self._set(max(self.limit // 2, min(self.limit, self._wanted(seen))), now)
                return
            self._climb.clear()  # slower, and yet worth it: from here on this is what a call takes
        steady = self._scatter / self._scattered < STEADY**2
        self._climb.append(_Seen(self.limit, self._calls, mean) if steady else seen)
        self._set(max(SECOND, self.limit * 2), now)

    def _congested(self, seen: _Seen, base: _Seen) -> bool:
        """Whether calls waited at the endpoint, beyond doubt."""
        sure = base.calls >= self._few or (self.limit >= AT_ONCE and self._quickest > 1.1 * base.latency)
        return sure and seen.latency > base.latency * (1 + max(self._noise(seen, base), 0.1))

    @property
    def _few(self) -> int:
        """Calls that prove what a call takes."""
        return 1 if self._scattered > JUDGED and self._scatter / self._scattered < STEADY**2 else JUDGED

    def _uncongested(self) -> _Seen | None:
        """What calls take without congestion, from the windows of the climb."""
        if not self._climb:
            return None
        base = self._climb[0]
        for seen in self._climb[1:]:
            alike = seen.latency <= base.latency * (1 + max(self._noise(seen, base), 0.1))
            if base.calls < self._few or alike:
                calls = base.calls + seen.calls
                latency = (base.latency * base.calls + seen.latency * seen.calls) / calls
                base = _Seen(seen.limit, calls, latency)
        return base

    def _wanted(self, seen: _Seen) -> int:
        """How many calls are worked at, and the slack."""
        base = self._uncongested() or seen
        worked_at = seen.rate * base.latency
        return math.ceil(worked_at * (1 + min(1.0, self._noise(seen, base))) - 0.25) + SLACK

    def _adjust(self, seen: _Seen, now: float) -> None:
        """Follow what a settled limit shows."""
        if not self._climb:
            self._climb = [seen]
        base, higher = self._uncongested() or seen, self._higher
        noise = self._noise(seen, base)
        if self._last:
            unlike = min(abs(seen.latency / self._last.latency - 1), abs(seen.rate / self._last.rate - 1))
            self._scatter += WEIGHT * unlike**2 / (1 / seen.calls + 1 / self._last.calls)
            self._scattered += WEIGHT
            if self._scattered > 64:
                self._scatter, self._scattered = self._scatter / 2, self._scattered / 2
        self._last = seen
        if higher and seen.limit < higher.limit:
            enough = (1 - seen.limit / higher.limit) / 2
            if 1 - seen.rate / higher.rate > enough > self._noise(seen, higher) / SURE:
                # Fewer calls brought fewer answers: it got slower, or its latency was underestimated.
                self._climbing, self._climb, self._higher, self._last = True, [seen], None, None
                self._set(higher.limit, now)
                return
        if seen.latency < base.latency / (1 + FASTER * noise):
            self._climb, base = [seen], seen
        wanted = self._wanted(seen)
        if wanted > self.limit and self._accepted >= CALM:
            self._set(min(wanted, self.limit + max(1, self.limit // 8)), now)
        elif wanted < self.limit and seen.latency > base.latency * (1 + max(noise, 0.1)):
            if not higher or self.limit >= higher.limit:
                self._higher = seen
            self._set(max(wanted, self.limit * 7 // 8), now)
        else:
            self._restart(now)

    def _set(self, limit: int, now: float) -> None:
        limit = max(1, min(self.most, limit))
        if limit != self.limit:
            self._stale = 0 if self._climbing else self.in_flight
            self.limit = limit
            self._epoch += 1
        self._restart(now)

    def _restart(self, now: float) -> None:
        self._since, self._calls, self._sum, self._squares = now, 0, 0.0, 0.0
        self._quickest = math.inf
