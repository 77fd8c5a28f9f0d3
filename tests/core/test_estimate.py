"""The estimate is what an episode takes when every turn is needed, and never less."""

from __future__ import annotations

from typing import Any

import pytest

from editthinker.core.contracts import EditorInfo
from editthinker.core.episode import Episode
from editthinker.core.errors import UnknownName
from editthinker.core.estimate import Estimate, estimate
from editthinker.core.limits import Limits
from editthinker.core.method import MOST_STEPS, Method
from editthinker.core.types import Plan, Sample
from editthinker.testing import ScriptedEditor, ScriptedThinker, photograph
from peers.scripted_models import Comparing, Judging, Planning, says


class Paid(ScriptedThinker):
    price = 0.01


class PaidJudge(Judging):
    price: float | None = 0.1


def info(name: str = "e", price: float | None = 1.0) -> EditorInfo:
    return EditorInfo(name, price=price)


def of(strategy: str = "think-while-edit", **more: Any) -> Estimate:
    limits = Limits(**more.pop("limits", {}))
    models = {key: more.pop(key) for key in ("judge", "comparer", "steps") if key in more}
    editors, thinker = more.pop("editors", [info()]), more.pop("thinker", Paid())
    return estimate(Method(strategy=strategy, **more), limits, editors, thinker, **models)


def test_calls_times_prices() -> None:
    assert of() == Estimate(3, 3, 0, pytest.approx(3.03))
    assert of(judge=PaidJudge()) == Estimate(3, 3, 3, pytest.approx(3.33))
    assert of("single") == Estimate(1, 1, 0, pytest.approx(1.01))
    assert of("single", thinker=None) == Estimate(1, 0, 0, 1.0)
    assert of("think-before-edit") == Estimate(1, 2, 0, pytest.approx(1.02))


def test_unknown_prices_are_named_and_nothing_is_guessed() -> None:
    found = of(editors=[info(), info("other", None)], thinker=ScriptedThinker(name="mind"), judge=Judging())
    assert found.cost is None
    assert found.unknown == ("other", "mind", "judging")


def test_who_is_not_asked_costs_nothing() -> None:
    assert of(limits={"judge_calls": 0}, judge=Judging()).cost == pytest.approx(3.03)
    assert of(editors=[info(price=0.0)], thinker=None, strategy="single") == Estimate(1, 0, 0, 0.0)


def test_the_dearest_editor_counts() -> None:
    assert of(editors=[info(), info("other", 2.0)]).cost == pytest.approx(6.03)


def test_limits_bound_it() -> None:
    assert of(limits={"turns": 9, "editor_calls": 4, "thinker_calls": 2}) == Estimate(
        4, 2, 0, pytest.approx(4.02)
    )


def test_a_plan_not_yet_made_may_have_many_steps() -> None:
    assert of("plan-and-edit").editor_calls == 3 * (MOST_STEPS + 1)
    assert of("plan-and-edit", steps=2).thinker_calls == 3 * 3 + 1
    assert of("plan-and-edit", plan=Plan(("a", "b"))).thinker_calls == 3 * 3
    assert of("plan-and-edit", plan=Plan(("a",))).editor_calls == 3


def test_unknown_strategies() -> None:
    with pytest.raises(UnknownName):
        of("think-harder")


@pytest.mark.parametrize("candidates", [1, 3])
@pytest.mark.parametrize("judged", [False, True])
@pytest.mark.parametrize("compared", [False, True])
@pytest.mark.parametrize(
    "strategy", ["think-while-edit", "single", "best-of-n", "think-before-edit", "think-before-and-while"]
)
async def test_what_happens_is_what_was_estimated(
    strategy: str, candidates: int, judged: bool, compared: bool
) -> None:
    """Never satisfied, never a repetition: the worst case, to the call."""
    editor, thinker = ScriptedEditor(), ScriptedThinker()
    judge = Judging() if judged else None
    comparer = Comparing(lambda first, second: 1) if compared else None
    episode = Episode(
        Sample((photograph(),), "a"),
        editor,
        thinker,
        strategy=strategy,
        candidates=candidates,
        judge=judge,
        comparer=comparer,
    )
    spend = (await episode.run()).spend
    method = Method(strategy=strategy, candidates=candidates)
    found = estimate(method, Limits(), [editor.info], thinker, judge, comparer)
    assert (found.editor_calls, found.thinker_calls) == (spend.editor_calls, spend.thinker_calls)
    assert found.judge_calls == spend.judge_calls


async def test_the_worst_plan_is_covered() -> None:
    poor = [says(f"words {number}", (1, 5)) for number in range(9)]
    thinker, editor = Planning("a", "b", script=tuple(poor)), ScriptedEditor()
    episode = Episode(Sample((photograph(),), "a and b"), editor, thinker, strategy="plan-and-edit")
    spend = (await episode.run()).spend
    found = estimate(Method(strategy="plan-and-edit"), Limits(), [editor.info], thinker, steps=2)
    assert (found.editor_calls, found.thinker_calls) == (spend.editor_calls, spend.thinker_calls) == (9, 10)
