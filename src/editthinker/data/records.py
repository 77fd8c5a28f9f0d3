"""One line of a file of rows: a trajectory, or one step of it. Frozen, versioned, images by path.

The step of turn t shows the thinker the source, the image of turn t, the user's instruction T_s and the
instruction that was sent, and asks for the reasoning, the score and the next instruction. (The paper counts
from the thinker's side: its step t looks at the image of turn t-1.)
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field

from editthinker.core.records import CritiqueRecord, EditorRecord, Record, ScoreRecord

SCHEMA_VERSION: Literal[2] = 2
"""Of the rows; raise it whenever a field changes its meaning, appears or goes.

2 added `about`; a row of version 1 reads as one without it.
"""
TASK_TAGS = ("task", "task_type", "edit_type", "group", "category", "type")
"""Tags that say what kind of edit it is, the first that is there counts."""
LICENCE_TAGS = ("licence", "license")
PROVENANCE_TAGS = ("dataset", "provenance", "package", "url")


class ImageFile(Record):
    """An image on disk; its path is absolute in memory and, in a file, relative to that file's folder."""

    path: str = Field(min_length=1)
    sha256: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")
    """Of its bytes; empty when nobody looked yet."""


class TurnRow(Record):
    """One turn: what was sent, what came back, what was said of it."""

    index: int = Field(ge=1)
    instruction: str
    image: ImageFile
    critique: CritiqueRecord | None = None
    judged: ScoreRecord | None = None
    base: int = 0
    step: int = 0

    @property
    def score(self) -> ScoreRecord | None:
        """As `core.types.Turn.score`: the judge's, else the thinker's."""
        return self.judged or (self.critique.score if self.critique else None)


class Row(Record):
    """What a trajectory and its steps share."""

    schema_version: Literal[1, 2] = SCHEMA_VERSION
    id: str
    """Of the sample, as its owner calls it."""
    key: str = Field(pattern=r"^[0-9a-f]{16}$")
    """Of the trajectory, made of its content: the same wherever the files lie; its steps have it too."""
    instruction: str
    """T_s: the user's."""
    images: tuple[ImageFile, ...] = Field(min_length=1)
    """The source first, then further inputs."""
    mask: ImageFile | None = None
    tags: dict[str, str] = Field(default_factory=dict)
    editor: str = ""
    about: EditorRecord | None = None
    """What the thinker was told of the editor; None when that was not kept."""
    thinker: str = ""

    @property
    def task(self) -> str:
        """The kind of edit; "unknown" when no tag says so."""
        return first_tag(self.tags, TASK_TAGS) or "unknown"

    @property
    def licence(self) -> str:
        """What the sample's licence is called; empty when no tag says so."""
        return first_tag(self.tags, LICENCE_TAGS)

    @property
    def provenance(self) -> str:
        """Where the sample comes from; empty when no tag says so."""
        return first_tag(self.tags, PROVENANCE_TAGS)


class TrajectoryRow(Row):
    """A trajectory."""

    kind: Literal["trajectory"] = "trajectory"
    turns: tuple[TurnRow, ...]
    stop: str = ""
    """A `StopReason`; empty when nobody said why it ended."""
    failure: str = ""
    """What failed, in one sentence; empty when nothing did."""

    @property
    def overalls(self) -> tuple[float, ...]:
        """Overall scores of the turns that have one."""
        return tuple(turn.score.overall for turn in self.turns if turn.score)


class StepRow(Row):
    """One step: what the thinker is shown, and what it should say."""

    kind: Literal["step"] = "step"
    turn: int = Field(ge=1)
    """The turn whose image is looked at."""
    sent: str
    """T_{t-1}: the instruction that made `edited`."""
    edited: ImageFile
    score: ScoreRecord | None = None
    """Of `edited`."""
    reasoning: str | None = None
    """None when nobody wrote an answer: the step can be trained on by reward only."""
    refined: str | None = None
    """T_t: the next instruction; `sent` again when nothing should change."""
    overalls: tuple[float, ...] = ()
    """Overall scores of the whole trajectory this step is from."""

    @property
    def own(self) -> str:
        """Names this step among all others."""
        known = f"{self.key}:{self.turn}"
        return known if self.edited.sha256 else f"{known}:{Path(self.edited.path).name}"


def first_tag(tags: Mapping[str, str], names: tuple[str, ...]) -> str:
    """The value of the first of these tags that says something."""
    return next((tags[name].strip() for name in names if tags.get(name, "").strip()), "")


def key_of(*content: object) -> str:
    """16 hexadecimal digits that name this content (JSON values)."""
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
