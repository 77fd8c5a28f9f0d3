"""Rows made up for tests: any number of trajectories with any scores, on images that exist or do not."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from editthinker.core.records import CritiqueRecord, ScoreRecord, score_record
from editthinker.core.types import Score
from editthinker.data.records import ImageFile, StepRow, TrajectoryRow, TurnRow, key_of


def score(overall: float) -> ScoreRecord:
    return score_record(Score(overall, overall))


def trajectory(
    *overalls: float | None, name: str = "t", source: str = "/nowhere/source.png", **more: object
) -> TrajectoryRow:
    """Linked turns with these overall scores (None: not scored)."""
    words = [f"do it, take {number}" for number in range(len(overalls) + 1)]
    turns = [
        TurnRow(
            index=number,
            instruction=words[number - 1],
            image=ImageFile(path=f"/nowhere/{name}-{number}.png"),
            critique=CritiqueRecord(reasoning="because", refined_instruction=words[number]),
            judged=None if overall is None else score(overall),
        )
        for number, overall in enumerate(overalls, 1)
    ]
    fields: dict[str, object] = {
        "id": name,
        "key": key_of(name),
        "instruction": words[0],
        "images": (ImageFile(path=source),),
        "turns": tuple(turns),
        "stop": "turn_limit",
        "tags": {"task": "style"},
    }
    return TrajectoryRow.model_validate(fields | more)


def step(
    name: str,
    overall: float | None,
    task: str = "style",
    turn: int = 1,
    source: str = "/nowhere/s.png",
    **more: object,
) -> StepRow:
    fields: dict[str, object] = {
        "id": name,
        "key": key_of(name),
        "instruction": "make it warm",
        "images": (ImageFile(path=source),),
        "edited": ImageFile(path=f"/nowhere/{name}.png", sha256="0" * 64),
        "tags": {"task": task},
        "turn": turn,
        "sent": "make it warm",
        "score": None if overall is None else score(overall),
        "reasoning": "too cold",
        "refined": "make it much warmer",
        "overalls": () if overall is None else (overall,),
    }
    return StepRow.model_validate(fields | more)


def save(path: Path, rows: Iterable[TrajectoryRow | StepRow]) -> Path:
    """A file of rows, as a stage writes it."""
    from editthinker.data.rows import written

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for row in rows:
            file.write(written(row, path.parent.resolve()))
    return path


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def overalls(rows: Sequence[TrajectoryRow]) -> list[tuple[float, ...]]:
    return [row.overalls for row in rows]
