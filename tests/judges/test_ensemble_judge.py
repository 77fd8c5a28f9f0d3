"""Several judges: the middle of what they say, over real wires, whatever some of them do."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from editthinker import resolve
from editthinker.config import Config, Named
from editthinker.core.contracts import Judge
from editthinker.core.errors import InputError, JudgeError
from editthinker.core.images import Picture
from editthinker.core.types import Judged, Sample, Score
from editthinker.judges.ensemble import EnsembleJudge
from editthinker.judges.rubric import RubricJudge
from editthinker.testing import check_judge, photograph
from peers.chat_server import MODEL, TOKENS, Asked, ChatPeer

COST = (TOKENS[0] * 2 + TOKENS[1] * 10) / 1_000_000
SAMPLE = Sample((photograph(),), "make it black and white")
EDITED = photograph(seed=1)
SEMANTIC = {1: 2, 2: 4, 3: 9}
"""What the member with this seed says."""


class Broken:
    name = "broken"

    async def score(self, sample: Sample, edited: Picture) -> Judged:
        raise ZeroDivisionError("no weights")


@pytest.fixture(autouse=True)
def says(peer: ChatPeer) -> None:
    def says(asked: Asked) -> str:
        semantic = SEMANTIC[asked.body["seed"]]
        rest = {"preservation": 10, "naturalness": 8, "soundness": semantic}
        return json.dumps({"reasoning": f"I say {semantic}", "following": semantic, **rest})

    peer.says = says


def member(url: str, seed: int, **given: str) -> RubricJudge:
    prices = {"price_in": "2", "price_out": "10"}
    table = {"base_url": url, "seed": seed, "timeout": "20", **prices, **given}
    return RubricJudge(MODEL, RubricJudge.Settings.read("judge", table), name=f"rubric-{seed}")


def test_it_keeps_every_promise(url: str) -> None:
    check_judge(lambda: EnsembleJudge.of([member(url, 1), member(url, 2)]))


async def test_the_mean_and_the_spread(url: str) -> None:
    judged = await EnsembleJudge.of([member(url, seed) for seed in (1, 2, 3)], name="panel").score(
        SAMPLE, EDITED
    )
    assert (judged.score.semantic, judged.score.quality) == (5, pytest.approx((2 + 4 + 8) / 3))
    assert judged.reasoning == "I say 4", "of the member nearest the middle"
    assert judged.notes["std"]["semantic"] == pytest.approx(3.6056, abs=1e-3)
    assert [one["score"][0] for one in judged.notes["members"]] == [2, 4, 9]
    assert judged.notes["counted"] == "3 of 3"
    assert judged.cost == pytest.approx(3 * COST)


async def test_the_median(url: str) -> None:
    panel = EnsembleJudge([member(url, seed) for seed in (1, 2, 3)], middle="median")
    assert (await panel.score(SAMPLE, EDITED)).score == Score(4, 4)


async def test_who_fails_does_not_count_and_is_noted(url: str, peer: ChatPeer) -> None:
    peer.faults = ["unauthorized"]
    panel: list[Judge] = [member(url, 2), Broken(), member("http://127.0.0.1:1/v1", 3)]
    judged = await EnsembleJudge.of([member(url, 2), *panel]).score(SAMPLE, EDITED)
    assert judged.score == Score(4, 4)
    assert judged.notes["counted"] == "1 of 4"
    assert judged.notes["std"] == {"semantic": None, "quality": None}
    errors = [one.get("error", "") for one in judged.notes["members"]]
    assert sum("does not accept the key" in error for error in errors) == 1
    assert "judge 'broken' broke: ZeroDivisionError: no weights" in errors
    assert sum("cannot be reached" in error for error in errors) == 1


@pytest.mark.parametrize(
    ("faults", "transient", "refused"),
    [(["refusal", "filtered"], False, True), (["refusal", "rate-limited"], True, False)],
)
async def test_all_failing_is_a_failure(
    url: str, peer: ChatPeer, faults: list[str], transient: bool, refused: bool
) -> None:
    peer.faults = list(faults)
    with pytest.raises(JudgeError, match="every member of judge 'ensemble' failed") as caught:
        await EnsembleJudge.of([member(url, 1), member(url, 2)]).score(SAMPLE, EDITED)
    assert (caught.value.transient, caught.value.refused) == (transient, refused)
    assert caught.value.retry_after == (7 if transient else None)
    assert caught.value.cost == pytest.approx(COST * sum(fault != "rate-limited" for fault in faults))


async def test_cancelling_hangs_up(url: str, peer: ChatPeer) -> None:
    peer.always = "stall"
    waiting = asyncio.ensure_future(EnsembleJudge.of([member(url, 1)]).score(SAMPLE, EDITED))
    assert await asyncio.to_thread(peer.started.wait, 2)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await asyncio.to_thread(peer.hung_up.wait, 2)


def test_nobody_is_no_ensemble() -> None:
    with pytest.raises(InputError, match="has no members"):
        EnsembleJudge.of([])


def test_its_price_is_that_of_all_members(url: str) -> None:
    one = member(url, 1).price or 0
    assert EnsembleJudge.of([member(url, 1), member(url, 2), Broken()]).price == pytest.approx(2 * one)
    dear = member("https://example.com/v1", 1)
    unknown = RubricJudge("x", RubricJudge.Settings(base_url="https://example.com/v1"))
    assert EnsembleJudge.of([dear, unknown]).price is None


async def test_it_is_built_by_name_with_settings_of_each_member(url: str) -> None:
    own = Named("judge", "mine", f"rubric:{MODEL}", {"base_url": url, "seed": 3}, Path("/etc/my.toml"))
    name = f"ensemble:mine|rubric:{MODEL}?base_url={url}&seed=1|checklist:{MODEL}?base_url={url}&seed=1"
    panel = resolve.resolve_judge(name, Config(models={("judge", "mine"): own}))
    assert isinstance(panel, EnsembleJudge)
    judged = await panel.score(SAMPLE, EDITED)
    assert judged.notes["counted"] == "2 of 3", "the peer writes no checklist"
    assert judged.score.semantic == 5.5
