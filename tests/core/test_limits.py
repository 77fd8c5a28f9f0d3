"""When it stops: thresholds, nothing new, turns, budgets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from editthinker.core.errors import InputError
from editthinker.core.limits import LimitReached, Limits
from editthinker.core.types import SENTENCES, Critique, Edited, Score, Spend, Stop, StopReason, Turn
from editthinker.testing import photograph

PHOTO = photograph()


def turns(*steps: tuple[str, float, float, str]) -> list[Turn]:
    """Turns of (instruction, semantic, quality, refined instruction)."""
    return [
        Turn(index, sent, 0, Edited(PHOTO), Critique(Score(semantic, quality), "", refined))
        for index, (sent, semantic, quality, refined) in enumerate(steps, 1)
    ]


def reason(limits: Limits, made: list[Turn], spend: Spend = Spend()) -> StopReason | None:  # noqa: B008 frozen
    stop = limits.after(made, spend)
    return stop.reason if stop else None


def test_defaults_are_those_of_the_design() -> None:
    limits = Limits()
    assert (limits.turns, limits.semantic, limits.quality, limits.reasks) == (3, 8.0, 8.0, 2)
    assert (limits.editor_calls, limits.seconds, limits.cost, limits.patience) == (None, None, None, None)


@pytest.mark.parametrize(
    ("semantic", "quality", "expected"),
    [(8, 8, True), (10, 10, True), (7.99, 10, False), (10, 7.99, False), (0, 0, False)],
)
def test_satisfied_needs_both_scores(semantic: float, quality: float, expected: bool) -> None:
    made = turns(("a", semantic, quality, "b"))
    assert (reason(Limits(), made) is StopReason.SATISFIED) is expected


def test_threshold_is_a_setting() -> None:
    made = turns(("a", 6, 6, "b"))
    assert reason(Limits().with_threshold(6), made) is StopReason.SATISFIED
    assert reason(Limits().with_threshold(6.1), made) is None
    assert reason(Limits().with_threshold(11), turns(("a", 10, 10, "b"))) is None


def test_an_unjudged_turn_never_satisfies() -> None:
    made = [replace(turns(("a", 10, 10, "b"))[0], critique=None)]
    assert reason(Limits().with_threshold(0), made) is None
    assert reason(Limits(turns=1), made) is StopReason.TURN_LIMIT


def test_an_impossible_wish_ends_it_with_the_reason() -> None:
    made = turns(("a", 1, 9, "b"))
    critique = Critique(Score(1, 9), "", "b", impossible="there is no dog in the photo")
    made = [replace(made[0], critique=critique)]
    assert Limits().after(made, Spend()) == Stop(StopReason.IMPOSSIBLE, "there is no dog in the photo")


def test_whoever_is_asked_for_a_turn_has_a_budget_that_counts() -> None:
    made, spend = turns(("a", 5, 5, "b")), Spend(judge_calls=1)
    limits = Limits(judge_calls=1)
    assert limits.after(made, spend) is None
    stop = limits.after(made, spend, ("editor", "judge"))
    assert stop == Stop(StopReason.CALL_LIMIT, "1 judge calls")
    assert Limits(thinker_calls=0).after(made, Spend(), ("editor", "judge")) is None


def test_plateau_counts_turns_since_the_best() -> None:
    made = turns(("a", 5, 5, "b"), ("b", 6, 6, "c"), ("c", 6, 6, "d"), ("d", 4, 4, "e"))
    assert reason(Limits(turns=9), made) is None
    assert reason(Limits(turns=9, patience=3), made) is None
    assert reason(Limits(turns=9, patience=2), made) is StopReason.PLATEAU


@pytest.mark.parametrize(
    ("limits", "spend", "expected"),
    [
        (Limits(editor_calls=2), Spend(editor_calls=2), StopReason.CALL_LIMIT),
        (Limits(thinker_calls=2), Spend(thinker_calls=3), StopReason.CALL_LIMIT),
        (Limits(seconds=1), Spend(seconds=1.0), StopReason.TIME_LIMIT),
        (Limits(cost=0.5), Spend(cost=0.5), StopReason.COST_LIMIT),
        (Limits(editor_calls=3, thinker_calls=3, seconds=1, cost=1), Spend(2, 2, 0, 0.9, 0.9), None),
        (Limits(cost=0), Spend(), None),  # free models run without a purse
    ],
)
def test_budgets(limits: Limits, spend: Spend, expected: StopReason | None) -> None:
    assert reason(limits, turns(("a", 5, 5, "b")), spend) is expected


def test_turn_limit_and_its_order() -> None:
    made = turns(("a", 5, 5, "b"), ("b", 5, 5, "c"))
    assert reason(Limits(turns=2), made) is StopReason.TURN_LIMIT
    assert reason(Limits(turns=2), turns(("a", 5, 5, "b"), ("b", 9, 9, "c"))) is StopReason.SATISFIED
    assert reason(Limits(turns=2), turns(("a", 5, 5, "a"), ("a", 5, 5, "a"))) is StopReason.TURN_LIMIT


@pytest.mark.parametrize("role", ["editor", "thinker"])
def test_each_role_has_its_own_budget(role: Any) -> None:
    spend = Spend(editor_calls=1, thinker_calls=0) if role == "editor" else Spend(0, 1)
    assert Limits(**{f"{role}_calls": 1}).before(role, spend) is not None
    other = "thinker" if role == "editor" else "editor"
    assert Limits(**{f"{role}_calls": 1}).before(other, spend) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"turns": 0},
        {"turns": None},
        {"turns": 2.5},
        {"turns": True},
        {"editor_calls": 0},
        {"thinker_calls": -1},
        {"seconds": -1},
        {"seconds": float("nan")},
        {"cost": float("inf")},
        {"semantic": -1},
        {"quality": "high"},
        {"patience": 0},
        {"reasks": -1},
    ],
)
def test_senseless_limits_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        Limits(**wrong)


def test_every_stop_has_a_sentence() -> None:
    assert set(SENTENCES) == set(StopReason)
    stop = Limits(editor_calls=1).before("editor", Spend(editor_calls=1))
    assert stop
    assert str(LimitReached(stop)) == "the limit on calls was reached: 1 editor calls"
