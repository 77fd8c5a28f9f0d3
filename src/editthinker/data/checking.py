"""Copies, images of benchmarks, and licences among the rows.

In: trajectories or steps, twice; prints of the images of benchmarks. Out: the rows that are clean; the rest
is counted:

    missing_image      an image is not on disk, or is none
    contaminated       a source (with `edited` also an edited image) is, or mirrors, a benchmark's picture
    copy               the same row before it, or another trajectory of the same picture, words and editor
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from editthinker.core.errors import ImageError, InputError
from editthinker.core.files import shown
from editthinker.core.formats import SUFFIXES
from editthinker.core.images import Picture
from editthinker.data.album import Album
from editthinker.data.likeness import RADIUS, Print, groups, known, print_of
from editthinker.data.records import StepRow, TrajectoryRow
from editthinker.data.rows import image_files
from editthinker.data.stage import Counts

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Labels = npt.NDArray[np.int64]

R = TypeVar("R", TrajectoryRow, StepRow)


@dataclass
class Benchmarks:
    """Prints of images that must not be trained on, each also mirrored."""

    light: array[int] = field(default_factory=lambda: array("Q"))
    shape: array[int] = field(default_factory=lambda: array("Q"))
    names: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    """Files that look like images and cannot be read, a sentence each."""

    def add(self, folder: Path) -> None:
        """Every image in `folder` and the folders below it. Raises `InputError` when there is none."""
        before = len(self.names)
        if not folder.is_dir():
            raise InputError(f"there is no folder {shown(str(folder))}")
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() not in SUFFIXES or not path.is_file():
                continue
            try:
                picture = Picture.open(path)
            except ImageError as error:
                self.skipped.append(str(error))
                continue
            for mirrored in (False, True):
                seen = print_of(picture, mirrored=mirrored)
                self.light.append(seen.light)
                self.shape.append(seen.shape)
                self.names.append(path.relative_to(folder).as_posix())
        if len(self.names) == before:
            raise InputError(f"there is no readable image below {shown(str(folder))}")


def clean(
    first: Iterator[R],
    again: Callable[[], Iterator[R]],
    counts: Counts,
    *,
    benchmarks: Benchmarks | None = None,
    edited: bool = False,
    radius: int = RADIUS,
    album: Album | None = None,
) -> Iterator[R]:
    """The rows with nothing against them."""
    import numpy as np

    prints = _Prints(album or Album())
    for number, row in enumerate(first):
        prints.add(number, row, edited=edited)
    guilty = prints.of_benchmarks(benchmarks, radius) if benchmarks else {}
    copies = prints.copies(radius)
    counts.facts["pictures"] = prints.pictures
    broken = np.frombuffer(prints.broken, dtype=np.uint8)
    for number, row in enumerate(again()):
        if broken[number]:
            counts.drop("missing_image", row.id)
        elif number in guilty and benchmarks:
            counts.drop("contaminated", f"{row.id} shows {benchmarks.names[guilty[number]]}")
        elif copies[number]:
            counts.drop("copy", row.id)
        else:
            yield row


class _Prints:
    """What is remembered of every row: the print of its source, what it asks, whose it is."""

    def __init__(self, album: Album) -> None:
        self._album = album
        self.broken = bytearray()
        self.light, self.shape = array("Q"), array("Q")
        self.words, self.keys, self.own = array("Q"), array("Q"), array("Q")
        self.more: tuple[array[int], array[int], array[int]] = array("Q"), array("Q"), array("Q")
        """Row, light and shape of every further image to hold against the benchmarks."""
        self.pictures = 0

    def add(self, number: int, row: TrajectoryRow | StepRow, *, edited: bool) -> None:
        """Look at a row's images."""
        try:
            source, *more = _looked_at(row, self._album, edited=edited)
        except ImageError:
            source, more = Print(0, 0), []
            self.broken.append(1)
        else:
            self.broken.append(0)
        turn = row.turn if isinstance(row, StepRow) else 0
        words = f"{' '.join(row.instruction.split()).casefold()}\n{row.editor}\n{turn}"
        if self.broken[-1]:  # nothing is a copy of it
            words = f"row {number}"
        self.light.append(source.light)
        self.shape.append(source.shape)
        self.words.append(_number(words))
        self.own.append(_number(f"{words}\n{row.own if isinstance(row, StepRow) else row.key}"))
        self.keys.append(int(row.key, 16))
        for seen in more:
            for column, value in zip(self.more, (number, seen.light, seen.shape), strict=True):
                column.append(value)

    def of_benchmarks(self, benchmarks: Benchmarks, radius: int) -> dict[int, int]:
        """Row to the place of the benchmark's print that it shows."""
        import numpy as np

        rows = np.concatenate([np.arange(len(self.light)), np.array(self.more[0], dtype=np.int64)])
        light = np.concatenate([np.array(self.light, np.uint64), np.array(self.more[1], np.uint64)])
        shape = np.concatenate([np.array(self.shape, np.uint64), np.array(self.more[2], np.uint64)])
        theirs = np.array(benchmarks.light, np.uint64), np.array(benchmarks.shape, np.uint64)
        place = known(light, shape, *theirs, radius)
        hit = np.flatnonzero(place >= 0)
        return dict(zip(rows[hit].tolist(), place[hit].tolist(), strict=True))

    def copies(self, radius: int) -> npt.NDArray[np.bool_]:
        """Rows that repeat an earlier trajectory."""
        import numpy as np

        label = groups(np.array(self.light, np.uint64), np.array(self.shape, np.uint64), radius)
        self.pictures = len(np.unique(label[np.frombuffer(self.broken, np.uint8) == 0]))
        keys = np.array(self.keys, dtype=np.uint64)
        both = np.stack([label.astype(np.uint64), np.array(self.words, np.uint64)])
        _, first, place = np.unique(both, axis=1, return_index=True, return_inverse=True)
        of_another: npt.NDArray[np.bool_] = keys != keys[first[place.reshape(-1)]]
        _, first, place = np.unique(np.array(self.own, np.uint64), return_index=True, return_inverse=True)
        again: npt.NDArray[np.bool_] = np.arange(len(keys)) != first[place]
        return of_another | again


def _number(words: str) -> int:
    return int.from_bytes(
        hashlib.blake2b(words.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big"
    )


def _looked_at(row: TrajectoryRow | StepRow, album: Album, *, edited: bool) -> Iterator[Print]:
    files = image_files(row)
    for place, image in enumerate(files):
        if place < len(row.images) or (edited and image is not row.mask):
            yield album.print_of(image.path)
        elif not Path(image.path).is_file():
            raise ImageError(f"{shown(image.path)} is not there")
