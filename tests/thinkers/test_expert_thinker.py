"""The expert: a verdict and no score; scores come from a judge beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from editthinker.core.contracts import View
from editthinker.core.episode import Episode
from editthinker.core.limits import Limits
from editthinker.core.types import Sample, StopReason
from editthinker.darkroom.editor import DarkroomEditor
from editthinker.judges.rubric import RubricJudge
from editthinker.testing import check_thinker, photograph
from editthinker.thinkers.expert import ExpertThinker
from peers.chat_server import MODEL, ChatPeer
from peers.serving import serving


@pytest.fixture
def peer() -> ChatPeer:
    return ChatPeer()


@pytest.fixture
def url(peer: ChatPeer) -> Iterator[str]:
    with serving(peer.app) as address:
        yield f"{address}/v1"


def expert(url: str, **given: Any) -> ExpertThinker:
    return ExpertThinker(MODEL, ExpertThinker.Settings.read("expert", {"base_url": url, **given}))


def test_it_keeps_every_promise(url: str) -> None:
    check_thinker(lambda: expert(url))


async def test_it_gives_a_verdict_and_no_score(url: str, peer: ChatPeer) -> None:
    sample = Sample((photograph(),), "make it black and white")
    thought = await expert(url).think(View(sample, sample.instruction, photograph(seed=1)))
    assert thought.critique.score is None
    assert thought.critique.satisfied is False
    assert thought.critique.reasoning
    assert "Give no scores" in peer.asked[0].text


async def test_it_stops_the_loop_when_it_is_satisfied(url: str, peer: ChatPeer) -> None:
    replies = [
        '{"reasoning": "pale", "satisfied": false, "impossible": "", "instruction": "make it deep red"}',
        '{"reasoning": "done", "satisfied": true, "impossible": "", "instruction": null}',
    ]
    peer.says = lambda asked: replies[len(peer.asked) - 1]
    sample = Sample((photograph(),), "make it red")
    trajectory = await Episode(sample, DarkroomEditor.load(), expert(url), limits=Limits(turns=5)).run()
    assert [turn.instruction for turn in trajectory.turns] == ["make it red", "make it deep red"]
    assert trajectory.stop.reason is StopReason.SATISFIED


async def test_it_says_when_a_wish_is_impossible(url: str, peer: ChatPeer) -> None:
    verdict = {"reasoning": "r", "satisfied": False, "impossible": "there is no car", "instruction": ""}
    peer.says = lambda asked: json.dumps(verdict)
    sample = Sample((photograph(),), "make the car red")
    trajectory = await Episode(sample, DarkroomEditor.load(), expert(url), limits=Limits(turns=5)).run()
    assert trajectory.stop.reason is StopReason.IMPOSSIBLE
    assert trajectory.stop.detail == "there is no car"


async def test_a_judge_beside_it_gives_the_scores(url: str) -> None:
    judge = RubricJudge(MODEL, RubricJudge.Settings.read("judge", {"base_url": url}))
    sample = Sample((photograph(),), "black and white")
    episode = Episode(sample, DarkroomEditor.load(), expert(url), judge=judge, limits=Limits(turns=2))
    trajectory = await episode.run()
    assert trajectory.failure is None
    assert all(turn.judged is not None for turn in trajectory.turns)
    assert all(turn.critique and turn.critique.score is None for turn in trajectory.turns)


async def test_images_are_shown_as_the_paper_showed_them(url: str, peer: ChatPeer) -> None:
    sample = Sample((photograph(2048, 300),), "make it red")
    await expert(url).think(View(sample, sample.instruction, photograph(300, 2048)))
    assert [picture.size for picture in peer.asked[0].pictures] == [(1024, 150), (150, 1024)]
