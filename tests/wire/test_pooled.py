"""Several models of a kind as one: the contract holds, and members that differ are not mixed."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from editthinker.core.contracts import Editor, Planner, Thinker, View
from editthinker.core.episode import Episode
from editthinker.core.errors import EditorError, InputError
from editthinker.core.images import Picture
from editthinker.core.limits import Limits
from editthinker.core.types import Judged, Plan, Preference, Sample, Score
from editthinker.darkroom.editor import DarkroomEditor
from editthinker.testing import ScriptedEditor, ScriptedThinker, check_editor, check_thinker, photograph
from editthinker.testing.behaviour import check_judge
from editthinker.wire.pool import Pool
from editthinker.wire.pooled import (
    PooledComparer,
    PooledEditor,
    PooledJudge,
    PooledPlanner,
    PooledThinker,
    pooled_thinker,
)

SAMPLE = Sample((photograph(),), "warmer")
DARKROOM = DarkroomEditor.load()


class Judge:
    name = "same"
    price = 0.1

    async def score(self, sample: Sample, edited: Picture) -> Judged:
        return Judged(Score(5, 5))

    async def prefer(self, sample: Sample, first: Picture, second: Picture) -> Preference:
        return Preference(1)


class Planning(ScriptedThinker):
    async def plan(self, sample: Sample, editor: object) -> Plan:
        return Plan(("one", "two"))


def editors(**names: Editor) -> PooledEditor:
    return PooledEditor(Pool("editor", names))


def thinkers(**names: Thinker) -> PooledThinker:
    return pooled_thinker(Pool("thinker", names))


def test_the_contracts_hold() -> None:
    check_editor(lambda: editors(a=DARKROOM, b=DARKROOM))
    check_thinker(lambda: thinkers(a=ScriptedThinker(), b=ScriptedThinker()))
    check_judge(lambda: PooledJudge(Pool("judge", {"a": Judge(), "b": Judge()})))


async def test_an_episode_does_not_notice_and_the_record_does() -> None:
    troubles = [EditorError("the server is busy") for _ in range(2)]
    for trouble in troubles:
        trouble.transient = True
    thinker = thinkers(t=ScriptedThinker((9, 9)))
    pooled = editors(a=ScriptedEditor(troubles[0]), b=ScriptedEditor(troubles[1]))
    trajectory = await Episode(SAMPLE, pooled, thinker, limits=Limits(turns=1)).run()
    assert [call.outcome for call in trajectory.calls] == ["EditorError", "EditorError", "ok", "ok"]
    assert {call.notes.get("endpoint") for call in trajectory.calls[:2]} == {"a", "b"}
    assert trajectory.calls[3].notes["endpoint"] == "t"
    assert trajectory.turns[0].edited.notes["endpoint"] in ("a", "b")


async def test_work_is_shared() -> None:
    first, second = ScriptedEditor(seconds=0.01), ScriptedEditor(seconds=0.01)
    pooled = editors(a=first, b=second)
    samples = (Episode(SAMPLE, pooled, None, limits=Limits(turns=1)) for _ in range(40))
    await asyncio.gather(*(episode.run() for episode in samples))
    assert len(first.requests) + len(second.requests) == 40
    assert min(len(first.requests), len(second.requests)) >= 12


def test_facts_are_those_of_all() -> None:
    one, other = ScriptedEditor(name="flux"), ScriptedEditor(name="flux")
    one.info, other.info = replace(one.info, price=0.01), replace(other.info, price=0.03)
    assert editors(a=one, b=other).info.name == "flux"
    assert editors(a=one, b=other).info.price == 0.03
    other.info = replace(other.info, name="qwen", price=None)
    assert editors(a=one, b=other).info.name == "flux + qwen"
    assert editors(a=one, b=other).info.price is None
    assert editors(a=one).capacity == 1
    assert PooledJudge(Pool("judge", {"a": Judge()})).price == 0.1
    assert thinkers(a=ScriptedThinker()).price is None


def test_members_that_differ_in_what_matters_are_refused() -> None:
    one, other = ScriptedEditor(name="one"), ScriptedEditor(name="other")
    other.info = replace(other.info, mask=True)
    with pytest.raises(InputError, match="differ in mask: 'one' has False, 'other' has True"):
        editors(a=one, b=other)


async def test_thinkers_plan_when_all_of_them_do() -> None:
    planner: Thinker = thinkers(a=Planning(), b=Planning())
    assert isinstance(planner, PooledPlanner)
    assert isinstance(planner, Planner)
    assert (await planner.plan(SAMPLE, ScriptedEditor().info)).notes["endpoint"] in ("a", "b")
    mixed = thinkers(a=Planning(), b=ScriptedThinker())
    assert isinstance(mixed, PooledThinker)
    assert not isinstance(mixed, Planner)
    assert (await mixed.think(View(SAMPLE, "warmer", SAMPLE.source))).critique.score


async def test_a_comparer_compares() -> None:
    comparer = PooledComparer(Pool("judge", {"a": Judge(), "b": Judge()}))
    assert (await comparer.prefer(SAMPLE, SAMPLE.source, SAMPLE.source)).better == 1
    assert comparer.name == "same"
