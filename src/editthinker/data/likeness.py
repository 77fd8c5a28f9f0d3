"""Whether two images are one picture: re-encoded, scaled, brightened, or trimmed at the edges.

In: image files. Out: a `Print` of 128 bits each: whether the light rises or falls along the rows of a 9x8
copy (dHash), and which of the 64 lowest frequencies of a 32x32 copy lie above their median (pHash). Two
images are one picture when both halves differ in at most `RADIUS` bits. Of the darkroom's 252 photographs
(tests/data/test_likeness.py) no two are taken for one; copies as JPEG of quality 40, at a third of the size,
and brightened are recognised in 99 % and more, trimmed by 2 % a side in 95 %, by 5 % a side in 21 % only.

Pairs are found by their pHash: of `RADIUS + 1` bands of its bits at least one is equal in any two prints that
near, so only prints with an equal band are compared. Held in memory: 16 bytes an image.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from editthinker.core.images import Picture

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Bits = npt.NDArray[np.uint64]
    Labels = npt.NDArray[np.int64]

RADIUS = 8
"""Bits."""
AT_ONCE = 1 << 18
"""Pairs compared in one step."""


@dataclass(frozen=True, slots=True)
class Print:
    """The two hashes of one image."""

    light: int
    """dHash, 64 bits."""
    shape: int
    """pHash, 64 bits."""


def print_of(picture: Picture, *, mirrored: bool = False) -> Print:
    """The print of a picture, or of its mirror image."""
    import cv2
    import numpy as np

    pixels = picture.flattened().array()
    grey = cv2.cvtColor(np.ascontiguousarray(pixels[:, ::-1] if mirrored else pixels), cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (9, 8), interpolation=cv2.INTER_AREA).astype(np.int16)
    waves = cv2.dct(cv2.resize(grey, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32))[
        :8, :8
    ].ravel()
    return Print(_packed(small[:, 1:] > small[:, :-1]), _packed(waves > np.median(waves[1:])))


def _packed(bits: npt.NDArray[np.bool_]) -> int:
    import numpy as np

    return int.from_bytes(np.packbits(bits.ravel()).tobytes(), "big")


def pairs(light: Bits, shape: Bits, radius: int = RADIUS) -> Iterator[tuple[Labels, Labels]]:
    """Places of prints that are one picture, in batches; a pair may come more than once.

    Give every print once: a thousand copies of one are half a million pairs.
    """
    import numpy as np

    bands = radius + 1
    edges = [64 * band // bands for band in range(bands + 1)]
    for low, high in pairwise(edges):
        band = (shape >> np.uint64(low)) & np.uint64((1 << (high - low)) - 1)
        order = np.argsort(band, kind="stable")
        cuts = np.flatnonzero(np.diff(band[order])) + 1
        for bucket in np.split(order, cuts):
            if len(bucket) > 1:
                yield from _near(bucket, light, shape, radius)


def _near(bucket: Labels, light: Bits, shape: Bits, radius: int) -> Iterator[tuple[Labels, Labels]]:
    import numpy as np

    step = max(1, AT_ONCE // len(bucket))
    for start in range(0, len(bucket) - 1, step):
        rows, columns = bucket[start : start + step], bucket[start + 1 :]
        close = np.bitwise_count(shape[rows][:, None] ^ shape[columns][None]) <= radius
        left, right = np.nonzero(close)
        left, right = rows[left], columns[right]
        near = (np.bitwise_count(light[left] ^ light[right]) <= radius) & (left != right)
        if near.any():
            yield left[near], right[near]


def groups(light: Bits, shape: Bits, radius: int = RADIUS) -> Labels:
    """For each print the number of its group: one picture, or a chain of near ones."""
    import numpy as np

    prints, place = np.unique(np.stack([light, shape]), axis=1, return_inverse=True)
    parent = np.arange(prints.shape[1])

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = int(parent[node])
        return node

    for left, right in pairs(prints[0], prints[1], radius):
        for one, other in zip(left.tolist(), right.tolist(), strict=True):
            one, other = root(one), root(other)
            parent[max(one, other)] = min(one, other)
    roots = np.array([root(node) for node in range(len(parent))], dtype=np.int64)
    labels: Labels = roots[place.reshape(-1)]
    return labels


def known(light: Bits, shape: Bits, known_light: Bits, known_shape: Bits, radius: int = RADIUS) -> Labels:
    """For each print the place of a known print that is one picture with it; -1 where there is none."""
    import numpy as np

    prints, place = np.unique(np.stack([light, shape]), axis=1, return_inverse=True)
    count = prints.shape[1]
    found = np.full(count, -1, dtype=np.int64)
    together = np.concatenate([prints[0], known_light]), np.concatenate([prints[1], known_shape])
    for left, right in pairs(*together, radius):
        for ours, theirs in ((left, right), (right, left)):
            across = (ours < count) & (theirs >= count)
            found[ours[across]] = theirs[across] - count
    hits: Labels = found[place.reshape(-1)]
    return hits
