"""Operations that change each pixel by itself: tone and colour."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from editthinker.darkroom.program import Operation
from editthinker.darkroom.regions import HUE_BANDS, Pixels

Curve = NDArray[np.floating[Any]]
"""256 values in 0..1 (one per input level), or 256 x 3."""

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
LEVELS: Curve = np.linspace(0, 1, 256, dtype=np.float32)

STOPS = {
    "up": {"light": 0.5, "medium": 1.1, "strong": 1.9},
    "down": {"light": -0.6, "medium": -1.3, "strong": -2.3},
}
"""Exposure in photographic stops (EV)."""
STEEPNESS = {"light": 3.5, "medium": 6.0, "strong": 10.0}
FLATNESS = {"light": 0.75, "medium": 0.52, "strong": 0.3}
SATURATION = {
    "up": {"light": 1.4, "medium": 1.9, "strong": 2.8},
    "down": {"light": 0.62, "medium": 0.36, "strong": 0.14},
}
WARMTH = {"light": 0.12, "medium": 0.24, "strong": 0.42}
TINT = {"light": 0.2, "medium": 0.4, "strong": 0.7}
FADE = {"light": (0.1, 0.8), "medium": (0.2, 0.6), "strong": (0.32, 0.4)}
"""How far black is lifted (0..1) and how much saturation stays."""

PAINT = {
    "red": (0.90, 0.10, 0.12),
    "orange": (1.0, 0.55, 0.05),
    "yellow": (1.0, 0.90, 0.10),
    "green": (0.15, 0.75, 0.20),
    "blue": (0.10, 0.30, 0.95),
    "purple": (0.55, 0.15, 0.85),
    "pink": (1.0, 0.35, 0.70),
    "white": (1.0, 1.0, 1.0),
    "black": (0.0, 0.0, 0.0),
}
"""What a colour's name looks like, RGB in 0..1."""
DUOTONE = {
    "blue": (0.15, 0.35, 0.80),
    "purple": (0.50, 0.20, 0.70),
    "green": (0.15, 0.55, 0.30),
    "red": (0.80, 0.15, 0.20),
}
HUES = {"red": 358, "orange": 26, "yellow": 54, "green": 125, "blue": 218, "purple": 276, "pink": 331}
"""The most typical degree of each hue."""
BRIGHTNESS = {"yellow": 0.6, "pink": 0.6, "orange": 0.7}
"""Gamma that a hue needs to look like itself: a dark yellow is olive, a dark pink is plum."""


def exposure(image: Pixels, operation: Operation) -> Pixels:
    """Like changing a photographer's exposure: stops in linear light, with a soft shoulder."""
    return _lut(image, _exposure_curve(STOPS[operation.value][operation.strength]))


@lru_cache
def _exposure_curve(stops: float) -> Curve:
    gain = 2.0**stops
    light = np.where(LEVELS <= 0.04045, LEVELS / 12.92, ((LEVELS + 0.055) / 1.055) ** 2.4) * gain
    knee = 0.5
    soft = np.where(light > knee, 1 - (1 - knee) * np.exp(-(light - knee) / (1 - knee)), light)
    light = soft / soft[-1] if gain > 1 else light
    coded = np.where(light <= 0.0031308, light * 12.92, 1.055 * np.power(light, 1 / 2.4) - 0.055)
    return np.asarray(coded, np.float32)


def contrast(image: Pixels, operation: Operation) -> Pixels:
    """An S-curve about the image's own mean (so that brightness stays), or a flattening towards it."""
    pivot = float(np.clip(np.dot(cv2.mean(image)[:3], LUMA) / 255, 0.3, 0.65))
    if operation.value == "down":
        return _lut(image, pivot + (LEVELS - pivot) * FLATNESS[operation.strength])
    curve = 1 / (1 + np.exp(-STEEPNESS[operation.strength] * (LEVELS - pivot)))
    return _lut(image, (curve - curve[0]) / (curve[-1] - curve[0]))


def saturation(image: Pixels, operation: Operation) -> Pixels:
    """Away from or towards grey of the same luma."""
    return _matrix(image, _saturating(SATURATION[operation.value][operation.strength]))


def warmth(image: Pixels, operation: Operation) -> Pixels:
    """Red against blue by channel gains that keep the luma of grey."""
    amount = WARMTH[operation.strength] * (1 if operation.value == "warm" else -1)
    gains = np.array([1 + amount, 1 + 0.1 * amount, 1 - amount], np.float32)
    return _lut(image, LEVELS[:, None] * (gains / np.dot(gains, LUMA)))


