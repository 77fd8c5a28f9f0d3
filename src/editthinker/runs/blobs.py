"""Images by content: `images/ab/ab….png`, each stored once, whole or not at all."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from weakref import WeakKeyDictionary

from editthinker.core.errors import ImageError
from editthinker.core.formats import HEAD, MEDIA_TYPES, identify
from editthinker.core.images import Picture
from editthinker.core.records import ImageRef
from editthinker.runs.disk import disk, put

SUFFIXES: Final[Mapping[str, str]] = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/webp": ".webp",
    "image/gif": ".gif",
    "image/bmp": ".bmp",
    "image/tiff": ".tiff",
}


class Blobs:
    """The `images` folder of one run. Safe to use from several threads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._kept: WeakKeyDictionary[Picture, ImageRef] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def keep(self, picture: Picture) -> ImageRef:
        """Store a picture, durably, and return its reference. Raises `StoreError`."""
        with self._lock:
            if picture not in self._kept:
                self._kept[picture] = self._store(picture)
            return self._kept[picture]

    def path(self, ref: ImageRef) -> Path:
        """Where the image lies; it follows from the content alone, never from a name somebody chose."""
        return self.folder / ref.sha256[:2] / f"{ref.sha256}{SUFFIXES.get(ref.media_type, '.bin')}"

    def sweep(self) -> None:
        """Remove what a killed writer left half-written; only the run's one writer may do so."""
        with disk(self.folder, "tidy"):
            for leftover in self.folder.glob("*/.editthinker-*.tmp"):
                leftover.unlink()

    def _store(self, picture: Picture) -> ImageRef:
        data, media_type = _bytes_of(picture)
        ref = ImageRef(
            sha256=hashlib.sha256(data).hexdigest(),
            media_type=media_type,
            width=picture.size[0],
            height=picture.size[1],
            size=len(data),
        )
        path = self.path(ref)
        with disk(self.folder, "store an image in"):
            if not (path.is_file() and path.stat().st_size == len(data)):
                path.parent.mkdir(parents=True, exist_ok=True)
                put(path, data, overwrite=True)
        return ref


def _bytes_of(picture: Picture) -> tuple[bytes, str]:
    """The editor's own bytes and what they really are; PNG for everything that came without usable bytes."""
    if picture.encoded:
        try:
            return picture.encoded, MEDIA_TYPES[identify(picture.encoded[:HEAD])]
        except ImageError:
            pass
    stream = io.BytesIO()
    # Level 1: for photographs a third less time than the usual level for a tenth more bytes.
    picture.pixels.save(stream, "PNG", compress_level=1)
    return stream.getvalue(), "image/png"
