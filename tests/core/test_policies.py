"""What follows a turn, as tables: the situation, the move, and the phrase that says why."""

from __future__ import annotations

from typing import Any

import pytest

from editthinker.core.episode import Episode
from editthinker.core.errors import InputError, UnknownName
from editthinker.core.limits import Limits
from editthinker.core.policies import POLICIES, Move, Refusal, Situation, adaptive, policy_named, refine
from editthinker.core.types import Critique, Edited, Sample, Score, Stop, StopReason, Trajectory, Turn
from editthinker.testing import ScriptedEditor, ScriptedThinker, photograph
from peers.scripted_models import Planning, says

PHOTO = photograph()


def turns(*steps: tuple[Any, ...]) -> list[Turn]:
    """Turns of (words, overall score, refined words, base, editor); the last two may be left out."""
    made = []
    for index, step in enumerate(steps, 1):
        words, score, refined, base, editor = (*step, 0, "")[:3] + (*step[3:], 0, "")[:2]
        critique = Critique(Score(score, score), "", refined)
        made.append(Turn(index, words, 0, Edited(PHOTO), critique, base=base, editor=editor))
    return made


def now(*steps: tuple[Any, ...], **more: Any) -> Situation:
    return Situation(turns(*steps), **more)


# --- refine ---


def test_refine_sends_the_thinkers_words() -> None:
    assert refine(now(("a", 5, "b"))) == Move("b")
    assert refine(now(("a", 5, "b"), ("b", 3, "c"))) == Move("c")


def test_refine_stops_when_nothing_is_new() -> None:
    unchanged = refine(now(("make it red", 5, " make  it red\n")))
    assert unchanged == Stop(StopReason.UNCHANGED_INSTRUCTION)
    assert refine(now(("add 'a'", 5, "add 'A'"))) == Move("add 'A'")  # case may be the whole point
    repeated = refine(now(("a", 5, "b"), ("b", 5, "a")))
    assert repeated == Stop(StopReason.REPEATED_INSTRUCTION, "that of turn 1")


def test_refine_gives_up_when_refused() -> None:
    refused = (Refusal(Move("b"), "no faces"),)
    assert refine(now(("a", 5, "b"), refusals=refused)) == Stop(StopReason.REFUSED, "no faces")


def test_refine_stacks_where_it_is_told_to() -> None:
    assert refine(now(("a", 5, "b"), stack=1)) == Move("b", base=1)
    assert refine(now(("a", 5, "b", 4), start=4)) == Move("b", base=4)


# --- adaptive: the table ---

A, B, C = ("a", 5, "b"), ("b", 6, "c"), ("b", 4, "c")
TWO = ("one", "two")


@pytest.mark.parametrize(
    ("situation", "move", "why"),
    [
        (now(A), Move("b"), ""),
        (now(A, B), Move("c"), "turn 2 was the best so far: refined further"),
        (now(("a", 5, "a")), Move("a"), "the thinker has no new words: the same with another seed"),
        (now(A, C), Move("a"), "turn 2 was no better than turn 1: its words with another seed"),
        (now(A, ("b", 5, "c")), Move("a"), "turn 2 was no better than turn 1: its words with another seed"),
        (
            now(("a", 5, "b", 0, "one"), ("b", 4, "c", 0, "one"), ("a", 5, "b", 0, "one"), editors=TWO),
            Move("a", editor=1),
            "another seed was no better than turn 1: its words for two",
        ),
        (
            now(A, C, ("a", 4, "b")),
            Move("c"),
            "nothing else was better: what the thinker said to turn 2",
        ),
        (
            now(("a", 5, "b", 0, "two"), editors=TWO),
            Move("b", editor=1),
            "",
        ),
        (
            now(A, B, ("c", 2, "d", 2), stack=2),
            Move("d", base=2),
            "turn 3 was worse than turn 2: back to that",
        ),
        (
            now(A, B, ("c", 2, "d", 2), ("d", 1, "e", 2), stack=2),
            Move("e", base=0),
            "edits of turn 2 only made it worse: again from the beginning",
        ),
        (
            now(A, B, ("c", 5.5, "d", 2), stack=3),
            Move("b"),
            "turn 3 was no better than turn 2: its words with another seed",
        ),
    ],
)
def test_adaptive(situation: Situation, move: Move, why: str) -> None:
    decided = adaptive(situation)
    assert isinstance(decided, Move)
    assert decided.why == why
    assert (decided.instruction, decided.base, decided.editor) == (move.instruction, move.base, move.editor)


def test_adaptive_ends_when_no_words_are_left() -> None:
    stop = adaptive(now(("a", 5, "b"), ("b", 4, "a"), ("a", 5, "b")))
    assert stop == Stop(StopReason.REPEATED_INSTRUCTION, "no words are left that were not tried")


