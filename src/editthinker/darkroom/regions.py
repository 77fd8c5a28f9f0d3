"""Where an operation acts: soft masks of the places, the subject and the named colours of one image.

In: RGB pixels. Out: float32 masks in 0..1 of the same height and width. Everything is measured on small
copies of a fixed size, so the masks of a photo and of its thumbnail agree.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from editthinker.darkroom.program import COLOURS, PLACES, REGIONS

Pixels = NDArray[np.uint8]
"""Height x width x 3 (or 4), sRGB."""
Mask = NDArray[np.float32]
"""Height x width, 0 (untouched) .. 1 (fully inside)."""

SUBJECT_SIDE = 112
"""Long side of the copy on which the subject is sought."""
EDGE_SIDE = 640
"""Long side of the copy on which the subject's outline is refined."""
COLOUR_SIDE = 1024
"""Long side of the copy on which hues are read."""
COUNTING_SIDE = 160
"""Long side of the copy on which the share of each colour is counted."""

HUE_BANDS = {
    "red": (346, 371),
    "orange": (11, 45),
    "yellow": (45, 70),
    "green": (70, 170),
    "blue": (170, 256),
    "purple": (256, 296),
    "pink": (296, 346),
}
"""First and last degree of each hue; a band may run past 360."""


class RegionMasks:
    """The masks of one image, computed when first asked for and kept."""

    def __init__(self, rgb: Pixels) -> None:
        self._rgb: Pixels = np.ascontiguousarray(rgb[..., :3])
        self._masks: dict[str, Mask] = {}

    def __getitem__(self, region: str) -> Mask:
        """Mask of a region of `program.REGIONS`, float32 height x width; KeyError for another name."""
        if region not in self._masks:
            self._masks[region] = self._compute(region)
        return self._masks[region]

    def _compute(self, region: str) -> Mask:
        if region not in REGIONS:
            raise KeyError(region)
        height, width = self._rgb.shape[:2]
        if region in PLACES:
            return place_mask(region, height, width)
        if region in COLOURS:
            return colour_mask(self._rgb, region)
        if region == "subject":
            return subject_mask(self._rgb)
        if region == "background":
            return np.subtract(1, self["subject"], dtype=np.float32)
        return np.ones((height, width), np.float32)


def present_colours(rgb: Pixels) -> dict[str, float]:
    """The share of the image (0..1) that each named colour covers."""
    small = shrunk(rgb, COUNTING_SIDE)
    return {colour: float((colour_mask(small, colour) > 0.5).mean()) for colour in COLOURS}


def place_mask(place: str, height: int, width: int) -> Mask:
    """A half of the image with a soft edge, or a soft ellipse in the middle."""
    down = (np.arange(height, dtype=np.float32) + 0.5) / height
    across = (np.arange(width, dtype=np.float32) + 0.5) / width
    if place == "centre":
        radius = np.sqrt(((down - 0.5) ** 2)[:, None] + ((across - 0.5) ** 2)[None, :])
        return ramp(radius, 0.42, 0.28)
    half = {"top": 1 - down, "bottom": down, "left": 1 - across, "right": across}[place]
    soft = ramp(half, 0.46, 0.54)
    line = soft[:, None] if place in ("top", "bottom") else soft[None, :]
    return np.ascontiguousarray(np.broadcast_to(line, (height, width)))


def colour_mask(rgb: Pixels, colour: str) -> Mask:
    """Pixels whose hue lies in the colour's band and that are colourful enough to have a hue."""
    height, width = rgb.shape[:2]
    small = shrunk(rgb, COLOUR_SIDE)
    hue, saturation, value = cv2.split(cv2.cvtColor(small, cv2.COLOR_RGB2HSV_FULL))
    first, last = HUE_BANDS[colour]
    degrees = np.arange(256, dtype=np.float32) * (360 / 256)
    distance = np.abs((degrees - (first + last) / 2 + 180) % 360 - 180)
    within = ramp(distance, (last - first) / 2 + 5, (last - first) / 2 - 5)
    colourful = ramp(np.arange(256, dtype=np.float32) / 255, 0.12, 0.26)
    chroma = cv2.multiply(saturation, value, scale=1 / 255)
    mask = cv2.LUT(hue, within) * cv2.LUT(chroma, colourful)
    mask = cv2.GaussianBlur(mask, (0, 0), max(0.3, 0.002 * max(mask.shape)))
    return resized(mask, height, width)


def subject_mask(rgb: Pixels) -> Mask:
    """The thing the photo is about: saliency, then GrabCut, then an outline that follows the edges."""
    height, width = rgb.shape[:2]
    # A little blur makes GrabCut decide alike whatever size the copy was made from.
    small = cv2.GaussianBlur(shrunk(rgb, SUBJECT_SIDE), (0, 0), 0.8)
    rough = _cut_out(small, _saliency(small))
    medium = shrunk(rgb, EDGE_SIDE)
    mask = _follow_edges(resized(rough, *medium.shape[:2]), medium)
    return resized(mask, height, width)


