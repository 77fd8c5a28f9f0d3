"""Whatever a disk or SQLite does to a run becomes one `StoreError` with one sentence."""

from __future__ import annotations

import errno
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from editthinker.core.errors import InputError, StoreError
from editthinker.core.files import cause, shown, write_atomically

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NEXT_TO_NOTHING = 256 * 1024
"""Bytes; with less than this left, an I/O error of SQLite means that the disk is full."""


@contextmanager
def disk(folder: Path, verb: str) -> Iterator[None]:
    """Raise `StoreError("cannot <verb> <folder>: <reason>")` for every failure of the storage below."""
    refusal = f"cannot {verb} {shown(str(folder))}"
    try:
        yield
    except OSError as error:
        reason = "the disk is full" if error.errno in _FULL else cause(error)
        raise StoreError(f"{refusal}: {reason}") from error
    except ValueError as error:  # a NUL in the path
        raise StoreError(f"{refusal}: {error}") from error
    except sqlite3.Error as error:
        raise StoreError(f"{refusal}: {_reason(error, folder)}") from error


def check_room(folder: Path, needed: int) -> None:
    """Raise `StoreError` when the disk has less than `needed` bytes left."""
    with disk(folder, "look at the disk of"):
        free = shutil.disk_usage(folder).free
    if free < needed:
        raise StoreError(
            f"the disk of {shown(str(folder))} is nearly full: {free / 2**20:.0f} MiB are left, and"
            f" {needed / 2**20:.0f} are kept for what calls under way bring; make room, then start again"
        )


def put(path: Path, data: bytes, *, overwrite: bool) -> None:
    """Write a file of a run, all of it or nothing; every failure is a `StoreError`."""
    try:
        write_atomically(path, data, overwrite=overwrite)
    except InputError as error:  # what is wrong with a path of ours is nothing the user typed
        raise StoreError(str(error)) from error


def _reason(error: sqlite3.Error, folder: Path) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and _is_full(folder)):
        return "the disk is full"
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return "its ledger is damaged"
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return "another program keeps its ledger locked"
    return str(error)


def _is_full(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < _NEXT_TO_NOTHING
    except OSError:
        return False
