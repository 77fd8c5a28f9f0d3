"""What an episode tells while it runs: small frozen facts, in the order in which they happen.

A listener may return an awaitable; the episode waits for it before it goes on, so whoever stores a
`TurnFinished` has it durable before the next turn starts.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from editthinker.core.types import Call, Critique, Edited, Turn


@dataclass(frozen=True, slots=True)
class EditStarted:
    turn: int
    instruction: str
    seed: int


@dataclass(frozen=True, slots=True)
class EditFinished:
    call: Call
    edited: Edited


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
class CallFailed:
    call: Call


@dataclass(frozen=True, slots=True)
class TurnFinished:
    turn: Turn


Event = EditStarted | EditFinished | ThinkStarted | ThinkFinished | CallFailed | TurnFinished
Listener = Callable[[Event], Awaitable[None] | None]
