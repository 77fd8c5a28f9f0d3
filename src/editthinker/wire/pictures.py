"""A picture as text for JSON: encoded once for all who are sent it, whatever they are and whenever they ask.

In: a picture, and how it is to be shown. Out: base64 bytes. They live as long as the picture does: the source
of a sample goes to the editor and the thinker in every turn and is encoded in the first one only.
"""

from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from editthinker.core.images import Picture


@dataclass(frozen=True, slots=True)
class Shape:
    """How a picture is shown; equal for two who show it alike."""

    media_type: str
    size: tuple[int, int]
    """Width and height in pixels."""
    box: tuple[int, int, int, int] | None = None
    """Where the picture lies in it (left, top, right, bottom); None: it fills it."""


@dataclass(slots=True, eq=False)
class _Made:
    texts: dict[Shape, bytes] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Held while one is made: who wants the same meanwhile waits for it."""


_MADE: WeakKeyDictionary[Picture, _Made] = WeakKeyDictionary()
_LOCK = threading.Lock()


async def as_base64(picture: Picture, shape: Shape, encode: Callable[[], bytes]) -> bytes:
    """What `encode` gives, as base64; it is called in a thread, and only if nobody made this before."""
    with _LOCK:
        made = _MADE.setdefault(picture, _Made())
    known = made.texts.get(shape)
    return known if known is not None else await asyncio.to_thread(_text, made, shape, encode)


def _text(made: _Made, shape: Shape, encode: Callable[[], bytes]) -> bytes:
    with made.lock:
        if shape not in made.texts:
            made.texts[shape] = base64.b64encode(encode())
        return made.texts[shape]
