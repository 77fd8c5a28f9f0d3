"""Stored images as small data URIs, so that one HTML file holds everything it shows."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

from PIL import Image

from editthinker.core.errors import ImageError
from editthinker.core.records import ImageRef
from editthinker.runs.folder import RunFolder

THUMBNAIL = 480
"""Pixels of the longer side."""


CANDIDATE = 240
"""Pixels of the longer side of a candidate that was not taken."""


@dataclass(frozen=True, slots=True)
class Preview:
    """One image in two sizes as data URIs; both empty when it is missing or damaged."""

    large: str
    small: str
    ref: ImageRef


def preview(run: RunFolder, ref: ImageRef, side: int) -> Preview:
    """At most `side` pixels on the longer side, and a thumbnail."""
    try:
        pixels = run.picture(ref).pixels
    except ImageError:
        return Preview("", "", ref)
    large = _shrunk(pixels, side)
    return Preview(_data_uri(large, 85), _data_uri(_shrunk(large, THUMBNAIL), 80), ref)


def thumbnail(run: RunFolder, ref: ImageRef) -> Preview:
    """A small one only, for images that are shown beside others."""
    try:
        pixels = run.picture(ref).pixels
    except ImageError:
        return Preview("", "", ref)
    return Preview("", _data_uri(_shrunk(pixels, CANDIDATE), 80), ref)


def _shrunk(pixels: Image.Image, side: int) -> Image.Image:
    smaller = pixels.copy()
    smaller.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
    return smaller


def _data_uri(pixels: Image.Image, quality: int) -> str:
    stream = io.BytesIO()
    if pixels.mode == "RGBA":
        pixels.save(stream, "WEBP", quality=quality)
        media_type = "image/webp"
    else:
        pixels.save(stream, "JPEG", quality=quality, progressive=True)
        media_type = "image/jpeg"
    return f"data:{media_type};base64,{base64.b64encode(stream.getvalue()).decode()}"
