"""The limit finds what an endpoint can do, on a simulated server with a simulated clock."""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from editthinker.wire.limiter import Limiter

SECONDS = 0.4


@dataclass
class Outcome:
    span: float
    waiting: float
    """Calls that waited at the server, on average between a third of the calls and the last start."""
    rejections: int
    peak: int
    limits: list[int]


def serve(
    capacity: int,
    draw: Callable[[], float],
    calls: int,
    limiter: Limiter | None = None,
    *,
    per_second: float = 0.0,
    burst: float = 8.0,
) -> Outcome:
    """As many calls as the limiter allows at a server that works at `capacity` of them, the rest in line.

    With `per_second` it turns away, for a second, what comes when its bucket of `burst` tokens is empty.
    Without a limiter the limit is the capacity: the best there is.
    """
    limiter = limiter or Limiter(most=capacity, limit=capacity)
    now, left, done, rejections, peak, busy = 0.0, calls, 0, 0, 0, 0
    tokens, filled = burst, 0.0
    line: deque[float] = deque()
    ends: list[tuple[float, int, float]] = []
    waited = watched = 0.0
    limits = []
    while done < calls:
        while left and limiter.in_flight < limiter.limit and now >= limiter.paused_until:
            epoch = limiter.started()
            peak = max(peak, limiter.in_flight)
            if per_second:
                tokens, filled = min(burst, tokens + (now - filled) * per_second), now
                if tokens < 1:
                    rejections += 1
                    limiter.rejected(epoch, now, 1.0)
                    continue
                tokens -= 1
            left -= 1
            if busy < capacity:
                busy += 1
                heapq.heappush(ends, (now + draw(), left, now))
            else:
                line.append(now)
        before = now
        if not ends or (left and now < limiter.paused_until < ends[0][0]):
            now = limiter.paused_until
            continue
        now, _, began = heapq.heappop(ends)
        if left and done > calls / 3:
            waited, watched = waited + len(line) * (now - before), watched + now - before
        done += 1
        limiter.succeeded(now - began, now)
        limits.append(limiter.limit)
        if line:
            heapq.heappush(ends, (now + draw(), left - calls * len(line), line.popleft()))
        else:
            busy -= 1
    return Outcome(now, waited / watched if watched else 0.0, rejections, peak, limits)


def constant() -> float:
    return SECONDS


def lognormal() -> float:
    return SECONDS * random.lognormvariate(-0.5, 1.0)


def bimodal() -> float:
    return SECONDS / 2 if random.random() < 0.8 else 3 * SECONDS


@pytest.mark.parametrize(("capacity", "calls"), [(1, 1000), (2, 1000), (8, 1000), (20, 2500), (64, 8000)])
def test_constant_latency(capacity: int, calls: int) -> None:
    outcome = serve(capacity, constant, calls, Limiter())
    assert outcome.span <= 1.05 * calls * SECONDS / capacity
    assert outcome.waiting <= (
        2.1 if capacity != 20 else 6.5
    )  # bursts of 20 and windows of 24 do not go well together


@pytest.mark.parametrize("draw", [lognormal, bimodal])
def test_scattered_latency(draw: Callable[[], float]) -> None:
    """Against a client that knows the capacity, with the same work: the middle of 15 runs, and the worst."""
    ratios = []
    for seed in range(15):
        random.seed(seed)
        best = serve(8, draw, 1000)
        random.seed(seed)
        ratios.append(serve(8, draw, 1000, Limiter()).span / best.span)
    ratios.sort()
    assert ratios[7] <= 1.06
    assert ratios[-1] <= 1.15


def test_a_rate_limit() -> None:
    for seconds in (SECONDS, 0.25, 0.1):
        outcome = serve(100, lambda seconds=seconds: seconds, 320, Limiter(), per_second=10)  # type: ignore[misc]
        assert outcome.span <= 1.15 * (320 - 8) / 10
        assert 0 < outcome.rejections <= 0.25 * 320


def test_no_more_than_configured() -> None:
    for most in (1, 3, 8):
        outcome = serve(64, constant, 500, Limiter(most=most))
        assert outcome.peak == most
        assert outcome.span <= 1.05 * 500 * SECONDS / most


def test_a_server_that_batches_is_followed() -> None:
    """Every further call makes all of them slower, and yet brings more."""
    limiter = Limiter()
    outcome = serve(10_000, lambda: SECONDS * (1 + limiter.in_flight / 16), 6000, limiter)
    most = 16 / SECONDS
    """Answers a second that it approaches and never reaches."""
    assert outcome.span <= 6000 / (0.57 * most)
    assert outcome.limits[-1] <= 64


def test_it_follows_a_server_that_becomes_slower_and_faster_again() -> None:
    limiter, now = Limiter(), [0]

    def changing() -> float:
        now[0] += 1
        return SECONDS * (3 if 1000 < now[0] <= 2000 else 1)

    outcome = serve(8, changing, 3000, limiter)
    assert outcome.span <= 1.1 * SECONDS * (1000 + 3 * 1000 + 1000) / 8
    assert 8 <= outcome.limits[1900] <= 20
    assert 8 <= outcome.limits[2900] <= 20


AWAY = [(1, True, 17), (5, True, 15), (20, True, 10), (20, False, 17)]


@pytest.mark.parametrize(("away", "certain", "left"), AWAY)
def test_calls_rejected_together_are_one_rejection(away: int, certain: bool, left: int) -> None:
    """Who says that there are too many is believed, down to half; who may be down is not."""
    limiter = Limiter(limit=20)
    epochs = [limiter.started() for _ in range(20)]
    for epoch in epochs[:away]:
        limiter.rejected(epoch, 1.0, 5.0, certain=certain)
    for _ in epochs[away:]:
        limiter.succeeded(0.5, 1.5)
    assert limiter.limit == left
    assert limiter.paused_until == 6.0
    assert limiter.in_flight == 0


def test_nothing_is_learned_where_there_is_nothing_to_do() -> None:
    limiter, now = Limiter(limit=8), 0.0
    for _ in range(200):
        limiter.started()
        now += 1.0
        limiter.succeeded(1.0, now)
    assert limiter.limit == 8
