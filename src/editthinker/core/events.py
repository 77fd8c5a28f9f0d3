"""What an episode tells while it runs: small frozen facts, in the order in which they happen.

A listener may return an awaitable; the episode waits for it before it goes on, so whoever stores a
`TurnFinished` has it durable before the next turn starts.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from editthinker.core.types import Call, Critique, Edited, Plan, Preference, Score, Turn


@dataclass(frozen=True, slots=True)
class EditStarted:
    """What the turn will be, before there is an image."""

    turn: int
    instruction: str
    seed: int
    base: int = 0
    step: int = 0
    editor: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class EditFinished:
    call: Call
    edited: Edited
    start: EditStarted
    """Which edit it was; candidates of one turn, told apart by their seeds, may be made at the same time."""


@dataclass(frozen=True, slots=True)
class ThinkStarted:
    turn: int
    """0 when thinking before any edit."""
    complaint: str = ""
    """Why the last reply could not be used, on a re-ask."""


@dataclass(frozen=True, slots=True)
class ThinkFinished:
    call: Call
    critique: Critique


@dataclass(frozen=True, slots=True)
class JudgeStarted:
    turn: int


@dataclass(frozen=True, slots=True)
class JudgeFinished:
    call: Call
    score: Score | None
    """None when two images were compared."""
    preference: Preference | None = None


@dataclass(frozen=True, slots=True)
class PlanFinished:
    call: Call | None
    """None for a plan that was given."""
    plan: Plan


@dataclass(frozen=True, slots=True)
class CallFailed:
    call: Call
    again_in: float | None = None
    """Seconds until the call is repeated; None when it is not."""


@dataclass(frozen=True, slots=True)
class TurnFinished:
    turn: Turn


Event = (
    EditStarted
    | EditFinished
    | ThinkStarted
    | ThinkFinished
    | JudgeStarted
    | JudgeFinished
    | PlanFinished
    | CallFailed
    | TurnFinished
)
Listener = Callable[[Event], Awaitable[None] | None]
