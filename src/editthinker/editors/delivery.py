"""From the pixels a model returned to the `Picture` asked for: same size, never squeezed, alpha kept.

In: the request's source and what came back. Out: a `Picture` of the source's size, or an `EditorError` when
it is no picture (entirely black, as safety checkers send).
"""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from editthinker.core.errors import EditorError
from editthinker.core.images import Picture, same_shape

_BLACK = 2
"""Largest pixel value of a picture that counts as entirely black."""


@dataclass(frozen=True, slots=True)
class Frame:
    """How a picture lies within a canvas of another shape: whole, centred, its edges continued outwards."""

    size: tuple[int, int]
    """Of the picture, in pixels."""
    canvas: tuple[int, int]

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Where the picture lies on the canvas: left, top, right, bottom."""
        (width, height), (wide, high) = self.size, self.canvas
        scale = min(wide / width, high / height)
        inner = (max(1, min(wide, round(width * scale))), max(1, min(high, round(height * scale))))
        left, top = (wide - inner[0]) // 2, (high - inner[1]) // 2
        return left, top, left + inner[0], top + inner[1]

    def put(self, picture: Picture) -> Picture:
        """The picture (or its mask) on the canvas."""
        left, top, right, bottom = self.box
        inner = picture.resized((right - left, bottom - top))
        if inner.size == self.canvas:
            return inner
        import cv2
        import numpy as np

        wide, high = self.canvas
        padded = cv2.copyMakeBorder(
            np.ascontiguousarray(inner.array()), top, high - bottom, left, wide - right, cv2.BORDER_REPLICATE
        )
        return Picture(Image.fromarray(padded), name=picture.name)

    def take(self, picture: Picture) -> Picture:
        """What lies where the picture was put, at the picture's size; the canvas may come back scaled."""
        if self.box == (0, 0, *self.canvas):
            return picture.resized(self.size)
        across, down = picture.size[0] / self.canvas[0], picture.size[1] / self.canvas[1]
        left, top, right, bottom = self.box
        box = (round(left * across), round(top * down), round(right * across), round(bottom * down))
        return Picture(picture.pixels.crop(box), name=picture.name).resized(self.size)


def delivered(source: Picture, returned: Picture, frame: Frame | None = None) -> Picture:
    """What the model returned, as an edit of `source`: its size and, where the model dropped it, its alpha.

    `frame` undoes a padding the request was sent with. A picture of another shape than was sent is fitted
    whole. Raises `EditorError` for an entirely black picture of a source that is not.
    """
    if _is_black(returned) and not _is_black(source):
        raise EditorError("the editor returned an entirely black image, as safety checkers do")
    sent = frame.canvas if frame else source.size
    if not same_shape(returned.size, sent):
        picture = Frame(returned.size, source.size).put(returned)
    else:
        picture = (frame or Frame(source.size, source.size)).take(returned)
    if source.has_alpha and not picture.has_alpha:
        pixels = picture.pixels.copy()
        pixels.putalpha(source.pixels.getchannel("A"))
        picture = Picture(pixels, name=picture.name)
    return picture


def _is_black(picture: Picture) -> bool:
    pixels = picture.pixels if picture.pixels.mode == "RGB" else picture.pixels.convert("RGB")
    middle = pixels.getpixel((pixels.width // 2, pixels.height // 2))
    if max(middle) > _BLACK:  # type: ignore[arg-type]  # most pictures: the rest need not be looked at
        return False
    extrema = pixels.getextrema()
    return all(high <= _BLACK for _, high in extrema)  # type: ignore[misc]
