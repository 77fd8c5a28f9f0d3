"""What each strategy sends, in which order, and how it ends."""

from __future__ import annotations

from typing import Any

import pytest

from editthinker.core.episode import Episode
from editthinker.core.errors import InputError, UnknownName
from editthinker.core.limits import Limits
from editthinker.core.selection import same_pixels
from editthinker.core.strategies import STRATEGIES
from editthinker.core.types import Critique, Sample, Score, StopReason, Trajectory
from editthinker.testing import ScriptedEditor, ScriptedThinker, photograph
from peers.scripted_models import Planning

WORDS = "  Make it WARMER\n please "


async def play(
    strategy: str, thinker: ScriptedThinker | None, **settings: Any
) -> tuple[Trajectory, ScriptedEditor]:
    editor = ScriptedEditor()
    sample = Sample((photograph(),), WORDS)
    seed = settings.pop("seed", 0)
    episode = Episode(sample, editor, thinker, strategy=strategy, limits=Limits(**settings), seed=seed)
    return await episode.run(), editor


def says(words: str, scores: tuple[float, float] = (5, 5)) -> Critique:
    return Critique(Score(*scores), "because", words)


async def test_think_while_sends_the_users_words_first_then_the_refined_ones() -> None:
    thinker = ScriptedThinker(says("two"), says("three"), says("four"))
    trajectory, editor = await play("think-while-edit", thinker, turns=3)
    assert [request.instruction for request in editor.requests] == [WORDS, "two", "three"]
    assert trajectory.stop.reason is StopReason.TURN_LIMIT
    assert trajectory.strategy == "think-while-edit"


@pytest.mark.parametrize("strategy", sorted(set(STRATEGIES) - {"plan-and-edit"}))
async def test_every_edit_starts_from_the_source(strategy: str) -> None:
    trajectory, editor = await play(strategy, ScriptedThinker())
    assert editor.requests
    for request in editor.requests:
        assert request.images == trajectory.sample.images
        assert same_pixels(request.images[0], photograph())


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_every_image_is_judged_the_last_one_too(strategy: str) -> None:
    thinker = Planning("warmer", "and sharper")
    trajectory, _ = await play(strategy, thinker)
    judged = [view.edited for view in thinker.views if view.edited]
    assert judged == [turn.image for turn in trajectory.turns]
    assert all(turn.critique for turn in trajectory.turns)


async def test_turn_t_uses_seed_plus_t_minus_1() -> None:
    trajectory, editor = await play("think-while-edit", ScriptedThinker(), seed=40)
    assert (
        [turn.seed for turn in trajectory.turns]
        == [request.seed for request in editor.requests]
        == [40, 41, 42]
    )


async def test_thinker_sees_the_turns_before_and_the_editor() -> None:
    thinker = ScriptedThinker()
    trajectory, editor = await play("think-while-edit", thinker)
    for index, view in enumerate(thinker.views):
        assert tuple(view.turns) == trajectory.turns[:index]
        assert view.instruction == trajectory.turns[index].instruction
        assert view.editor == editor.info
        assert view.sample.instruction == WORDS


async def test_think_while_stops_when_satisfied() -> None:
    trajectory, editor = await play("think-while-edit", ScriptedThinker((5, 5), (9, 9)), turns=5)
    assert trajectory.stop.reason is StopReason.SATISFIED
    assert len(editor.requests) == 2
    assert trajectory.chosen == 2


@pytest.mark.parametrize(("scores", "reason"), [((9, 9), "satisfied"), ((5, 5), "turn_limit")])
async def test_single_judges_once(scores: tuple[float, float], reason: str) -> None:
    thinker = ScriptedThinker(says(WORDS, scores))
    trajectory, editor = await play("single", thinker)
    assert (len(editor.requests), len(thinker.views)) == (1, 1)
    assert trajectory.stop.reason == reason


@pytest.mark.parametrize("strategy", ["single", "think-while-edit"])
async def test_without_a_thinker_there_is_one_unjudged_edit(strategy: str) -> None:
    trajectory, editor = await play(strategy, None)
    assert len(editor.requests) == 1
    assert trajectory.strategy == "single"
    assert trajectory.turns[0].critique is None
    assert trajectory.chosen == 1


@pytest.mark.parametrize("strategy", sorted(set(STRATEGIES) - {"single", "think-while-edit"}))
async def test_other_strategies_need_a_thinker(strategy: str) -> None:
    with pytest.raises(InputError, match="needs a thinker"):
        await play(strategy, None)


async def test_best_of_n_is_n_seeds_of_the_same_words() -> None:
    thinker = ScriptedThinker((5, 5), says(WORDS, (9, 9)), (7, 7), (8, 8))
    trajectory, editor = await play("best-of-n", thinker, turns=4, patience=1)
    assert {request.instruction for request in editor.requests} == {WORDS}
    assert [request.seed for request in editor.requests] == [0, 1, 2, 3]
    assert len({turn.image.sha256 for turn in trajectory.turns}) == 4
    assert trajectory.chosen == 2
    assert trajectory.stop.reason is StopReason.TURN_LIMIT


async def test_think_before_edits_once_with_the_rewritten_words() -> None:
    thinker = ScriptedThinker(says("warm light", (0, 0)), (6, 6))
    trajectory, editor = await play("think-before-edit", thinker)
    assert [request.instruction for request in editor.requests] == ["warm light"]
    assert thinker.views[0].edited is None
    assert [call.turn for call in trajectory.calls] == [0, 1, 1]
    assert trajectory.turns[0].critique
    assert trajectory.turns[0].critique.score == Score(6, 6)


async def test_think_before_and_while_does_both() -> None:
    thinker = ScriptedThinker(says("one"), says("two"), says("three", (9, 9)))
    trajectory, editor = await play("think-before-and-while", thinker, turns=5)
    assert [request.instruction for request in editor.requests] == ["one", "two"]
    assert trajectory.stop.reason is StopReason.SATISFIED


async def test_unknown_strategy_lists_what_exists() -> None:
    with pytest.raises(UnknownName, match=r"think-harder.*best-of-n"):
        await play("think-harder", ScriptedThinker())
