"""Answers kept by content: paid for once, shared by processes, and never half an answer."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from editthinker.core.errors import InputError, JudgeError
from editthinker.core.images import Picture
from editthinker.core.types import Sample
from editthinker.judges.asking import ChatJudge
from editthinker.judges.cache import AnswerCache, key_of
from editthinker.judges.pairwise import PairwiseJudge
from editthinker.judges.rubric import RubricJudge
from editthinker.testing import photograph
from editthinker.wire.chat import ChatReply
from peers.chat_server import MODEL, TOKENS, ChatPeer
from peers.serving import serving

COST = (TOKENS[0] * 2 + TOKENS[1] * 10) / 1_000_000
PRICE = {"price_in": "2", "price_out": "10"}
SAMPLE = Sample((photograph(),), "make it black and white")
EDITED = photograph(seed=1)
GOOD = json.dumps({"reasoning": "r", "following": 7, "preservation": 8, "naturalness": 6.5, "soundness": 9})
REPLY = ChatReply("seven", "because", "stop", 0.25, {"model": "m", "tokens_in": 3})


def judge(url: str, folder: Path, **given: Any) -> RubricJudge:
    settings = RubricJudge.Settings.read(
        "judge", {"base_url": url, "timeout": "20", "cache": str(folder), **PRICE, **given}
    )
    return RubricJudge(MODEL, settings, name="rubric")


@pytest.fixture(autouse=True)
def says(peer: ChatPeer) -> None:
    peer.says = lambda asked: GOOD


async def test_the_same_question_is_asked_once(url: str, peer: ChatPeer, tmp_path: Path) -> None:
    first = await judge(url, tmp_path / "kept").score(SAMPLE, EDITED)
    again = await judge(url, tmp_path / "kept").score(
        Sample((Picture(SAMPLE.source.pixels.copy()),), SAMPLE.instruction, id="other"), EDITED
    )
    assert len(peer.asked) == 1
    assert first.cost == pytest.approx(COST)
    assert "cached" not in first.notes
    assert (again.score, again.cost, again.notes["cached"]) == (first.score, 0, True)
    assert (again.reasoning, again.notes["model"]) == (first.reasoning, first.notes["model"])


async def test_it_is_off_unless_asked_for(url: str, peer: ChatPeer, tmp_path: Path) -> None:
    for _ in range(2):
        await judge(url, tmp_path, cache="").score(SAMPLE, EDITED)
    assert len(peer.asked) == 2
    assert list(tmp_path.iterdir()) == []


async def test_the_same_model_at_another_address_is_the_same(peer: ChatPeer, tmp_path: Path) -> None:
    for _ in range(2):
        with serving(peer.app) as address:
            await judge(f"{address}/v1", tmp_path).score(SAMPLE, EDITED)
    assert len(peer.asked) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"temperature": "0.3"}, {"seed": "5"}, {"max_tokens": "99"}, {"pixels": "2048"}, {"side": "32"},
        {"image_format": "jpeg"}, {"detail": "low"}, {"extra.top_k": "1"}, {"guided": "off"},
    ],
    ids=lambda other: next(iter(other)),
)  # fmt: skip
async def test_another_parameter_is_another_question(
    url: str, peer: ChatPeer, tmp_path: Path, other: dict[str, str]
) -> None:
    await judge(url, tmp_path).score(SAMPLE, EDITED)
    await judge(url, tmp_path, **other).score(SAMPLE, EDITED)
    assert len(peer.asked) == 2


async def test_other_words_images_and_models_are_other_questions(
    url: str, peer: ChatPeer, tmp_path: Path
) -> None:
    asking = judge(url, tmp_path)
    await asking.score(SAMPLE, EDITED)
    await asking.score(Sample(SAMPLE.images, "make it red"), EDITED)
    await asking.score(SAMPLE, photograph(seed=2))
    await asking.score(Sample((photograph(seed=3),), SAMPLE.instruction), EDITED)
    peer.model = "other"
    settings = asking.Settings.read("judge", {"base_url": url, "cache": str(tmp_path)})
    await RubricJudge("other", settings).score(SAMPLE, EDITED)
    assert len(peer.asked) == 5


async def test_every_sample_is_a_question_and_more_samples_ask_only_the_new(
    url: str, peer: ChatPeer, tmp_path: Path
) -> None:
    await judge(url, tmp_path, samples=2).score(SAMPLE, EDITED)
    assert len(peer.asked) == 2
    judged = await judge(url, tmp_path, samples=5).score(SAMPLE, EDITED)
    assert len(peer.asked) == 5
    assert judged.cost == pytest.approx(3 * COST)
    assert "cached" not in judged.notes
    assert sum("cached" in asked for asked in judged.notes["asked"]) == 2
    assert (await judge(url, tmp_path, samples=5).score(SAMPLE, EDITED)).notes["cached"] is True
    assert len(peer.asked) == 5


async def test_what_cannot_be_read_and_what_was_refused_is_asked_anew(
    url: str, peer: ChatPeer, tmp_path: Path
) -> None:
    for words in ("no idea", "I'm sorry, I can't assist with that."):
        peer.says = lambda asked, words=words: words  # type: ignore[misc]
        with pytest.raises(JudgeError):
            await judge(url, tmp_path, reasks=0).score(SAMPLE, EDITED)
    peer.says = lambda asked: GOOD
    assert (await judge(url, tmp_path).score(SAMPLE, EDITED)).score.semantic == 7
    assert len(peer.asked) == 3


async def test_an_answer_after_asking_again_is_kept(url: str, peer: ChatPeer, tmp_path: Path) -> None:
    peer.faults = ["garbage"]
    await judge(url, tmp_path).score(SAMPLE, EDITED)
    assert (await judge(url, tmp_path).score(SAMPLE, EDITED)).cost == 0
    assert len(peer.asked) == 2


async def test_both_ways_of_a_comparison_are_kept(url: str, peer: ChatPeer, tmp_path: Path) -> None:
    peer.says = None
    settings = PairwiseJudge.Settings.read("judge", {"base_url": url, "cache": str(tmp_path)})
    first = await PairwiseJudge(MODEL, settings).prefer(SAMPLE, EDITED, SAMPLE.source)
    turned = await PairwiseJudge(MODEL, settings).prefer(SAMPLE, SAMPLE.source, EDITED)
    assert len(peer.asked) == 2
    assert (turned.better, turned.notes["cached"]) == (-first.better, True)


async def test_requests_of_a_benchmark_are_kept_whatever_the_words(
    url: str, peer: ChatPeer, tmp_path: Path
) -> None:
    from judges.test_asking import Recipe, Request, jpeg

    peer.says = lambda asked: "no score in here"
    settings = ChatJudge.Settings.read("judge", {"base_url": url, "cache": str(tmp_path), **PRICE})
    for quality, calls, cost in ((75, 1, COST), (75, 1, 0), (85, 2, COST)):
        reply = await ChatJudge(MODEL, settings, name="j").answer(Request(("x", Recipe(jpeg(quality)))))
        assert (reply.text, reply.cost) == ("no score in here", pytest.approx(cost))
        assert ("cached" in reply.notes) == (cost == 0)
        assert len(peer.asked) == calls
    await ChatJudge(MODEL, settings, name="j").answer(Request(("x", Recipe(jpeg(75)))), sample=1)
    assert len(peer.asked) == 3


# --- files ---


def _one_file(folder: Path) -> Path:
    (path,) = folder.rglob("*.json")
    return path


def test_what_was_put_is_got_and_costs_nothing(tmp_path: Path) -> None:
    cache, key = AnswerCache(tmp_path / "new" / "folder"), key_of({"q": "é\ud800"})
    assert cache.get(key) is None
    cache.put(key, REPLY)
    assert cache.get(key) == ChatReply("seven", "because", "stop", 0.0, {"model": "m", "tokens_in": 3})


def test_a_torn_file_is_no_answer_wherever_it_is_torn(tmp_path: Path) -> None:
    cache, key = AnswerCache(tmp_path), key_of({"q": 1})
    cache.put(key, REPLY)
    whole = _one_file(tmp_path).read_bytes()
    for length in range(len(whole)):
        _one_file(tmp_path).write_bytes(whole[:length])
        assert cache.get(key) is None
        flipped = bytearray(whole)
        flipped[length] ^= 1
        _one_file(tmp_path).write_bytes(flipped)
        got = cache.get(key)
        assert got is None or got == ChatReply("seven", "because", "stop", 0.0, dict(REPLY.notes))
    cache.put(key, REPLY)
    assert cache.get(key) is not None


@pytest.mark.parametrize(
    "foreign", [b"", b"null", b"[]", b"{}", b"\xff\xfe", b"[" * 100_000, b'{"schema": 1}']
)
async def test_a_foreign_file_is_asked_over(url: str, peer: ChatPeer, tmp_path: Path, foreign: bytes) -> None:
    await judge(url, tmp_path).score(SAMPLE, EDITED)
    _one_file(tmp_path).write_bytes(foreign)
    assert (await judge(url, tmp_path).score(SAMPLE, EDITED)).cost > 0
    assert (await judge(url, tmp_path).score(SAMPLE, EDITED)).cost == 0
    assert len(peer.asked) == 2


def test_an_answer_under_another_ones_name_is_none(tmp_path: Path) -> None:
    cache, key, other = AnswerCache(tmp_path), key_of({"q": 1}), key_of({"q": 2})
    cache.put(key, REPLY)
    (tmp_path / other[:2]).mkdir(exist_ok=True)
    _one_file(tmp_path).rename(tmp_path / other[:2] / f"{other}.json")
    assert cache.get(other) is None


def test_a_file_is_no_place_for_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="is a file; give a folder"):
        judge("http://127.0.0.1:1/v1", tmp_path / "file")


async def test_an_answer_that_cannot_be_kept_counts_all_the_same(
    url: str, peer: ChatPeer, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("x")
    asking = judge(url, tmp_path / "file" / "below")
    judged = await asking.score(SAMPLE, EDITED)
    assert judged.score.semantic == 7
    assert "cannot write" in judged.notes["not_cached"]


WRITER = """
import sys
from editthinker.judges.cache import AnswerCache, key_of
from editthinker.wire.chat import ChatReply
cache = AnswerCache(sys.argv[1])
for number in range(60):
    key = key_of({"q": number % 6})
    kept = cache.get(key)
    assert kept is None or kept.text == f"{number % 6} " * 5000, kept.text[:50]
    cache.put(key, ChatReply(f"{number % 6} " * 5000))
"""


def test_processes_share_a_folder(tmp_path: Path) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)]) for _ in range(3)]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    assert len(list(tmp_path.rglob("*"))) == len({key_of({"q": n})[:2] for n in range(6)}) + 6
