"""A prompt's text with named places in it, filled in one pass: what is put in is never looked at again.

In: a text with places such as `{source}`, a sample, what stands there. Out: parts in order, texts and
pictures, as `wire.chat` sends them. Thinkers and judges share it. The words of users and models are
quoted between lines of quotation marks that do not occur in them: nothing inside can end the quotation.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from PIL import Image

from editthinker.core.images import Picture
from editthinker.core.types import Sample

Part = str | Picture
_INSIDE = 128
"""Mask values from here on are inside the region."""
_FILLED = 0.97
"""Share of its bounding box from which on a region counts as that box."""


@dataclass(frozen=True, slots=True)
class Template:
    """Text and places by turns: even pieces are text, odd ones names of places."""

    pieces: tuple[str, ...]

    @classmethod
    def of(cls, text: str, places: Collection[str]) -> Template:
        """The template in a text; braces around anything but these names are text."""
        return cls(tuple(re.split(r"\{(" + "|".join(map(re.escape, places)) + r")\}", text)))

    @property
    def places(self) -> frozenset[str]:
        """The names of its places."""
        return frozenset(self.pieces[1::2])

    def filled(self, values: Mapping[str, str | Sequence[Part]]) -> tuple[Part, ...]:
        """Its parts in order, neighbouring texts joined."""
        parts: list[Part] = []
        for index, piece in enumerate(self.pieces):
            value = values[piece] if index % 2 else piece
            for part in (value,) if isinstance(value, str) else value:
                if isinstance(part, str) and parts and isinstance(parts[-1], str):
                    parts[-1] += part
                elif part != "":
                    parts.append(part)
        return tuple(parts)


def quoted(words: str) -> str:
    """The words on lines of their own between quotation marks, more of them than stand together inside."""
    longest = max((len(run) for run in re.findall('"+', words)), default=0)
    marks = '"' * max(3, longest + 1)
    return f"{marks}\n{words}\n{marks}"


def complaint(words: str) -> str:
    """What is added when a reply could not be used."""
    return f"\n\nYour last reply could not be used: {words.rstrip('.')}. Reply again, in the form asked for."


def others(sample: Sample) -> list[Part]:
    """The input images besides the source, each announced by its number."""
    parts: list[Part] = []
    for number, picture in enumerate(sample.images[1:], start=2):
        parts += [
            f"\nInput image {number}, given by the user together with the source photo (image 1):\n",
            picture,
        ]
    return [*parts, "\n"] if parts else []


def region(sample: Sample, *, judged: bool) -> str:
    """Where the edit belongs, in words, if into a part only; `judged`: an edited photo is shown."""
    if sample.mask is None:
        return ""
    inside = sample.mask.flattened().pixels.convert("L").point(lambda value: 255 * (value >= _INSIDE))
    box = inside.getbbox()
    if box is None or (box == (0, 0, *inside.size) and _share(inside, box) >= _FILLED):
        return ""  # nothing, or everything
    left, top, right, bottom = (
        round(100 * edge / side) for edge, side in zip(box, inside.size * 2, strict=True)
    )
    share = _share(inside, box)
    shape = (
        ""
        if share >= _FILLED
        else f" It is no rectangle: it fills {max(1, round(100 * share))} % of that box."
    )
    judge = (
        " Judge the wish inside the region only. Everything outside must be exactly as in the source photo:"
        " every change out there is a fault, and so is every visible border or mismatch along the region."
        if judged
        else ""
    )
    return (
        f"The edit belongs into one region of the source photo: from {left} % to {right} % of the width, from"
        f" the left, and from {top} % to {bottom} % of the height, from the top.{shape}{judge}"
        " An instruction that names what is in the region keeps the editor there.\n\n"
    )


def _share(inside: Image.Image, box: tuple[int, int, int, int]) -> float:
    counts = inside.crop(box).histogram()
    return float(counts[255] / sum(counts))