def tint(image: Pixels, operation: Operation) -> Pixels:
    """A cast of the named colour, strongest in the mid-tones; the photo's own colours give way to it."""
    amount = TINT[operation.strength]
    paint = np.array(PAINT[operation.value], np.float32)
    cast = (paint - np.dot(paint, LUMA)) * amount
    room = 0.35 + 0.65 * 4 * LEVELS * (1 - LEVELS)
    return _lut(_matrix(image, _saturating(1 - 0.7 * amount)), LEVELS[:, None] + room[:, None] * cast)


def black_and_white(image: Pixels, operation: Operation) -> Pixels:
    """Luma only."""
    return _matrix(image, _saturating(0))


def sepia(image: Pixels, operation: Operation) -> Pixels:
    """Brown monochrome."""
    return _toned(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (0.63, 0.44, 0.26), white=(1.0, 0.94, 0.79))


def duotone(image: Pixels, operation: Operation) -> Pixels:
    """Black, the named colour, near-white."""
    return _toned(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), DUOTONE[operation.value], white=(1.0, 0.98, 0.94))


def invert(image: Pixels, operation: Operation) -> Pixels:
    """The negative."""
    negative: Pixels = cv2.bitwise_not(image)
    return negative


def fade(image: Pixels, operation: Operation) -> Pixels:
    """Lifted blacks, duller whites, less saturation: a print that hung in the sun."""
    lift, keep = FADE[operation.strength]
    return _matrix(image, _saturating(keep) * (0.97 - lift), 255 * lift)


def recolour(image: Pixels, operation: Operation) -> Pixels:
    """Move every hue from around the first colour to around the second; light and texture stay.

    The caller blends it in where the first colour is.
    """
    source, _, target = operation.value.partition(">")
    hue, saturation, value = cv2.split(cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL))
    (first, last), (begin, end) = HUE_BANDS[source], HUE_BANDS[target]
    degrees = np.arange(256, dtype=np.float32) * (360 / 256)
    offset = (degrees - (first + last) / 2 + 180) % 360 - 180
    turned = HUES[target] + np.clip(offset / (last - first), -0.5, 0.5) * 0.3 * (end - begin)
    # Pink is a pale colour: it gives up saturation, and every other colour made from pale pixels needs more.
    vivid = 0.65 * LEVELS**0.8 if target == "pink" else LEVELS**0.65
    brightness = LEVELS ** (BRIGHTNESS.get(target, 1.0) / BRIGHTNESS.get(source, 1.0))
    moved = cv2.merge(
        [
            cv2.LUT(hue, (np.round(turned * (256 / 360)) % 256).astype(np.uint8)),
            cv2.LUT(saturation, _levels(vivid)),
            cv2.LUT(value, _levels(brightness)),
        ]
    )
    recoloured: Pixels = cv2.cvtColor(moved, cv2.COLOR_HSV2RGB_FULL)
    return recoloured


def _toned(grey: Pixels, middle: tuple[float, ...], white: tuple[float, ...]) -> Pixels:
    """Map grey to a gradient black, middle, white."""
    gradient = np.stack(
        [np.interp(LEVELS, (0, 0.5, 1), (0.02, m, w)) for m, w in zip(middle, white, strict=True)], -1
    )
    return _lut(cv2.merge([grey] * 3), gradient)


def _levels(curve: Curve) -> Pixels:
    return np.clip(np.round(curve * 255), 0, 255).astype(np.uint8)


def _lut(image: Pixels, curve: Curve) -> Pixels:
    """Look every channel up in one curve, or each in its own (256 x 3)."""
    table = _levels(curve)
    mapped: Pixels = cv2.LUT(image, table[:, None] if table.ndim == 2 else table)
    return mapped


def _saturating(keep: float) -> NDArray[np.float32]:
    """3 x 3 matrix that scales the distance from grey by `keep`."""
    return (keep * np.eye(3) + (1 - keep) * LUMA[None, :]).astype(np.float32)


def _matrix(image: Pixels, matrix: NDArray[np.float32], offset: float = 0.0) -> Pixels:
    affine = np.hstack([matrix, np.full((3, 1), offset, np.float32)])
    mapped: Pixels = cv2.transform(image, affine)
    return mapped


EFFECTS: dict[str, Callable[[Pixels, Operation], Pixels]] = {
    "recolour": recolour,
    "exposure": exposure,
    "contrast": contrast,
    "saturation": saturation,
    "warmth": warmth,
    "tint": tint,
    "black_and_white": black_and_white,
    "sepia": sepia,
    "duotone": duotone,
    "invert": invert,
    "fade": fade,
}
