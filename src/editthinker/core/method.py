"""How an episode is played, apart from with whom and how long: everything a person may choose about it.

In: options. Out: a frozen `Method`, or an `InputError` before anything is spent. It knows no strategy and no
policy by name.
"""

from __future__ import annotations

from dataclasses import dataclass

from editthinker.core.errors import InputError
from editthinker.core.types import Plan

MOST_CANDIDATES = 16
MOST_STEPS = 12
"""Steps of a plan; more are no plan but a reply that went wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """Raises `InputError` for numbers that make no sense."""

    strategy: str = "think-while-edit"
    policy: str = "refine"
    """What follows a turn, in strategies that go on after one; see `policies`."""
    candidates: int = 1
    """Images of each turn, with different seeds; the best is kept."""
    stack: bool = False
    """Edit the last accepted image instead of the source; damage adds up, so this is off."""
    plan: Plan | None = None
    """The steps to take, instead of asking the thinker for them."""
    paste_back: bool = False
    """Put the source's own pixels back where nothing was to change."""

    def __post_init__(self) -> None:
        number = self.candidates
        if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= MOST_CANDIDATES:
            raise InputError(f"candidates must be a whole number from 1 to {MOST_CANDIDATES}, got {number!r}")
        if self.plan and len(self.plan.steps) > MOST_STEPS:
            raise InputError(f"a plan has at most {MOST_STEPS} steps, this one has {len(self.plan.steps)}")
