"""Interface sketch; being implemented."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

from PIL import Image


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """An image in memory: 8-bit sRGB, RGB or RGBA, upright."""

    pixels: Image.Image
    """Mode "RGB" or "RGBA"; treat as read-only."""
    encoded: bytes = b""
    """The editor's own bytes when it sent an encoded image; stored as they came."""
    media_type: str = ""
    name: str = ""
    """Where it came from, for messages."""

    @classmethod
    def open(cls, source: Any) -> Picture:
        if isinstance(source, Picture):
            return source
        if isinstance(source, bytes):
            source = io.BytesIO(source)
        if not isinstance(source, Image.Image):
            source = Image.open(source)
        return cls(source.convert("RGB"))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.pixels.size
