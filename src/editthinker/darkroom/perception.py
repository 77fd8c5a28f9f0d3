"""What an image looks like to the judge: a vector in which distances are differences a person would see.

In: pixels. Out: vectors of maps, sizes and tolerances of their differences. The maps of an image letterboxed
into a square: low-pass Lab (where is which colour), the energy of fine and of middling detail (so that grain,
blur and blocks count by how much of them there is, whatever their random realisation), and coverage (so that
a turned or squeezed image differs). It knows nothing of programs.
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from editthinker.darkroom.regions import Pixels

Vector = npt.NDArray[np.float32]

SIDE = 128
"""Long side at which images are perceived."""
RENDER_SIDE = 640
"""Long side at which operations are executed to see what they should look like."""

COLOUR_SIDE, COARSE_SIDE, DETAIL_SIDE = 64, 16, 32
COLOUR, DETAIL, COVERAGE = 3, 2, 1
_MAPS = (
    (COLOUR_SIDE, COLOUR, 0.5),
    (COARSE_SIDE, COLOUR, 0.5),
    (DETAIL_SIDE, DETAIL, 1.0),
    (DETAIL_SIDE, COVERAGE, 30.0),
)
"""Side, channels and weight of every map, in the order they stand in a vector."""
DETAIL_MAP = 2
OFFSETS = (0, *np.cumsum([side * side * channels for side, channels, _ in _MAPS]).tolist())
_LENGTHS = np.diff(OFFSETS)
WEIGHTS: Vector = np.repeat([weight / (side * side) for side, _, weight in _MAPS], _LENGTHS).astype(
    np.float32
)
"""Weight of each element in a squared distance: a change of the whole image by 1 in L weighs 1."""

SOFTNESS = 1.6
"""Sigma of the low-pass in pixels: finer structure counts by its energy only."""
DARK = 0.3
"""Share of its colourfulness that black keeps; from L = 40 on it is whole."""
DETAIL_GAIN = 14.0
"""What a growth of strong detail by a factor e counts."""
FLAT_ENERGY = 0.25
"""Energy that cannot be told from none: rounding to 8 bits, light compression."""

TOLERANCE = (1.0, 0.5, 1.5, 0.02)
"""Per map, the difference of an element that nobody sees."""
PROPORTIONAL = (0.07, 0.07, 0.2, 0.0)
"""Per map, the share of an asked change by which it may differ: another size, another grain."""
MISPLACED = 0.13
"""Share of the contrast around an element by which it may differ: a fraction of a pixel of displacement."""
FINEST_ADDED, FINEST_LOST = 3.0, 9.0
"""Finest detail that may be added by resampling and light compression, or lost by them."""
MASKED = 0.04
"""Difference of colour hidden by each unit of asked detail."""


def for_rendering(rgb: npt.NDArray[Any]) -> Pixels:
    """The image with a long side of at most about `RENDER_SIDE`.

    Of the sizes near it the one truest to the aspect is taken: a fraction of a pixel decides how many blocks
    of a pixelation fit.
    """
    longest, shortest = max(rgb.shape[:2]), min(rgb.shape[:2])
    if longest <= RENDER_SIDE:
        return np.ascontiguousarray(rgb)

    def squeeze(side: int) -> float:
        exact = side * shortest / longest
        return float(round(abs(exact - round(exact)), 2))

    side = min(range(RENDER_SIDE, RENDER_SIDE - 64, -1), key=squeeze)
    return _resized(rgb, _scaled(rgb, side / longest))


def at_side(rgb: npt.NDArray[Any], side: int) -> Pixels:
    """The image with its long side at `side`, larger or smaller than it was."""
    return _resized(rgb, _scaled(rgb, side / max(rgb.shape[:2])))


def working(rgb: npt.NDArray[Any], like: tuple[int, int] | None = None) -> Pixels:
    """The image with its long side at `SIDE`; as `like` or its transpose when within 2 pixels of that."""
    shape = _scaled(rgb, SIDE / max(rgb.shape[:2]))
    for wanted in (like, like[::-1]) if like else ():
        if max(abs(shape[0] - wanted[0]), abs(shape[1] - wanted[1])) <= 2:
            return _resized(rgb, wanted)
    return _resized(rgb, shape)


def perceive(image: Pixels) -> Vector:
    """The maps of a working-size image, HxWx3 or HxWx4 (seen over white), as one vector."""
    if image.shape[2] == 4:
        image = _over_white(image)
    height, width = image.shape[:2]
    lab = cv2.cvtColor(image.astype(np.float32) * np.float32(1 / 255), cv2.COLOR_RGB2LAB)
    top, left = (SIDE - height) // 2, (SIDE - width) // 2
    inside = np.s_[top : top + height, left : left + width]
    colour = np.full((SIDE, SIDE, COLOUR), (50, 0, 0), np.float32)
    colour[inside] = _as_seen(cv2.GaussianBlur(lab, (0, 0), SOFTNESS))
    detail = np.zeros((SIDE, SIDE, DETAIL + COVERAGE), np.float32)
    detail[inside] = _detail(np.ascontiguousarray(lab[..., 0]))
    fine, detail = _pooled(colour, COLOUR_SIDE), _pooled(detail, DETAIL_SIDE)
    maps = (fine, _pooled(fine, COARSE_SIDE), detail[..., :DETAIL], detail[..., DETAIL:])
    return np.concatenate([each.ravel() for each in maps])


def finest(image: Pixels) -> Vector:
    """Energy of the detail of a few pixels' size, on `perceive`'s scale of detail: 1024 elements.

    It shows noise, blocks and lost sharpness that are too fine for `perceive`; compare images of one size.
    """
    grey = cv2.cvtColor(image[..., :3], cv2.COLOR_RGB2GRAY).astype(np.float32) * np.float32(100 / 255)
    fine = grey - cv2.GaussianBlur(grey, (0, 0), 1.0)
    energy = cv2.blur(_pooled(fine * fine, DETAIL_SIDE), (3, 3))
    felt: Vector = DETAIL_GAIN * np.log1p(np.sqrt(energy + np.float32(FLAT_ENERGY)))
    return felt.ravel()


def roughened(difference: Vector) -> float:
    """Size of a difference of `finest` maps: what was added, and less so what was lost, beyond tolerance."""
    beyond = np.maximum(difference - FINEST_ADDED, 0) + np.maximum(-difference - FINEST_LOST, 0)
    return math.sqrt(float(np.mean(beyond**2)))


def tolerance(source: Vector, target: Vector) -> Vector:
    """Per element, the difference from the target that means nothing: resampling, JPEG, another grain."""
    asked = np.abs(target - source)
    tolerated = np.repeat(TOLERANCE, _LENGTHS) + np.repeat(PROPORTIONAL, _LENGTHS) * asked
    tolerated[: OFFSETS[1]] += MISPLACED * _contrast(target)
    tolerated[: OFFSETS[2]] += MASKED * _roughness(asked)
    return np.asarray(tolerated, np.float32)


def excess(difference: Vector, tolerated: Vector) -> Vector:
    """The part of a difference that goes beyond the tolerance."""
    beyond: Vector = difference - np.clip(difference, -tolerated, tolerated)
    return beyond


def size(difference: Vector, only: int | None = None) -> float:
    """Weighted root mean square of a difference, or of one of its maps; about 1 is just noticeable."""
    part = slice(None) if only is None else slice(OFFSETS[only], OFFSETS[only + 1])
    return math.sqrt(float(np.dot(difference[part] ** 2, WEIGHTS[part])))


def _contrast(vector: Vector) -> Vector:
    """How much the first map varies around each of its elements."""
    colour = np.ascontiguousarray(vector[: OFFSETS[1]].reshape(COLOUR_SIDE, COLOUR_SIDE, COLOUR))
    around = np.ones((3, 3), np.uint8)
    spread: Vector = cv2.dilate(colour, around) - cv2.erode(colour, around)
    return spread.ravel()


def _roughness(vector: Vector) -> Vector:
    """The larger detail at each element of the two colour maps."""
    detail = vector[OFFSETS[DETAIL_MAP] : OFFSETS[DETAIL_MAP + 1]].reshape(DETAIL_SIDE, DETAIL_SIDE, DETAIL)
    largest = detail.max(axis=2)
    pooled = (_pooled(largest, side) for side in (COLOUR_SIDE, COARSE_SIDE))
    return np.concatenate([np.repeat(rough.ravel(), COLOUR) for rough in pooled])


def _as_seen(lab: Vector) -> Vector:
    """Lab with chroma compressed as in CIEDE2000 (S_C = 1 + 0.045 C) and fading in the dark; in place."""
    light, scaled = lab[..., 0], 0.045 * cv2.magnitude(lab[..., 1], lab[..., 2]) + np.float32(1e-3)
    gain = np.log1p(scaled) / scaled * np.minimum(DARK + light * ((1 - DARK) / 40), 1)
    lab[..., 1:] *= gain[..., None]
    return lab


def _detail(light: Vector) -> Vector:
    """Local energy of fine and of middling detail on a logarithmic scale, and coverage: HxWx3."""
    soft = cv2.GaussianBlur(light, (0, 0), 1.2)
    softer = cv2.GaussianBlur(soft, (0, 0), 2.4)
    fine, middling = light - soft, soft - softer
    energy = cv2.GaussianBlur(cv2.merge([fine * fine, middling * middling]), (0, 0), 4.0)
    felt = DETAIL_GAIN * np.log1p(np.sqrt(energy + np.float32(FLAT_ENERGY)))
    return np.dstack([felt, np.ones_like(light)])


def _scaled(rgb: npt.NDArray[Any], scale: float) -> tuple[int, int]:
    height, width = rgb.shape[:2]
    return max(1, round(height * scale)), max(1, round(width * scale))


def _resized(rgb: npt.NDArray[Any], shape: tuple[int, int]) -> Pixels:
    if shape == rgb.shape[:2]:
        return np.ascontiguousarray(rgb)
    method = cv2.INTER_AREA if shape[0] <= rgb.shape[0] else cv2.INTER_CUBIC
    resized: Pixels = cv2.resize(rgb, shape[::-1], interpolation=method)
    return resized


def _pooled(maps: Vector, side: int) -> Vector:
    method = cv2.INTER_AREA if side < maps.shape[0] else cv2.INTER_LINEAR
    pooled: Vector = cv2.resize(maps, (side, side), interpolation=method)
    return pooled


def _over_white(image: Pixels) -> Pixels:
    cover = image[..., 3:].astype(np.float32) / 255
    return np.rint(image[..., :3] * cover + 255 * (1 - cover)).astype(np.uint8)
