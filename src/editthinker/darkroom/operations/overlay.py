"""What is laid on top of the image: frame, sticker, text."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from editthinker.darkroom.operations.colour import PAINT
from editthinker.darkroom.program import Operation
from editthinker.darkroom.regions import Pixels

ASSETS = Path(__file__).parent.parent / "assets"
FRAME = {"light": 0.03, "medium": 0.05, "strong": 0.08}
"""Thickness as a share of the short side."""
STICKER_SHARE, STICKER_MARGIN = 0.18, 0.03
TEXT_LIMIT = 300
"""Characters drawn at most; the rest becomes an ellipsis."""
TEXT_WIDTH = 0.9
LINE_HEIGHT = 1.2
LARGEST, SMALLEST = 0.16, 0.07
"""Font size as a share of the short side: at most, and what one more line is begun for."""
TALLEST = 0.6
"""Share of the height that all lines together may take."""
OUTLINE = 0.09
"""Outline of a letter as a share of the font size."""
MASTER = 64
"""Font size at which text is measured."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A patch of RGBA pixels and where its upper left corner lies."""

    top: int
    left: int
    patch: Pixels


def lay(image: Pixels, alpha: Pixels | None, operation: Operation) -> tuple[Pixels, Pixels | None]:
    """Draw the operation on copies of the colours and of the alpha channel, if there is one."""
    image = image.copy()
    alpha = alpha.copy() if alpha is not None else None
    for layer in LAYERS[operation.kind](image.shape[0], image.shape[1], operation):
        _paste(image, alpha, layer)
    return image, alpha


def _paste(image: Pixels, alpha: Pixels | None, layer: Layer) -> None:
    """Composite the part of the layer that lies inside the image, in place."""
    height, width = image.shape[:2]
    top, left = max(0, layer.top), max(0, layer.left)
    patch = layer.patch[top - layer.top : height - layer.top, left - layer.left : width - layer.left]
    window = np.s_[top : top + patch.shape[0], left : left + patch.shape[1]]
    cover = patch[..., 3:].astype(np.float32) / 255
    image[window] = np.rint(patch[..., :3] * cover + image[window] * (1 - cover)).astype(np.uint8)
    if alpha is not None:
        alpha[window] = np.maximum(alpha[window], patch[..., 3])


def frame(height: int, width: int, operation: Operation) -> list[Layer]:
    """Four strips inside the image."""
    thick = max(1, round(FRAME[operation.strength] * min(height, width)))
    paint = [*(round(255 * part) for part in PAINT[operation.value]), 255]
    across = np.full((thick, width, 4), paint, np.uint8)
    down = np.full((height, thick, 4), paint, np.uint8)
    return [
        Layer(0, 0, across),
        Layer(height - thick, 0, across),
        Layer(0, 0, down),
        Layer(0, width - thick, down),
    ]


def sticker(height: int, width: int, operation: Operation) -> list[Layer]:
    """An emoji in a corner."""
    name, _, corner = operation.value.partition("@")
    side = max(1, round(STICKER_SHARE * min(height, width)))
    margin = round(STICKER_MARGIN * min(height, width))
    vertical, _, horizontal = corner.partition("-")
    top = margin if vertical == "top" else height - margin - side
    left = margin if horizontal == "left" else width - margin - side
    return [Layer(top, left, _scaled(_emoji(name), side, side))]


@lru_cache
def _emoji(name: str) -> Pixels:
    with Image.open(ASSETS / "emoji" / f"{name}.png") as opened:
        return np.asarray(opened.convert("RGBA"))


