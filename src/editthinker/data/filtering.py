"""Trajectories worth learning from (paper section 4, "trajectory filter").

In: trajectories. Out: those in which thinking did not hurt, `max(S_t, t > 1) >= S_1`, cut behind the best
turn (highest overall, the earliest of equals). Each one that is dropped is dropped for one counted reason:

    failed, unfinished     a model failed or it was interrupted
    malformed              no words, turns out of order (lines that cannot be read count here too)
    missing_image          an image is not on disk
    unscored               a turn has no score
    single                 one turn: there is nothing to compare. One that was good at once teaches when to
                           stop and stays (`single="settled"`); "keep" and "drop" treat all alike
    unlinked               a turn was not made from the critique before it (best of n, plans, other policies)
    stacked                a turn edited an earlier result, not the source
    worse                  no later turn is as good as the first
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from editthinker.core.types import StopReason
from editthinker.data.records import TrajectoryRow
from editthinker.data.rows import image_files
from editthinker.data.stage import Counts

Single = Literal["settled", "keep", "drop"]
GOOD = 8.0
"""Of semantic and of quality: where the official loop stops."""


def filtered(
    rows: Iterable[TrajectoryRow], counts: Counts, *, single: Single = "settled", images: bool = True
) -> Iterator[TrajectoryRow]:
    """The rows that are kept, cut. `images`: see that every image is there."""
    for row in rows:
        reason = (
            _broken(row)
            or _unfit(row, single=single)
            or ("missing_image" if images and _missing(row) else "")
        )
        if reason:
            counts.drop(reason, row.id)
            continue
        best = best_turn(row)
        if cut := len(row.turns) - best:
            counts.note("turns_cut", times=cut)
        yield row.model_copy(update={"turns": row.turns[:best]})


def best_turn(row: TrajectoryRow) -> int:
    """Index, from 1, of the turn with the highest overall score; the earliest of equals. All have a score."""
    overalls = row.overalls
    return overalls.index(max(overalls)) + 1


def _broken(row: TrajectoryRow) -> str:
    if row.failure or row.stop in (StopReason.FAILED, StopReason.REFUSED):
        return "failed"
    if row.stop == StopReason.CANCELLED:
        return "unfinished"
    ordered = [turn.index for turn in row.turns] == list(range(1, len(row.turns) + 1))
    words = [row.instruction, *(turn.instruction for turn in row.turns)]
    return "" if row.turns and ordered and all(text.strip() for text in words) else "malformed"


def _unfit(row: TrajectoryRow, *, single: Single) -> str:
    overalls = row.overalls
    if len(overalls) < len(row.turns):
        return "unscored"
    if len(row.turns) == 1:
        score = row.turns[0].score
        good = score is not None and min(score.semantic, score.quality) >= GOOD
        return "" if single == "keep" or (single == "settled" and good) else "single"
    if any(turn.base for turn in row.turns):
        return "stacked"
    if not _linked(row):
        return "unlinked"
    return "worse" if max(overalls[1:]) < overalls[0] else ""


def _linked(row: TrajectoryRow) -> bool:
    return all(
        earlier.critique is not None and later.instruction == earlier.critique.refined_instruction
        for earlier, later in zip(row.turns, row.turns[1:], strict=False)
    )


def _missing(row: TrajectoryRow) -> bool:
    return not all(Path(image.path).is_file() for image in image_files(row))
