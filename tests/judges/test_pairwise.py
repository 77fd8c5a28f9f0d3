"""The pairwise judge: asked both ways round, so that a liking for a place decides nothing."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import pytest

from editthinker.core.contracts import Comparer
from editthinker.core.errors import JudgeError
from editthinker.core.images import Picture
from editthinker.core.types import Sample
from editthinker.judges.pairwise import Comparison, PairwiseJudge
from editthinker.testing import photograph
from editthinker.wire.answers import Unreadable
from judges.mutants import broken
from peers.chat_server import MODEL, TOKENS, Asked, ChatPeer

COST = (TOKENS[0] * 2 + TOKENS[1] * 10) / 1_000_000
PRICE = {"price_in": "2", "price_out": "10"}
SAMPLE = Sample((photograph(),), "make it black and white")
GOOD = Picture(SAMPLE.source.pixels.convert("L").convert("RGB"))
BAD = SAMPLE.source
"""Nothing was done."""


def judge(url: str, **given: Any) -> PairwiseJudge:
    settings = PairwiseJudge.Settings.read("judge 'pairwise'", {"base_url": url, "timeout": "20", **given})
    return PairwiseJudge(MODEL, settings, name=f"pairwise:{MODEL}")


async def test_the_better_image_wins_wherever_it_stands(url: str, peer: ChatPeer) -> None:
    comparer = judge(url, **PRICE)
    assert isinstance(comparer, Comparer)
    first = await comparer.prefer(SAMPLE, GOOD, BAD)
    second = await comparer.prefer(SAMPLE, BAD, GOOD)
    assert (first.better, second.better) == (-1, 1)
    assert first.cost == pytest.approx(2 * COST)
    assert sorted(first.notes["answers"]) == ["first", "second"]
    shown = {tuple(picture.tobytes() for picture in asked.pictures) for asked in peer.asked[:2]}
    source, good, bad = (picture.pixels.tobytes() for picture in (SAMPLE.source, GOOD, BAD))
    assert shown == {(source, good, bad), (source, bad, good)}, "both ways round, the source first"


@pytest.mark.parametrize("place", ["first", "second"])
async def test_a_liking_for_a_place_is_a_tie(url: str, peer: ChatPeer, place: str) -> None:
    peer.says = lambda asked: json.dumps({"reasoning": "r", "better": place})
    preference = await judge(url).prefer(SAMPLE, GOOD, BAD)
    assert preference.better == 0
    assert preference.reasoning == "its two answers disagree"


async def test_a_tie_and_a_winner_disagree(url: str, peer: ChatPeer) -> None:
    good = GOOD.pixels.tobytes()

    def says(asked: Asked) -> str:
        return json.dumps({"better": "first" if asked.pictures[1].tobytes() == good else "tie"})

    peer.says = says
    assert (await judge(url).prefer(SAMPLE, GOOD, BAD)).better == 0


async def test_the_same_image_is_a_tie_for_free(url: str, peer: ChatPeer) -> None:
    preference = await judge(url, **PRICE).prefer(SAMPLE, GOOD, Picture(GOOD.pixels.copy()))
    assert (preference.better, preference.cost, peer.asked) == (0, 0, [])


async def test_what_cannot_be_read_is_no_preference(url: str, peer: ChatPeer) -> None:
    peer.says = lambda asked: '{"better": "the left one"}'
    with pytest.raises(JudgeError, match="no judgement that can be read") as caught:
        await judge(url, **PRICE).prefer(SAMPLE, GOOD, BAD)
    assert caught.value.cost == pytest.approx(6 * COST)


async def test_one_failing_half_keeps_the_cost_of_the_other(url: str, peer: ChatPeer) -> None:
    peer.faults = ["rate-limited"]
    with pytest.raises(JudgeError, match="asked too often") as caught:
        await judge(url, **PRICE).prefer(SAMPLE, GOOD, BAD)
    assert caught.value.cost == pytest.approx(COST)
    assert (caught.value.transient, caught.value.retry_after) == (True, 7)


async def test_cancelling_hangs_up(url: str, peer: ChatPeer) -> None:
    peer.always = "stall"
    waiting = asyncio.ensure_future(judge(url).prefer(SAMPLE, GOOD, BAD))
    assert await asyncio.to_thread(peer.started.wait, 2)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await asyncio.to_thread(peer.hung_up.wait, 2)


def test_it_asks_twice_and_so_costs_twice() -> None:
    assert judge("https://example.com/v1", **PRICE).price == pytest.approx(2 * (3_500 * 2 + 600 * 10) / 1e6)
    assert judge("https://example.com/v1").price is None


# --- a liking for a place, measured ---


async def test_a_biased_judge_s_liking_cancels_and_is_measured(url: str, peer: ChatPeer) -> None:
    """It says "first" in 7 of 10 cases whatever is shown; in no case is the worse one chosen."""
    good, rng = GOOD.pixels.tobytes(), random.Random(5)

    def says(asked: Asked) -> str:
        honest = "first" if asked.pictures[1].tobytes() == good else "second"
        return json.dumps({"better": "first" if rng.random() < 0.7 else honest})

    peer.says = says
    comparer, outcomes, biases = judge(url), [], []
    for number in range(40):
        pair = (GOOD, BAD) if number % 2 else (BAD, GOOD)
        preference = await comparer.prefer(SAMPLE, *pair)
        outcomes.append(preference.better * (-1 if number % 2 else 1))
        biases.append(preference.notes["place_bias"])
    assert -1 not in outcomes
    assert 5 <= outcomes.count(1) <= 20
    assert sum(biases) / len(biases) == pytest.approx(0.7, abs=0.15)


async def test_a_judge_that_only_likes_a_place_prefers_nothing_ever(url: str, peer: ChatPeer) -> None:
    peer.says = lambda asked: json.dumps({"better": "second"})
    for pair in ((GOOD, BAD), (BAD, GOOD)):
        preference = await judge(url).prefer(SAMPLE, *pair)
        assert (preference.better, preference.notes["place_bias"]) == (0, -1)


async def test_several_samples_outvote_a_slip(url: str, peer: ChatPeer) -> None:
    good = GOOD.pixels.tobytes()

    def says(asked: Asked) -> str:
        first = (asked.pictures[1].tobytes() == good) != (asked.body["seed"] == 2)
        return json.dumps({"better": "first" if first else "second"})

    peer.says = says
    preference = await judge(url, samples=3, seed=1, **PRICE).prefer(SAMPLE, GOOD, BAD)
    assert preference.better == -1
    assert len(peer.asked) == 6
    assert preference.cost == pytest.approx(6 * COST)
    assert preference.notes["samples"] == 3
    assert preference.notes["mean"]["better"] == pytest.approx(-1 / 3, abs=1e-3)
    assert preference.notes["std"]["better"] > 0


@pytest.mark.parametrize(
    ("forth", "back", "better"),
    [
        ("first", "second", -1), ("second", "first", 1), ("tie", "tie", 0), ("first", "first", 0),
        ("second", "second", 0), ("tie", "first", 0), ("first", "tie", 0), ("tie", "second", 0),
    ],
)  # fmt: skip
async def test_every_pair_of_answers(url: str, peer: ChatPeer, forth: str, back: str, better: int) -> None:
    good = GOOD.pixels.tobytes()
    peer.says = lambda asked: json.dumps({"better": forth if asked.pictures[1].tobytes() == good else back})
    assert (await judge(url).prefer(SAMPLE, GOOD, BAD)).better == better


def test_a_thousand_mutants_prefer_nothing() -> None:
    good = {"reasoning": "r", "better": "first"}
    assert Comparison.read(json.dumps(good)).better == "first"
    for text in broken(good, ["better"], seed=3, count=1_000):
        with pytest.raises(Unreadable):
            pytest.fail(f"{text!r} gave {Comparison.read(text)}")
