"""What an edit may cost at most, before the first call.

In: the method, the limits, the models. Out: an `Estimate`. Pure: nobody is asked anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from editthinker.core.candidates import COMPARED
from editthinker.core.contracts import Comparer, EditorInfo, Judge, Priced, Thinker
from editthinker.core.limits import Limits
from editthinker.core.method import MOST_STEPS, Method
from editthinker.core.strategies import strategy_named


@dataclass(frozen=True, slots=True)
class Estimate:
    """The most calls that are made when every turn is needed and none fails.

    Calls that are repeated, asked again or refused come on top; the limits on calls hold for all together.
    """

    editor_calls: int
    thinker_calls: int
    judge_calls: int
    """Scores and comparisons."""
    cost: float | None
    """US dollars for so many calls; None when the price of one is unknown."""
    unknown: tuple[str, ...] = ()
    """Names of the models whose price is unknown."""


def estimate(
    method: Method,
    limits: Limits,
    editors: Sequence[EditorInfo],
    thinker: Thinker | None,
    judge: Judge | None = None,
    comparer: Comparer | None = None,
    *,
    steps: int | None = None,
) -> Estimate:
    """The most an episode of these takes; `editors` are the usual one and those it may switch to.

    `steps` is the number of steps of a plan that is not made yet: as many as a plan may have, if not given.
    Raises `UnknownName` for a strategy that does not exist.
    """
    strategy, number = strategy_named(method.strategy), method.candidates
    turns, whole = (1, 1) if strategy.once else (limits.turns, limits.turns)
    asked = int(strategy.rewrites)
    if strategy.plans:
        parts = len(method.plan.steps) if method.plan else steps or MOST_STEPS
        asked = int(method.plan is None)
        turns = whole * (parts + 1 if parts > 1 else 1)
    scorer = judge if judge is not None else thinker
    each = {"thinker": int(thinker is not None), "judge": int(judge is not None)}
    if number > 1 and comparer is None and scorer is not None:
        each["judge" if judge is not None else "thinker"] = number
    compared = 0 if comparer is None else turns * (number - 1) + min(whole, COMPARED) - 1
    counts = (
        _within(limits.editor_calls, turns * number),
        _within(limits.thinker_calls, turns * each["thinker"] + asked),
        _within(limits.judge_calls, turns * each["judge"]),
        _within(limits.judge_calls, compared),
    )
    prices = (_dearest(editors), _price(thinker), _price(judge), _price(comparer))
    names = (_unpriced(editors), *(getattr(model, "name", "") for model in (thinker, judge, comparer)))
    used = [(n, p, name) for n, p, name in zip(counts, prices, names, strict=True) if n]
    unknown = tuple(dict.fromkeys(name for _, price, name in used if price is None))
    cost = None if unknown else sum(count * (price or 0.0) for count, price, _ in used)
    together = _within(limits.judge_calls, counts[2] + counts[3])
    return Estimate(counts[0], counts[1], together, cost, unknown)


def _within(limit: int | None, calls: int) -> int:
    return calls if limit is None else min(limit, calls)


def _dearest(editors: Sequence[EditorInfo]) -> float | None:
    prices = [info.price for info in editors]
    return None if None in prices else max(price or 0.0 for price in prices)


def _unpriced(editors: Sequence[EditorInfo]) -> str:
    return ", ".join(info.name for info in editors if info.price is None)


def _price(model: Thinker | Judge | Comparer | None) -> float | None:
    return model.price if isinstance(model, Priced) else None
