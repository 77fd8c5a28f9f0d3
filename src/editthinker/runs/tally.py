"""How far a run is: counts that progress, heartbeat and summary read."""

from __future__ import annotations

import json
import os
import socket
import time
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from editthinker.core.errors import EditThinkerError, Refused
from editthinker.core.types import Role
from editthinker.runs.disk import put

if TYPE_CHECKING:
    from editthinker.wire.pool import MemberState

HEARTBEAT = "heartbeat.json"
SUMMARY = "summary.json"
_WINDOW = 30.0
"""Seconds over which a rate is taken."""

Ending = Literal["finished", "failed", "refused"]


@dataclass(frozen=True, slots=True)
class Failed:
    """An input that came to no good end."""

    id: str
    ending: Ending
    blame: str
    kind: str
    message: str

    @classmethod
    def of(cls, name: str, error: Exception | None) -> Failed | None:
        """What an error did to an input; None when there was none."""
        if error is None:
            return None
        blame = error.blame if isinstance(error, EditThinkerError) else "ours"
        ending: Ending = "refused" if isinstance(error, Refused) else "failed"
        return cls(name, ending, blame, type(error).__name__, str(error) or type(error).__name__)


@dataclass(slots=True, eq=False)
class Tally:
    """Of a whole run; what earlier processes did is counted in, but not in rates."""

    inputs: int = 0
    before: int = 0
    """Inputs that had ended before this process began."""
    endings: Counter[Ending] = field(default_factory=Counter)
    delivered: int = 0
    stops: Counter[str] = field(default_factory=Counter)
    failures: list[Failed] = field(default_factory=list)
    turns: int = 0
    """Finished by this process."""
    calls: Counter[Role] = field(default_factory=Counter)
    """Made over the whole run, failed ones too."""
    cost: float = 0.0
    samples_in_flight: int = 0
    in_flight: Counter[Role] = field(default_factory=Counter)
    room: dict[Role, int] = field(default_factory=dict)
    servers: dict[Role, Sequence[MemberState]] = field(default_factory=dict)
    """How each server of a role does, where there are pools."""
    state: str = "starting"
    trouble: str = ""
    """The last that was told of a server that went or came back."""
    began: float = field(default_factory=time.monotonic)
    first_turn: float | None = None
    _recent: dict[Role, deque[float]] = field(default_factory=dict)

    @property
    def ended(self) -> int:
        """Inputs that are done with, one way or another."""
        return self.endings.total()

    @property
    def seconds(self) -> float:
        """Since this process began."""
        return time.monotonic() - self.began

    def call_ended(self, role: Role, cost: float) -> None:
        """Count an attempt."""
        self.calls[role] += 1
        self.cost += cost
        recent = self._recent.setdefault(role, deque())
        recent.append(time.monotonic())
        while recent and recent[0] < recent[-1] - _WINDOW:
            recent.popleft()

    def note(self, trouble: str) -> None:
        """What a pool has to tell: that nobody is left, or that somebody is back."""
        self.trouble = trouble

    def rate(self, role: Role) -> float:
        """Calls a second, of late."""
        since = time.monotonic() - min(_WINDOW, max(self.seconds, 1e-3))
        recent = [at for at in self._recent.get(role, ()) if at >= since]
        return len(recent) / min(_WINDOW, max(self.seconds, 1e-3))

    def utilisation(self, role: Role) -> float:
        """Share of the calls that could be under way that are, 0..1."""
        return min(1.0, self.in_flight[role] / self.room[role]) if self.room.get(role) else 0.0

    @property
    def eta(self) -> float | None:
        """Seconds until the end at the pace so far; None before anything ended."""
        done = self.ended - self.before
        left = self.inputs - self.ended
        return self.seconds / done * left if done else None

    def document(self) -> dict[str, Any]:
        """Everything as JSON values."""
        return {
            "schema_version": 1,
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "state": self.state,
            "trouble": self.trouble,
            "seconds": round(self.seconds, 3),
            "inputs": self.inputs,
            "finished": self.endings["finished"],
            "failed": self.endings["failed"],
            "refused": self.endings["refused"],
            "unfinished": self.inputs - self.ended,
            "ended_before": self.before,
            "delivered": self.delivered,
            "turns": self.turns,
            "calls": dict(self.calls),
            "calls_per_second": {role: round(self.rate(role), 2) for role in self.calls},
            "in_flight": {role: number for role, number in self.in_flight.items() if number},
            "room": dict(self.room),
            "utilisation": {role: round(self.utilisation(role), 2) for role in self.room},
            "servers": {role: [asdict(one) for one in servers] for role, servers in self.servers.items()},
            "samples_in_flight": self.samples_in_flight,
            "cost": round(self.cost, 6),
            "eta_seconds": None if self.eta is None else round(self.eta, 1),
            "stops": dict(self.stops),
        }

    def write_heartbeat(self, folder: Path) -> None:
        """Let others see how far the run is; that it cannot be written is no reason to stop."""
        with suppress(EditThinkerError):
            put(folder / HEARTBEAT, _json(self.document()), overwrite=True)

    def write_summary(self, folder: Path) -> None:
        """Every failure with its reason, beside the counts. Raises `StoreError`."""
        failures = [
            {"id": f.id, "ending": f.ending, "blame": f.blame, "kind": f.kind, "message": f.message}
            for f in self.failures
        ]
        put(folder / SUMMARY, _json({**self.document(), "failures": failures}), overwrite=True)


def _json(document: dict[str, Any]) -> bytes:
    return (json.dumps(document, indent=1) + "\n").encode()
