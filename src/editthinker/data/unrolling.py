"""A trajectory as steps (paper section 4, "step-wise filter").

In: trajectories, cut at their best turn. Out: a step for each turn: shown the source(s), that turn's image,
T_s and what was sent; to be answered by the reasoning, the score and the next instruction. Where the last
turn's next instruction leads nobody knows, or it was cut because it led to something worse. So the last turn
gives a step only where it was settled that nothing need be tried (`last="settled"`: the instruction is left
as it is, the thinker is satisfied, or both scores reach `GOOD`), always (`keep`), or never (`drop`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from editthinker.core.records import CritiqueRecord, ScoreRecord
from editthinker.data.filtering import GOOD
from editthinker.data.records import StepRow, TrajectoryRow, TurnRow
from editthinker.data.stage import Counts

Last = Literal["settled", "keep", "drop"]


def unrolled(rows: Iterable[TrajectoryRow], counts: Counts, *, last: Last = "settled") -> Iterator[StepRow]:
    """Every step, in order. A turn without a critique gives none."""
    for row in rows:
        steps = 0
        for turn in row.turns:
            if reason := _unfit(turn, is_last=turn is row.turns[-1], last=last):
                counts.note(reason, f"{row.id} turn {turn.index}")
                continue
            steps += 1
            yield _step(row, turn)
        if not steps:
            counts.drop("no_step", row.id)


def _unfit(turn: TurnRow, *, is_last: bool, last: Last) -> str:
    if turn.critique is None:
        return "no_critique"
    if not turn.critique.refined_instruction.strip():
        return "no_refined_instruction"
    if turn.score is None:
        return "unscored"
    kept = not is_last or last == "keep" or (last == "settled" and _settled(turn.critique, turn.score, turn))
    return "" if kept else "last_turn"


def _settled(critique: CritiqueRecord, score: ScoreRecord, turn: TurnRow) -> bool:
    same = _folded(critique.refined_instruction) == _folded(turn.instruction)
    return same or bool(critique.satisfied) or min(score.semantic, score.quality) >= GOOD


def _folded(words: str) -> str:
    return " ".join(words.split()).casefold().rstrip(".")


def _step(row: TrajectoryRow, turn: TurnRow) -> StepRow:
    critique = turn.critique
    assert critique is not None  # noqa: S101 seen by _unfit
    shared = row.model_dump(include={"id", "key", "instruction", "tags", "editor", "thinker"})
    return StepRow(
        **shared,
        about=row.about,
        images=row.images,
        mask=row.mask,
        turn=turn.index,
        sent=turn.instruction,
        edited=turn.image,
        score=turn.score,
        reasoning=critique.reasoning,
        refined=critique.refined_instruction,
        overalls=row.overalls,
    )
