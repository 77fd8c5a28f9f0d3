"""Varied trajectories for RL, steady or consistently good ones for SFT (paper section 4, "split").

In: trajectories or their steps, twice. Out: a side for each. A trajectory is varied when the variance of its
overall scores is greater than theta; one whose worst score is at least `good` counts as steady however it
varies. Theta is a value, or chosen so that at most the share `rl_share` of trajectories is varied (the paper
took 10K of 70K; it gives no theta).

No picture is on both sides, or training by reward would start from photos whose answers are known by heart:
trajectories whose sources are one picture (`likeness`) go together. Their mean variance decides
(`together="follow"`), or those that disagree with it are dropped (`drop`); `ignore` splits each on its own.
A few photos with many wishes each cannot be divided at any share: then the share is the nearest there is.
Held in memory: some 70 bytes a row.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Literal, TypeVar

from editthinker.core.errors import ImageError, InputError
from editthinker.data.album import Album
from editthinker.data.likeness import groups
from editthinker.data.records import StepRow, TrajectoryRow
from editthinker.data.stage import Counts

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]

PAPER_SHARE = 1 / 7
Side = Literal["sft", "rl"]
Together = Literal["follow", "drop", "ignore"]
R = TypeVar("R", TrajectoryRow, StepRow)


def split(
    first: Iterator[R],
    again: Callable[[], Iterator[R]],
    counts: Counts,
    *,
    theta: float | None = None,
    rl_share: float = PAPER_SHARE,
    good: float = 8.0,
    together: Together = "follow",
    album: Album | None = None,
) -> Iterator[tuple[Side, R]]:
    """Each row with its side, in order. Raises `InputError` for a share or theta that cannot be meant."""
    if not 0 <= rl_share <= 1 or (theta is not None and theta < 0):
        raise InputError("the share of RL lies between 0 and 1, and theta is not negative")
    table = _Table(first, None if together == "ignore" else album or Album())
    spread = table.spread(good)
    decides = spread if together == "ignore" else table.by_group(spread)
    limit = theta or 0.0
    if theta is None and len(decides):
        limit = _at_most(decides, rl_share) if together == "ignore" else _nearest(decides, rl_share)
    counts.facts["theta"] = limit
    own, side = spread > limit, decides > limit
    for row in again():
        place = table.place(row)
        if place is None:
            counts.drop("unscored" if not scores(row) else "missing_image", row.id)
            continue
        if own[place] != side[place]:
            if together == "drop":
                counts.drop("picture_on_other_side", row.id)
                continue
            counts.note("followed_its_picture", row.id)
        chosen: Side = "rl" if side[place] else "sft"
        counts.note(f"{chosen}_rows")
        yield chosen, row
    counts.facts |= {"sft_trajectories": int((~side).sum()), "rl_trajectories": int(side.sum())}


def _at_most(spread: Floats, share: float) -> float:
    """The theta above which no more than this share lies."""
    import numpy as np

    return float(np.quantile(spread, 1 - share, method="higher"))


def _nearest(spread: Floats, share: float) -> float:
    """The theta above which the share lies that is nearest to this one; of two as near the smaller share."""
    import numpy as np

    values, numbers = np.unique(np.append(spread, 0.0), return_counts=True)
    numbers[0] -= values[0] == 0.0
    above = 1 - np.cumsum(numbers) / len(spread)
    return float(values[len(above) - 1 - int(np.argmin(np.abs(above - share)[::-1]))])


def scores(row: TrajectoryRow | StepRow) -> tuple[float, ...]:
    """The overall scores that the row knows of its trajectory."""
    if isinstance(row, StepRow) and not row.overalls and row.score:
        return (row.score.overall,)
    return row.overalls


class _Table:
    """A few numbers for every trajectory.

    Every row of a trajectory adds what it knows. Steps made by unrolling know all scores, which being added
    several times leaves the variance as it is; imported steps know their own.
    """

    def __init__(self, rows: Iterator[TrajectoryRow] | Iterator[StepRow], album: Album | None) -> None:
        import numpy as np

        keys, lights, shapes = array("Q"), array("Q"), array("Q")
        sums = [array("d") for _ in range(4)]
        for row in rows:
            known = scores(row)
            seen = _print(row, album) if album and known else (0, 0)
            if not known or seen is None:
                continue
            keys.append(int(row.key, 16))
            lights.append(seen[0])
            shapes.append(seen[1])
            for column, value in zip(
                sums, (len(known), sum(known), sum(v * v for v in known), min(known)), strict=True
            ):
                column.append(value)
        every = np.array(keys, dtype=np.uint64)
        self.keys, first, place = np.unique(every, return_index=True, return_inverse=True)
        self.light, self.shape = np.array(lights, np.uint64)[first], np.array(shapes, np.uint64)[first]
        n, total, squares = (np.bincount(place, weights=np.array(column)) for column in sums[:3])
        self._variance: Floats = np.maximum(0.0, squares / n - (total / n) ** 2)
        self._worst = np.full(len(self.keys), np.inf)
        np.minimum.at(self._worst, place, np.array(sums[3]))

    def spread(self, good: float) -> Floats:
        """The variance of every trajectory; 0 for those that are good throughout."""
        import numpy as np

        return np.where(self._worst >= good, 0.0, np.where(self._variance < 1e-9, 0.0, self._variance))

    def by_group(self, spread: Floats) -> Floats:
        """For every trajectory the mean spread of those that show the same picture."""
        import numpy as np

        _, label = np.unique(groups(self.light, self.shape), return_inverse=True)
        mean: Floats = np.bincount(label, weights=spread) / np.bincount(label)
        return mean[label]

    def place(self, row: TrajectoryRow | StepRow) -> int | None:
        """Where the row's trajectory stands; None for one that was passed over."""
        import numpy as np

        key = np.uint64(int(row.key, 16))
        place = int(np.searchsorted(self.keys, key))
        return place if place < len(self.keys) and self.keys[place] == key else None


def _print(row: TrajectoryRow | StepRow, album: Album) -> tuple[int, int] | None:
    try:
        seen = album.print_of(row.images[0].path)
    except ImageError:
        return None
    return seen.light, seen.shape
