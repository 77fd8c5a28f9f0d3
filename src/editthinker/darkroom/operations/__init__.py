"""The darkroom's operations: executes an edit program on pixels.

In: an image and a program. Out: the edited image, of the same size unless it was turned by a quarter.
Radii, blocks and thicknesses are shares of the image's size, so a photo and its thumbnail are edited alike.
It does not know instructions, models or scores. To add an operation: a row in `program.KINDS` and an entry
in the `EFFECTS` of `colour` or `texture`, the `MOVES` of `geometry` or the `LAYERS` of `overlay`.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from PIL import Image

from editthinker.core.images import Picture
from editthinker.darkroom.operations import colour, geometry, overlay, texture
from editthinker.darkroom.program import Operation, Program
from editthinker.darkroom.regions import Mask, Pixels, RegionMasks, ramp

__all__ = ["execute", "render"]

EFFECTS = {**colour.EFFECTS, **texture.EFFECTS}


def execute(picture: Picture, program: Program) -> Picture:
    """Edit a picture; the operations run in the order given."""
    pixels = render(np.asarray(picture.pixels), program)
    return replace(picture, pixels=Image.fromarray(pixels), encoded=b"", media_type="")


def render(rgb: Pixels, program: Program, masks: RegionMasks | None = None) -> Pixels:
    """Edit uint8 pixels, height x width x 3 or 4 (alpha last), in the order given; the input is not modified.

    `masks` are those of `rgb`, for callers that edit one image many times. Regions mean the photo as it was
    before any change of colour, so "red" still names the red things after a recolouring.
    """
    image: Pixels = np.ascontiguousarray(rgb[..., :3])
    alpha: Pixels | None = np.ascontiguousarray(rgb[..., 3]) if rgb.shape[2] == 4 else None
    if alpha is not None:
        image = _fill_hidden(image, alpha)
    masks = masks or RegionMasks(image)
    for operation in program:
        if operation.kind in geometry.MOVES:
            image = geometry.move(image, operation)
            alpha = geometry.move(alpha, operation) if alpha is not None else None
            masks = RegionMasks(image)
        elif operation.kind in overlay.LAYERS:
            image, alpha = overlay.lay(image, alpha, operation)
        else:
            image = _affect(image, operation, masks)
    return image if alpha is None else np.dstack([image, alpha])


def _fill_hidden(image: Pixels, alpha: Pixels) -> Pixels:
    """Give invisible pixels the colours around them, lest a blur or a scaling spreads their own."""
    hidden = alpha == 0
    if not hidden.any():
        return image
    visible = ramp(alpha, 0, 255)
    around = texture.weighted_blur(image, 0.03 * max(alpha.shape), visible)
    return np.where(hidden[..., None], around, image)


def _affect(image: Pixels, operation: Operation, masks: RegionMasks) -> Pixels:
    """Apply a colour or texture operation within its region."""
    region = operation.value.partition(">")[0] if operation.kind == "recolour" else operation.region
    if region == "all":
        return EFFECTS[operation.kind](image, operation)
    mask = masks[region]
    if operation.kind == "blur":
        return _blend(image, texture.blur_within(image, operation, mask), mask)
    return _blend(image, EFFECTS[operation.kind](image, operation), mask)


def _blend(outside: Pixels, inside: Pixels, mask: Mask) -> Pixels:
    blended: Pixels = cv2.blendLinear(inside, outside, mask, np.subtract(1, mask, dtype=np.float32))
    return blended