def test_a_refused_move_goes_to_each_editor_once_and_is_then_reworded_once() -> None:
    first = Refusal(Move("a"), "no")
    moves: list[Move | Stop] = []
    refusals = [first]
    for _ in range(4):
        move = adaptive(Situation((), TWO, refusals=tuple(refusals)))
        moves.append(move)
        if isinstance(move, Stop):
            break
        refusals.append(Refusal(move, f"no {len(refusals)}"))
    assert [(m.editor, m.reword) for m in moves if isinstance(m, Move)] == [(1, False), (0, True)]
    assert moves[-1] == Stop(StopReason.REFUSED, "no 2")


def test_unknown_policies_are_listed() -> None:
    assert {policy_named(name).name for name in POLICIES} == set(POLICIES)
    with pytest.raises(UnknownName, match=r"unknown policy 'greedy'; known: refine, adaptive"):
        policy_named("greedy")


# --- in the loop ---


async def play(thinker: Any, *, editor: Any = None, **more: Any) -> Trajectory:
    limits = Limits(turns=more.pop("turns", 5))
    return await Episode(
        Sample((PHOTO,), "a"), editor or ScriptedEditor(), thinker, limits=limits, **more
    ).run()


async def test_the_reasons_are_on_the_turns() -> None:
    thinker = ScriptedThinker(
        says("b", (5, 5)), says("c", (4, 4)), says("b", (4, 4)), says("x", (6, 6)), (1, 1)
    )
    editor, other = ScriptedEditor(name="one"), ScriptedEditor(name="two")
    trajectory = await play(thinker, editor=editor, policy="adaptive", alternates=[other])
    assert [turn.instruction for turn in trajectory.turns] == ["a", "b", "a", "a", "x"]
    assert [turn.editor for turn in trajectory.turns] == ["one", "one", "one", "two", "two"]
    assert [turn.seed for turn in trajectory.turns] == [0, 1, 2, 3, 4]
    assert [turn.why for turn in trajectory.turns] == [
        "",
        "",
        "turn 2 was no better than turn 1: its words with another seed",
        "another seed was no better than turn 1: its words for two",
        "turn 4 was the best so far: refined further",
    ]
    assert trajectory.chosen == 4
    assert thinker.views[3].editor is other.info


async def test_stacking_edits_the_last_accepted_image() -> None:
    thinker = ScriptedThinker(says("b", (5, 5)), says("c", (1, 5)), says("d", (6, 6)), says("e", (7, 7)))
    editor = ScriptedEditor()
    trajectory = await play(thinker, editor=editor, stack=True, turns=4)
    assert [turn.base for turn in trajectory.turns] == [0, 1, 1, 3]  # turn 2 was worth no more than its base
    images = [PHOTO, trajectory.turns[0].image, trajectory.turns[0].image, trajectory.turns[2].image]
    assert [request.images[0] for request in editor.requests] == images
    assert all(view.sample.source is PHOTO and view.stacked for view in thinker.views)


async def test_the_source_is_edited_unless_stacking_is_asked_for() -> None:
    thinker = ScriptedThinker()
    trajectory = await play(thinker)
    assert {turn.base for turn in trajectory.turns} == {0}
    assert not any(view.stacked for view in thinker.views)


async def test_alternates_need_names_of_their_own() -> None:
    with pytest.raises(InputError, match="two editors are called 'scripted'"):
        await play(ScriptedThinker(), alternates=[ScriptedEditor()])


async def test_a_plateau_is_the_limits_business() -> None:
    limits = Limits(turns=9, patience=2)
    thinker = ScriptedThinker(says("b", (5, 5)), says("c", (4, 4)), says("d", (4, 4)))
    episode = Episode(Sample((PHOTO,), "a"), ScriptedEditor(), thinker, limits=limits, policy="adaptive")
    trajectory = await episode.run()
    assert trajectory.stop.reason is StopReason.PLATEAU
    assert len(trajectory.turns) == 3


async def test_the_final_part_of_a_plan_goes_back_to_the_source_when_it_gets_worse() -> None:
    script = (says("x", (9, 9)), says("x", (9, 9)), says("w", (6, 6)), says("v", (3, 3)), says("u", (3, 3)))
    thinker = Planning("a", "b", script=script)
    trajectory = await play(thinker, policy="adaptive", strategy="plan-and-edit")
    assert [(turn.step, turn.base) for turn in trajectory.turns] == [
        (1, 0),
        (2, 1),
        (0, 2),
        (0, 3),
        (0, 3),
        (0, 0),
        (0, 3),
    ]
    assert trajectory.turns[5].why == "edits of turn 3 only made it worse: again from the beginning"
