"""The source's own pixels back where an editor had no reason to change any.

In: the source, an edited image of its size, perhaps a mask. Out: the edited image with the source's pixels
outside the edited region, and a report of what was done. Without a mask the region is found by difference,
after a small shift or zoom of the whole frame, to which diffusion editors are prone, was measured and undone.
What changes most of the frame is left alone, and so is an edit that does not stand out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from editthinker.core.drift import NONE, Drift, found_drift
from editthinker.core.errors import InputError
from editthinker.core.images import Picture

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Bytes = npt.NDArray[np.uint8]
    Floats = npt.NDArray[np.float32]

WORK_PIXELS: Final = 512 * 512
"""Drift and region are found at this size, so that a photo of any size takes about as long."""
GLOBAL: Final = 0.6
"""Changed part of the frame from which on an edit counts as one of the whole."""
LEAST: Final = 10.0
"""Difference (0..255) up to which a change counts as noise: what VAEs and JPEG do to every pixel."""
COLOUR_ON_EDGES: Final = 0.1
TEXTURE_ON_EDGES: Final = 0.35
"""Part of the source's local contrast that is forgiven on top: softened edges are no edit."""
SOFTER: Final = 0.6
"""Left of its contrast, from which on a detail counts as softened on purpose."""
SPECK: Final = 0.0002
"""Part of the frame below which a changed spot counts as noise."""
MARGIN: Final = 0.012
"""How far around what changed the edited pixels are kept, as a part of the longer side."""
FEATHER: Final = 0.008
"""Width of the soft edge, as a part of the longer side."""
_BAND: Final = 512
"""Rows composed at a time: temporaries of a whole photo would multiply the memory it takes."""


@dataclass(frozen=True, slots=True)
class Pasted:
    """What came of a paste-back."""

    image: Picture
    report: Mapping[str, Any]
    """JSON values: applied, why, restored (part of the frame), shift (x and y in pixels), zoom, method."""


def paste_back(source: Picture, edited: Picture, mask: Picture | None = None) -> Pasted:
    """`edited` with the source's pixels outside the edited region; at times `edited` itself.

    `mask` is white where the edit belongs, black where nothing may change; grey mixes. Raises `InputError`
    when the sizes differ.
    """
    for what, other in (("edited image", edited), ("mask", mask)):
        if other is not None and other.size != source.size:
            raise InputError(
                f"the {what} has {other.size} pixels and the source {source.size}; they must agree"
            )
    if mask is not None:
        return _with_mask(source, edited, mask)
    before, after, scale = at_work_size(source, edited)
    if (before == after).all() and (source.array() == _like(source, edited)).all():
        return _left(edited, "the edited image equals the source")
    drift = found_drift(before, after, scale)
    after = drift.undone(after, scale)
    region = edited_region(before, after, drift.covered(before.shape, scale))
    changed = float(region.mean())
    if changed == 0:
        return _left(edited, "no edited region stands out from the rest", drift)
    if _softened(before, after) >= GLOBAL:
        return _left(edited, "the edit softens most of the frame", drift)
    if changed >= GLOBAL:
        return _left(edited, f"the edit changes most of the frame ({changed:.0%})", drift)
    return _composed(source, edited, _feathered(region, source.size), "difference", drift)


def _with_mask(source: Picture, edited: Picture, mask: Picture) -> Pasted:
    import cv2
    import numpy as np

    grey = np.asarray(mask.flattened().pixels.convert("L"))
    inside: Floats = cv2.distanceTransform((grey > 0).astype(np.uint8), cv2.DIST_L2, 3)
    # Inwards, so that black stays untouched; no wider than thin strokes can bear.
    width = max(1.0, min(FEATHER * max(source.size), float(inside.max()) / 2))
    weight = (grey * np.clip(inside / width, 0, 1) + 0.5).astype(np.uint8)
    if weight.min() == 255:
        return _left(edited, "the mask lets everything change", method="mask")
    return _composed(source, edited, weight, "mask", NONE)


def _left(edited: Picture, why: str, drift: Drift = NONE, method: str = "difference") -> Pasted:
    return Pasted(edited, _report(False, why, 0.0, drift, method))


def _report(applied: bool, why: str, restored: float, drift: Drift, method: str) -> dict[str, Any]:
    return {
        "applied": applied,
        "why": why,
        "restored": round(restored, 4),
        "shift": [round(side, 2) for side in drift.shift],
        "zoom": round(drift.zoom, 5),
        "method": method,
    }


