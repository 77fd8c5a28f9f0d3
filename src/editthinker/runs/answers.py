"""What models answered, as it lies beside the call in the ledger, so that a resumed run need not ask again.

In: the events of an episode. Out: JSON; and back, the answers of `core.past`, images included.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from editthinker.core.errors import Refused
from editthinker.core.events import (
    CallFailed,
    EditFinished,
    Event,
    JudgeFinished,
    PlanFinished,
    ThinkFinished,
)
from editthinker.core.images import Picture
from editthinker.core.past import Answer
from editthinker.core.records import (
    CritiqueRecord,
    ImageRef,
    Keep,
    PlanRecord,
    Record,
    ScoreRecord,
    critique_record,
    plan_record,
    score_record,
)
from editthinker.core.types import Critique, Edited, Plan, Preference, Score


class EditAnswer(Record):
    kind: Literal["edit"] = "edit"
    image: ImageRef
    cost: float = 0.0
    notes: dict[str, Any] = Field(default_factory=dict)


class CritiqueAnswer(Record):
    kind: Literal["critique"] = "critique"
    critique: CritiqueRecord


class ScoreAnswer(Record):
    kind: Literal["score"] = "score"
    score: ScoreRecord


class PreferenceAnswer(Record):
    kind: Literal["preference"] = "preference"
    better: Literal[-1, 0, 1]
    reasoning: str = ""


class PlanAnswer(Record):
    kind: Literal["plan"] = "plan"
    plan: PlanRecord


class RefusedAnswer(Record):
    kind: Literal["refused"] = "refused"
    message: str


AnswerRecord = EditAnswer | CritiqueAnswer | ScoreAnswer | PreferenceAnswer | PlanAnswer | RefusedAnswer
_READER: TypeAdapter[AnswerRecord] = TypeAdapter(Annotated[AnswerRecord, Field(discriminator="kind")])


def answer_record(event: Event, keep: Keep) -> AnswerRecord | None:
    """The answer that an event tells of, if it tells of one."""
    match event:
        case EditFinished(edited=edited):
            return EditAnswer(image=keep(edited.image), cost=edited.cost, notes=dict(edited.notes))
        case ThinkFinished(critique=critique):
            return CritiqueAnswer(critique=critique_record(critique))
        case JudgeFinished(score=Score() as score):
            return ScoreAnswer(score=score_record(score))
        case JudgeFinished(preference=Preference() as preference):
            return PreferenceAnswer(better=preference.better, reasoning=preference.reasoning)
        case PlanFinished(plan=plan):
            return PlanAnswer(plan=plan_record(plan))
        case CallFailed(call) if call.outcome == Refused.__name__:
            return RefusedAnswer(message=call.error)
    return None


def read(text: str, load: Callable[[ImageRef], Picture]) -> Answer:
    """The answer itself. Raises `ValueError` for a damaged record, and what `load` raises for an image."""
    match _READER.validate_json(text):
        case EditAnswer(image=image, cost=cost, notes=notes):
            return Edited(load(image), cost, notes)
        case CritiqueAnswer(critique=said):
            return Critique(
                _score(said.score) if said.score else None,
                said.reasoning,
                said.refined_instruction,
                said.reply,
                said.satisfied,
                said.impossible,
            )
        case ScoreAnswer(score=score):
            return _score(score)
        case PreferenceAnswer(better=better, reasoning=reasoning):
            return Preference(better, reasoning)
        case PlanAnswer(plan=plan):
            return Plan(plan.steps, plan.reasoning)
        case RefusedAnswer(message=message):
            return Refused(message)


def _score(record: ScoreRecord) -> Score:
    return Score(record.semantic, record.quality)
