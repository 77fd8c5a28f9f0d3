"""A wish comes apart exactly where one operation ends, and stays whole when it was not understood."""

from __future__ import annotations

import random

import pytest

from editthinker.core.contracts import EditorInfo, Planner
from editthinker.core.episode import Episode
from editthinker.core.limits import Limits
from editthinker.core.types import Sample
from editthinker.darkroom.editor import DarkroomEditor
from editthinker.darkroom.language import sentences
from editthinker.darkroom.planning import clauses
from editthinker.darkroom.program import Operation
from editthinker.darkroom.thinker import DarkroomThinker
from editthinker.testing import photograph


@pytest.fixture(scope="module")
def thinker() -> DarkroomThinker:
    return DarkroomThinker.load()


# --- words alone ---


def test_every_program_comes_apart_into_its_operations() -> None:
    rng = random.Random(7)
    for count in (1, 2, 3, 4) * 50:
        program = sentences.draw_program(rng, count)
        words = sentences.plain(program)
        found = clauses(words + ".", ["x"])
        assert len(found) == count
        assert ", ".join(found) == words.replace("<text>", '"x"')


@pytest.mark.parametrize(
    "words", ["", "make it nicer", "make it warmer, and nicer", "make it warmer,blur it"]
)
def test_other_words_are_left_alone(words: str) -> None:
    assert clauses(words, []) == ()


def test_a_string_goes_with_its_clause_whatever_is_in_it() -> None:
    program = (Operation("warmth", "warm"), Operation("text", "top"))
    words = sentences.plain(program)
    assert clauses(words, ['a, b. "c"']) == ("make it warmer", 'write "a, b. "c"" at the top')


# --- the thinker ---


async def plan(thinker: DarkroomThinker, wish: str) -> tuple[str, ...]:
    return (await thinker.plan(Sample((photograph(),), wish), EditorInfo("darkroom"))).steps


def test_it_is_a_planner(thinker: DarkroomThinker) -> None:
    assert isinstance(thinker, Planner)


@pytest.mark.parametrize(
    ("wish", "steps"),
    [
        ("make it warmer and blur the background", ("make it warmer", "blur the background")),
        (
            "first, add a vignette; then rotate it left. also add grain",
            ("add a vignette", "rotate it to the left", "add film grain"),
        ),
        ('flip it, then write "Hello, world" at the top', None),
    ],
)
async def test_compound_wishes_come_apart(
    thinker: DarkroomThinker, wish: str, steps: tuple[str, ...] | None
) -> None:
    found = await plan(thinker, wish)
    if steps is None:
        assert len(found) == 2
        assert any('"Hello, world"' in step for step in found)
    else:
        assert found == steps


@pytest.mark.parametrize(
    "wish", ["  Make it WARMER please ", "sharpen", "把天空变成红色", "make it nicer", "🎈" * 50]
)
async def test_one_thing_and_the_unreadable_stay_in_the_users_words(
    thinker: DarkroomThinker, wish: str
) -> None:
    assert await plan(thinker, wish) == (wish,)


async def test_plan_and_edit_works_offline(thinker: DarkroomThinker) -> None:
    sample = Sample((photograph(160, 120),), "make it warmer and blur the background")
    episode = Episode(
        sample, DarkroomEditor.load(), thinker, strategy="plan-and-edit", limits=Limits(turns=2), seed=1
    )
    trajectory = await episode.run()
    assert trajectory.failure is None
    assert trajectory.plan
    assert trajectory.plan.steps == ("make it warmer", "blur the background")
    assert {1, 2} <= {turn.step for turn in trajectory.turns}
    assert [turn.step for turn in trajectory.turns if turn.index == trajectory.chosen] == [0]
    for turn in trajectory.turns:
        assert turn.critique
