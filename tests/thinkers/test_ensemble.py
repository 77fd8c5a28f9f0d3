"""Several thinkers vote; one that fails does not sink the others."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from editthinker.core.contracts import EditorInfo, Priced, View
from editthinker.core.errors import InputError, ReplyError, ThinkerError
from editthinker.core.types import Critique, Plan, Sample, Score
from editthinker.testing import ScriptedThinker, check_thinker, photograph
from editthinker.testing.scripted import ThinkStep
from editthinker.thinkers.ensemble import EnsembleThinker

SENT = "make it red"


def view() -> View:
    return View(Sample((photograph(),), SENT), SENT, photograph(seed=1))


def said(
    semantic: float | None,
    words: str,
    reasoning: str = "",
    satisfied: bool | None = None,
    impossible: str = "",
) -> Critique:
    score = None if semantic is None else Score(semantic, 8)
    return Critique(score, reasoning, words, f"raw {words}", satisfied, impossible)


def ensemble(*steps: ThinkStep, cost: float = 0.0, seconds: float = 0.0) -> EnsembleThinker:
    members = [
        ScriptedThinker(step, name=f"m{number}", cost=cost, seconds=seconds)
        for number, step in enumerate(steps, 1)
    ]
    return EnsembleThinker.of(members, name="ensemble:m")


def failing(kind: type[ThinkerError], words: str, **more: Any) -> ThinkerError:
    error = kind(words)
    for key, value in more.items():
        setattr(error, key, value)
    return error


def test_it_keeps_every_promise() -> None:
    check_thinker(lambda: EnsembleThinker.of([ScriptedThinker(seconds=0.02), ScriptedThinker()]))


async def test_scores_are_averaged_and_their_spread_is_noted() -> None:
    thought = await ensemble(said(2, "a"), said(5, "b"), said(8, "c"), cost=0.25).think(view())
    assert thought.critique.score == Score(5, 8)
    assert thought.notes["spread"] == {"semantic": 6, "quality": 0}
    assert [member["score"] for member in thought.notes["members"]] == [[2, 8], [5, 8], [8, 8]]
    assert thought.cost == 0.75
    assert "[m1]\nraw a" in thought.critique.reply


async def test_words_come_from_the_member_nearest_the_mean_and_reasoning_from_the_median() -> None:
    thought = await ensemble(
        said(0, "a", "ra"), said(7, "b", "rb"), said(9, "c", "rc"), said(8, "d", "rd")
    ).think(view())
    assert thought.critique.refined_instruction == "b"  # mean 6
    assert thought.critique.reasoning == "rb"  # 0 7 | 8 9
    assert (thought.notes["instruction_by"], thought.notes["reasoning_by"]) == ("m2", "m2")
    assert thought.notes["instruction_why"]


async def test_the_majority_says_whether_it_is_done() -> None:
    done, more = said(9, SENT), said(4, "make it redder")
    thought = await ensemble(done, done, more).think(view())
    assert thought.critique.satisfied is True
    assert thought.critique.refined_instruction == SENT
    thought = await ensemble(done, more, more).think(view())
    assert thought.critique.satisfied is False
    assert thought.critique.refined_instruction == "make it redder"
    thought = await ensemble(done, more).think(view())
    assert thought.critique.satisfied is False, "half is no majority"


async def test_members_without_scores_vote_by_their_verdict() -> None:
    thought = await ensemble(
        said(None, SENT, satisfied=True), said(None, SENT, satisfied=True), said(3, "x")
    ).think(view())
    assert thought.critique.score == Score(3, 8)
    assert thought.critique.satisfied is True
    alone = await ensemble(said(None, "a", satisfied=False), said(None, "b", satisfied=False)).think(view())
    assert (alone.critique.score, alone.critique.satisfied) == (None, False)
    assert alone.critique.refined_instruction == "a"
    assert "spread" not in alone.notes


async def test_impossible_needs_a_majority() -> None:
    hopeless, hopeful = said(0, SENT, impossible="no car"), said(4, "x")
    assert (await ensemble(hopeless, hopeless, hopeful).think(view())).critique.impossible == "no car"
    assert (await ensemble(hopeless, hopeful).think(view())).critique.impossible == ""


async def test_a_member_that_fails_is_noted_and_paid_for() -> None:
    broken = failing(ThinkerError, "it is down", cost=0.5)
    thought = await ensemble(broken, said(6, "x"), RuntimeError("a stranger's bug")).think(view())
    assert thought.critique.score == Score(6, 8)
    assert thought.cost == 0.5
    errors = [member.get("error") for member in thought.notes["members"]]
    assert errors == ["it is down", None, "thinker 'm3' broke: RuntimeError: a stranger's bug"]


async def test_all_failing_fails() -> None:
    down = failing(ThinkerError, "down", cost=0.5, transient=True, retry_after=9.0)
    unreadable = failing(ReplyError, "no score", cost=0.25)
    with pytest.raises(
        ThinkerError, match=r"every member of thinker 'ensemble:m' failed: down; no score"
    ) as caught:
        await ensemble(down, unreadable).think(view())
    assert not isinstance(caught.value, ReplyError)
    assert (caught.value.cost, caught.value.transient, caught.value.retry_after) == (0.75, True, 9.0)


async def test_all_unreadable_can_be_asked_again() -> None:
    with pytest.raises(ReplyError, match="no score; no answer") as caught:
        await ensemble(failing(ReplyError, "no score", cost=1), failing(ReplyError, "no answer")).think(
            view()
        )
    assert caught.value.cost == 1


@pytest.mark.clock
async def test_members_are_asked_at_the_same_time() -> None:
    begun = time.monotonic()
    await ensemble(*[said(5, "x")] * 5, seconds=0.2).think(view())
    assert time.monotonic() - begun < 0.6


async def test_cancelling_cancels_every_member() -> None:
    members = [ScriptedThinker(seconds=5), ScriptedThinker(seconds=5)]
    call = asyncio.ensure_future(EnsembleThinker.of(members).think(view()))
    await asyncio.sleep(0.05)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert [member.cancelled for member in members] == [1, 1]


class Planning(ScriptedThinker):
    price = 0.25

    def __init__(self, plan: Plan | ThinkerError, name: str) -> None:
        super().__init__(name=name)
        self._plan = plan

    async def plan(self, sample: Sample, editor: EditorInfo) -> Plan:
        if isinstance(self._plan, Plan):
            return self._plan
        raise self._plan


async def test_the_first_member_that_can_plans() -> None:
    members = [
        ScriptedThinker(),
        Planning(failing(ThinkerError, "down", cost=0.5), "p1"),
        Planning(Plan(("a", "b"), cost=0.25), "p2"),
    ]
    plan = await EnsembleThinker.of(members).plan(view().sample, EditorInfo("e"))
    assert (plan.steps, plan.cost, plan.notes["planned_by"]) == (("a", "b"), 0.75, "p2")


async def test_an_ensemble_that_cannot_plan_says_so() -> None:
    with pytest.raises(InputError, match="no member of thinker 'ensemble:m' can plan"):
        await ensemble(said(1, "x")).plan(view().sample, EditorInfo("e"))


def test_what_it_costs() -> None:
    priced, unknown = Planning(Plan(("a",)), "p"), Planning(Plan(("a",)), "p")
    unknown.price = None  # type: ignore[assignment]
    assert EnsembleThinker.of([priced, priced, ScriptedThinker()]).price == 0.5
    assert EnsembleThinker.of([priced, unknown]).price is None
    assert isinstance(EnsembleThinker.of([priced]), Priced)


def test_an_ensemble_of_nobody_is_refused() -> None:
    with pytest.raises(InputError, match="no members"):
        EnsembleThinker.of([])
