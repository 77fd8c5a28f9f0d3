"""One sample's listener in a run: waits at the doors before each call, stores what came, counts it."""

from __future__ import annotations

from collections import Counter

from editthinker.core.clock import in_line
from editthinker.core.errors import Refused, ReplyError
from editthinker.core.events import (
    CallFailed,
    EditFinished,
    EditStarted,
    Event,
    JudgeFinished,
    JudgeStarted,
    PlanFinished,
    ThinkFinished,
    ThinkStarted,
    TurnFinished,
)
from editthinker.core.types import Call, Role
from editthinker.runs.doors import Doors
from editthinker.runs.recorder import Recorder
from editthinker.runs.tally import Tally


class Usher:
    """Single-use, like the episode it listens to."""

    def __init__(self, doors: Doors, tally: Tally, turns: int) -> None:
        self.recorder: Recorder | None = None
        self.seated = False
        """Whether the sample has come to its first door."""
        self.busy = 0
        """What of it is being stored now."""
        self.called = False
        """Whether any call was made for it."""
        self._doors, self._tally = doors, tally
        self._turns = turns
        self._ahead = turns
        self._inside: Counter[Role] = Counter()

    async def __call__(self, event: Event) -> None:
        """Hold a call back until it may start; keep everything else. Raises `StoreError`."""
        match event:
            case EditStarted():
                await self._enter("editor")
            case ThinkStarted():
                await self._enter("thinker")
            case JudgeStarted():
                await self._enter("judge")
            case EditFinished(call=call) | ThinkFinished(call=call) | JudgeFinished(call=call):
                self._left(call, succeeded=True)
            case PlanFinished(call=Call() as call):
                self._left(call, succeeded=True)
            case CallFailed(call, again_in):
                # Who declines these words, or answers what nobody can read, is there all the same.
                alive = call.outcome in (Refused.__name__, ReplyError.__name__)
                self._left(call, succeeded=alive, failure=call.error if again_in is None else "")
            case TurnFinished(turn):
                self._ahead = self._turns - turn.index
        if self.recorder:
            self.busy += 1
            try:
                await self.recorder(event)
            finally:
                self.busy -= 1

    def leave(self) -> None:
        """Give back what calls that were cancelled still hold."""
        for role in self._inside.elements():
            self._doors.leave(role, 0.0)
        self._inside.clear()

    async def _enter(self, role: Role) -> None:
        self.seated = True
        with in_line():  # waiting for a place is not the sample's time
            await self._doors.enter(role, self._ahead)
        self._inside[role] += 1
        self.called = True

    def _left(self, call: Call, *, succeeded: bool, failure: str = "") -> None:
        self._inside[call.role] -= 1
        self._tally.call_ended(call.role, call.cost)
        self._doors.leave(call.role, call.cost, succeeded=succeeded, failure=failure)
