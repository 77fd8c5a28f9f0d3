"""Several judges score: one score in the middle of theirs, and a note of who said what.

In: judges, a sample and an edited image. Out: a `Judged` score: the mean or median of the members'. A member
that fails is noted and does not count; only when all fail does the ensemble. It knows no member's kind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean, median, stdev
from typing import Any, Final, Literal, Self

from editthinker.core.contracts import Judge, price_of_all
from editthinker.core.errors import EditThinkerError, InputError, JudgeError
from editthinker.core.images import Picture
from editthinker.core.types import Judged, Sample, Score

MIDDLES: Final[Mapping[str, Callable[[Sequence[float]], float]]] = {"mean": fmean, "median": median}


class EnsembleJudge:
    """The judge behind `ensemble:NAME|NAME`. Members are asked at the same time."""

    def __init__(
        self,
        members: Sequence[Judge],
        *,
        name: str = "ensemble",
        middle: Literal["mean", "median"] = "mean",
    ) -> None:
        """Raises `InputError` without members."""
        if not members:
            raise InputError(f"judge {name!r} has no members; write ensemble:NAME|NAME")
        self.name, self.middle = name, middle
        self.members = tuple(members)

    @classmethod
    def of(cls, members: Sequence[Judge], *, name: str = "ensemble") -> Self:
        """The ensemble of these judges; their mean counts."""
        return cls(members, name=name)

    @property
    def price(self) -> float | None:
        """What all members together are expected to cost; None when one of them does not know."""
        return price_of_all(self.members)

    async def score(self, sample: Sample, edited: Picture) -> Judged:
        """The middle of the members' scores. Raises `JudgeError` when all of them fail."""
        outcomes = await asyncio.gather(*(_outcome(member, sample, edited) for member in self.members))
        judged = [outcome for outcome in outcomes if isinstance(outcome, Judged)]
        failed = [outcome for outcome in outcomes if isinstance(outcome, EditThinkerError)]
        if not judged:
            raise self._all_failed(failed)
        semantic = [one.score.semantic for one in judged]
        quality = [one.score.quality for one in judged]
        middle = MIDDLES[self.middle]
        score = Score(middle(semantic), middle(quality))
        speaker = min(
            judged,
            key=lambda one: abs(one.score.semantic - score.semantic) + abs(one.score.quality - score.quality),
        )
        notes = {
            "middle": self.middle,
            "counted": f"{len(judged)} of {len(self.members)}",
            "std": {"semantic": _spread(semantic), "quality": _spread(quality)},
            "members": [_noted(*pair) for pair in zip(self.members, outcomes, strict=True)],
        }
        cost = sum(one.cost for one in judged) + sum(error.cost for error in failed)
        return Judged(score, speaker.reasoning, cost, notes)

    def _all_failed(self, errors: Sequence[EditThinkerError]) -> JudgeError:
        """One error for all: transient when one was, refused when all were."""
        said = "; ".join(str(error) for error in errors)
        failure = JudgeError(f"every member of judge {self.name!r} failed: {said}")
        failure.cost = sum(error.cost for error in errors)
        failure.transient = any(error.transient for error in errors)
        failure.refused = all(error.refused for error in errors)
        waits = [error.retry_after for error in errors if error.retry_after is not None]
        failure.retry_after = min(waits, default=None)
        return failure


async def _outcome(member: Judge, sample: Sample, edited: Picture) -> Judged | EditThinkerError:
    try:
        return await member.score(sample, edited)
    except EditThinkerError as error:
        return error
    except Exception as error:  # noqa: BLE001 - a member may be anybody's, and must not sink the others
        return JudgeError(f"judge {member.name!r} broke: {type(error).__name__}: {error}")


def _spread(values: Sequence[float]) -> float | None:
    """Standard deviation (n - 1); None of a single value."""
    return round(stdev(values), 4) if len(values) > 1 else None


def _noted(member: Judge, outcome: Judged | EditThinkerError) -> dict[str, Any]:
    if isinstance(outcome, EditThinkerError):
        return {"name": member.name, "error": str(outcome), "cost": outcome.cost}
    return {
        "name": member.name,
        "score": [outcome.score.semantic, outcome.score.quality],
        "cost": outcome.cost,
        **({"notes": dict(outcome.notes)} if outcome.notes else {}),
    }
