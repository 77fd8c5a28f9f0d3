"""Strategies whose turns are known beforehand: no critique changes what is sent."""

from __future__ import annotations

from editthinker.core.desk import Desk
from editthinker.core.policies import Move
from editthinker.core.strategies.loop import Turns, make
from editthinker.core.types import Stop, StopReason


async def single(desk: Desk) -> Turns:
    """The user's words, once; judged when there is somebody to judge."""
    async for turn in _once(desk, desk.sample.instruction):
        yield turn


async def think_before(desk: Desk) -> Turns:
    """Rewrite once from the source alone, edit once."""
    async for turn in _once(desk, await desk.rewrite(desk.whole, desk.sample.instruction)):
        yield turn


async def best_of_n(desk: Desk) -> Turns:
    """The user's words with `limits.turns` seeds; all are made and judged, a satisfying one ends nothing."""
    while desk.stop is None:
        yield await make(desk, desk.whole, Move(desk.sample.instruction))
        desk.stop = desk.limits.exhausted(desk.turns, desk.spend, desk.roles)


async def _once(desk: Desk, instruction: str) -> Turns:
    turn = await make(desk, desk.whole, Move(instruction))
    satisfied = desk.limits.satisfied(turn)
    desk.stop = Stop(StopReason.SATISFIED) if satisfied else Stop(StopReason.TURN_LIMIT, "1")
    yield turn
