"""What reaches disk: frozen pydantic records with a schema version; images by reference only.

In: the values of `core.types` and a callback that stores a `Picture` and returns its `ImageRef`. Out: records
that go to JSON and come back equal. Where the bytes lie is the store's business (`runs`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from editthinker.core.contracts import EditorInfo
from editthinker.core.errors import Blame
from editthinker.core.images import Picture
from editthinker.core.types import (
    Call,
    Critique,
    Failure,
    Plan,
    Role,
    Sample,
    Score,
    Spend,
    Stop,
    StopReason,
    Trajectory,
    Turn,
)

SCHEMA_VERSION = 2
"""Raise it, and the `Literal` in `Document`, whenever a field changes its meaning, appears or goes.

2 added judges, bases, steps and candidates; a record of version 1 reads as one without them.
"""


class Record(BaseModel):
    """Frozen, strict about unknown fields; numbers are finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Document(Record):
    """A record that is stored on its own and therefore says which schema it follows."""

    schema_version: Literal[1, 2] = 2


class ImageRef(Record):
    """An image by content: enough to find it, to lay it out, and to see whether it is intact."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Of the stored bytes."""
    media_type: str
    """Such as "image/png"; true of the bytes, not taken from a file name."""
    width: int = Field(gt=0)
    height: int = Field(gt=0)
    size: int = Field(gt=0)
    """Bytes."""


class ScoreRecord(Record):
    semantic: float = Field(ge=0, le=10)
    quality: float = Field(ge=0, le=10)
    overall: float = Field(ge=0, le=10)
    """Written for readers of the JSON; `Score.overall` defines it."""


class CritiqueRecord(Record):
    score: ScoreRecord | None = None
    reasoning: str
    refined_instruction: str
    reply: str = ""
    """The thinker's raw text; empty for thinkers that do not speak text."""
    satisfied: bool | None = None
    impossible: str = ""


class CandidateRecord(Record):
    seed: int
    image: ImageRef
    cost: float = 0.0
    notes: dict[str, Any] = Field(default_factory=dict)
    score: ScoreRecord | None = None


class TurnRecord(Document):
    index: int = Field(ge=1)
    instruction: str
    seed: int
    image: ImageRef
    cost: float = 0.0
    notes: dict[str, Any] = Field(default_factory=dict)
    critique: CritiqueRecord | None = None
    judged: ScoreRecord | None = None
    base: int = 0
    step: int = 0
    editor: str = ""
    why: str = ""
    others: tuple[CandidateRecord, ...] = ()

    @property
    def score(self) -> ScoreRecord | None:
        """As `Turn.score`: the judge's, else the thinker's."""
        return self.judged or (self.critique.score if self.critique else None)


class CallRecord(Document):
    role: Role
    name: str
    turn: int
    started: float
    """Unix time in seconds."""
    seconds: float
    outcome: str
    """ "ok" or the name of the error class."""
    error: str = ""
    cost: float = 0.0
    notes: dict[str, Any] = Field(default_factory=dict)


class SampleRecord(Document):
    id: str
    instruction: str
    images: tuple[ImageRef, ...] = Field(min_length=1)
    """The source first."""
    mask: ImageRef | None = None
    tags: dict[str, str] = Field(default_factory=dict)


class StopRecord(Record):
    reason: StopReason
    detail: str = ""
    sentence: str
    """For a person; `Stop.sentence` defines it."""


class FailureRecord(Record):
    blame: Blame
    kind: str
    message: str


class SpendRecord(Record):
    editor_calls: int = 0
    thinker_calls: int = 0
    judge_calls: int = 0
    seconds: float = 0.0
    cost: float = 0.0


class PlanRecord(Record):
    steps: tuple[str, ...] = Field(min_length=1)
    reasoning: str = ""


class TrajectoryRecord(Document):
    sample: SampleRecord
    turns: tuple[TurnRecord, ...]
    stop: StopRecord
    strategy: str
    calls: tuple[CallRecord, ...] = ()
    spend: SpendRecord = SpendRecord()
    chosen: int | None = None
    """Index (from 1) of the delivered turn; null when nothing is better than the source."""
    failure: FailureRecord | None = None
    plan: PlanRecord | None = None
    accepted: tuple[int | None, ...] = ()
    chosen_by: str = ""


