"""When to stop: every threshold and every budget, and the pure rules that apply them.

In: the turns so far and what they cost. Out: a `Stop` with its reason, or None to go on. Nothing here makes a
call or reads a clock.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from editthinker.core.errors import BudgetExceeded, InputError
from editthinker.core.types import Role, Spend, Stop, StopReason, Turn

ROLES: tuple[Role, ...] = ("editor", "thinker")
"""Who has to be asked for a turn, where there is no separate judge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Thresholds and budgets of one trajectory. Raises `InputError` for values that make no sense."""

    turns: int = 3
    """Turns at most; the second brings most of the gain (paper table 8), paper runs use 5."""
    editor_calls: int | None = None
    thinker_calls: int | None = None
    judge_calls: int | None = None
    """Attempts, failed ones and re-asks included."""
    seconds: float | None = None
    """Wall-clock from the first call; a call still running then is cancelled."""
    cost: float | None = None
    """US dollars. A price is known only after the call, so the call that crosses the line is the last one."""
    semantic: float = 8.0
    quality: float = 8.0
    """Satisfied when both scores reach these; above 10 means never satisfied."""
    patience: int | None = None
    """Stop when this many turns in a row brought no new best score; None never does."""
    reasks: int = 2
    """How often a reply that cannot be read is asked for again, per critique."""
    retries: int = 2
    """How often a call that failed in passing (overload, lost connection) is repeated; each is a call."""

    def __post_init__(self) -> None:
        for name, least in (
            ("turns", 1),
            ("editor_calls", 1),
            ("thinker_calls", 0),
            ("patience", 1),
            ("reasks", 0),
            ("judge_calls", 0),
            ("retries", 0),
        ):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < least):
                raise InputError(f"{name} must be a whole number of at least {least}, got {value!r}")
        for name in ("seconds", "cost", "semantic", "quality"):
            value = getattr(self, name)
            if value is not None and not (
                isinstance(value, int | float) and math.isfinite(value) and value >= 0
            ):
                raise InputError(f"{name} must be a number of at least 0, got {value!r}")
        if None in (self.turns, self.reasks, self.retries):
            raise InputError("turns, reasks and retries must be given")

    def with_threshold(self, threshold: float) -> Limits:
        """The same limits, satisfied when both scores reach `threshold`."""
        return replace(self, semantic=threshold, quality=threshold)

    def satisfied(self, turn: Turn) -> bool:
        """Whether the scores of this turn reach both thresholds; without any, the thinker's verdict."""
        if turn.score is None:
            return bool(turn.critique and turn.critique.satisfied)
        return turn.score.semantic >= self.semantic and turn.score.quality >= self.quality

    def after(self, turns: Sequence[Turn], spend: Spend, roles: Sequence[Role] = ROLES) -> Stop | None:
        """Whether to stop after these turns (at least one), whatever a policy would do next."""
        if self.satisfied(turns[-1]):
            return Stop(StopReason.SATISFIED)
        if (critique := turns[-1].critique) and critique.impossible:
            return Stop(StopReason.IMPOSSIBLE, critique.impossible)
        return self.exhausted(turns, spend, roles) or self._plateau(turns)

    def exhausted(self, turns: Sequence[Turn], spend: Spend, roles: Sequence[Role] = ROLES) -> Stop | None:
        """Whether the turns or a budget are used up, so that `roles` could make no further turn."""
        if len(turns) >= self.turns:
            return Stop(StopReason.TURN_LIMIT, f"{self.turns}")
        return next((stop for role in roles if (stop := self.before(role, spend))), None)

    def before(self, role: Role, spend: Spend) -> Stop | None:
        """Whether one more call of this role would break a budget."""
        calls, allowed = {
            "editor": (spend.editor_calls, self.editor_calls),
            "thinker": (spend.thinker_calls, self.thinker_calls),
            "judge": (spend.judge_calls, self.judge_calls),
        }[role]
        if allowed is not None and calls >= allowed:
            return Stop(StopReason.CALL_LIMIT, f"{allowed} {role} calls")
        if self.seconds is not None and spend.seconds >= self.seconds:
            return Stop(StopReason.TIME_LIMIT, f"{self.seconds:g} s")
        if self.cost is not None and spend.cost > 0 and spend.cost >= self.cost:
            return Stop(StopReason.COST_LIMIT, f"${self.cost:g}")
        return None

    def _plateau(self, turns: Sequence[Turn]) -> Stop | None:
        scores = [turn.score.overall for turn in turns if turn.score]
        since_best = len(scores) - 1 - scores.index(max(scores)) if scores else 0
        if self.patience is not None and since_best >= self.patience:
            return Stop(StopReason.PLATEAU, f"no better score in {since_best} turns")
        return None


class LimitReached(BudgetExceeded):
    """The next call would break a limit, or the one in flight did; `stop` says which."""

    def __init__(self, stop: Stop) -> None:
        super().__init__(stop.sentence)
        self.stop = stop
