"""Operations that look at a pixel's surroundings or place: blur, grain, glow and the like.

Every radius is a share of the image's long side.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from editthinker.darkroom.program import Operation
from editthinker.darkroom.regions import Mask, Pixels, ramp, resized, shrunk

BLUR = {"light": 0.006, "medium": 0.012, "strong": 0.022}
WEIGHTED_SIDE = 1024
"""Long side of the copy on which a weighted blur is computed."""
GLOW = {"light": 0.4, "medium": 0.7, "strong": 1.0}
GLOW_SIDE = 256
"""Long side of the copy on which the halo is made."""
SHARPEN = {"light": 0.7, "medium": 1.6, "strong": 3.2}
POSTERISE = {"light": 6, "medium": 4, "strong": 3}
BLOCKS = {"light": 48, "medium": 32, "strong": 20}
"""Pixelate: blocks along the long side."""
GRAIN = {"light": 9.0, "medium": 18.0, "strong": 32.0}
"""Standard deviation in levels, 0..255."""
GRAIN_CELLS = (160, 640)
"""Cells along the long side: what a thumbnail shows, and the finer grain that only the full photo shows."""
VIGNETTE = {"light": 0.4, "medium": 0.7, "strong": 1.0}


def blurred(image: NDArray[Any], sigma: float) -> NDArray[Any]:
    """Gaussian blur; wide ones run on a smaller copy, which looks the same and costs a fraction."""
    height, width = image.shape[:2]
    factor = int(sigma / 2.5)
    if factor < 2:
        return cv2.GaussianBlur(image, (0, 0), max(sigma, 0.01))  # type: ignore[no-any-return]
    size = (max(1, round(width / factor)), max(1, round(height / factor)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma / factor)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)  # type: ignore[no-any-return]


def blur(image: Pixels, operation: Operation) -> Pixels:
    """Soft focus over the whole image."""
    return _pixels(blurred(image, BLUR[operation.strength] * max(image.shape[:2])))


def blur_within(image: Pixels, operation: Operation, mask: Mask) -> Pixels:
    """Blur that mixes only pixels inside the mask, so the rest leaves no halo around itself."""
    return weighted_blur(image, BLUR[operation.strength] * max(image.shape[:2]), mask)


def weighted_blur(image: Pixels, sigma: float, weight: Mask) -> Pixels:
    """Blur in which a pixel counts as much as its weight, 0..1; sigma at least 0.5 % of the long side."""
    height, width = image.shape[:2]
    small = shrunk(image, WEIGHTED_SIDE)
    sigma *= max(small.shape[:2]) / max(height, width)
    counts = np.maximum(resized(weight, *small.shape[:2]), np.float32(1e-3))
    mixed = blurred(cv2.multiply(small, cv2.merge([counts] * 3), dtype=cv2.CV_32F), sigma)
    smooth = _pixels(cv2.divide(mixed, cv2.merge([blurred(counts, sigma)] * 3)))
    return _pixels(cv2.resize(smooth, (width, height), interpolation=cv2.INTER_LINEAR))


def glow(image: Pixels, operation: Operation) -> Pixels:
    """Bright parts shine over their surroundings (screen blend)."""
    height, width = image.shape[:2]
    small = shrunk(image, GLOW_SIDE)
    levels = np.arange(256, dtype=np.float32) / 255
    bright = cv2.LUT(small, (255 * GLOW[operation.strength] * levels**1.6).astype(np.uint8))
    halo = cv2.GaussianBlur(bright, (0, 0), 0.03 * max(small.shape[:2]))
    halo = cv2.resize(halo, (width, height), interpolation=cv2.INTER_LINEAR)
    dark = cv2.multiply(cv2.bitwise_not(image), cv2.bitwise_not(halo), scale=1 / 255)
    return _pixels(cv2.bitwise_not(dark))


def sharpen(image: Pixels, operation: Operation) -> Pixels:
    """Unsharp mask with a radius that still shows in a thumbnail."""
    amount = SHARPEN[operation.strength]
    soft = blurred(image, 0.01 * max(image.shape[:2]))
    return _pixels(cv2.addWeighted(image, 1 + amount, soft, -amount, 0))


def posterise(image: Pixels, operation: Operation) -> Pixels:
    """Few levels of light and of colour; smoothed first, so noise does not become speckle."""
    steps = POSTERISE[operation.strength] - 1
    smooth = blurred(image, 0.003 * max(image.shape[:2]))
    luma, red, blue = cv2.split(cv2.cvtColor(smooth, cv2.COLOR_RGB2YCrCb))
    levels = np.arange(256)
    light = (np.round(levels / 255 * steps) / steps * 255).astype(np.uint8)
    # Chroma seldom leaves the middle half of its range: half as wide steps, then a quarter livelier.
    tone = np.round((levels - 128) / 64 * steps) / steps * 64 * 1.25
    chroma = np.clip(128 + tone, 0, 255).astype(np.uint8)
    flat = cv2.merge([cv2.LUT(luma, light), cv2.LUT(red, chroma), cv2.LUT(blue, chroma)])
    return _pixels(cv2.cvtColor(flat, cv2.COLOR_YCrCb2RGB))


def sketch(image: Pixels, operation: Operation) -> Pixels:
    """Pencil on paper: colour dodge of the grey image with its blurred negative."""
    long_side = max(image.shape[:2])
    grey = blurred(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), 0.0015 * long_side)
    dodged = cv2.divide(grey, cv2.max(blurred(grey, 0.014 * long_side), 1), scale=255)
    darker = (255 * (np.arange(256) / 255) ** 2.4).astype(np.uint8)
    return _pixels(cv2.merge([cv2.LUT(dodged, darker)] * 3))


def pixelate(image: Pixels, operation: Operation) -> Pixels:
    """Square blocks of one colour."""
    height, width = image.shape[:2]
    block = max(height, width) / BLOCKS[operation.strength]
    size = (max(1, round(width / block)), max(1, round(height / block)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return _pixels(cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST))


def grain(image: Pixels, operation: Operation) -> Pixels:
    """Film grain: one fixed field of noise, so an edit can be repeated."""
    height, width = image.shape[:2]
    sigma = GRAIN[operation.strength]
    coarse, fine = (_noise(cells, height, width) for cells in GRAIN_CELLS)
    field = cv2.addWeighted(coarse, sigma, fine, sigma / 2, 0)
    return _pixels(cv2.add(image, cv2.merge([field] * 3), dtype=cv2.CV_8U))


def _noise(cells: int, height: int, width: int) -> Mask:
    """Smooth standard normal noise, `cells` along the long side."""
    long_side = max(height, width)
    if cells > long_side:
        square = cv2.resize(_noise_field(cells), (long_side, long_side), interpolation=cv2.INTER_AREA)
    else:
        rows, columns = (-(-cells * side // long_side) for side in (height, width))
        size = (round(columns * long_side / cells), round(rows * long_side / cells))
        square = cv2.resize(_noise_field(cells)[:rows, :columns], size, interpolation=cv2.INTER_CUBIC)
    field: Mask = square[:height, :width]
    return field


@lru_cache
def _noise_field(cells: int) -> Mask:
    return np.random.default_rng(cells).standard_normal((cells, cells), dtype=np.float32)


def vignette(image: Pixels, operation: Operation) -> Pixels:
    """Darkness closing in from the corners."""
    height, width = image.shape[:2]
    gain = _vignette_gain(VIGNETTE[operation.strength])
    shade = cv2.resize(gain, (width, height), interpolation=cv2.INTER_LINEAR)
    return _pixels(cv2.multiply(image, cv2.merge([shade] * 3), scale=1 / 255))


@lru_cache
def _vignette_gain(depth: float) -> Pixels:
    axis = (np.arange(256, dtype=np.float32) + 0.5) / 128 - 1
    radius = np.sqrt((axis**2)[:, None] + (axis**2)[None, :])
    return np.round(255 * (1 - depth * ramp(radius, 0.4, 1.4))).astype(np.uint8)


def _pixels(values: NDArray[Any]) -> Pixels:
    """As uint8, rounded if they were not."""
    return values if values.dtype == np.uint8 else np.clip(np.rint(values), 0, 255).astype(np.uint8)


EFFECTS: dict[str, Callable[[Pixels, Operation], Pixels]] = {
    "glow": glow,
    "sharpen": sharpen,
    "blur": blur,
    "posterise": posterise,
    "sketch": sketch,
    "pixelate": pixelate,
    "grain": grain,
    "vignette": vignette,
}