class EditorRecord(Record):
    """What a thinker is told of an editor, so that it can be asked the same again; see `EditorInfo`."""

    max_images: int = 1
    mask: bool = False
    seeded: bool = True
    languages: tuple[str, ...] = ()
    prompt_hint: str = ""
    prompt_limit: int | None = None

    def info(self, name: str = "") -> EditorInfo:
        """The facts again; price and card are nothing to a thinker."""
        return EditorInfo(name, **dict(self))


Keep = Callable[[Picture], ImageRef]
"""Stores a picture and returns its reference; the same picture twice gives the same reference."""


def score_record(score: Score) -> ScoreRecord:
    return ScoreRecord(semantic=score.semantic, quality=score.quality, overall=score.overall)


def _optional(score: Score | None) -> ScoreRecord | None:
    return score_record(score) if score else None


def critique_record(critique: Critique) -> CritiqueRecord:
    return CritiqueRecord(
        score=_optional(critique.score),
        reasoning=critique.reasoning,
        refined_instruction=critique.refined_instruction,
        reply=critique.reply,
        satisfied=critique.satisfied,
        impossible=critique.impossible,
    )


def turn_record(turn: Turn, keep: Keep) -> TurnRecord:
    return TurnRecord(
        index=turn.index,
        instruction=turn.instruction,
        seed=turn.seed,
        image=keep(turn.image),
        cost=turn.edited.cost,
        notes=dict(turn.edited.notes),
        critique=critique_record(turn.critique) if turn.critique else None,
        judged=_optional(turn.judged),
        base=turn.base,
        step=turn.step,
        editor=turn.editor,
        why=turn.why,
        others=tuple(
            CandidateRecord(
                seed=other.seed,
                image=keep(other.edited.image),
                cost=other.edited.cost,
                notes=dict(other.edited.notes),
                score=_optional(other.score),
            )
            for other in turn.others
        ),
    )


def editor_record(info: EditorInfo) -> EditorRecord:
    return EditorRecord(**{name: getattr(info, name) for name in EditorRecord.model_fields})


def call_record(call: Call) -> CallRecord:
    return CallRecord(
        role=call.role,
        name=call.name,
        turn=call.turn,
        started=call.started,
        seconds=call.seconds,
        outcome=call.outcome,
        error=call.error,
        cost=call.cost,
        notes=dict(call.notes),
    )


def sample_record(sample: Sample, keep: Keep) -> SampleRecord:
    """`sample.truth` is not recorded: only the judge that made it can read it."""
    return SampleRecord(
        id=sample.id,
        instruction=sample.instruction,
        images=tuple(keep(image) for image in sample.images),
        mask=keep(sample.mask) if sample.mask else None,
        tags=dict(sample.tags),
    )


def stop_record(stop: Stop) -> StopRecord:
    return StopRecord(reason=stop.reason, detail=stop.detail, sentence=stop.sentence)


def failure_record(failure: Failure) -> FailureRecord:
    return FailureRecord(blame=failure.blame, kind=failure.kind, message=failure.message)


def spend_record(spend: Spend) -> SpendRecord:
    return SpendRecord(
        editor_calls=spend.editor_calls,
        thinker_calls=spend.thinker_calls,
        judge_calls=spend.judge_calls,
        seconds=spend.seconds,
        cost=spend.cost,
    )


def plan_record(plan: Plan) -> PlanRecord:
    return PlanRecord(steps=plan.steps, reasoning=plan.reasoning)


def trajectory_record(trajectory: Trajectory, keep: Keep) -> TrajectoryRecord:
    return TrajectoryRecord(
        sample=sample_record(trajectory.sample, keep),
        turns=tuple(turn_record(turn, keep) for turn in trajectory.turns),
        stop=stop_record(trajectory.stop),
        strategy=trajectory.strategy,
        calls=tuple(call_record(call) for call in trajectory.calls),
        spend=spend_record(trajectory.spend),
        chosen=trajectory.chosen,
        failure=failure_record(trajectory.failure) if trajectory.failure else None,
        plan=plan_record(trajectory.plan) if trajectory.plan else None,
        accepted=trajectory.accepted,
        chosen_by=trajectory.chosen_by,
    )
