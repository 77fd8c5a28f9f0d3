"""The checklist judge: questions once, answers for every candidate, the share of yes."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from editthinker.core.contracts import Priced
from editthinker.core.errors import JudgeError
from editthinker.core.images import Picture
from editthinker.core.types import Sample, Score
from editthinker.judges.checklist import MOST, ChecklistJudge, Questions, Ticked
from editthinker.testing import check_judge, photograph
from editthinker.wire.answers import Unreadable
from judges.mutants import broken
from peers.chat_server import MODEL, TOKENS, Asked, ChatPeer

COST = (TOKENS[0] * 2 + TOKENS[1] * 10) / 1_000_000
PRICE = {"price_in": "2", "price_out": "10"}
SAMPLE = Sample((photograph(),), "make it black and white, and brighter")
GREY = Picture(SAMPLE.source.pixels.convert("L").convert("RGB"))
BRIGHT = Picture(GREY.pixels.point(lambda value: min(255, value + 40)))
QUESTIONS = ["Is it black and white?", "Is it brighter than the source photo?"]


def looks(asked: Asked) -> str:
    """Writes the questions, or looks at the pixels and answers them."""
    if '"questions"' in asked.text:
        return json.dumps({"questions": QUESTIONS})
    source, edited = (np.asarray(picture.convert("RGB"), float) for picture in asked.pictures)
    grey, brighter = np.ptp(edited, axis=2).max() < 3, edited.mean() > source.mean() + 20
    answers = ["yes" if good else "no" for good in (grey, brighter)]
    return json.dumps({"reasoning": "looked", "answers": answers, "quality": 8})


def writings(peer: ChatPeer) -> int:
    return sum('"questions"' in asked.text for asked in peer.asked)


@pytest.fixture(autouse=True)
def says(peer: ChatPeer) -> None:
    peer.says = looks


def judge(url: str, **given: Any) -> ChecklistJudge:
    settings = ChecklistJudge.Settings.read("judge", {"base_url": url, "timeout": "20", **given})
    return ChecklistJudge(MODEL, settings, name="checklist")


def test_it_keeps_every_promise(url: str) -> None:
    check_judge(lambda: judge(url))


@pytest.mark.parametrize(
    ("edited", "semantic", "yes"),
    [(SAMPLE.source, 0, [0, 0]), (GREY, 5, [1, 0]), (BRIGHT, 10, [1, 1])],
)
async def test_semantic_is_the_share_of_yes(
    url: str, edited: Picture, semantic: float, yes: list[float]
) -> None:
    judged = await judge(url, **PRICE).score(SAMPLE, edited)
    assert judged.score == Score(semantic, 8)
    assert (judged.reasoning, judged.notes["questions"], judged.notes["yes"]) == ("looked", QUESTIONS, yes)
    assert judged.cost == pytest.approx(2 * COST)


async def test_questions_are_written_once_for_all_candidates(url: str, peer: ChatPeer) -> None:
    asking = judge(url, **PRICE)
    judged = await asyncio.gather(*(asking.score(SAMPLE, edited) for edited in (GREY, BRIGHT, SAMPLE.source)))
    assert (writings(peer), len(peer.asked)) == (1, 4)
    assert sorted(one.cost for one in judged) == pytest.approx([COST, COST, 2 * COST])
    assert sum("questions_written" in one.notes for one in judged) == 1
    await asking.score(Sample(SAMPLE.images, "another wish"), GREY)
    await asking.score(Sample((photograph(seed=4),), SAMPLE.instruction), photograph(seed=5))
    assert writings(peer) == 3


async def test_the_writer_sees_no_candidate_and_who_answers_no_wish(url: str, peer: ChatPeer) -> None:
    await judge(url).score(SAMPLE, GREY)
    writing, answering = peer.asked
    assert (len(writing.pictures), len(answering.pictures)) == (1, 2)
    assert SAMPLE.instruction in writing.text
    assert SAMPLE.instruction not in answering.text
    numbered = "\n".join(f"{number}. {words}" for number, words in enumerate(QUESTIONS, start=1))
    assert f'"""\n{numbered}\n"""' in answering.text
    assert not re.search(r"\{\w+\}", writing.text + answering.text), "a place was left open"


async def test_questions_outlive_the_judge_in_the_cache(url: str, peer: ChatPeer, tmp_path: Path) -> None:
    for edited in (GREY, BRIGHT):
        await judge(url, cache=str(tmp_path)).score(SAMPLE, edited)
    assert (writings(peer), len(peer.asked)) == (1, 3)


async def test_samples(url: str, peer: ChatPeer) -> None:
    def says(asked: Asked) -> str:
        if '"questions"' in asked.text:
            return json.dumps({"questions": QUESTIONS})
        return json.dumps({"answers": ["yes", "yes" if asked.body["seed"] == 1 else "no"], "quality": 8})

    peer.says = says
    judged = await judge(url, samples=4, seed=1).score(SAMPLE, GREY)
    assert judged.score == Score(6.25, 8)
    assert judged.notes["yes"] == [1, 0.25]
    assert judged.notes["std"] == {"semantic": 2.5, "quality": 0}
    assert writings(peer) == 1


@pytest.mark.parametrize("answers", [["yes"], ["yes"] * 3, [], ["yes", "perhaps"], ["yes", True], "yes yes"])
async def test_answers_must_be_one_for_each(url: str, peer: ChatPeer, answers: Any) -> None:
    def says(asked: Asked) -> str:
        again = "could not be used" in asked.text
        return looks(asked) if again or '"questions"' in asked.text else json.dumps(
            {"answers": answers, "quality": 8}
        )  # fmt: skip

    peer.says = says
    judged = await judge(url).score(SAMPLE, GREY)
    assert (judged.score, judged.notes["reasks"]) == (Score(5, 8), 1)


@pytest.mark.parametrize(
    "questions", [[], [""], ["a?", " "], ["a?"] * 2, [f"{n}?" for n in range(MOST + 1)], "a?", None, [7]]
)
async def test_what_is_no_list_of_questions_is_no_checklist(url: str, peer: ChatPeer, questions: Any) -> None:
    peer.says = lambda asked: json.dumps({"questions": questions})
    with pytest.raises(JudgeError, match="no judgement that can be read") as caught:
        await judge(url, **PRICE).score(SAMPLE, GREY)
    assert caught.value.cost == pytest.approx(3 * COST)


async def test_a_failure_keeps_what_the_questions_cost(url: str, peer: ChatPeer) -> None:
    peer.says = lambda asked: looks(asked) if '"questions"' in asked.text else "?"
    asking = judge(url, reasks=0, **PRICE)
    with pytest.raises(JudgeError) as caught:
        await asking.score(SAMPLE, GREY)
    assert caught.value.cost == pytest.approx(2 * COST)
    peer.says = looks
    assert (await asking.score(SAMPLE, GREY)).cost == pytest.approx(COST), "the questions are not lost"


async def test_who_waits_for_the_questions_writes_them_when_the_writer_is_cancelled(
    url: str, peer: ChatPeer
) -> None:
    peer.faults = ["stall"]
    asking = judge(url)
    writer = asyncio.ensure_future(asking.score(SAMPLE, GREY))
    assert await asyncio.to_thread(peer.started.wait, 2)
    waiter = asyncio.ensure_future(asking.score(SAMPLE, BRIGHT))
    await asyncio.sleep(0.05)
    writer.cancel()
    assert (await waiter).score.semantic == 10
    assert await asyncio.to_thread(peer.hung_up.wait, 2)


def test_one_judge_serves_several_event_loops(url: str, peer: ChatPeer) -> None:
    asking = judge(url)
    for _ in range(2):
        assert asyncio.run(asking.score(SAMPLE, GREY)).score.semantic == 5
    threads = [threading.Thread(target=lambda: asyncio.run(asking.score(SAMPLE, BRIGHT))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (writings(peer), len(peer.asked)) == (1, 5)


def test_its_price() -> None:
    assert isinstance(judge("https://example.com/v1", **PRICE), Priced)


def test_a_thousand_mutants_give_no_score_and_no_questions() -> None:
    good = {"reasoning": "r", "answers": ["yes", "no"], "quality": 7.5}
    assert Ticked.read(json.dumps(good)).score == Score(5, 7.5)
    for text in broken(good, ["answers", "quality"], seed=4, count=1_000):
        with pytest.raises(Unreadable):
            pytest.fail(f"{text!r} gave {Ticked.read(text).score}")
    asked = {"questions": QUESTIONS}
    for text in broken(asked, ["questions"], seed=5, count=1_000):
        with pytest.raises(Unreadable):
            pytest.fail(f"{text!r} gave {Questions.read(text)}")
