"""What models were asked for a sample before, and what they said: whoever goes on asks nobody twice.

In: the calls of an earlier, interrupted episode of the same sample under the same configuration. Out: the
recorded answer to a question, or None. A question is told from others by what was asked and where in the
episode, not by pixels: with one configuration and the same earlier answers, the rest follows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from editthinker.core.errors import Refused
from editthinker.core.types import Call, Critique, Edited, Plan, Preference, Score

Answer = Edited | Critique | Score | Preference | Plan | Refused
"""What is worth remembering; that the editor declined these words is an answer too."""


def question(verb: str, *particulars: str | int) -> str:
    """The name of a question: equal for the same thing asked at the same place."""
    return hashlib.sha256(json.dumps([verb, *particulars]).encode()).hexdigest()[:32]


@dataclass(slots=True)
class Past:
    """Calls in the order in which they ended; each is handed out once, with what was spent before it."""

    calls: list[Call] = field(default_factory=list)
    answers: dict[str, tuple[int, Answer]] = field(default_factory=dict)
    """Question to the place of its call and the answer."""
    taken: int = 0
    """How many calls are the new episode's business already."""

    def knows(self, asked: Iterable[str]) -> int:
        """How many of these questions were answered before."""
        return sum(one in self.answers for one in asked)

    def take(self, asked: str = "") -> tuple[Answer | None, list[Call]]:
        """The answer to a question, and the calls until it was there that were not handed out before.

        None and nothing when it was not answered; without a question, every call that is left.
        """
        place, answer = self.answers.get(asked, (-1, None))
        until = place + 1 if asked else len(self.calls)
        calls, self.taken = self.calls[self.taken : until], max(self.taken, until)
        return answer, calls
