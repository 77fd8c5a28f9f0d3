"""How far the frame of an edited image moved against its source's, and moving it back.

In: two images of one size. Out: a `Drift`, shift and zoom in pixels of the picture; none when undoing it
would not make the two clearly more alike. Found by phase correlation at several zooms, then refined by
Gauss-Newton steps that ignore pixels which differ much: those are the edit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Bytes = npt.NDArray[np.uint8]
    Floats = npt.NDArray[np.float32]

FURTHEST: Final = 0.03
"""Shift, as a part of the longer side, up to which it counts as drift rather than as an edit."""
ZOOMS: Final = (0.95, 0.96, 0.97, 0.98, 0.99, 1.0, 1.01, 1.02, 1.03, 1.04, 1.05)
"""Zooms that are looked at; what lies beyond counts as an edit."""
NOTICED_PIXELS: Final = 0.3
"""Shift in pixels of the picture below which nothing is resampled."""
NOTICED_ZOOM: Final = 0.0005
CLEARER: Final = 0.85
"""Undoing the drift must bring the difference down to this part."""
OUTLIER: Final = 40.0
"""Difference (0..255) from which on a pixel says nothing more about the frame."""
LONGEST: Final = 32_000
"""Pixels a side that OpenCV can resample."""
_STEPS: Final = 12


@dataclass(frozen=True, slots=True)
class Drift:
    """A point p of the source, seen from the frame's centre, is found at `zoom * p + shift` in the edit."""

    zoom: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)
    """Right and down, in pixels of the picture."""

    def undone(self, image: npt.NDArray[Any], scale: float = 1.0) -> npt.NDArray[Any]:
        """`image` (any channels; `scale` of the picture's size) as if its frame had not moved."""
        if self == NONE:
            return image
        import cv2

        height, width = image.shape[:2]
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        matrix = self._matrix((width, height), scale)
        back: npt.NDArray[Any] = cv2.warpAffine(
            image, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE
        )
        return back

    def covered(self, shape: tuple[int, ...], scale: float = 1.0) -> Bytes:
        """1 where `undone` has pixels of the edited image to show, 0 where its frame had moved away."""
        import cv2
        import numpy as np

        whole = np.ones(shape[:2], np.uint8)
        if self == NONE:
            return whole
        size = (shape[1], shape[0])
        flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
        known: Bytes = cv2.warpAffine(whole, self._matrix(size, scale), size, flags=flags)
        return known

    def _matrix(self, size: tuple[int, int], scale: float) -> npt.NDArray[np.float64]:
        import numpy as np

        across, down = (
            (1 - self.zoom) * (side - 1) / 2 + shift * scale
            for side, shift in zip(size, self.shift, strict=True)
        )
        return np.array([[self.zoom, 0, across], [0, self.zoom, down]])


NONE: Final = Drift()


def found_drift(before: Bytes, after: Bytes, scale: float) -> Drift:
    """The drift of `after`, both HxWx3 at `scale` of the picture's size; `NONE` when none is to be undone."""
    import cv2

    height, width = before.shape[:2]
    longest = max(height, width)
    if min(height, width) < 32 or longest / scale > LONGEST:
        return NONE
    one, other = (cv2.GaussianBlur(_grey(image), (0, 0), 1.0) for image in (before, after))
    still = _misfit(one, other)
    if still == 0:
        return NONE
    starts = [_correlated(one, other, zoom) for zoom in ZOOMS]
    nearest = min([*starts, NONE], key=lambda drift: _misfit(one, drift.undone(other)))
    drift = min(
        (_refined(one, other, start) for start in {nearest, NONE}),
        key=lambda d: _misfit(one, d.undone(other)),
    )
    full = Drift(drift.zoom, (drift.shift[0] / scale, drift.shift[1] / scale))
    distance = math.hypot(*full.shift)
    noticed = distance >= NOTICED_PIXELS or abs(full.zoom - 1) >= NOTICED_ZOOM
    small = distance <= FURTHEST * longest / scale and ZOOMS[0] <= full.zoom <= ZOOMS[-1]
    clearer = _misfit(one, drift.undone(other)) <= CLEARER * still
    return full if noticed and small and clearer else NONE


def _grey(image: Bytes) -> Floats:
    import cv2
    import numpy as np

    grey: Floats = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return grey


def _misfit(one: Floats, other: Floats) -> float:
    """Mean difference in which a pixel counts no more than `OUTLIER`."""
    import cv2
    import numpy as np

    return float(np.minimum(cv2.absdiff(one, other), OUTLIER).mean())


def _correlated(one: Floats, other: Floats, zoom: float) -> Drift:
    """The shift that phase correlation finds once a zoom is undone."""
    import cv2

    height, width = one.shape
    window = cv2.createHanningWindow((width, height), cv2.CV_32F)
    unzoomed = Drift(zoom).undone(other)
    # Copies: OpenCV 5 puts the window onto its inputs where their size suits its Fourier transform.
    (across, down), _ = cv2.phaseCorrelate(one.copy(), unzoomed.copy(), window)
    return Drift(zoom, (across * zoom, down * zoom))


def _refined(one: Floats, other: Floats, drift: Drift) -> Drift:
    """Gauss-Newton over zoom and shift with the pixels that differ little (Baker and Matthews, IJCV 2004)."""
    import cv2
    import numpy as np

    height, width = one.shape
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    rows -= (height - 1) / 2
    columns -= (width - 1) / 2
    for _ in range(_STEPS):
        moved = drift.undone(other)
        residual = one - moved
        across = cv2.Sobel(moved, cv2.CV_32F, 1, 0, ksize=3, scale=0.125)
        down = cv2.Sobel(moved, cv2.CV_32F, 0, 1, ksize=3, scale=0.125)
        spread = max(2.0, 3.0 * float(np.median(np.abs(residual))))
        slopes = np.stack([across * columns + down * rows, across, down]).reshape(3, -1)
        weighed = slopes * (np.abs(residual) < spread).reshape(-1)
        normal = weighed @ slopes.T
        if np.linalg.cond(normal) > 1e12:
            return drift
        zoom, right, below = np.linalg.solve(normal, weighed @ residual.reshape(-1)) * drift.zoom
        drift = Drift(
            drift.zoom + float(zoom), (drift.shift[0] + float(right), drift.shift[1] + float(below))
        )
        if abs(zoom) * max(one.shape) < 1e-3 and abs(right) + abs(below) < 1e-3:
            break
    return drift
