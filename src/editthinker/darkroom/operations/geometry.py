"""Operations that move pixels: crop, flip, rotate."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from editthinker.darkroom.program import Operation
from editthinker.darkroom.regions import Pixels

CROP_SHARE = 0.6
"""Share of each side that a crop keeps."""
CROP_ORIGIN = {
    "top": (0.5, 0.0),
    "bottom": (0.5, 1.0),
    "left": (0.0, 0.5),
    "right": (1.0, 0.5),
    "centre": (0.5, 0.5),
}
"""Where the window stands, as shares of the room it has to move across and down."""
TURNS = {"right": cv2.ROTATE_90_CLOCKWISE, "left": cv2.ROTATE_90_COUNTERCLOCKWISE, "half": cv2.ROTATE_180}


def move(image: Pixels, operation: Operation) -> Pixels:
    """Move colour or alpha alike: uint8 height x width, with or without channels."""
    return np.ascontiguousarray(MOVES[operation.kind](image, operation.value))


def crop(image: Pixels, part: str) -> Pixels:
    """Zoom in on the named part; size and aspect stay."""
    height, width = image.shape[:2]
    inner_height, inner_width = max(1, round(CROP_SHARE * height)), max(1, round(CROP_SHARE * width))
    across, down = CROP_ORIGIN[part]
    left, top = round(across * (width - inner_width)), round(down * (height - inner_height))
    window = image[top : top + inner_height, left : left + inner_width]
    zoomed: Pixels = cv2.resize(window, (width, height), interpolation=cv2.INTER_CUBIC)
    return zoomed


def flip(image: Pixels, direction: str) -> Pixels:
    """Mirror left-right (`horizontal`) or upside down (`vertical`)."""
    return image[:, ::-1] if direction == "horizontal" else image[::-1]


def rotate(image: Pixels, turn: str) -> Pixels:
    """Turn by a quarter (width and height swap) or by a half."""
    turned: Pixels = cv2.rotate(image, TURNS[turn])
    return turned


MOVES: dict[str, Callable[[Pixels, str], Pixels]] = {"crop": crop, "flip": flip, "rotate": rotate}
