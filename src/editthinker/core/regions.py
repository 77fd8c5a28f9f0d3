"""Where an edit belongs: masks, and boxes that become masks.

In: a picture's size and a box, or a mask. Out: a mask `Picture` of that size, white where the edit belongs
and black where nothing may change; or an `InputError`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image

from editthinker.core.errors import InputError
from editthinker.core.images import Picture


def mask_of_box(size: tuple[int, int], box: Sequence[float]) -> Picture:
    """The mask of a box: left, top, right, bottom, in pixels, or in shares of width and height.

    Shares are numbers of at most 1 of which one at least is a float: (0, 0, 0.5, 1) is the left half. The
    box is cut to the picture. Raises `InputError` for a box without a pixel in it.
    """
    if len(box) != 4 or not all(math.isfinite(number) for number in box):
        raise InputError(f"a box is four numbers: left, top, right, bottom; got {tuple(box)}")
    width, height = size
    shares = max(box) <= 1 and any(isinstance(number, float) for number in box)
    scaled = [n * side for n, side in zip(box, (width, height) * 2, strict=True)] if shares else list(box)
    left, top, right, bottom = (
        max(0, min(round(number), side)) for number, side in zip(scaled, (width, height) * 2, strict=True)
    )
    if left >= right or top >= bottom:
        shown = ", ".join(f"{number:g}" for number in box)
        raise InputError(
            f"the box {shown} holds no pixel of a picture of {width} x {height}; "
            "it must be left, top, right, bottom"
        )
    mask = Image.new("RGB", size, "black")
    mask.paste("white", (left, top, right, bottom))
    return Picture(mask, name="box")


def check_mask(mask: Picture, source: Picture) -> None:
    """Raises `InputError` for a mask that does not fit the source or leaves nothing to edit."""
    if mask.size != source.size:
        raise InputError(
            "the mask has {} x {} pixels and the photo {} x {}; they must be the same".format(
                *mask.size, *source.size
            )
        )
    if mask.flattened().pixels.convert("L").getextrema() == (0, 0):
        raise InputError("the mask is entirely black; white marks where the edit belongs")