def text(height: int, width: int, operation: Operation) -> list[Layer]:
    """White letters with a dark outline, as large as the width allows, on as many lines as needed."""
    lines, size = fitted(operation.text, height, width)
    if not lines:
        return []
    # Drawn at no less than the master size: letters of a few pixels are then scaled down cleanly.
    scale = max(1.0, MASTER / size)
    drawn = _draw(lines, size * scale)
    patch = _scaled(drawn, max(1, round(drawn.shape[0] / scale)), max(1, round(drawn.shape[1] / scale)))
    margin = round(0.04 * min(height, width))
    spare = height - patch.shape[0]
    top = {"top": margin, "centre": spare // 2, "bottom": spare - margin}[operation.value]
    return [Layer(top, (width - patch.shape[1]) // 2, patch)]


def fitted(words: str, height: int, width: int) -> tuple[list[str], float]:
    """The text broken into lines, and the font size in pixels at which it fits; no lines when it is blank."""
    clean = _printable(words)
    if not clean:
        return [], 0.0
    short = min(height, width)
    best: tuple[list[str], float] = ([], 0.0)
    for count in range(1, 13):
        lines = _broken(clean, count)
        widest = max(_length(line) for line in lines) / MASTER
        size = min(
            LARGEST * short,
            TEXT_WIDTH * width / max(widest, 1e-3),
            TALLEST * height / (LINE_HEIGHT * len(lines)),
        )
        if size > best[1]:
            best = (lines, size)
        if best[1] >= SMALLEST * short:
            break
    return best


def _printable(words: str) -> str:
    """One line that any font can take: no control characters or lone surrogates, bounded length."""
    words = "".join(
        " " if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") else c for c in words[: 4 * TEXT_LIMIT]
    )
    words = " ".join(words.split())
    return words if len(words) <= TEXT_LIMIT else words[: TEXT_LIMIT - 1] + "…"


def _broken(words: str, count: int) -> list[str]:
    """At most about `count` lines of similar width, broken at spaces where possible."""
    target = _length(words) / count * 1.1 if count > 1 else float("inf")
    lines = [""]
    for word in words.split(" "):
        for piece in _pieces(word, target):
            joined = f"{lines[-1]} {piece}" if lines[-1] else piece
            if _length(joined) <= target or not lines[-1]:
                lines[-1] = joined
            else:
                lines.append(piece)
    return lines


def _pieces(word: str, target: float) -> list[str]:
    """A word, cut where it alone is wider than a line."""
    parts = int(_length(word) // target) + 1
    step = -(-len(word) // parts)
    return [word[i : i + step] for i in range(0, len(word), step)]


def _length(words: str) -> float:
    return float(_font(MASTER).getlength(words))


@lru_cache(maxsize=32)
def _font(size: float) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(ASSETS / "DejaVuSans-Bold.ttf", size)


def _draw(lines: list[str], size: float) -> Pixels:
    """RGBA of the lines, centred, with room for the outline."""
    font = _font(round(size, 1))
    outline = max(1, round(OUTLINE * size))
    step = LINE_HEIGHT * size
    width = int(max(font.getlength(line) for line in lines)) + 4 * outline
    canvas = Image.new("RGBA", (width, int(step * len(lines)) + 4 * outline), (20, 20, 20, 0))
    pen = ImageDraw.Draw(canvas)
    for index, line in enumerate(lines):
        centre = (width / 2, 2 * outline + step * (index + 0.5))
        pen.text(
            centre,
            line,
            (255, 255, 255, 255),
            font,
            "mm",
            stroke_width=outline,
            stroke_fill=(20, 20, 20, 255),
        )
    return np.asarray(canvas)


def _scaled(patch: Pixels, height: int, width: int) -> Pixels:
    """Resize RGBA with colours weighted by their alpha, so that no rim of hidden colour appears."""
    if patch.shape[:2] == (height, width):
        return patch
    shrinks = height < patch.shape[0]
    values = patch.astype(np.float32)
    values[..., :3] *= values[..., 3:] / 255
    values = cv2.resize(values, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    values[..., :3] *= 255 / np.maximum(values[..., 3:], 1)
    scaled: Pixels = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return scaled


LAYERS: dict[str, Callable[[int, int, Operation], list[Layer]]] = {
    "frame": frame,
    "sticker": sticker,
    "text": text,
}
