"""How turns are produced: each strategy is a small async generator over a `Desk`.

In: a desk (edit, think, rewrite, plan; limits). Out: finished turns, and `desk.stop` when the strategy is
done. Limits, records and failures are the business of desk and episode: a strategy lets every error pass.

    steady      a number of turns that is known beforehand: one, or n
    loop        critique and go on, as a policy says
    planned     step by step, then the whole

To add one: write the generator and add a row to `STRATEGIES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from editthinker.core.desk import Desk
from editthinker.core.errors import UnknownName
from editthinker.core.strategies import loop, planned, steady
from editthinker.core.strategies.loop import Turns

DEFAULT = "think-while-edit"
SINGLE = "single"
PLANNED = "plan-and-edit"


@dataclass(frozen=True, slots=True)
class Strategy:
    """A way to produce turns, and what is known of it before it begins."""

    name: str
    what: str
    """One phrase for a person."""
    play: Callable[[Desk], Turns]
    needs: Literal["nothing", "score", "thinker"] = "thinker"
    """Who must be there: nobody, somebody who scores, or a thinker."""
    once: bool = False
    """It makes a single turn, whatever the limits allow."""
    rewrites: bool = False
    """It asks the thinker for other words before the first edit."""
    plans: bool = False
    """It goes by a plan."""


STRATEGIES: Mapping[str, Strategy] = {
    strategy.name: strategy
    for strategy in (
        Strategy(DEFAULT, "edit, critique, refine the instruction, repeat", loop.think_while),
        Strategy(SINGLE, "one edit with the user's words", steady.single, needs="nothing", once=True),
        Strategy("best-of-n", "the user's words with n seeds", steady.best_of_n, needs="score"),
        Strategy("think-before-edit", "rewrite, edit once", steady.think_before, once=True, rewrites=True),
        Strategy("think-before-and-while", "rewrite, then loop", loop.think_before_and_while, rewrites=True),
        Strategy(PLANNED, "step by step, each refined and accepted", planned.play, plans=True),
    )
}


def strategy_named(name: str) -> Strategy:
    """Look a strategy up. Raises `UnknownName`."""
    if name not in STRATEGIES:
        raise UnknownName("strategy", name, list(STRATEGIES))
    return STRATEGIES[name]
