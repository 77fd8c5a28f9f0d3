"""What an examination finds, and how it asks: one real call, timed and priced."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

from editthinker.core.errors import EditThinkerError
from editthinker.core.types import Edited, Judged, Role, Thought

Verdict = Literal["ok", "warn", "fail", "skipped"]
Answer = TypeVar("Answer", Edited, Thought, Judged)

SLOW_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer to one question."""

    role: Role
    question: str
    """Two or three words: "edits at all"."""
    verdict: Verdict
    sentence: str
    seconds: float = 0.0
    """Spent on this question; what another question asked already is not asked again."""
    cost: float = 0.0
    """US dollars, likewise."""


class Broken(EditThinkerError):
    """It raised what none of its contract may; a bug of the implementation."""


@dataclass(slots=True)
class Meter:
    """Makes the calls of one examination and remembers what they took."""

    role: Role
    calls: int = 0
    seconds: float = 0.0
    cost: float = 0.0
    last_seconds: float = 0.0

    async def ask(self, verb: Callable[[], Awaitable[Answer]]) -> Answer:
        """One call. Raises what it raised, bugs as `Broken`."""
        began = time.monotonic()
        self.calls += 1
        try:
            answer = await verb()
        except EditThinkerError as error:
            self.cost += error.cost
            raise
        except Exception as error:  # whoever is examined may raise anything, and that is a finding
            raise Broken(f"it broke: {type(error).__name__}: {error}") from error
        finally:
            self.last_seconds = time.monotonic() - began
            self.seconds += self.last_seconds
        self.cost += answer.cost
        return answer

    async def find(self, question: str, answer: Callable[[], Awaitable[tuple[Verdict, str]]]) -> Finding:
        """The finding for a question; a call that fails on the way is one too."""
        seconds, cost = self.seconds, self.cost
        try:
            verdict, sentence = await answer()
        except EditThinkerError as error:
            verdict, sentence = "fail", str(error)
        return Finding(
            self.role, question, verdict, sentence, self.seconds - seconds, round(self.cost - cost, 6)
        )


def speed(seconds: float) -> tuple[Verdict, str]:
    """What the seconds of one call mean to the person who waits."""
    if seconds > SLOW_SECONDS:
        return "warn", f"one call took {seconds:.0f} s; three turns take minutes"
    return "ok", f"one call took {seconds:.2f} s"


def price(expected: float | None, paid: float) -> tuple[Verdict, str]:
    """What a call costs, said and seen."""
    if expected is None and not paid:
        return "warn", "nobody knows what a call costs, so --max-cost cannot hold; set its price"
    if not expected and not paid:
        return "ok", "a call costs nothing"
    if expected and paid > 2 * expected:
        return "warn", f"a call cost ${paid:.4f}, more than the expected ${expected:.4f}"
    return "ok", f"a call costs about ${paid or expected or 0:.4f}"
