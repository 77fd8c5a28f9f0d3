"""Which sizes a model draws, and the one to ask for so that nothing is squeezed.

In: the size of a picture. Out: the size of the canvas to put it on (`delivery.Frame`): of nearly the same
shape where the model is free, else the fixed size that wastes least.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from editthinker.editors.delivery import Frame

Size = tuple[int, int]

LONGEST_SIDE: Final = 16_384
"""Of a size that is believed to be meant."""


@dataclass(frozen=True, slots=True)
class SizeRule:
    """What a server accepts as the size of an image."""

    multiple: int = 16
    """Both sides must be multiples of it."""
    least: int = 0
    """Pixels at least."""
    most: int | None = None
    """Pixels at most."""
    shortest: int = 1
    """Shortest side at least; a multiple of `multiple`. A picture that is smaller is padded."""
    side: int | None = None
    """Longest side at most; a multiple of `multiple`."""
    aspect: float | None = None
    """Long side to short side at most."""
    fixed: tuple[Size, ...] = ()
    """When given, only these."""

    def canvas(self, size: Size, pixels: int) -> Size:
        """The canvas for a picture of this size, of about `pixels` at most, never smaller than need be."""
        if self.fixed:
            return max(self.fixed, key=lambda fixed: (_used(size, fixed), fixed))
        width, height = map(float, size)
        if self.aspect:
            width, height = max(width, height / self.aspect), max(height, width / self.aspect)
        goal = max(self.least, min(width * height, pixels, self.most or math.inf))
        scale = math.sqrt(goal / (width * height))
        if self.side:
            scale = min(scale, self.side / max(width, height))
        canvas = [self._up(width * scale), self._up(height * scale)]
        while self.most and canvas[0] * canvas[1] > self.most:
            canvas[canvas[1] > canvas[0]] -= self.multiple
        return canvas[0], canvas[1]

    def _up(self, side: float) -> int:
        return max(self.shortest, max(1, math.ceil(side / self.multiple - 1e-6)) * self.multiple)


FIXED: Final = SizeRule(fixed=((1024, 1024), (1536, 1024), (1024, 1536)))
"""The standard sizes, which every GPT image model draws."""
FREE: Final = SizeRule(16, least=655_360, most=8_294_400, side=3_840, aspect=3.0)
"""From gpt-image-2 on: the size constraints in https://developers.openai.com/api/docs/guides/image-generation."""


def openai_rule(model: str) -> SizeRule:
    """What an image model of OpenAI draws."""
    fixed = model.rpartition("/")[2].startswith(("gpt-image-1", "chatgpt-image"))
    return FIXED if fixed else FREE


def parse_size(text: str) -> Size | None:
    """Width and height of "1024x768"; None when it is nothing of that kind."""
    width, _, height = text.lower().partition("x")
    sides = (int(width), int(height)) if width.isdecimal() and height.isdecimal() else (0, 0)
    return sides if all(0 < side <= LONGEST_SIDE for side in sides) else None


def _used(size: Size, canvas: Size) -> float:
    """The part of the canvas that a picture of this size fills."""
    left, top, right, bottom = Frame(size, canvas).box
    return (right - left) * (bottom - top) / (canvas[0] * canvas[1])
