"""One sample turn by turn: what it would have come to, had it ended earlier, and at what price.

In: the record of a trajectory. Out: a `Course`. What comes later never changes what came before, so one run
with many turns tells of every smaller limit; the rule is the one that delivered the image, `core.selection`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

from editthinker.benchmarks.table import Table
from editthinker.core.images import Picture
from editthinker.core.records import CallRecord, ImageRef, ScoreRecord, TrajectoryRecord, TurnRecord
from editthinker.core.selection import choose
from editthinker.core.types import Call, Critique, Edited, Score, Turn
from editthinker.runs.folder import RunFolder

SOURCE = 0
"""Stands for the source, given back because no turn was better."""


@dataclass(frozen=True, slots=True)
class Course:
    """What one, two, ... turns would have come to; the last one counts from there on."""

    delivered: tuple[int, ...]
    """Index of the turn whose image would have been delivered, or `SOURCE`."""
    editor_calls: tuple[int, ...]
    """Made by then, repeated ones included."""
    thinker_calls: tuple[int, ...]
    """Empty where nobody counted them."""
    compared: bool = False
    """Whether images were compared to choose the last of `delivered`; those before are chosen by score."""

    def after(self, turns: int) -> int:
        """Which image would have been delivered after so many turns, at least one."""
        return self.delivered[min(turns, len(self.delivered)) - 1]

    def calls(self, turns: int) -> tuple[int, int]:
        """Calls of the editor and of the thinker after so many turns."""
        place = min(turns, len(self.delivered)) - 1
        return self.editor_calls[place], self.thinker_calls[place] if self.thinker_calls else 0


@dataclass(frozen=True, slots=True)
class Point:
    """A whole run, ended after so many turns."""

    turns: int
    table: Table
    """Of what would have been delivered."""
    editor_calls: float
    """Per sample; those of samples that came to nothing count in full."""
    thinker_calls: float | None
    """None where nobody counted them."""


def course_of(record: TrajectoryRecord) -> Course | None:
    """The course of a trajectory; None when it has no turn."""
    if not record.turns:
        return None
    turns = [
        _turn(one.index, _Stored.of(one.image), _read(one.score), _content(one), one.step)
        for one in record.turns
    ]
    delivered = _chosen_early(_Stored.of(record.sample.images[0]), turns)
    indices = [turn.index for turn in turns]
    editor, thinker = (calls_by(record.calls, role, indices) for role in ("editor", "thinker"))
    return Course((*delivered, record.chosen or SOURCE), editor, thinker, compared=bool(record.chosen_by))


def courses_of(folder: RunFolder) -> dict[str, Course]:
    """Every course of a run of a benchmark, by case."""
    made = ((record.sample.tags.get("case", ""), course_of(record)) for record in folder.trajectories())
    return {case: course for case, course in made if course}


def calls_by(calls: Iterable[Call | CallRecord], role: str, turns: Sequence[int]) -> tuple[int, ...]:
    """Calls of a role up to each of these turns; those of a turn that came to nothing count with the last."""
    made = Counter(call.turn for call in calls if call.role == role)
    return tuple(
        sum(number for turn, number in made.items() if turn <= index or index == turns[-1]) for index in turns
    )


def by_scores(scores: Sequence[Score | None], chosen: int | None) -> tuple[int, ...]:
    """`Course.delivered` where only the scores of turns are known; their pixels are taken to differ."""
    if not scores:
        return ()
    turns = [_turn(number, _Stored((1, 1), f"{number}"), score) for number, score in enumerate(scores, 1)]
    return (*_chosen_early(_Stored((1, 1), ""), turns), chosen or SOURCE)


def _chosen_early(source: _Stored, turns: Sequence[Turn]) -> list[int]:
    """What would be delivered after each turn but the last."""
    picture = cast(Picture, source)
    return [choose(picture, turns[:number]) or SOURCE for number in range(1, len(turns))]


@dataclass(frozen=True)
class _Stored:
    """As much of a picture as choosing looks at, without its pixels: the same bytes are the same picture."""

    size: tuple[int, int]
    sha256: str
    has_alpha: bool = False
    is_hashed: bool = True

    @classmethod
    def of(cls, image: ImageRef) -> _Stored:
        return cls((image.width, image.height), image.sha256)


def _turn(index: int, image: _Stored, score: Score | None, satisfied: bool = False, step: int = 0) -> Turn:
    critique = Critique(score, "", "", satisfied=satisfied)
    return Turn(index, "", 0, Edited(cast(Picture, image)), critique, step=step)


def _read(score: ScoreRecord | None) -> Score | None:
    return None if score is None else Score(score.semantic, score.quality)


def _content(turn: TurnRecord) -> bool:
    return bool(turn.critique and turn.critique.satisfied)