def at_work_size(source: Picture, edited: Picture) -> tuple[Bytes, Bytes, float]:
    """Both flat and small, and how many of their pixels one pixel of the picture is."""
    width, height = source.size
    scale = min(1.0, math.sqrt(WORK_PIXELS / (width * height)))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return source.resized(size).flattened().array(), edited.resized(size).flattened().array(), scale


def edited_region(before: Bytes, after: Bytes, covered: Bytes) -> Bytes:
    """1 where the edit is, with a margin around it; 0 elsewhere, and where no edited pixel is known.

    A change of colour shows in the local mean of the difference, a change of texture in what is left of it;
    noise and softened edges, too, are in the rest only, so that they are forgiven there.
    """
    import cv2
    import numpy as np

    difference = (after.astype(np.float32) - before) * covered[..., None]
    mean = cv2.GaussianBlur(difference, (0, 0), 2.5)
    rest = cv2.GaussianBlur(np.abs(difference - mean).max(axis=2), (0, 0), 2.5)
    contrast = _contrast(before)
    noise = float(np.quantile(rest, 0.25))
    recoloured = np.abs(mean).max(axis=2) > LEAST + COLOUR_ON_EDGES * contrast
    retextured = rest > LEAST + min(noise, LEAST) + TEXTURE_ON_EDGES * contrast
    changed = (recoloured | retextured).astype(np.uint8)
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(changed, connectivity=8)
    least = max(3.0, SPECK * changed.size)
    kept = np.array(
        [0, *(statistics[label, cv2.CC_STAT_AREA] >= least for label in range(1, count))], np.uint8
    )
    return _grown(kept[labels], MARGIN * max(before.shape[:2]))


def _contrast(image: Bytes) -> Floats:
    """How much the pixels around each one differ, 0..255."""
    import cv2
    import numpy as np

    gradient = cv2.morphologyEx(image, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)).max(axis=2)
    contrast: Floats = cv2.GaussianBlur(gradient.astype(np.float32), (0, 0), 2.5)
    return contrast


def _softened(before: Bytes, after: Bytes) -> float:
    """The part of the details that lost much of their contrast: in flat areas a blur of the whole hides."""
    import numpy as np

    one, other = _contrast(before), _contrast(after)
    detailed = one >= np.quantile(one, 0.7)
    return float((other[detailed] < SOFTER * one[detailed]).mean())


def _grown(region: Bytes, by: float) -> Bytes:
    """With everything nearer than `by` pixels, and without the holes that are narrower than twice that."""
    import cv2
    import numpy as np

    if not region.any():
        return region
    far = cv2.distanceTransform(1 - region, cv2.DIST_L2, 5)
    grown: Bytes = (far <= max(2.0, by)).astype(np.uint8)
    return grown


def _feathered(region: Bytes, size: tuple[int, int]) -> Bytes:
    """The weight of the edited image (0..255) at full size, falling to exactly 0 outside the region."""
    import cv2
    import numpy as np

    outside = cv2.distanceTransform(1 - region, cv2.DIST_L2, 5)
    width = max(1.0, FEATHER * max(region.shape))
    weight = (255 * np.clip(1 - outside / width, 0, 1)).astype(np.uint8)
    full: Bytes = cv2.resize(weight, size, interpolation=cv2.INTER_LINEAR)
    return full


def _composed(source: Picture, edited: Picture, weight: Bytes, method: str, drift: Drift) -> Pasted:
    import numpy as np
    from PIL import Image

    one, other = source.array(), edited.array()
    if one.shape != other.shape:  # one of them has alpha
        one, other = (np.asarray(picture.pixels.convert("RGBA")) for picture in (source, edited))
    other = drift.undone(other)
    composed = np.empty_like(one)
    for top in range(0, one.shape[0], _BAND):
        rows = slice(top, top + _BAND)
        part = weight[rows, :, None].astype(np.uint16)
        composed[rows] = (one[rows] * (255 - part) + other[rows] * part + 127) // 255
    restored = float((weight == 0).mean())
    moved = ", after undoing a shift or zoom of the whole frame" if drift is not NONE else ""
    why = f"the source's pixels were put back in {restored:.0%} of the frame{moved}"
    image = Picture(Image.fromarray(composed), name=edited.name, profiled=edited.profiled)
    return Pasted(image, _report(True, why, restored, drift, method))


def _like(source: Picture, edited: Picture) -> Bytes:
    """The edited pixels with as many channels as the source's."""
    import numpy as np

    same = source.has_alpha == edited.has_alpha
    return edited.array() if same else np.asarray(edited.pixels.convert(source.pixels.mode))
