"""Requests and answers between processes; their images apart from the rest, so that each can travel once.

In: any value with `Picture`s in it. Out: its bytes without them, and the pictures; and the way back. Pixels
travel as they are: at 512 px that costs 0.1 ms a side, decoding a PNG 5 ms, a JPEG 1.3 ms, and it is exact
whatever the picture was made of. An editor's own bytes travel beside them, as the run folder wants them. A
`Folded` picture, which hardly anybody looks at again, travels as its file and is fetched when somebody does.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from PIL import Image

from editthinker.core.images import Folded, Picture


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a picture without its pixels."""

    size: tuple[int, int]
    has_alpha: bool
    media_type: str
    name: str
    profiled: bool
    sha256: str
    """"" when nobody has asked for it yet."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """A picture on its way."""

    facts: Facts
    encoded: bytes
    """The editor's own; of a folded picture, its file."""
    png: bytes = b""
    """The pixels as PNG, when they were encoded where they came from."""
    pixels: Any = field(default=None, repr=False)
    """A flat array of them, which Ray hands over without a copy; None for a folded picture."""

    @classmethod
    def of(cls, picture: Picture) -> Parcel:
        """Wrap a picture up. Reads a folded one's file."""
        known = picture.sha256 if picture.is_hashed else ""
        facts = Facts(
            picture.size, picture.has_alpha, picture.media_type, picture.name, picture.profiled, known
        )
        if isinstance(picture, Folded):
            return cls(facts, picture.encoded)
        import numpy as np

        png = picture.__dict__.get("_png", b"")
        pixels = np.frombuffer(picture.pixels.tobytes(), np.uint8)
        return cls(facts, picture.encoded, b"" if png is picture.encoded else png, pixels)

    def picture(self) -> Picture:
        """The same picture again: pixels, bytes, hash."""
        facts = self.facts
        if self.pixels is None:
            return afar(facts, lambda: self.encoded)
        mode = "RGBA" if facts.has_alpha else "RGB"
        made = Picture(
            Image.frombytes(mode, facts.size, self.pixels),
            self.encoded,
            facts.media_type,
            facts.name,
            facts.profiled,
        )
        known = {"sha256": facts.sha256, "_png": self.png}
        made.__dict__.update({key: value for key, value in known.items() if value})
        return made


def afar(facts: Facts, read: Callable[[], bytes]) -> Folded:
    """A folded picture whose file is wherever `read` gets it from."""
    return Folded(cast(Picture, facts), read)


def finished(picture: Picture) -> Parcel:
    """A result: hashed and encoded here, where there are many, so that the one who stores it need not."""
    if not picture.encoded:
        picture.encode()
    picture.sha256  # noqa: B018 - it is kept
    return Parcel.of(picture)


def packed(value: object) -> tuple[bytes, list[Picture]]:
    """A value as bytes, and the pictures that were in it, each once."""
    pictures: dict[int, tuple[int, Picture]] = {}

    class Pickler(pickle.Pickler):
        def persistent_id(self, thing: object) -> int | None:
            if not isinstance(thing, Picture):
                return None
            return pictures.setdefault(id(thing), (len(pictures), thing))[0]

    stream = io.BytesIO()
    Pickler(stream, protocol=5).dump(value)
    return stream.getvalue(), [picture for _, picture in pictures.values()]


def unpacked(data: bytes, pictures: Sequence[Picture]) -> Any:
    """The value again. Only for bytes of our own processes: pickles can do anything."""

    class Unpickler(pickle.Unpickler):
        def persistent_load(self, number: int) -> Picture:
            return pictures[number]

    return Unpickler(io.BytesIO(data)).load()
