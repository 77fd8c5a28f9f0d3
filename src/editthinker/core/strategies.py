"""How turns are produced: each strategy is a small async generator over a `Desk`.

In: a desk (edit, think, rewrite, limits). Out: finished turns, and `desk.stop` when the strategy is done.
Limits, records and failures are the desk's and the episode's business: a strategy lets every error pass.

To add one: write the generator and add a row to `STRATEGIES`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass

from editthinker.core.desk import Desk
from editthinker.core.errors import UnknownName
from editthinker.core.types import Stop, StopReason, Turn

Turns = AsyncGenerator[Turn, None]

DEFAULT = "think-while-edit"
SINGLE = "single"


@dataclass(frozen=True, slots=True)
class Strategy:
    """A way to produce turns."""

    name: str
    what: str
    """One phrase for a person."""
    play: Callable[[Desk], Turns]
    needs_thinker: bool = True


async def _think_while(desk: Desk) -> Turns:
    """The loop of the paper: turn 1 sends the user's words unchanged (a blind rewrite first costs score)."""
    async for turn in _refine(desk, desk.sample.instruction):
        yield turn


async def _think_before(desk: Desk) -> Turns:
    """Rewrite once from the source alone, edit once."""
    async for turn in _once(desk, await desk.rewrite()):
        yield turn


async def _think_before_and_while(desk: Desk) -> Turns:
    """Rewrite first, then loop."""
    async for turn in _refine(desk, await desk.rewrite()):
        yield turn


async def _single(desk: Desk) -> Turns:
    """The user's words, once; judged when there is a thinker."""
    async for turn in _once(desk, desk.sample.instruction):
        yield turn


async def _best_of_n(desk: Desk) -> Turns:
    """The user's words with `limits.turns` seeds; all are made and judged, a satisfying one ends nothing."""
    while desk.stop is None:
        yield await _turn(desk, desk.sample.instruction)
        desk.stop = desk.limits.exhausted(desk.turns, desk.spend)


async def _refine(desk: Desk, instruction: str) -> Turns:
    while desk.stop is None:
        turn = await _turn(desk, instruction)
        yield turn
        desk.stop = desk.limits.after(desk.turns, desk.spend)
        instruction = turn.critique.refined_instruction if turn.critique else instruction


async def _once(desk: Desk, instruction: str) -> Turns:
    turn = await _turn(desk, instruction)
    satisfied = desk.limits.satisfied(turn)
    desk.stop = Stop(StopReason.SATISFIED) if satisfied else Stop(StopReason.TURN_LIMIT, "1")
    yield turn


async def _turn(desk: Desk, instruction: str) -> Turn:
    """One turn from the source; every image is judged, the last one too."""
    turn = await desk.edit(instruction)
    return turn if desk.thinker is None else await desk.think(turn)


STRATEGIES: Mapping[str, Strategy] = {
    strategy.name: strategy
    for strategy in (
        Strategy(DEFAULT, "edit, critique, refine the instruction, repeat", _think_while),
        Strategy(SINGLE, "one edit with the user's words", _single, needs_thinker=False),
        Strategy("best-of-n", "the user's words with n seeds, the best kept", _best_of_n),
        Strategy("think-before-edit", "rewrite the instruction first, edit once", _think_before),
        Strategy("think-before-and-while", "rewrite first, then the loop", _think_before_and_while),
    )
}


def strategy_named(name: str) -> Strategy:
    """Look a strategy up. Raises `UnknownName`."""
    if name not in STRATEGIES:
        raise UnknownName("strategy", name, list(STRATEGIES))
    return STRATEGIES[name]
