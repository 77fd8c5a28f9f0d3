"""Images by content: `images/ab/ab….png`, each stored once, whole or not at all."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from weakref import WeakKeyDictionary

from editthinker.core.errors import ImageError
from editthinker.core.files import cause
from editthinker.core.formats import HEAD, MEDIA_TYPES, identify
from editthinker.core.images import Folded, Picture
from editthinker.core.records import ImageRef
from editthinker.runs.disk import check_room, disk, put

SUFFIXES: Final[Mapping[str, str]] = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/webp": ".webp",
    "image/gif": ".gif",
    "image/bmp": ".bmp",
    "image/tiff": ".tiff",
}


SPARE_IMAGES = 32
SPARE_BYTES = 4 * 2**20
"""What must be left on the disk for another call to start: room for so many images such as the largest, and
for the ledger. What calls under way bring can then be stored, and need not be paid for again."""
TEMPORARY = ".editthinker-*.tmp"
"""What `core.files` calls a file that is not whole yet."""


class Blobs:
    """The `images` folder of one run. Safe to use from several threads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._largest = 0
        self._kept: WeakKeyDictionary[Picture, ImageRef] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def keep(self, picture: Picture) -> ImageRef:
        """Store a picture, durably, and return its reference. Raises `StoreError`."""
        with self._lock:
            known = self._kept.get(picture)
        if known is None:
            known = self._store(picture)  # outside the lock: disks work at several files at a time
            with self._lock:
                self._kept[picture] = known
        return known

    def check_room(self) -> None:
        """Raise `StoreError` unless what a new call brings can surely be stored."""
        check_room(self.folder.parent, SPARE_IMAGES * self._largest + SPARE_BYTES)

    def load(self, ref: ImageRef) -> Picture:
        """The picture with the bytes that were stored. Raises `ImageError` when they are damaged."""
        path = self.path(ref)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ImageError(f"the stored image {path.name} cannot be read: {cause(error)}") from error
        if hashlib.sha256(data).hexdigest() != ref.sha256:
            raise ImageError(f"the stored image {path.name} is damaged")
        picture = Picture.decode(data, path.name)
        with self._lock:
            self._kept[picture] = ref
        return picture

    def folded(self, picture: Picture) -> Picture:
        """The same picture, its bytes left where they are stored."""
        ref = self.keep(picture)
        folded = Folded(picture, self.path(ref).read_bytes)
        with self._lock:
            self._kept[folded] = ref
        return folded

    def path(self, ref: ImageRef) -> Path:
        """Where the image lies; it follows from the content alone, never from a name somebody chose."""
        return self.folder / ref.sha256[:2] / f"{ref.sha256}{SUFFIXES.get(ref.media_type, '.bin')}"

    def sweep(self) -> None:
        """Remove what a killed writer left half-written; only the run's one writer may do so."""
        with disk(self.folder, "tidy"):
            for leftover in (*self.folder.glob(f"*/{TEMPORARY}"), *self.folder.parent.glob(TEMPORARY)):
                leftover.unlink(missing_ok=True)

    def _store(self, picture: Picture) -> ImageRef:
        data, media_type = _bytes_of(picture)
        ref = ImageRef(
            sha256=hashlib.sha256(data).hexdigest(),
            media_type=media_type,
            width=picture.size[0],
            height=picture.size[1],
            size=len(data),
        )
        path, self._largest = self.path(ref), max(self._largest, ref.size)
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
    return picture.encode(), "image/png"
