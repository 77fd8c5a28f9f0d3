"""One writer per run: a lock the operating system drops when its holder dies, so it can never go stale."""

from __future__ import annotations

import json
import os
import socket
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from weakref import WeakSet

from editthinker.core.errors import StoreError
from editthinker.core.files import shown

NAME = "run.lock"
_BEYOND = 1 << 30
"""Windows locks bytes, not files; this one lies behind the text, which therefore stays readable."""


class Lock:
    """Held from construction to `release()`. Raises `StoreError` naming the holder if there is one."""

    def __init__(self, folder: Path) -> None:
        self._file = os.open(folder / NAME, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o644)
        try:
            _acquire(self._file)
        except OSError as error:
            os.close(self._file)
            raise StoreError(f"the run {shown(str(folder))} is in use by {_holder(folder)}") from error
        with suppress(OSError):  # on a full disk the holder stays nameless, and is the holder all the same
            os.ftruncate(self._file, 0)
            os.write(self._file, _signature())
        _held.add(self)

    def forget(self) -> None:
        """Close the file without a word in it; in a forked child the parent still holds the lock."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def release(self) -> None:
        """Let go; the file stays, because removing it would race with the next holder."""
        if self._file >= 0:
            with suppress(OSError):
                os.ftruncate(self._file, 0)
            self.forget()


_held: WeakSet[Lock] = WeakSet()


def _forget_all() -> None:
    """A child that outlives its parent would hold the run for as long as it lives."""
    for lock in _held:
        lock.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)


def _acquire(file: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        os.lseek(file, _BEYOND, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        os.lseek(file, 0, os.SEEK_SET)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _signature() -> bytes:
    since = datetime.now(UTC).isoformat(timespec="seconds")
    return json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since}).encode()


def _holder(folder: Path) -> str:
    try:
        holder = json.loads((folder / NAME).read_bytes()[:1000])
        host, since = ascii(holder["host"]).strip("'"), datetime.fromisoformat(holder["since"])
        return f"process {int(holder['pid'])} on {host} since {since:%Y-%m-%d %H:%M:%S} UTC"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