def _saliency(rgb: Pixels) -> Mask:
    """How unlike the image's rim each pixel is, in Lab, weighted towards the middle; 0..1."""
    height, width = rgb.shape[:2]
    lab = cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB).astype(np.float32)
    rim = max(1, round(0.06 * min(height, width)))
    # The lower rim is left out: portraits and still lifes usually stand on it.
    border = np.concatenate([part.reshape(-1, 3) for part in (lab[:rim], lab[:, :rim], lab[:, -rim:])])
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 10, 1.0)
    cv2.setRNGSeed(7)
    _, _, centres = cv2.kmeans(border, min(4, len(border)), None, stop, 1, cv2.KMEANS_PP_CENTERS)
    unlike = np.min(np.linalg.norm(lab[:, :, None] - centres[None, None], axis=3), axis=2)
    prior = np.exp(-3.0 * (_centred(height) ** 2)[:, None] - 3.0 * (_centred(width) ** 2)[None, :])
    salient = cv2.GaussianBlur(unlike.astype(np.float32), (0, 0), 2.0) * prior
    return np.asarray(salient / max(float(salient.max()), 1e-6), np.float32)


def _cut_out(rgb: Pixels, salient: Mask) -> Mask:
    """GrabCut started from the saliency; an ellipse in the middle when it finds nothing sensible."""
    height, width = salient.shape
    fallback = _ellipse(height, width)
    if min(height, width) < 16:
        return fallback
    evidence = 0.6 * salient + 0.4 * fallback
    likely, certain = np.quantile(evidence, (0.65, 0.93))
    trimap = np.full((height, width), cv2.GC_PR_BGD, np.uint8)
    trimap[evidence > likely] = cv2.GC_PR_FGD
    # Without a certain core GrabCut shrinks a subject that resembles its surroundings to nothing.
    trimap[evidence > certain] = cv2.GC_FGD
    rim = max(1, round(0.02 * min(height, width)))
    trimap[:rim] = trimap[:, :rim] = trimap[:, -rim:] = cv2.GC_BGD
    cv2.setRNGSeed(7)
    try:
        cv2.grabCut(rgb, trimap, None, np.zeros((1, 65)), np.zeros((1, 65)), 2, cv2.GC_INIT_WITH_MASK)
    except cv2.error:  # one of the two colour models got no pixels
        return fallback
    found = _largest(((trimap == cv2.GC_FGD) | (trimap == cv2.GC_PR_FGD)).astype(np.uint8))
    return found.astype(np.float32) if 0.03 < float(found.mean()) < 0.8 else fallback


def _largest(found: Pixels) -> Pixels:
    """The pieces at least a quarter as large as the largest one, crumbs and pinholes removed."""
    kernel = np.ones((3, 3), np.uint8)
    found = cv2.morphologyEx(cv2.morphologyEx(found, cv2.MORPH_OPEN, kernel), cv2.MORPH_CLOSE, kernel)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(found)
    if count < 2:
        return found
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    keep: Pixels = (areas >= areas.max() / 4).astype(np.uint8)
    kept: Pixels = keep[labels]
    return kept


def _follow_edges(mask: Mask, rgb: Pixels) -> Mask:
    """Guided filter: the mask's outline moves to where subject and background differ most in colour."""
    side = 2 * max(1, round(0.02 * max(mask.shape))) + 1
    inside = mask > 0.5
    subject, background = (np.array(cv2.mean(rgb, where.astype(np.uint8))[:3]) for where in (inside, ~inside))
    axis = subject - background
    axis /= max(float(np.abs(axis).sum()), 1.0) * 255
    guide: Mask = cv2.transform(rgb.astype(np.float32), axis[None, :])

    def mean(of: NDArray[np.floating[Any]]) -> Mask:
        averaged: Mask = cv2.blur(of, (side, side))
        return averaged

    mean_guide, mean_mask = mean(guide), mean(mask)
    slope = (mean(guide * mask) - mean_guide * mean_mask) / (mean(guide * guide) - mean_guide**2 + 1e-3)
    refined = mean(slope) * guide + mean(mean_mask - slope * mean_guide)
    return ramp(refined, 0.15, 0.85)


def _ellipse(height: int, width: int) -> Mask:
    down, across = _centred(height), _centred(width)
    return ramp(np.sqrt((down**2)[:, None] + (across**2)[None, :]), 0.85, 0.5)


def _centred(length: int) -> Mask:
    """Pixel centres from -1 to 1."""
    return ((np.arange(length, dtype=np.float32) + 0.5) * (2 / length) - 1).astype(np.float32)


def ramp(values: NDArray[Any], low: float, high: float) -> Mask:
    """Smoothstep from 0 at `low` to 1 at `high` (falling when `high` is smaller)."""
    share = np.clip((values - low) / (high - low), 0, 1)
    return np.asarray(share * share * (3 - 2 * share), np.float32)


def shrunk(rgb: Pixels, side: int) -> Pixels:
    """A copy whose long side is at most `side`."""
    height, width = rgb.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return rgb
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small: Pixels = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    return small


def resized(mask: Mask, height: int, width: int) -> Mask:
    """The mask at another size."""
    if mask.shape == (height, width):
        return mask
    scaled: Mask = cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR)
    return scaled
