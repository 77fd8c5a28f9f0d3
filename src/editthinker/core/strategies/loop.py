"""Edit, critique, and go on as the policy says: the loop of the paper, and what others build of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace

from editthinker.core.candidates import judged
from editthinker.core.desk import Desk, Goal
from editthinker.core.errors import Refused
from editthinker.core.policies import Move, Refusal, Situation, policy_named
from editthinker.core.selection import beats_source
from editthinker.core.types import Stop, Turn

Turns = AsyncGenerator[Turn, None]


async def think_while(desk: Desk) -> Turns:
    """Turn 1 sends the user's words unchanged (a blind rewrite first costs score: 7.06 < 7.19)."""
    async for turn in pursue(desk, desk.whole, Move(desk.sample.instruction)):
        yield turn
        del turn  # the desk keeps it, perhaps folded; the next one takes its time


async def think_before_and_while(desk: Desk) -> Turns:
    """Rewrite first, then loop."""
    words = await desk.rewrite(desk.whole, desk.sample.instruction)
    async for turn in pursue(desk, desk.whole, Move(words)):
        yield turn
        del turn


async def pursue(desk: Desk, goal: Goal, move: Move | Stop) -> Turns:
    """Make turns towards a goal until the limits or the policy say stop; `desk.stop` then says why."""
    refusals: tuple[Refusal, ...] = ()
    while isinstance(move, Move):
        try:
            if move.reword:
                complaint = f"the editor refused these words: {refusals[-1].reason}"
                words = await desk.rewrite(goal, move.instruction, complaint)
                move = replace(move, instruction=words)
            turn = await make(desk, goal, move)
        except Refused as error:
            refusals = (*refusals, Refusal(move, str(error)))
            move = onwards(desk, goal, refusals)
            if isinstance(move, Stop):
                raise
        else:
            yield turn
            del turn
            refusals = ()
            move = onwards(desk, goal)
    desk.stop = move


async def make(desk: Desk, goal: Goal, move: Move) -> Turn:
    """One turn; every image is judged, the last one too."""
    turn = await desk.edit(goal, move)
    return await judged(desk, goal, turn)


def onwards(desk: Desk, goal: Goal, refusals: Sequence[Refusal] = ()) -> Move | Stop:
    """What follows: the limits have the first word, the policy the second."""
    turns = desk.pursuing(goal)
    if not refusals and (stop := desk.limits.after(turns, desk.spend, desk.roles)):
        return stop
    now = Situation(
        turns,
        tuple(editor.info.name for editor in desk.editors),
        start=goal.start,
        stack=_last_accepted(desk, goal, turns) if desk.method.stack else None,
        origin=goal.start if goal.step else 0,
        refusals=refusals,
    )
    return policy_named(desk.method.policy).decide(now)


def _last_accepted(desk: Desk, goal: Goal, turns: Sequence[Turn]) -> int:
    """The newest turn that is worth more than the image it was made from, else the goal's first image."""
    better = (turn.index for turn in reversed(turns) if beats_source(desk.picture(turn.base), turn))
    return next(better, goal.start)
