"""The words of the project as values: sample, turn, critique, score, trajectory (DESIGN section 2).

Values in memory are frozen dataclasses. What reaches disk is a record (`core.records`), which holds image
references instead of images.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from editthinker.core.errors import Blame
from editthinker.core.images import Picture

Role = Literal["editor", "thinker", "judge"]


@dataclass(frozen=True, slots=True)
class Score:
    """How good an edited image is; both parts in 0..10 (paper section 3.2, `S_t`)."""

    semantic: float
    """Alignment with the instruction relative to the source, preservation included."""
    quality: float
    """Perceptual quality of the edited image."""

    def __post_init__(self) -> None:
        for name in ("semantic", "quality"):
            value = getattr(self, name)
            if not (isinstance(value, int | float) and math.isfinite(value) and 0 <= value <= 10):
                raise ValueError(f"score.{name} must be a number in 0..10, got {value!r}")

    @property
    def overall(self) -> float:
        """`sqrt(semantic * quality)`, the only definition in this project."""
        return math.sqrt(self.semantic * self.quality)


@dataclass(frozen=True, slots=True)
class Critique:
    """What the thinker says of one edited image (paper equation 1)."""

    score: Score | None
    """None from a thinker that gives a verdict only; a judge then scores (paper section 4, the expert)."""
    reasoning: str
    refined_instruction: str
    """The instruction for the next turn; equal to the one just sent when nothing should change."""
    reply: str = ""
    """The thinker's raw text, kept for the record; empty for thinkers that do not speak text."""
    satisfied: bool | None = None
    """The thinker's own verdict where it gives one; it counts only where nobody gave a score."""
    impossible: str = ""
    """Why no edit of this photo can do what was asked; empty when one might."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One thing to do: source image(s) and the user's instruction."""

    images: tuple[Picture, ...]
    """The source first, then further inputs."""
    instruction: str
    id: str = "sample"
    mask: Picture | None = None
    """Of the source's size; white where the edit belongs, black where nothing may change."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Free labels (task type, group, licence); never shown to editor or thinker."""
    truth: Any = None
    """What a judge or an expert may know and the loop must not look at (a darkroom target program)."""

    def __post_init__(self) -> None:
        if not self.images:
            raise ValueError("a sample needs at least one image")

    @property
    def source(self) -> Picture:
        """The image every turn re-edits."""
        return self.images[0]


@dataclass(frozen=True, slots=True)
class EditRequest:
    """What an editor is asked to do in one call."""

    images: tuple[Picture, ...]
    instruction: str
    seed: int
    mask: Picture | None = None
    """Of the first image's size; white where it may change, black where it must not."""


@dataclass(frozen=True, slots=True)
class Edited:
    """What an editor hands back."""

    image: Picture
    cost: float = 0.0
    """Money in US dollars, 0 for local editors."""
    notes: Mapping[str, Any] = field(default_factory=dict)
    """What the editor wants remembered (its program, its revised prompt, its seed); JSON values only."""


@dataclass(frozen=True, slots=True)
class Thought:
    """What a thinker hands back: the critique and what it cost."""

    critique: Critique
    cost: float = 0.0
    notes: Mapping[str, Any] = field(default_factory=dict)
    """What belongs into the record of the call (model, tokens, temperature, seed); JSON values only."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What a judge hands back: its score and what it cost."""

    score: Score
    reasoning: str = ""
    cost: float = 0.0
    notes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Preference:
    """Which of two edited images follows the instruction better."""

    better: Literal[-1, 0, 1]
    """-1: the first, 1: the second, 0: a tie."""
    reasoning: str = ""
    cost: float = 0.0
    notes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """A compound instruction as atomic steps, in the order in which they are done."""

    steps: tuple[str, ...]
    reasoning: str = ""
    cost: float = 0.0
    notes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.steps or not all(step.strip() for step in self.steps):
            raise ValueError("a plan needs at least one step, and words in every step")


