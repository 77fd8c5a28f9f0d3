"""Which of several images is kept: by their scores, or by comparing two at a time.

In: a desk and a turn with candidates, or finished turns. Out: the turn with the best candidate in front and
its critique, or the turn to deliver. Comparisons keep to the limits, and a failed one never costs a turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from editthinker.core.desk import Desk, Goal, raise_first
from editthinker.core.errors import JudgeError, ThinkerError
from editthinker.core.images import Picture
from editthinker.core.limits import LimitReached
from editthinker.core.selection import merit, same_pixels, worthy
from editthinker.core.types import Candidate, Critique, Score, Turn

COMPARED = 3
"""Turns that are compared in the end, the best by their scores."""


async def judged(desk: Desk, goal: Goal, turn: Turn) -> Turn:
    """The turn with its best candidate in front, judged and critiqued; the others keep their scores."""
    if not turn.others:
        return await desk.think(goal, turn)
    if desk.comparer is not None:
        return await desk.think(goal, await _by_comparing(desk, goal, turn))
    if desk.judge is not None:
        return await desk.think(goal, await _by_judge(desk, goal, turn))
    return await _by_thinker(desk, goal, turn)


async def delivered(desk: Desk) -> tuple[int, str] | None:
    """Index of the turn to deliver and how it was chosen; None where there is nothing to compare.

    The best turns by score are compared, each with the winner so far, oldest first; a tie keeps the earlier.
    """
    turns = worthy(desk.sample.source, desk.turns)
    latest = max((turn.step for turn in turns), default=0)
    best = sorted((turn for turn in turns if turn.step == latest), key=merit, reverse=True)[:COMPARED]
    if desk.comparer is None or len(best) < 2:
        return None
    turns = sorted(best, key=lambda turn: turn.index)
    indices, images = [turn.index for turn in turns], [turn.image for turn in turns]
    place, problem = await _champion(desk, desk.whole, indices, images)
    among = " and ".join(str(turn.index) for turn in turns)
    if problem:
        return best[0].index, f"by score; turns {among} could not be compared: {problem}"
    return turns[place].index, f"turns {among} were compared by {desk.comparer.name}"


async def _champion(
    desk: Desk, goal: Goal, turns: Sequence[int], images: Sequence[Picture]
) -> tuple[int, str]:
    """Place of the image that none later beat, and what kept it from being compared with all, if anything."""
    best = 0
    for place in range(1, len(images)):
        if same_pixels(images[best], images[place]):
            continue
        try:
            preference = await desk.prefer(goal, turns[place], images[best], images[place])
        except (JudgeError, LimitReached) as error:
            return best, str(error)
        if preference.better > 0:
            best = place
    return best, ""


async def _by_comparing(desk: Desk, goal: Goal, turn: Turn) -> Turn:
    candidates = _candidates(turn)
    images = [candidate.edited.image for candidate in candidates]
    best, problem = await _champion(desk, goal, [turn.index] * len(images), images)
    turn = _in_front(turn, candidates, best)
    if problem:
        phrases = (turn.why, f"not all candidates could be compared: {problem}")
        turn = replace(turn, why="; ".join(filter(None, phrases)))
    desk.pending = turn
    return turn


async def _by_judge(desk: Desk, goal: Goal, turn: Turn) -> Turn:
    candidates = _candidates(turn)
    verbs = [partial(desk.score, goal, turn.index, candidate.edited.image) for candidate in candidates]
    outcomes = await desk.calls.together(verbs)
    scores = [outcome if isinstance(outcome, Score) else None for outcome in outcomes]
    turn, best = _best(turn, candidates, scores)
    desk.pending = turn = replace(turn, judged=scores[best])
    raise_first(outcomes, bearable=(JudgeError, LimitReached) if any(scores) else ())
    return turn


async def _by_thinker(desk: Desk, goal: Goal, turn: Turn) -> Turn:
    candidates = _candidates(turn)
    views = [replace(turn, seed=c.seed, edited=c.edited, others=()) for c in candidates]
    outcomes = await desk.calls.together([partial(desk.critique, goal, view) for view in views])
    critiques = [outcome if isinstance(outcome, Critique) else None for outcome in outcomes]
    content = [bool(critique and critique.satisfied) for critique in critiques]
    scores = [critique.score if critique else None for critique in critiques]
    turn, best = _best(turn, candidates, scores, content)
    desk.pending = turn = replace(turn, critique=critiques[best])
    raise_first(outcomes, bearable=(ThinkerError, LimitReached) if any(critiques) else ())
    return turn


def _best(
    turn: Turn, candidates: Sequence[Candidate], scores: Sequence[Score | None], content: Sequence[bool] = ()
) -> tuple[Turn, int]:
    """The turn with the best scored candidate in front, the earliest on a tie, and its place."""
    scored = [replace(candidate, score=score) for candidate, score in zip(candidates, scores, strict=True)]

    def worth(place: int) -> tuple[float, bool]:
        score = scores[place]
        return (-1.0 if score is None else score.overall, bool(content and content[place]))

    best = max(range(len(scored)), key=worth)
    return _in_front(turn, scored, best), best


def _candidates(turn: Turn) -> tuple[Candidate, ...]:
    return (Candidate(turn.seed, turn.edited), *turn.others)


def _in_front(turn: Turn, candidates: Sequence[Candidate], best: int) -> Turn:
    others = tuple(candidate for place, candidate in enumerate(candidates) if place != best)
    return replace(turn, seed=candidates[best].seed, edited=candidates[best].edited, others=others)
