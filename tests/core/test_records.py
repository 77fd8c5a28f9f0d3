"""What reaches disk: JSON that comes back equal, images by reference only."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from pydantic import ValidationError

from editthinker.core.episode import Episode
from editthinker.core.errors import EditorError
from editthinker.core.images import Picture
from editthinker.core.records import ImageRef, TrajectoryRecord, TurnRecord, trajectory_record, turn_record
from editthinker.core.types import Sample
from editthinker.testing import ScriptedEditor, ScriptedThinker, photograph


class Shelf:
    """Keeps pictures in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def __call__(self, picture: Picture) -> ImageRef:
        data = picture.encode()
        digest = hashlib.sha256(data).hexdigest()
        self.kept[digest] = data
        width, height = picture.size
        return ImageRef(sha256=digest, media_type="image/png", width=width, height=height, size=len(data))


async def played() -> tuple[TrajectoryRecord, Shelf]:
    sample = Sample(
        (photograph(),), "warmer 暖", id="s1", mask=None, tags={"group": "direct"}, truth=object()
    )
    editor = ScriptedEditor(None, None, EditorError("out of memory"), cost=0.25)
    episode = Episode(sample, editor, ScriptedThinker((4, 6), (6, 7)), seed=5)
    shelf = Shelf()
    return trajectory_record(await episode.run(), shelf), shelf


async def test_a_trajectory_says_everything() -> None:
    record, shelf = await played()
    assert record.schema_version == 2
    assert [turn.seed for turn in record.turns] == [5, 6]
    assert [turn.instruction for turn in record.turns] == ["warmer 暖", "warmer 暖 (again)"]
    assert record.turns[1].critique
    assert record.turns[1].critique.score.overall == pytest.approx(42**0.5)
    assert record.chosen == 2
    assert record.stop.reason == "failed"
    assert record.failure
    assert (record.failure.blame, record.failure.kind) == ("editor", "EditorError")
    assert [call.outcome for call in record.calls] == ["ok", "ok", "ok", "ok", "EditorError"]
    assert record.spend.editor_calls == 3
    assert record.spend.cost == pytest.approx(0.5)
    assert len(shelf.kept) == 3  # the source and two edits, each once


async def test_json_and_back() -> None:
    record, _ = await played()
    assert TrajectoryRecord.model_validate_json(record.model_dump_json()) == record
    data = json.loads(record.model_dump_json())
    assert data["turns"][0]["image"]["sha256"] == record.turns[0].image.sha256
    assert "truth" not in data["sample"]


async def test_records_are_frozen_and_strict() -> None:
    record, _ = await played()
    with pytest.raises(ValidationError):
        record.chosen = 1  # type: ignore[misc]
    data = record.model_dump()
    for wrong in ({"schema_version": 3}, {"surprise": 1}):
        with pytest.raises(ValidationError):
            TrajectoryRecord.model_validate({**data, **wrong})


@pytest.mark.parametrize(
    "wrong", [{"sha256": "../../etc/passwd"}, {"sha256": "A" * 64}, {"width": 0}, {"size": -1}]
)
def test_a_reference_cannot_point_elsewhere(wrong: dict[str, Any]) -> None:
    good = {"sha256": "a" * 64, "media_type": "image/png", "width": 1, "height": 1, "size": 1}
    ImageRef.model_validate(good)
    with pytest.raises(ValidationError):
        ImageRef.model_validate({**good, **wrong})


async def test_a_turn_alone_can_be_stored() -> None:
    episode = Episode(Sample((photograph(),), "warmer"), ScriptedEditor(), None)
    shelf = Shelf()
    async for turn in episode:
        record = turn_record(turn, shelf)
        assert record.critique is None
        assert TurnRecord.model_validate_json(record.model_dump_json()) == record
