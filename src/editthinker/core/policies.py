"""What follows a turn that did not satisfy: a policy reads what happened and says how the next one is made.

In: a `Situation`. Out: a `Move`, or a `Stop` when there is nothing left to try. Pure: nothing here makes a
call. Whether turns, calls, time or patience are used up is the business of `limits`, which is asked first.

To add one: write the function and add a row to `POLICIES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from editthinker.core.errors import UnknownName
from editthinker.core.selection import merit
from editthinker.core.types import Stop, StopReason, Turn

DEFAULT = "refine"
FELL = 1.0
"""Points of the overall score by which a turn made on top of another image must be worse to be given up."""


@dataclass(frozen=True, slots=True)
class Move:
    """How the next turn is made. Every turn has a seed of its own, so the same words are another attempt."""

    instruction: str
    base: int = 0
    """Which image is edited: 0 the source, else that of this earlier turn."""
    editor: int = 0
    """Place among the editors."""
    why: str = ""
    """One phrase for a person; empty for what is always done."""
    reword: bool = False
    """Ask the thinker for other words first: the editor refused these."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A move that the editor declined."""

    move: Move
    reason: str


@dataclass(frozen=True, slots=True)
class Situation:
    """What a policy knows: the turns that work at the same thing, and what it could use."""

    turns: Sequence[Turn]
    """Oldest first; empty only when the first edit was refused."""
    editors: Sequence[str] = ("",)
    """Names, the first being the usual one."""
    start: int = 0
    """The image this stretch of turns began with."""
    stack: int | None = None
    """When every turn edits the last accepted image: whose that is."""
    origin: int = 0
    """The image to which "from the beginning" goes back."""
    refusals: Sequence[Refusal] = ()
    """Those since the last turn, oldest first."""

    @property
    def best(self) -> Turn:
        """The best turn so far, the earlier on a tie."""
        return max(self.turns, key=merit)

    @property
    def base(self) -> int:
        """What the next turn edits when nothing speaks against it."""
        return self.start if self.stack is None else self.stack

    def editor(self, turn: Turn) -> int:
        """The place of the editor that made a turn."""
        return self.editors.index(turn.editor) if turn.editor in self.editors else 0

    def sent(self, words: str) -> Turn | None:
        """The turn that sent these words; only white space may differ, as case may matter (text to write)."""
        return next((turn for turn in self.turns if turn.instruction.split() == words.split()), None)


Decide = Callable[[Situation], Move | Stop]


@dataclass(frozen=True, slots=True)
class Policy:
    """A way to go on."""

    name: str
    what: str
    """One phrase for a person."""
    decide: Decide


def refine(now: Situation) -> Move | Stop:
    """The paper: send the thinker's refined instruction; stop when it is not new, or was refused."""
    if now.refusals:
        return Stop(StopReason.REFUSED, now.refusals[-1].reason)
    last = now.turns[-1]
    words = last.critique.refined_instruction if last.critique else last.instruction
    if last.instruction.split() == words.split():
        return Stop(StopReason.UNCHANGED_INSTRUCTION)
    if before := now.sent(words):
        return Stop(StopReason.REPEATED_INSTRUCTION, f"that of turn {before.index}")
    return Move(words, now.base, now.editor(last))


def adaptive(now: Situation) -> Move | Stop:
    """Refine while it helps; then another seed, then another editor, then the thinker's next words.

    A turn made on top of an earlier edit and worse than the best is given up: back to the best, then to the
    source.
    """
    if now.refusals:
        return _after_refusal(now)
    last, best = now.turns[-1], now.best
    if last is best:
        return _after_gain(now)
    if last.base != now.origin and merit(best) - merit(last) > FELL:
        return _back(now)
    if best.index == now.start:  # nothing was edited for it, so another seed would edit it for the first time
        return _new_words(now)
    if not _tried_before(now, last):
        why = f"turn {last.index} was no better than turn {best.index}: its words with another seed"
        return Move(best.instruction, best.base, now.editor(best), why)
    used = {turn.editor for turn in now.turns}
    for place, name in enumerate(now.editors):
        if name not in used:
            why = f"another seed was no better than turn {best.index}: its words for {name}"
            return Move(best.instruction, best.base, place, why)
    return _new_words(now)


def _after_gain(now: Situation) -> Move:
    last = now.turns[-1]
    move = Move(last.instruction, now.base, now.editor(last))
    words = last.critique.refined_instruction if last.critique else last.instruction
    if now.sent(words):
        return replace(move, base=last.base, why="the thinker has no new words: the same with another seed")
    better = f"turn {last.index} was the best so far: refined further" if len(now.turns) > 1 else ""
    return replace(move, instruction=words, why=better)


def _back(now: Situation) -> Move | Stop:
    """Leave an image that a stacked edit made worse."""
    last, best = now.turns[-1], now.best
    words = last.critique.refined_instruction if last.critique else best.instruction
    from_best = [turn for turn in now.turns if turn.base == best.index and turn is not best]
    if len(from_best) > 1:
        why = f"edits of turn {best.index} only made it worse: again from the beginning"
        return Move(words, now.origin, now.editor(best), why)
    why = f"turn {last.index} was worse than turn {best.index}: back to that"
    return Move(words, best.index, now.editor(best), why)


def _new_words(now: Situation) -> Move | Stop:
    for turn in (now.best, *reversed(now.turns)):
        words = turn.critique.refined_instruction if turn.critique else ""
        if words and not now.sent(words):
            why = f"nothing else was better: what the thinker said to turn {turn.index}"
            return Move(words, now.base, now.editor(now.best), why)
    return Stop(StopReason.REPEATED_INSTRUCTION, "no words are left that were not tried")


def _after_refusal(now: Situation) -> Move | Stop:
    refused = now.refusals[-1]
    asked = {refusal.move.editor for refusal in now.refusals}
    for place, name in enumerate(now.editors):
        if place not in asked:
            return replace(refused.move, editor=place, why=f"refused: the same words for {name}")
    if any(refusal.move.reword for refusal in now.refusals):
        return Stop(StopReason.REFUSED, refused.reason)
    first = now.refusals[0].move
    return replace(first, reword=True, why="refused: put in other words")


def _tried_before(now: Situation, turn: Turn) -> bool:
    """Whether a turn was another attempt with words that had been sent before."""
    return now.sent(turn.instruction) is not turn


POLICIES: Mapping[str, Policy] = {
    policy.name: policy
    for policy in (
        Policy(DEFAULT, "always the thinker's refined instruction", refine),
        Policy("adaptive", "refine while it helps, else another seed, another editor, or back", adaptive),
    )
}


def policy_named(name: str) -> Policy:
    """Look a policy up. Raises `UnknownName`."""
    if name not in POLICIES:
        raise UnknownName("policy", name, list(POLICIES))
    return POLICIES[name]
