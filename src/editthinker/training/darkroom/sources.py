"""Small source pictures for training: crops of the training photographs, and procedural scenes.

In: a folder of photographs and a count. Out: uint8 pictures of 176 or 352 pixels on the long side, cropped,
mirrored and re-lit at random so that absolute statistics of a picture say nothing about how it was edited.
Two sizes, because an edit made large and then shrunk looks a little different from one made small.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from editthinker.core.images import Picture
from editthinker.darkroom import layout
from editthinker.darkroom.cases import SHARE, SMALL
from editthinker.darkroom.regions import Mask, RegionMasks, present_colours
from editthinker.darkroom.scenes import crops, scene

Pixels = npt.NDArray[np.uint8]


def draw_sources(folder: Path, count: int, *, seed: int = 0, scenes: float = 0.2) -> list[Pixels]:
    """`count` pictures, a share of `scenes` of them procedural, the rest crops of every photo in turn."""
    rng = np.random.default_rng(seed)
    photos = [Picture.open(path).array()[..., :3] for path in sorted(folder.glob("*.jpg"))]
    if not photos:
        raise FileNotFoundError(f"no photographs in {folder}")
    drawn = []
    for number in range(count):
        side = SMALL * int(rng.integers(1, 3))
        if rng.random() < scenes:
            sides = (side, round(side / rng.uniform(1, 1.5)))
            size = sides if rng.random() < 0.6 else sides[::-1]
            drawn.append(scene(int(rng.integers(1 << 30)), size=size))
        else:
            drawn.extend(crops(photos[number % len(photos)], rng, side=side))
    return drawn


def views(source: Pixels, edited: Pixels) -> Pixels:
    """What a thinker is shown of an edit: `layout.views`, uint8 (3, 128, 128, 3)."""
    return layout.views(Picture.from_array(source), Picture.from_array(edited))


class Sources:
    """A bank of small source pictures with their masks and the colours they show enough of."""

    def __init__(self, pictures: list[Pixels]) -> None:
        self._pictures = pictures
        self._subjects: dict[int, npt.NDArray[np.float16]] = {}
        self._colours: dict[int, frozenset[str]] = {}

    def __len__(self) -> int:
        return len(self._pictures)

    def __getitem__(self, index: int) -> tuple[Pixels, RegionMasks, frozenset[str]]:
        picture = self._pictures[index]
        if index not in self._colours:
            shares = present_colours(picture)
            self._colours[index] = frozenset(colour for colour, share in shares.items() if share > SHARE)
        return picture, _Masks(picture, index, self._subjects), self._colours[index]


class _Masks(RegionMasks):
    """Masks of which the subject, by far the costliest, is kept in half precision.

    All masks of thousands of pictures would take tens of gigabytes.
    """

    def __init__(self, picture: Pixels, index: int, subjects: dict[int, npt.NDArray[np.float16]]) -> None:
        super().__init__(picture)
        self._index, self._subjects = index, subjects

    def _compute(self, region: str) -> Mask:
        if region != "subject":
            return super()._compute(region)
        if self._index not in self._subjects:
            self._subjects[self._index] = super()._compute(region).astype(np.float16)
        return self._subjects[self._index].astype(np.float32)
