"""When to stop: every threshold and every budget, and the pure rules that apply them.

In: the turns so far and what they cost. Out: a `Stop` with its reason, or None to go on. Nothing here makes a
call or reads a clock.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from editthinker.core.errors import BudgetExceeded, InputError
from editthinker.core.types import Spend, Stop, StopReason, Turn


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Thresholds and budgets of one trajectory. Raises `InputError` for values that make no sense."""

    turns: int = 3
    """Turns at most; the second brings most of the gain (paper table 8), paper runs use 5."""
    editor_calls: int | None = None
    thinker_calls: int | None = None
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

    def __post_init__(self) -> None:
        for name, least in (
            ("turns", 1),
            ("editor_calls", 1),
            ("thinker_calls", 0),
            ("patience", 1),
            ("reasks", 0),
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
        if self.turns is None or self.reasks is None:
            raise InputError("turns and reasks must be given")

    def with_threshold(self, threshold: float) -> Limits:
        """The same limits, satisfied when both scores reach `threshold`."""
        return replace(self, semantic=threshold, quality=threshold)

    def satisfied(self, turn: Turn) -> bool:
        """Whether the thinker's scores of this turn reach both thresholds; never true without a critique."""
        if turn.critique is None:
            return False
        score = turn.critique.score
        return score.semantic >= self.semantic and score.quality >= self.quality

    def after(self, turns: Sequence[Turn], spend: Spend) -> Stop | None:
        """Whether to stop after these turns (at least one), for a strategy that refines its instruction."""
        if self.satisfied(turns[-1]):
            return Stop(StopReason.SATISFIED)
        return self.exhausted(turns, spend) or self._nothing_new(turns)

    def exhausted(self, turns: Sequence[Turn], spend: Spend) -> Stop | None:
        """Whether the turns or a budget are used up, so that no further turn could be made and judged."""
        if len(turns) >= self.turns:
            return Stop(StopReason.TURN_LIMIT, f"{self.turns}")
        return self.before("editor", spend) or self.before("thinker", spend)

    def before(self, role: Literal["editor", "thinker"], spend: Spend) -> Stop | None:
        """Whether one more call of this role would break a budget."""
        calls, allowed = {
            "editor": (spend.editor_calls, self.editor_calls),
            "thinker": (spend.thinker_calls, self.thinker_calls),
        }[role]
        if allowed is not None and calls >= allowed:
            return Stop(StopReason.CALL_LIMIT, f"{allowed} {role} calls")
        if self.seconds is not None and spend.seconds >= self.seconds:
            return Stop(StopReason.TIME_LIMIT, f"{self.seconds:g} s")
        if self.cost is not None and spend.cost > 0 and spend.cost >= self.cost:
            return Stop(StopReason.COST_LIMIT, f"${self.cost:g}")
        return None

    def _nothing_new(self, turns: Sequence[Turn]) -> Stop | None:
        critique = turns[-1].critique
        if critique is None:
            return None
        proposed, sent = _words(critique.refined_instruction), [_words(turn.instruction) for turn in turns]
        if proposed == sent[-1]:
            return Stop(StopReason.UNCHANGED_INSTRUCTION)
        if proposed in sent:
            return Stop(StopReason.REPEATED_INSTRUCTION, f"that of turn {sent.index(proposed) + 1}")
        scores = [turn.critique.score.overall for turn in turns if turn.critique]
        since_best = len(scores) - 1 - scores.index(max(scores))
        if self.patience is not None and since_best >= self.patience:
            return Stop(StopReason.PLATEAU, f"no better score in {since_best} turns")
        return None


class LimitReached(BudgetExceeded):
    """The next call would break a limit, or the one in flight did; `stop` says which."""

    def __init__(self, stop: Stop) -> None:
        super().__init__(stop.sentence)
        self.stop = stop


def _words(instruction: str) -> list[str]:
    """Two instructions that differ in white space only are the same; case may matter (text to write)."""
    return instruction.split()
