"""Prints of image files, looked at once: in memory for a while, and in a file for as long as it is kept.

In: paths. Out: prints. To look at a picture takes some 15 ms (JPEG of 512 x 512, one core), so a hundred
thousand take half an hour; with a file, `split` and `check` share that work and an interrupted one goes on
where it was. A file that changed (size or time) is looked at again.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from pathlib import Path
from types import TracebackType
from typing import Self

from editthinker.core.errors import ImageError
from editthinker.core.files import cause, shown
from editthinker.core.images import Picture
from editthinker.data.likeness import Print, print_of
from editthinker.runs.disk import disk

AT_HAND = 1024
"""Prints held in memory."""
TOGETHER = 200
"""New prints written at a time."""
_SIGN = 1 << 63


class Album:
    """Use it as a context manager; `path` None keeps nothing. Raises `StoreError`."""

    def __init__(self, path: Path | None = None) -> None:
        self._at_hand: OrderedDict[str, Print] = OrderedDict()
        self._fresh = 0
        self._path = path or Path()
        self._db = self._opened(path) if path else None

    def _opened(self, path: Path) -> sqlite3.Connection:
        with disk(path, "remember prints in"):
            db = sqlite3.connect(path)
            try:
                db.execute(
                    "CREATE TABLE IF NOT EXISTS prints "
                    "(path TEXT PRIMARY KEY, size INTEGER, changed INTEGER, light INTEGER, shape INTEGER)"
                )
            except BaseException:
                db.close()
                raise
            return db

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._db:
            with disk(self._path, "remember prints in"):
                self._db.commit()
                self._db.close()

    def print_of(self, path: str) -> Print:
        """The print of an image file. Raises `ImageError`."""
        if path in self._at_hand:
            self._at_hand.move_to_end(path)
            return self._at_hand[path]
        seen = self._looked_up(path) if self._db else print_of(Picture.open(Path(path)))
        self._at_hand[path] = seen
        if len(self._at_hand) > AT_HAND:
            self._at_hand.popitem(last=False)
        return seen

    def _looked_up(self, path: str) -> Print:
        assert self._db is not None  # noqa: S101 only then it is called
        try:
            status = Path(path).stat()
        except (OSError, ValueError) as error:
            reason = cause(error) if isinstance(error, OSError) else str(error)
            raise ImageError(f"cannot use {shown(path)}: {reason}") from error
        this = path, status.st_size, status.st_mtime_ns
        with disk(self._path, "remember prints in"):
            query = "SELECT light, shape FROM prints WHERE path = ? AND size = ? AND changed = ?"
            if found := self._db.execute(query, this).fetchone():
                return Print(found[0] + _SIGN, found[1] + _SIGN)
        seen = print_of(Picture.open(Path(path)))
        with disk(self._path, "remember prints in"):  # SQLite's integers have a sign
            values = (*this, seen.light - _SIGN, seen.shape - _SIGN)
            self._db.execute("INSERT OR REPLACE INTO prints VALUES (?, ?, ?, ?, ?)", values)
            self._fresh += 1
            if self._fresh % TOGETHER == 0:
                self._db.commit()
        return seen
