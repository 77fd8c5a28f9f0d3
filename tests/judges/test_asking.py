"""The core of every judge that speaks: asks again, knows a refusal, averages, and serves foreign requests."""

from __future__ import annotations

import base64
import io
import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from editthinker.benchmarks.showing import Shown
from editthinker.benchmarks.suite import JudgeCall
from editthinker.core.declining import is_refusal
from editthinker.core.errors import EditorError, ImageError, JudgeError, Refused
from editthinker.core.images import Picture
from editthinker.core.types import Sample
from editthinker.judges.asking import ChatJudge
from editthinker.judges.rubric import Rubric, RubricJudge
from editthinker.testing import photograph
from editthinker.wire.answers import Unreadable
from judges.mutants import broken
from peers.chat_server import FAULTS, KEY, MODEL, TOKENS, Asked, ChatPeer

COST = (TOKENS[0] * 2 + TOKENS[1] * 10) / 1_000_000
PRICE = {"price_in": "2", "price_out": "10"}
SAMPLE = Sample((photograph(),), "make it black and white")
EDITED = photograph(seed=1)
GOOD = {"reasoning": "r", "following": 7, "preservation": 8, "naturalness": 6.5, "soundness": 9}


def judge(url: str, **given: Any) -> RubricJudge:
    settings = RubricJudge.Settings.read("judge", {"base_url": url, "timeout": "20", **given})
    return RubricJudge(MODEL, settings, name=f"rubric:{MODEL}")


# --- asking again ---


async def test_the_number_of_askings_is_the_users(url: str, peer: ChatPeer) -> None:
    peer.says = lambda asked: "no idea"
    with pytest.raises(JudgeError, match="asked 1 times: the reply holds no JSON objects") as caught:
        await judge(url, reasks=0, **PRICE).score(SAMPLE, EDITED)
    assert (len(peer.asked), caught.value.cost) == (1, pytest.approx(COST))


DECLINED = ("refusal", "filtered", "moderated")
READ_AGAIN = ("null", "empty", "length", "garbage", "reasoning-field")


