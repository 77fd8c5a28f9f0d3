"""Whole runs against simulated services, many seeds each: how near they come to what is possible at all.

Bars are held by the middle of the seeds and, a little wider, by the worst of them. Services take 0.4 s an
edit and 0.25 s a critique, eight at a time, five turns a sample, unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from statistics import median

import pytest

from peers.simulated_services import Fault, Outcome, Scenario, Service, constant, lognormal, play

EDIT, THINK = 0.4, 0.25


def serving(seconds: float = EDIT, **how: object) -> Callable[[], Service]:
    return lambda: Service(constant(seconds), **how)  # type: ignore[arg-type]


def failing(*faults: Fault, seconds: float = EDIT, **how: object) -> Callable[[], Service]:
    return serving(seconds, faults=faults, **how)


def scattered(mean: float) -> Callable[[], Service]:
    return lambda: Service(lognormal(mean))


HALF = serving(capacity=4)
SLOW_THINKER = Scenario(128, [serving(0.25)], [serving(0.4)])
BARS = [
    # name, scenario, seconds it is held against (None: the bound of the work), middle, worst
    ("constant", Scenario(200), None, 1.05, 1.06),
    ("few samples", Scenario(64), None, 1.10, 1.11),
    ("heavy tails", Scenario(200, [scattered(0.41)], [scattered(0.25)]), None, 1.06, 1.20),
    ("content early", Scenario(200, happy=0.27), None, 1.10, 1.12),
    ("slow thinker", SLOW_THINKER, None, 1.05, 1.07),
    ("two equal editors", Scenario(128, [HALF, HALF]), None, 1.10, 1.10),
    ("an editor ten times slower", Scenario(128, [serving(), serving(4.0)]), 29.1, 1.25, 1.25),
    ("a sick editor", Scenario(64, [HALF, failing(Fault("500"), capacity=4)]), 32.0, 1.10, 1.10),
    (
        "failures by chance",
        Scenario(64, [failing(Fault("500", 0.1))], [failing(Fault("503", 0.1), seconds=THINK)]),
        None,
        1.25,
        1.25,
    ),
    ("broken images", Scenario(64, [failing(Fault("bad", 0.1))]), None, 1.25, 1.35),
    ("an editor's rate", Scenario(64, [serving(per_second=10)]), 31.2, 1.10, 1.12),
    ("a thinker's rate", Scenario(64, thinkers=[serving(THINK, per_second=8)]), 39.0, 1.10, 1.12),
    ("a short queue", Scenario(64, [serving(queue=4)]), None, 1.15, 1.20),
    ("an outage", Scenario(64, [failing(Fault("503", 1, 4, 14, 5.0))]), 26.0, 30 / 26, 30 / 26),
    ("lost connections", Scenario(64, [failing(Fault("reset", 1, 4, 14))]), 26.0, 30 / 26, 30 / 26),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scenario", "seconds", "middle", "worst"), [bar[1:] for bar in BARS], ids=[bar[0] for bar in BARS]
)
def test_how_near_to_what_is_possible(
    scenario: Scenario, seconds: float | None, middle: float, worst: float
) -> None:
    outcomes = [play(scenario, seed) for seed in range(9)]
    ratios = [one.span / (seconds or one.bound) for one in outcomes]
    assert median(ratios) <= middle
    assert max(ratios) <= worst
    for one in outcomes:
        assert one.tally.endings["finished"] == scenario.samples
        assert one.count("429") <= 0.25 * one.count("ok")


def test_no_call_is_made_twice_or_over_the_limit() -> None:
    one = play(Scenario(24, most=5), 1)
    assert one.count("ok") == 24 * 5 * 2
    assert [service.most for service in one.editors + one.thinkers] == [5, 5]
    assert one.ratio <= 8 / 5 * 1.10


def test_two_equal_servers_share_equally() -> None:
    one = play(Scenario(64, [HALF, HALF]), 2)
    shares = [len(service.log) for service in one.editors]
    assert 0.45 <= shares[0] / sum(shares) <= 0.55


def test_a_sick_server_is_hardly_asked() -> None:
    one = play(Scenario(64, [HALF, failing(Fault("500"), capacity=4)]), 3)
    assert len(one.editors[1].log) <= 0.05 * sum(len(service.log) for service in one.editors)


def test_a_server_that_recovers_is_used_again_within_15_seconds() -> None:
    sick = failing(Fault("500", before=20.0), capacity=4)
    one = play(Scenario(128, [HALF, sick]), 4)
    first = min(came for came, _, outcome in one.editors[1].log if outcome == "ok")
    assert first - min(came for came, _, _ in one.editors[0].log) <= 20.0 + 15.0


def test_one_hung_call_costs_a_minute_at_most() -> None:
    hangs = Fault("hang", samples=frozenset({3}), turns=frozenset({1}), first=1)
    one = play(Scenario(8, [failing(hangs)]), 5)
    assert one.span <= one.bound + 60
    assert one.tally.endings["finished"] == 8


@pytest.mark.parametrize("kind", ["503", "reset"])
def test_one_sample_alone_outlives_a_long_outage(kind: str) -> None:
    """Repetitions are for calls that fail, not for servers that are not there."""
    away = Scenario(2, [failing(Fault(kind, 1, 1, 181))], at_once=1, retries=2)
    one = play(away, 6)
    assert one.tally.endings["finished"] == 2
    assert one.count(kind) <= 25
    assert len(one.told) == 2
    assert "answers again after" in one.told[1]


def test_one_request_that_always_fails_is_not_taken_for_an_outage() -> None:
    poison = Fault("500", samples=frozenset({3}))
    for at_once in (1, None):
        one = play(Scenario(12, [failing(poison)], at_once=at_once), 7)
        assert one.count("500") <= 8
        assert one.tally.endings == {"finished": 11, "failed": 1}


def test_when_no_server_comes_back_the_run_stops_and_says_so() -> None:
    gone = failing(Fault("503", after=2.0))
    one = play(Scenario(40, [gone], patience=30.0), 8)
    assert one.runner.halted == "no editor came back within 30 s: the editor answered 503"
    assert one.tally.endings["failed"] == 0  # they go on when the run does
    assert one.tally.ended < 40


def idle(one: Outcome, services: list[Service], until: float) -> float:
    """Share of the servers' places that were free, from the fifth second to `until`."""
    start = min(came for service in one.editors for came, _, _ in service.log)
    busy = sum(
        max(0.0, min(ended, start + until) - max(came, start + 5))
        for service in services
        for came, ended, _ in service.log
    )
    return 1 - busy / ((until - 5) * sum(service.capacity for service in services))


@pytest.mark.parametrize("edit", [0.2, 0.4, 0.8])
def test_the_bottleneck_is_never_idle_while_work_exists(edit: float) -> None:
    one = play(Scenario(128, [serving(edit)], [serving(0.4)]), 9)
    slower = one.thinkers if edit < 0.4 else one.editors
    assert idle(one, slower, one.span - 2 * (edit + 0.4)) <= 0.03


def test_the_longest_remaining_chains_go_first_near_the_end() -> None:
    """With long chains left over at the end, few would work and most would wait."""
    one = play(replace(Scenario(64), turns=10), 10)
    assert one.ratio <= 1.08