@dataclass(frozen=True, slots=True)
class Call:
    """One attempt at an editor, thinker or judge; failed attempts are calls too."""

    role: Role
    name: str
    turn: int
    started: float
    """Unix time in seconds."""
    seconds: float
    outcome: str
    """`"ok"` or the name of the error class."""
    error: str = ""
    cost: float = 0.0
    notes: Mapping[str, Any] = field(default_factory=dict)
    """What the model noted of this call (tokens, temperature, ...); of an editor's, see `Edited.notes`."""
    question: str = ""
    """What was asked, as `core.past` names it; a call with this name and an answer is not made again."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An edited image of the same turn that was not taken."""

    seed: int
    edited: Edited
    score: Score | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """One instruction sent, the image that came back, and its critique."""

    index: int
    """From 1."""
    instruction: str
    seed: int
    edited: Edited
    critique: Critique | None
    """None only when the strategy does not judge (`single` without a thinker) or the thinker failed."""
    judged: Score | None = None
    """The score of a separate judge, where there is one; it takes the place of the thinker's."""
    base: int = 0
    """Which image was edited: 0 the source, else that of this earlier turn."""
    step: int = 0
    """Number of the plan's step this turn works at, from 1; 0: it answers the whole instruction."""
    editor: str = ""
    """Name of the editor that made it."""
    why: str = ""
    """Why this turn was made the way it was, where a policy chose; one phrase for a person."""
    others: tuple[Candidate, ...] = ()
    """Candidates of this turn that lost, in the order in which they were made."""

    @property
    def image(self) -> Picture:
        """The edited image."""
        return self.edited.image

    @property
    def score(self) -> Score | None:
        """What counts for stopping and choosing: the judge's score if there is one, else the thinker's."""
        return self.judged or (self.critique.score if self.critique else None)


class StopReason(StrEnum):
    """Why the loop ended; each value has one sentence in `Stop.sentence`."""

    SATISFIED = "satisfied"
    UNCHANGED_INSTRUCTION = "unchanged_instruction"
    REPEATED_INSTRUCTION = "repeated_instruction"
    PLATEAU = "plateau"
    TURN_LIMIT = "turn_limit"
    CALL_LIMIT = "call_limit"
    TIME_LIMIT = "time_limit"
    COST_LIMIT = "cost_limit"
    REFUSED = "refused"
    IMPOSSIBLE = "impossible"
    FAILED = "failed"
    CANCELLED = "cancelled"


SENTENCES: Mapping[StopReason, str] = {
    StopReason.SATISFIED: "the thinker is satisfied with the result",
    StopReason.UNCHANGED_INSTRUCTION: "the thinker had nothing to change in the instruction",
    StopReason.REPEATED_INSTRUCTION: "the thinker asked for an instruction that was already tried",
    StopReason.PLATEAU: "further turns stopped bringing a better score",
    StopReason.TURN_LIMIT: "the turn limit was reached",
    StopReason.CALL_LIMIT: "the limit on calls was reached",
    StopReason.TIME_LIMIT: "the time limit was reached",
    StopReason.COST_LIMIT: "the cost limit was reached",
    StopReason.REFUSED: "the editor refused the instruction",
    StopReason.IMPOSSIBLE: "the thinker judged the instruction impossible for this photo",
    StopReason.FAILED: "a model failed",
    StopReason.CANCELLED: "it was cancelled",
}


@dataclass(frozen=True, slots=True)
class Stop:
    """Why the loop ended, with the particulars of this case."""

    reason: StopReason
    detail: str = ""

    @property
    def sentence(self) -> str:
        """One sentence for a person."""
        return SENTENCES[self.reason] + (f": {self.detail}" if self.detail else "")


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong and whose fault it was."""

    blame: Blame
    kind: str
    """Name of the error class."""
    message: str


@dataclass(frozen=True, slots=True)
class Spend:
    """What a trajectory cost so far."""

    editor_calls: int = 0
    thinker_calls: int = 0
    judge_calls: int = 0
    seconds: float = 0.0
    cost: float = 0.0


@dataclass(frozen=True, slots=True)
class Trajectory:
    """A sample, its turns, the chosen turn, why it stopped, and what it cost."""

    sample: Sample
    turns: tuple[Turn, ...]
    stop: Stop
    strategy: str
    calls: tuple[Call, ...] = ()
    spend: Spend = Spend()
    chosen: int | None = None
    """Index (from 1) of the delivered turn; None when no turn is better than the untouched source."""
    failure: Failure | None = None
    plan: Plan | None = None
    """The steps of `plan-and-edit`."""
    accepted: tuple[int | None, ...] = ()
    """For each step of the plan that was worked at: index of its accepted turn, None when it was skipped."""
    chosen_by: str = ""
    """How the delivered turn was chosen, when not by the best overall score alone."""

    @property
    def turn(self) -> Turn | None:
        """The delivered turn."""
        return next((t for t in self.turns if t.index == self.chosen), None)

    @property
    def image(self) -> Picture:
        """The delivered image: the chosen turn's, or the source when nothing beat it."""
        return self.turn.image if self.turn else self.sample.source

    @property
    def delivered(self) -> bool:
        """Whether an edited image is delivered."""
        return self.chosen is not None
