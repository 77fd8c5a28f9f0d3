"""EditScore: the package's prompts and models, our reading; never one of its guesses."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

from editthinker.core.errors import JudgeError, MissingExtra
from editthinker.core.types import Sample, Score
from editthinker.judges.editscore import EditScoreJudge
from editthinker.testing import check_judge, photograph
from judges.mutants import broken
from peers.chat_server import MODEL, TOKENS, ChatPeer
from peers.editscore_package import Scripted, in_place

COST = (TOKENS[0] * 2 + TOKENS[1] * 10) / 1_000_000
SAMPLE = Sample((photograph(),), "make the sky red")
EDITED = photograph(seed=1)


def marks(count: int) -> str:
    return json.dumps({"reasoning": f"{count}", "score": [20, 15] if count == 2 else [10, 25]})


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    script = Scripted(lambda images, prompt: marks(len(images)))
    with in_place(script):
        yield script


@pytest.fixture(autouse=True)
def says(peer: ChatPeer) -> None:
    peer.says = lambda asked: marks(len(asked.pictures))


def judge(model: str = MODEL, **given: Any) -> EditScoreJudge:
    return EditScoreJudge(model, EditScoreJudge.Settings.read("judge", given), name="editscore")


def remote(url: str, **given: Any) -> EditScoreJudge:
    return judge(base_url=url, timeout="20", price_in="2", price_out="10", **given)


@pytest.mark.usefixtures("scripted")
def test_it_keeps_every_promise_behind_an_endpoint(url: str) -> None:
    check_judge(lambda: remote(url))


@pytest.mark.usefixtures("scripted")
async def test_an_endpoint_is_asked_as_the_package_asks(url: str, peer: ChatPeer) -> None:
    judged = await remote(url, samples=2).score(SAMPLE, EDITED)
    assert judged.score == Score(6, 4), "the worse of two, on a scale of 10"
    assert (judged.notes["prompt_following"], judged.notes["consistency"]) == (8, 6)
    assert judged.notes["overall"] == pytest.approx(24**0.5)
    assert judged.notes["samples"] == 2
    assert judged.reasoning == "2 1"
    assert judged.cost == pytest.approx(4 * COST)
    of_edit = next(asked for asked in peer.asked if len(asked.pictures) == 2)
    assert isinstance(of_edit.parts[0], str), "text first"
    assert of_edit.text.endswith("Editing instruction: make the sky red")
    assert [picture.format for picture in of_edit.pictures] == ["JPEG", "JPEG"]
    assert [picture.size for picture in of_edit.pictures] == [EDITED.size] * 2
    assert "response_format" not in of_edit.body


async def test_a_model_in_this_process(scripted: Scripted) -> None:
    local = judge("some/model", lora="some/lora", samples=3)
    judged = await asyncio.gather(local.score(SAMPLE, EDITED), local.score(SAMPLE, photograph(seed=2)))
    assert [one.score for one in judged] == [Score(6, 4)] * 2
    assert local.price == judged[0].cost == 0
    assert scripted.given == [{"model": "some/model", "lora": "some/lora", "temperature": 0.7}], "loaded once"
    assert scripted.most_at_once == 1
    assert sorted(seed for _, _, seed in scripted.asked) == sorted([42, 43, 44] * 4)
    assert judged[0].notes["backbone"] == "qwen25vl"
    assert judged[0].notes["model"] == "qwen25vl:some/model+some/lora"


async def test_the_range_of_marks(scripted: Scripted) -> None:
    scripted.says = lambda images, prompt: '{"score": [9, 8]}'
    assert (await judge("m", score_range=10).score(SAMPLE, EDITED)).score == Score(8, 8)
    assert "from 0 to 10" in scripted.asked[0][1]


@pytest.mark.parametrize(
    "text",
    [
        *("lovely", "", "[20, 20]", '{"reasoning": "20, 20"}', '{"score": 7}', '{"score": []}'),
        *('{"score": [26, 1]}', '{"score": [-1, 1]}', '{"score": [7]}', '{"score": [1, 2, 3]}'),
        *('{"score": [true, 1]}', '{"score": ["high", 1]}', '{"score": [20, 20]} {"score": [1, 1]}'),
    ],
)
async def test_no_mark_is_ever_guessed(scripted: Scripted, text: str) -> None:
    scripted.says = lambda images, prompt: text if len(images) == 2 else marks(1)
    with pytest.raises(JudgeError, match="no judgement that can be read, asked 3 times"):
        await judge("m").score(SAMPLE, EDITED)
    asked = [prompt for images, prompt, _ in scripted.asked if len(images) == 2]
    assert ["could not be used" in prompt for prompt in asked] == [False, True, True]


async def test_a_thousand_mutants_give_no_mark(scripted: Scripted) -> None:
    texts = iter(list(broken({"reasoning": "r", "score": [20, 15]}, ["score"], seed=6, count=1_000)))
    scripted.says = lambda images, prompt: next(texts) if len(images) == 2 else marks(1)
    local = judge("m", reasks=0)
    for _ in range(1_000):
        with pytest.raises(JudgeError):
            pytest.fail(f"gave {(await local.score(SAMPLE, EDITED)).score}")


@pytest.mark.parametrize(
    ("model", "backbone", "sentence"),
    [("m", "qwen3vl_vllm", "needs vllm, which is not installed"), ("broken", "qwen3vl", "broke: OSError")],
)
@pytest.mark.usefixtures("scripted")
async def test_a_model_that_cannot_be_loaded(model: str, backbone: str, sentence: str) -> None:
    with pytest.raises(JudgeError, match=sentence):
        await judge(model, backbone=backbone).score(SAMPLE, EDITED)


async def test_a_model_that_breaks(scripted: Scripted) -> None:
    def breaks(images: list[Image.Image], prompt: str) -> str:
        raise RuntimeError("CUDA out of memory")

    scripted.says = breaks
    with pytest.raises(JudgeError, match="judge 'editscore' broke: RuntimeError: CUDA out of memory"):
        await judge("m").score(SAMPLE, EDITED)


@pytest.mark.usefixtures("scripted")
@pytest.mark.parametrize("fault", ["unauthorized", "rate-limited", "refusal", "html"])
async def test_faults_of_an_endpoint_are_the_judges(url: str, peer: ChatPeer, fault: str) -> None:
    peer.faults = [fault]
    with pytest.raises(JudgeError) as caught:
        await remote(url).score(SAMPLE, EDITED)
    assert caught.value.cost >= COST, "the other question was answered"


async def test_without_the_package_the_command_is_told(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "editscore", None)
    with pytest.raises(MissingExtra, match=r"pip install 'editthinker\[judges\]'"):
        await remote(url).score(SAMPLE, EDITED)


def test_the_package_itself_still_is_what_the_stand_in_claims() -> None:
    """Runs where the real package is installed."""
    package = pytest.importorskip("editscore")
    made = package.EditScore(backbone="", score_range=25)
    assert "<instruction>" in made.SC_prompt
    assert "25" in made.PQ_prompt
    assert not hasattr(made, "model")
