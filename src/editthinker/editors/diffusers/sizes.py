"""The canvas a picture is edited on: a size the pipeline takes, of the picture's own shape.

What remains between the shape of the picture and that of the canvas is padded (`editors.delivery.Frame`) and
taken off again, never squeezed.
"""

from __future__ import annotations

from itertools import product
from math import ceil, floor, sqrt


def canvas(
    size: tuple[int, int], *, pixels: int, multiple: int, longest: float, grows: bool
) -> tuple[int, int]:
    """Width and height, multiples of `multiple`, about `pixels` in all, as near as can be to `size`'s shape.

    `longest` bounds the ratio of the sides. Without `grows` a small picture stays about as small as it is. A
    side is at least `multiple`, and at least 64 (what the models' own checks ask for).
    """
    width, height = size
    ratio = min(max(width / height, 1 / longest), longest)
    area = pixels if grows else min(pixels, width * height)
    wide, high = sqrt(area * ratio), sqrt(area / ratio)
    least = multiple * ceil(64 / multiple)

    def near(side: float) -> set[int]:
        return {max(least, multiple * floor(side / multiple)), max(least, multiple * ceil(side / multiple))}

    def misfit(candidate: tuple[int, int]) -> tuple[bool, float, float]:
        w, h = candidate
        shape = max(w / h / ratio, ratio / (w / h))
        return w * h > max(pixels, least * least), round(shape, 3), abs(w * h - area)

    return min(product(near(wide), near(high)), key=misfit)
