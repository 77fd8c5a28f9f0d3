"""The edit program: what the darkroom's editor predicts and its operations execute.

In: nothing. Out: `Operation`, `Program` and the table of what each operation accepts. An operation names a
kind, a value (direction, colour, position), a region and a strength; a program is a tuple of operations in
execution order. Everything is relative to the image's size, so a program means the same at 128 pixels and
at 12 megapixels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink")
"""Hues that can be found in a photo (colour regions, recolour)."""
FRAME_COLOURS = ("white", "black", *COLOURS)
PLACES = ("top", "bottom", "left", "right", "centre")
POSITIONS = ("top", "bottom", "centre")
CORNERS = ("top-left", "top-right", "bottom-left", "bottom-right")
AREAS = ("all", *PLACES, "subject", "background")
REGIONS = (*AREAS, *COLOURS)
STRENGTHS = ("light", "medium", "strong")
STICKERS = ("heart", "star", "smile", "sun", "cat", "flower", "rainbow", "fire", "balloon", "crown")
DUOTONES = ("blue", "purple", "green", "red")


@dataclass(frozen=True, slots=True)
class Kind:
    """What one kind of operation accepts."""

    values: tuple[str, ...] = ("",)
    regions: tuple[str, ...] = ("all",)
    strengths: tuple[str, ...] = ("medium",)


RECOLOURINGS = tuple(f"{a}>{b}" for a in COLOURS for b in COLOURS if a != b)

KINDS: dict[str, Kind] = {
    "crop": Kind(("top", "bottom", "left", "right", "centre")),
    "flip": Kind(("horizontal", "vertical")),
    "rotate": Kind(("right", "left", "half")),
    "recolour": Kind(RECOLOURINGS),
    "exposure": Kind(("up", "down"), REGIONS, STRENGTHS),
    "contrast": Kind(("up", "down"), AREAS, STRENGTHS),
    "saturation": Kind(("up", "down"), REGIONS, STRENGTHS),
    "warmth": Kind(("warm", "cool"), AREAS, STRENGTHS),
    "tint": Kind(("red", "orange", "yellow", "green", "blue", "purple", "pink"), AREAS, STRENGTHS),
    "black_and_white": Kind(("",), AREAS),
    "sepia": Kind(),
    "duotone": Kind(DUOTONES),
    "invert": Kind(("",), AREAS),
    "fade": Kind(("",), ("all",), STRENGTHS),
    "glow": Kind(("",), ("all",), STRENGTHS),
    "sharpen": Kind(("",), ("all",), STRENGTHS),
    "blur": Kind(("",), AREAS, STRENGTHS),
    "posterise": Kind(("",), ("all",), STRENGTHS),
    "sketch": Kind(),
    "pixelate": Kind(("",), AREAS, STRENGTHS),
    "grain": Kind(("",), ("all",), STRENGTHS),
    "vignette": Kind(("",), ("all",), STRENGTHS),
    "frame": Kind(FRAME_COLOURS, ("all",), STRENGTHS),
    "sticker": Kind(tuple(f"{s}@{c}" for s in STICKERS for c in CORNERS)),
    "text": Kind(POSITIONS),
}
"""Every kind, in execution order: geometry, colour, texture, then what is laid on top."""

ORDER = {kind: place for place, kind in enumerate(KINDS)}


@dataclass(frozen=True, slots=True)
class Operation:
    """One typed operation. Raises ValueError for a combination the table does not know."""

    kind: str
    value: str = ""
    region: str = "all"
    strength: str = "medium"
    text: str = ""
    """The string to write; only for `text`."""

    def __post_init__(self) -> None:
        table = KINDS.get(self.kind)
        if table is None:
            raise ValueError(f"unknown operation {self.kind!r}")
        if self.value not in table.values or self.region not in table.regions:
            raise ValueError(f"{self.kind} does not accept value {self.value!r} in region {self.region!r}")
        if self.strength not in table.strengths:
            raise ValueError(f"{self.kind} has no strength {self.strength!r}")
        if self.text and self.kind != "text":
            raise ValueError(f"{self.kind} carries no text")

    @property
    def slot(self) -> tuple[str, str]:
        """Two operations in the same slot overwrite or contradict each other."""
        return (self.kind, self.region)

    def with_text(self, text: str) -> Operation:
        """The same operation writing `text`."""
        return replace(self, text=text)


Program = tuple[Operation, ...]


def ordered(operations: tuple[Operation, ...] | list[Operation]) -> Program:
    """The operations in execution order; of two in one slot the later given stays."""
    latest = {operation.slot: operation for operation in operations}
    return tuple(sorted(latest.values(), key=lambda o: (ORDER[o.kind], REGIONS.index(o.region))))


def written(program: Program, strings: list[str]) -> Program:
    """The program with its text operations writing `strings` in order; one without a string is left out."""
    left = iter(strings)
    filled = [
        o.with_text(next(left, strings[-1] if strings else "")) if o.kind == "text" else o for o in program
    ]
    return tuple(o for o in filled if o.kind != "text" or o.text)
