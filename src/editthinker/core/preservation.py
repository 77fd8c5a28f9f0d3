"""What an edit left as it was, measured on the pixels: no judge, no model.

In: the source, an edited image, perhaps a mask. Out: a `Preservation`: how alike the two are outside the
edited region, how far the frame moved, whether the size is the same. Without a mask the region is found by
difference, as `core.pasteback` does. Everything is measured at full size, on the edited image as it was
delivered: where the frame has moved, likeness falls, and `shift` and `zoom` say why.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from editthinker.core.drift import NONE, Drift, found_drift
from editthinker.core.errors import InputError
from editthinker.core.images import Picture
from editthinker.core.pasteback import at_work_size, edited_region

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Bytes = npt.NDArray[np.uint8]
    Floats = npt.NDArray[np.float32]

LEAST: Final = 0.001
"""Part of the frame that must lie outside the edited region for it to be measured."""
_RADIUS: Final = 5
_SIGMA: Final = 1.5
_C1: Final = (0.01 * 255) ** 2
_C2: Final = (0.03 * 255) ** 2
"""Window and constants of Wang et al., "Image quality assessment", IEEE TIP 2004."""
_BAND: Final = 512
"""Rows measured at a time: temporaries of a whole photo would multiply the memory it takes."""


@dataclass(frozen=True, slots=True)
class Preservation:
    """How well the rest of the picture was kept. `as_dict` holds JSON values only."""

    same_size: bool
    """Width and height are the source's. If not, the edited image was stretched to them to be measured."""
    outside: float
    """Part of the frame that lies outside the edited region, 0..1."""
    ssim: float | None
    """Mean structural similarity of the luma out there, -1..1; windows that touch the region do not count."""
    difference: float | None
    """Mean colour difference out there: CIE76, the distance in CIE Lab (D65); 2.3 is just noticeable."""
    unchanged: float | None
    """Part of the pixels out there that are exactly the source's, 0..1."""
    shift: tuple[float, float]
    """How far the frame moved, right and down, in pixels of the source; (0, 0) when not noticeably."""
    zoom: float
    """How much larger the frame shows the scene; 1 when not noticeably."""
    method: Literal["mask", "difference"]
    """How the edited region was known."""

    def as_dict(self) -> dict[str, Any]:
        """For records; None where nothing, or too little, lies outside the region."""
        return {**asdict(self), "shift": list(self.shift)}


def preserved(source: Picture, edited: Picture, mask: Picture | None = None) -> Preservation:
    """Measure. `mask` is of the source's size, and black where nothing may change; all else is the region.

    Raises `InputError` for a mask of another size.
    """
    import numpy as np

    if mask is not None and mask.size != source.size:
        raise InputError(f"the mask has {mask.size} pixels and the source {source.size}; they must agree")
    same_size = edited.size == source.size
    edited = edited.resized(source.size)
    before, after, scale = at_work_size(source, edited)
    drift = NONE if (before == after).all() else found_drift(before, after, scale)
    if mask is not None:
        outside: Bytes = (np.asarray(mask.flattened().pixels.convert("L")) == 0).astype(np.uint8)
    else:
        outside = _outside(before, after, drift, scale, source.size)
    ssim, difference, unchanged = _measured(source, edited, outside)
    return Preservation(
        same_size,
        round(float(outside.mean()), 4),
        ssim,
        difference,
        unchanged,
        (round(drift.shift[0], 2), round(drift.shift[1], 2)),
        round(drift.zoom, 5),
        "difference" if mask is None else "mask",
    )


def _outside(before: Bytes, after: Bytes, drift: Drift, scale: float, size: tuple[int, int]) -> Bytes:
    """1 outside the edited region, at full size; a moved frame is moved back before the two are compared."""
    import cv2

    region = edited_region(before, drift.undone(after, scale), drift.covered(before.shape, scale))
    outside: Bytes = cv2.resize(1 - region, size, interpolation=cv2.INTER_NEAREST)
    return outside


def _measured(
    source: Picture, edited: Picture, outside: Bytes
) -> tuple[float | None, float | None, float | None]:
    """SSIM, colour difference and share of equal pixels outside; None where there is too little of it."""
    import cv2
    import numpy as np

    one, other = source.flattened().array(), edited.flattened().array()
    window = np.ones((2 * _RADIUS + 1, 2 * _RADIUS + 1), np.uint8)
    clear = cv2.erode(outside, window, borderType=cv2.BORDER_CONSTANT, borderValue=1)
    likeness = distance = 0.0
    equal = 0
    height = len(one)
    for top in range(0, height, _BAND):
        bottom = min(top + _BAND, height)
        here = outside[top:bottom].astype(bool)
        if not here.any():
            continue
        a, b = one[top:bottom], other[top:bottom]
        equal += int(((a == b).all(axis=2) & here).sum())
        distance += float(_delta_e(a, b)[here].sum(dtype=np.float64))
        above, below = max(0, top - _RADIUS), min(height, bottom + _RADIUS)
        similar = _ssim(_luma(one[above:below]), _luma(other[above:below]))[top - above :][: bottom - top]
        likeness += float(similar[clear[top:bottom].astype(bool)].sum(dtype=np.float64))
    count, windows = int(outside.sum()), int(clear.sum())
    least = LEAST * outside.size
    return (
        round(likeness / windows, 5) if windows >= least else None,
        round(distance / count, 4) if count >= least else None,
        round(equal / count, 5) if count >= least else None,
    )


def _luma(image: Bytes) -> Floats:
    import cv2
    import numpy as np

    luma: Floats = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return luma


def _ssim(one: Floats, other: Floats) -> Floats:
    """The map of structural similarity with a Gaussian window of 11 pixels."""
    import cv2

    def blurred(image: Floats) -> Floats:
        size = (2 * _RADIUS + 1, 2 * _RADIUS + 1)
        result: Floats = cv2.GaussianBlur(image, size, _SIGMA, borderType=cv2.BORDER_REFLECT)
        return result

    mean, mean_other = blurred(one), blurred(other)
    product = mean * mean_other
    squares = mean * mean + mean_other * mean_other
    covariance = blurred(one * other) - product
    variances = blurred(one * one + other * other) - squares
    above = (2 * product + _C1) * (2 * covariance + _C2)
    ssim: npt.NDArray[Any] = above / ((squares + _C1) * (variances + _C2))
    return ssim


def _delta_e(one: Bytes, other: Bytes) -> Floats:
    """Distance in CIE Lab of sRGB pixels."""
    import cv2
    import numpy as np

    # OpenCV's own way from sRGB interpolates a coarse table, half a unit off; from linear light it computes.
    steps = np.arange(256) / 255
    linear = np.where(steps <= 0.04045, steps / 12.92, ((steps + 0.055) / 1.055) ** 2.4).astype(np.float32)
    lab, lab_other = (cv2.cvtColor(cv2.LUT(image, linear), cv2.COLOR_LRGB2Lab) for image in (one, other))
    difference = lab - lab_other
    distance: Floats = cv2.sqrt(cv2.transform(difference * difference, np.ones((1, 3), np.float32)))
    return distance
