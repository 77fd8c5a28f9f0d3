"""Plan and edit: a compound instruction step by step, each refined on its own, then checked as a whole.

After MIRA (arXiv 2511.21087: one atomic instruction a step, on the current image) and InterleaveThinker
(arXiv 2606.13679: planner and critic apart, several tries a step). Here a step that came to nothing is
skipped, and the check at the end compares with the original.
"""

from __future__ import annotations

from dataclasses import replace

from editthinker.core.desk import Desk, Goal
from editthinker.core.policies import Move
from editthinker.core.selection import choose
from editthinker.core.strategies.loop import Turns, onwards, pursue
from editthinker.core.types import Plan, Stop


async def play(desk: Desk) -> Turns:
    """The steps, the check of the whole against the original source, and refinement from there."""
    plan = await desk.plan()
    if len(plan.steps) == 1:  # nothing to take apart; the thinker's wording would be a blind rewrite
        words = plan.steps[0] if plan is desk.method.plan else desk.sample.instruction
        async for turn in pursue(desk, desk.whole, Move(words)):
            yield turn
        return
    async for turn in _steps(desk, plan):
        yield turn
    async for turn in _whole(desk):
        yield turn


async def _steps(desk: Desk, plan: Plan) -> Turns:
    """Each step from the last accepted image; `desk.stop` is set when a budget ended them."""
    base = 0
    for number, words in enumerate(plan.steps, 1):
        if stop := desk.limits.exhausted((), desk.spend, desk.roles):
            desk.stop = stop
            return
        sample = replace(
            desk.sample,
            images=(desk.picture(base), *desk.sample.images[1:]),
            instruction=words,
            truth=None,  # what is known of the whole would mislead whoever judges a part
        )
        goal = Goal(sample, start=base, step=number)
        skipped = number > 1 and desk.accepted[-1] is None
        why = f"step {number - 1} came to nothing and was skipped" if skipped else ""
        async for turn in pursue(desk, goal, Move(words, base, why=why)):
            yield turn
        desk.accepted.append(_accepted(desk, goal))
        base = desk.accepted[-1] or base
        desk.stop = None  # what ended a step does not end the plan; a budget is asked about before the next


async def _whole(desk: Desk) -> Turns:
    """Judge the last accepted image as an answer to everything, and go on from it."""
    done = [index for index in desk.accepted if index]
    needed = [role for role in desk.roles if role != "editor" or not done]
    if stop := desk.limits.exhausted((), desk.spend, needed):
        desk.stop = desk.stop or stop
        return
    desk.stop = None
    goal = Goal(desk.sample, start=done[-1] if done else 0)
    move: Move | Stop = Move(desk.sample.instruction, why=f"the whole instruction{_skipped(desk)}")
    if done:
        sent = ", then ".join(desk.turns[index - 1].instruction.strip().rstrip(".") for index in done)
        why = f"the whole instruction, checked on turn {goal.start}{_skipped(desk)}"
        check = await desk.think(goal, desk.check(goal.start, sent, why))
        yield check
        goal = replace(goal, start=check.index)
        move = onwards(desk, goal)
    async for turn in pursue(desk, goal, move):
        yield turn


def _accepted(desk: Desk, goal: Goal) -> int | None:
    """The turn a step ends with: one that satisfies, else the best if it is better than the step's base."""
    turns = desk.pursuing(goal)
    if turns and desk.limits.satisfied(turns[-1]):
        return turns[-1].index
    return choose(desk.picture(goal.start), turns)


def _skipped(desk: Desk) -> str:
    numbers = [str(number) for number, index in enumerate(desk.accepted, 1) if index is None]
    return f" (step {' and '.join(numbers)} skipped)" if numbers else ""
