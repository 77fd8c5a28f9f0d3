"""Where calls of many samples wait for their turn: one door for each role, and budgets that hold for all.

In: who wants to call, and how much is still ahead of it. Out: permission, in an order that keeps everybody
busy until the end; or none at all, once the run is stopping. It does not know what is called.
"""

from __future__ import annotations

import asyncio
import heapq
import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count

from editthinker.core.clock import in_line
from editthinker.core.types import Role

CAPACITY = 8
"""Calls of one role at a time where nobody knows better."""
FEELERS = 4
"""Calls of one role that may fail before the first of them succeeds: a wrong key costs no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a whole run may take, all samples and all attempts together; None: no limit."""

    editor_calls: int | None = None
    cost: float | None = None
    """US dollars; a call starts only when its expected price still fits."""
    seconds: float | None = None
    """Of this process; a run that is taken up again gets them again."""


@dataclass(slots=True, eq=False)
class Doors:
    """All doors of a run. Every `enter` that returned is followed by one `leave`."""

    capacity: Mapping[Role, Callable[[], int]] = field(default_factory=dict)
    """How many calls of a role may be under way now."""
    price: Mapping[Role, float] = field(default_factory=dict)
    """US dollars a call is expected to cost, where that is known."""
    budget: Budget = field(default_factory=Budget)
    spent: float = 0.0
    editor_calls: int = 0
    """Begun so far, those of earlier processes included."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set whenever somebody came, went or was let in."""
    why: str = ""
    """What closed the doors, when they closed by themselves."""
    closed: bool = False
    in_flight: Counter[Role] = field(default_factory=Counter)
    proven: set[Role] = field(default_factory=set)
    """Roles of which a call has succeeded in this process."""
    _fruitless: Counter[Role] = field(default_factory=Counter)
    """Calls that failed for good before that."""
    _waiting: dict[Role, list[tuple[float, int, asyncio.Future[None]]]] = field(default_factory=dict)
    _tickets: count[int] = field(default_factory=count)

    def waiting(self, role: Role) -> int:
        """How many want to call and may not yet."""
        return sum(not ticket.done() for _, _, ticket in self._waiting.get(role, ()))

    def room(self, role: Role) -> int:
        """How many calls of this role may be under way now."""
        known = max(1, self.capacity.get(role, lambda: CAPACITY)())
        return known if role in self.proven else min(known, FEELERS - self._fruitless[role])

    async def enter(self, role: Role, ahead: float) -> None:
        """Returns when the call may start, the sooner the more is `ahead`; never, once closed."""
        ticket = asyncio.get_running_loop().create_future()
        place = (-ahead, next(self._tickets), ticket)
        heapq.heappush(self._waiting.setdefault(role, []), place)
        self._admit()
        try:
            with in_line():
                await ticket
        except asyncio.CancelledError:
            if ticket.done() and not ticket.cancelled():  # let in and cancelled at the same moment
                self.leave(role, 0.0)
            raise

    def leave(self, role: Role, cost: float, *, succeeded: bool = False, failure: str = "") -> None:
        """The call is over; `failure` says why it failed for good, if it did."""
        self.in_flight[role] -= 1
        self.spent += cost
        if succeeded:
            self.proven.add(role)
        elif failure and role not in self.proven:
            self._fruitless[role] += 1
            if self._fruitless[role] >= FEELERS:
                self._shut(f"the first {FEELERS} calls of the {role} failed, and none succeeded: {failure}")
        self._admit()

    def close(self) -> None:
        """Let nobody in any more."""
        self.closed = True
        self.changed.set()

    def _admit(self) -> None:
        for role, waiting in self._waiting.items():
            while waiting and not self.closed and self.in_flight[role] < self.room(role):
                if waiting[0][2].done():  # cancelled
                    heapq.heappop(waiting)
                    continue
                if not self._affordable(role):
                    break
                ticket = heapq.heappop(waiting)[2]
                self.in_flight[role] += 1
                self.editor_calls += role == "editor"
                ticket.set_result(None)
        self.changed.set()

    def _affordable(self, role: Role) -> bool:
        """Whether one more call keeps to the budget; when none ever will, the doors close."""
        budget = self.budget
        if role == "editor" and budget.editor_calls is not None and self.editor_calls >= budget.editor_calls:
            self._shut(f"the limit of {budget.editor_calls} editor calls was reached")
            return False
        if budget.cost is None:
            return True
        expected = sum(number * self.price.get(other, 0.0) for other, number in self.in_flight.items())
        ahead = self.spent + expected + self.price.get(role, 0.0)
        if self.spent < budget.cost and (ahead <= budget.cost or math.isclose(ahead, budget.cost)):
            return True
        if self.spent == 0.0 and not self.price.get(role):  # nothing costs anything
            return True
        if not self.in_flight.total():
            self._shut(f"the limit of ${budget.cost:g} was reached")
        return False

    def _shut(self, why: str) -> None:
        self.why = self.why or why
        self.close()
