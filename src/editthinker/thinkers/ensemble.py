"""Several thinkers vote: one critique of what they say, and a note of who said what.

In: thinkers, and a `View`. Out: a `Thought` with the mean of their scores. A member that fails is noted and
does not count; only when all fail does the ensemble. It knows no member's kind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean
from typing import Any, Self, TypeVar

from editthinker.core.contracts import EditorInfo, Planner, Thinker, View, price_of_all
from editthinker.core.errors import EditThinkerError, InputError, ReplyError, ThinkerError
from editthinker.core.types import Critique, Plan, Sample, Score, Thought

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Vote:
    """What one member said."""

    name: str
    thought: Thought
    content: bool
    """Whether it would leave things as they are: its verdict, else whether it gave back the instruction."""

    @property
    def critique(self) -> Critique:
        """Of this member."""
        return self.thought.critique


class EnsembleThinker:
    """The thinker behind `ensemble:NAME|NAME`. Members are asked at the same time."""

    def __init__(self, members: Sequence[Thinker], *, name: str = "ensemble") -> None:
        """Raises `InputError` without members."""
        if not members:
            raise InputError(f"thinker {name!r} has no members; write ensemble:NAME|NAME")
        self.name = name
        self.members = tuple(members)

    @classmethod
    def of(cls, members: Sequence[Thinker], *, name: str = "ensemble") -> Self:
        """The ensemble of these thinkers."""
        return cls(members, name=name)

    @property
    def price(self) -> float | None:
        """What all members together are expected to cost; None when one of them does not know."""
        return price_of_all(self.members)

    async def think(self, view: View) -> Thought:
        """The vote. Raises `ReplyError` when no member's reply can be read, `ThinkerError` when all fail."""
        asked = [_outcome(member, partial(member.think, view)) for member in self.members]
        outcomes = await asyncio.gather(*asked)
        votes = [
            Vote(member.name, outcome, _is_content(outcome.critique, view))
            for member, outcome in zip(self.members, outcomes, strict=True)
            if isinstance(outcome, Thought)
        ]
        failed = [outcome for outcome in outcomes if isinstance(outcome, EditThinkerError)]
        if not votes:
            raise self._all_failed(failed)
        cost = sum(vote.thought.cost for vote in votes) + sum(error.cost for error in failed)
        critique, why = _agreed(votes)
        members = [_noted(member, outcome) for member, outcome in zip(self.members, outcomes, strict=True)]
        return Thought(critique, cost, {"members": members, **why})

    async def plan(self, sample: Sample, editor: EditorInfo) -> Plan:
        """The plan of the first member that makes one. Raises `InputError` when none can plan."""
        failed: list[EditThinkerError] = []
        planners = [member for member in self.members if isinstance(member, Planner)]
        if not planners:
            raise InputError(f"no member of thinker {self.name!r} can plan; give a plan")
        for planner in planners:
            outcome = await _outcome(planner, partial(planner.plan, sample, editor))
            if isinstance(outcome, Plan):
                cost = outcome.cost + sum(error.cost for error in failed)
                return Plan(
                    outcome.steps, outcome.reasoning, cost, {**outcome.notes, "planned_by": planner.name}
                )
            failed.append(outcome)
        raise self._all_failed(failed)

    def _all_failed(self, errors: Sequence[EditThinkerError]) -> ThinkerError:
        """One error for all: unreadable when all were, transient when one was."""
        said = "; ".join(str(error) for error in errors)
        if all(isinstance(error, ReplyError) for error in errors):
            failure: ThinkerError = ReplyError(said)
        else:
            failure = ThinkerError(f"every member of thinker {self.name!r} failed: {said}")
        failure.cost = sum(error.cost for error in errors)
        failure.transient = any(error.transient for error in errors)
        waits = [error.retry_after for error in errors if error.retry_after is not None]
        failure.retry_after = min(waits, default=None)
        return failure


async def _outcome(member: Thinker | Planner, verb: Callable[[], Awaitable[T]]) -> T | EditThinkerError:
    try:
        return await verb()
    except EditThinkerError as error:
        return error
    except Exception as error:  # noqa: BLE001 - a member may be anybody's, and must not sink the others
        return ThinkerError(f"thinker {member.name!r} broke: {type(error).__name__}: {error}")


def _is_content(critique: Critique, view: View) -> bool:
    if critique.satisfied is not None:
        return critique.satisfied
    return critique.refined_instruction.split() == view.instruction.split()


def _agreed(votes: Sequence[Vote]) -> tuple[Critique, dict[str, Any]]:
    """One critique, and how it came about.

    The majority says whether things are left as they are. The instruction is that of the member of the
    majority whose score is nearest the mean: words and score then belong together. The reasoning is that of
    the member with the median score.
    """
    scored = [vote for vote in votes if vote.critique.score is not None]
    scores = [vote.critique.score for vote in scored if vote.critique.score is not None]
    content = 2 * sum(vote.content for vote in votes) > len(votes)
    mean = _mean(scores)
    agreeing = [vote for vote in votes if vote.content == content] or list(votes)
    author = min(agreeing, key=lambda vote: _distance(vote.critique.score, mean))
    ordered = sorted(scored, key=lambda vote: vote.critique.score.overall if vote.critique.score else 0.0)
    speaker = ordered[(len(ordered) - 1) // 2] if ordered else author
    hopeless = [vote.critique.impossible for vote in votes if vote.critique.impossible]
    critique = Critique(
        score=mean,
        reasoning=speaker.critique.reasoning,
        refined_instruction=author.critique.refined_instruction,
        reply="\n\n".join(f"[{vote.name}]\n{vote.critique.reply}" for vote in votes if vote.critique.reply),
        satisfied=content,
        impossible=hopeless[0] if 2 * len(hopeless) > len(votes) else "",
    )
    why: dict[str, Any] = {
        "instruction_by": author.name,
        "instruction_why": "nearest the mean score of the majority" if scores else "first of the majority",
        "reasoning_by": speaker.name,
        "content": f"{sum(vote.content for vote in votes)} of {len(votes)}",
    }
    if scores:
        why["spread"] = {
            part: round(max(values) - min(values), 3)
            for part, values in (
                ("semantic", [score.semantic for score in scores]),
                ("quality", [score.quality for score in scores]),
            )
        }
    return critique, why


def _mean(scores: Sequence[Score]) -> Score | None:
    if not scores:
        return None
    return Score(fmean(score.semantic for score in scores), fmean(score.quality for score in scores))


def _distance(score: Score | None, mean: Score | None) -> float:
    """From the mean; a member without a score is as far as can be."""
    if score is None or mean is None:
        return 100.0
    return abs(score.semantic - mean.semantic) + abs(score.quality - mean.quality)


def _noted(member: Thinker, outcome: Thought | EditThinkerError) -> dict[str, Any]:
    if isinstance(outcome, EditThinkerError):
        return {"name": member.name, "error": str(outcome), "cost": outcome.cost}
    critique, score = outcome.critique, outcome.critique.score
    return {
        "name": member.name,
        "score": [score.semantic, score.quality] if score else None,
        "satisfied": critique.satisfied,
        "refined_instruction": critique.refined_instruction,
        "cost": outcome.cost,
        **({"notes": dict(outcome.notes)} if outcome.notes else {}),
    }