@pytest.mark.parametrize("fault", sorted(set(FAULTS) - {*READ_AGAIN, "thinks-aloud", "no-usage"}))
async def test_a_fault_is_a_judge_error(
    url: str, peer: ChatPeer, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    peer.always, peer.says = fault, lambda asked: json.dumps(GOOD)
    with pytest.raises(JudgeError) as caught:
        await judge(url, timeout="0.5", key="env:MY_KEY").score(SAMPLE, EDITED)
    assert KEY not in str(caught.value)
    assert caught.value.refused == (fault in DECLINED)
    assert len(peer.asked) <= 1, "the wire's faults are repeated by whoever counts the calls"


@pytest.mark.parametrize("fault", READ_AGAIN)
async def test_what_cannot_be_read_is_asked_again(url: str, peer: ChatPeer, fault: str) -> None:
    peer.faults, peer.says = [fault], lambda asked: json.dumps(GOOD)
    judged = await judge(url, **PRICE).score(SAMPLE, EDITED)
    assert (judged.score.semantic, judged.score.quality, judged.notes["reasks"]) == (7, 6.5, 1)
    assert judged.cost == pytest.approx(2 * COST)


@pytest.mark.parametrize("fault", ["thinks-aloud", "no-usage"])
async def test_what_is_merely_odd_is_read(url: str, peer: ChatPeer, fault: str) -> None:
    peer.faults, peer.says = [fault], lambda asked: json.dumps(GOOD)
    judged = await judge(url).score(SAMPLE, EDITED)
    assert (judged.score.semantic, len(peer.asked)) == (7, 1)


# --- refusals ---

REFUSALS = [
    "I'm sorry, but I can't assist with that request.",
    "I’m sorry, I can’t help with identifying people in images.",
    "Sorry, I am unable to evaluate these images.",
    "I cannot provide a rating for this content.",
    "Unfortunately, I am not able to judge photos of real people.",
    "I must decline to rate this.",
    "抱歉，我无法对这张图片进行评分。",
    "对不起，我不能协助处理该请求。",
    "I'm sorry, I can't help with that.",
    "I cannot evaluate this image.",
]
NO_REFUSALS = [
    "I am sorry, as a language model I see two lovely photos.",
    "I cannot see any difference between the two; following 0, quality 9.",
    "The hat is red. I can not find artefacts.",
    '{"reasoning": "I cannot assist with that", "following": 7}',
    "",
    "Sorry state of an edit: 2",
    "I can't help but notice the seams. " + "They are everywhere. " * 60,
]


@pytest.mark.parametrize("words", REFUSALS)
async def test_a_refusal_in_words_is_not_asked_again(url: str, peer: ChatPeer, words: str) -> None:
    peer.says = lambda asked: words
    with pytest.raises(JudgeError, match="refused: ") as caught:
        await judge(url, **PRICE).score(SAMPLE, EDITED)
    assert caught.value.refused
    assert not caught.value.transient
    assert (len(peer.asked), caught.value.cost) == (1, pytest.approx(COST))


@pytest.mark.parametrize("words", NO_REFUSALS)
async def test_what_merely_sounds_like_one_is_asked_again(url: str, peer: ChatPeer, words: str) -> None:
    assert not is_refusal(words)
    peer.says = lambda asked: words
    with pytest.raises(JudgeError, match="no judgement that can be read, asked 3 times") as caught:
        await judge(url).score(SAMPLE, EDITED)
    assert not caught.value.refused


async def test_an_answer_with_a_refusal_in_it_is_an_answer(url: str, peer: ChatPeer) -> None:
    peer.says = lambda asked: f"I'm sorry, I can't assist with faces. {json.dumps(GOOD)}"
    assert (await judge(url).score(SAMPLE, EDITED)).score.semantic == 7


def test_refusals_of_editors_carry_the_same_flag() -> None:
    assert Refused("no").refused
    assert not EditorError("no").refused


# --- several samples ---


async def test_samples_are_averaged_and_their_spread_noted(url: str, peer: ChatPeer) -> None:
    by_seed = {11: 4, 12: 6, 13: 6, 14: 8}
    peer.says = lambda asked: json.dumps({**GOOD, "following": by_seed[asked.body["seed"]]})
    judged = await judge(url, samples=4, seed=11, temperature=1, **PRICE).score(SAMPLE, EDITED)
    assert sorted(asked.body["seed"] for asked in peer.asked) == [11, 12, 13, 14]
    assert judged.score.semantic == pytest.approx(6)
    assert judged.notes["samples"] == 4
    assert judged.notes["mean"] == {"semantic": 6, "quality": 6.5}
    assert judged.notes["std"] == {"semantic": pytest.approx(1.633, abs=1e-3), "quality": 0}
    assert judged.notes["following"] == 6
    assert judged.cost == pytest.approx(4 * COST)
    assert judge(url, samples=4, **PRICE).price == pytest.approx(4 * (judge(url, **PRICE).price or 0))


async def test_one_sample_that_cannot_be_read_fails_all_and_keeps_the_cost(url: str, peer: ChatPeer) -> None:
    peer.says = lambda asked: "?" if asked.body["seed"] == 2 else json.dumps(GOOD)
    with pytest.raises(JudgeError, match="no judgement that can be read") as caught:
        await judge(url, samples=3, seed=1, reasks=1, **PRICE).score(SAMPLE, EDITED)
    assert caught.value.cost == pytest.approx(4 * COST), "two answers and two that cannot be read"


# --- who answered ---


async def test_the_model_that_answered_is_pinned(url: str, peer: ChatPeer) -> None:
    def says(asked: Asked) -> str:
        peer.model = f"{MODEL}-2026-04-13"  # what the server says of an alias
        return json.dumps(GOOD)

    peer.says = says
    notes = (await judge(url).score(SAMPLE, EDITED)).notes
    assert (notes["model"], notes["asked_model"]) == (f"{MODEL}-2026-04-13", MODEL)
    peer.model = MODEL
    assert (await chat(url).answer(Request(("x",)))).model == f"{MODEL}-2026-04-13"


# --- foreign requests ---


@dataclass(frozen=True)
class Recipe:
    """An image as another script sends it."""

    data: bytes
    media_type: str = "image/jpeg"
    detail: str = ""

    def encoded(self) -> bytes:
        return self.data


@dataclass(frozen=True)
class Request:
    parts: tuple[Any, ...]
    temperature: float | None = None
    max_tokens: int | None = None


def jpeg(quality: int, size: tuple[int, int] = (64, 48)) -> bytes:
    stream = io.BytesIO()
    EDITED.pixels.resize(size).save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def chat(url: str, **given: Any) -> ChatJudge:
    settings = ChatJudge.Settings.read("judge", {"base_url": url, "timeout": "20", **given})
    return ChatJudge(MODEL, settings, name="judge")


def sent(asked: Asked) -> list[Any]:
    return [part.get("text") or part["image_url"] for part in asked.body["messages"][0]["content"]]


async def test_a_request_is_sent_as_it_is(url: str, peer: ChatPeer) -> None:
    peer.says = lambda asked: "Brief reasoning: fine.\nPrompt Compliance: 4"
    first, second = Recipe(jpeg(75), detail="high"), Recipe(jpeg(85, (32, 24)))
    request = Request(("judge this", first, "against", second), temperature=0.0, max_tokens=1400)
    reply = await chat(url, temperature="1", **PRICE).answer(request)
    assert (reply.text, reply.outcome, reply.model) == (
        "Brief reasoning: fine.\nPrompt Compliance: 4", "answered", MODEL,
    )  # fmt: skip
    assert reply.cost == pytest.approx(COST)
    text, one, between, other = sent(peer.asked[0])
    assert (text, between) == ("judge this", "against")
    assert one == {"url": f"data:image/jpeg;base64,{base64.b64encode(first.data).decode()}", "detail": "high"}
    assert other == {"url": f"data:image/jpeg;base64,{base64.b64encode(second.data).decode()}"}
    assert peer.asked[0].body["temperature"] == 0
    assert peer.asked[0].body["max_tokens"] == 1400
    assert "response_format" not in peer.asked[0].body


async def test_a_benchmark_s_own_call_is_served(url: str, peer: ChatPeer, tmp_path: Path) -> None:
    EDITED.save(tmp_path / "edited.png")
    peer.says = lambda asked: "**Final Score:** **4**"
    shown = Shown(tmp_path / "edited.png", quality=75, longest=32, detail="high")
    call = JudgeCall("case", "quality", ("How good is it?", shown), "gpt-4.1", temperature=0, max_tokens=50)
    reply = await chat(url).answer(call)
    assert (reply.text, reply.outcome) == ("**Final Score:** **4**", "answered")
    assert max(peer.asked[0].pictures[0].size) == 32
    missing = JudgeCall("case", "quality", (Shown(tmp_path / "none.png"),), "gpt-4.1")
    with pytest.raises(ImageError, match="there is no such file"):
        await chat(url).answer(missing)


async def test_what_a_request_leaves_open_is_as_in_the_settings(url: str, peer: ChatPeer) -> None:
    peer.says = lambda asked: "4"
    await chat(url, temperature="0.5", max_tokens="99").answer(Request(("x", Picture.open(EDITED))))
    assert (peer.asked[0].body["temperature"], peer.asked[0].body["max_tokens"]) == (0.5, 99)
    assert peer.asked[0].pictures[0].size == EDITED.size


async def test_any_words_are_an_answer_to_a_request(url: str, peer: ChatPeer) -> None:
    """Reading is the asker's business, also of what was cut off or declines: there may be a score in it."""
    peer.says = lambda asked: "I cannot identify a change. Final Score: 1"
    assert (await chat(url).answer(Request(("x",)))).outcome == "answered"
    peer.faults = ["length"]
    reply = await chat(url).answer(Request(("x",)))
    assert (reply.outcome, reply.finish) == ("answered", "length")
    peer.faults = ["empty"]
    assert (await chat(url).answer(Request(("x",)))).text.strip() == ""


@pytest.mark.parametrize("fault", ["refusal", "filtered", "moderated"])
async def test_a_providers_refusal_of_a_request_is_a_value(url: str, peer: ChatPeer, fault: str) -> None:
    peer.faults, peer.says = [fault], lambda asked: "4"
    reply = await chat(url, **PRICE).answer(Request(("x",)))
    assert reply.outcome == "refused"
    assert "refused" in reply.text
    assert reply.cost == pytest.approx(0 if fault == "moderated" else COST)


async def test_a_request_that_gets_no_reply_is_an_error(url: str, peer: ChatPeer) -> None:
    peer.faults = ["rate-limited"]
    with pytest.raises(JudgeError, match="asked too often") as caught:
        await chat(url).answer(Request(("x",)))
    assert (caught.value.transient, caught.value.retry_after) == (True, 7)


async def test_a_request_is_repeated_with_the_reason(url: str, peer: ChatPeer) -> None:
    peer.says = lambda asked: "4"
    await chat(url).answer(Request(("x",)), complaint_of_last="it has no line with a score")
    assert "could not be used: it has no line with a score" in peer.asked[0].text


# --- replies gone wrong ---


def test_a_thousand_mutants_give_no_score() -> None:
    marks = ["following", "preservation", "naturalness", "soundness"]
    assert Rubric.read(json.dumps(GOOD)).score.semantic == 7
    for text in broken(GOOD, marks, seed=1, count=1_000):
        with pytest.raises(Unreadable):
            pytest.fail(f"{text!r} gave {Rubric.read(text)}")


def test_noise_in_the_words_changes_no_score() -> None:
    rng = random.Random(2)
    for _ in range(200):
        words = "".join(rng.choice("ab {}\"'\\<>/\n\t0123") for _ in range(rng.randrange(60)))
        assert Rubric.read(json.dumps({**GOOD, "reasoning": words})).following == 7
