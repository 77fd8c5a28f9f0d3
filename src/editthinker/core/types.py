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

    score: Score
    reasoning: str
    refined_instruction: str
    """The instruction for the next turn; equal to the one just sent when nothing should change."""
    reply: str = ""
    """The thinker's raw text, kept for the record; empty for thinkers that do not speak text."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One thing to do: source image(s) and the user's instruction."""

    images: tuple[Picture, ...]
    """The source first, then further inputs."""
    instruction: str
    id: str = "sample"
    mask: Picture | None = None
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

    @property
    def image(self) -> Picture:
        """The edited image."""
        return self.edited.image


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
