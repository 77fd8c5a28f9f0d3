"""Reading and writing files without surprises: no device is opened, no half-written file is left behind."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from editthinker.core.errors import ImageError, InputError, StoreError

_STORAGE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG})
"""Failures of the disk; every other one is a path the user can correct."""


@contextmanager
def open_regular(path: Path, limit: int) -> Iterator[BinaryIO]:
    """Open an ordinary file of at most `limit` bytes for reading; raises `ImageError` or `OSError`.

    What is no regular file is refused by `stat`, because already opening a FIFO waits for its writer and
    opening a device can act on it. The open file is checked again: it may have been swapped in between.
    """
    try:
        _check_regular(path.stat(), limit)
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        stream = os.fdopen(os.open(path, flags), "rb")
    except FileNotFoundError:
        raise ImageError(_absence(path)) from None
    except ValueError as error:
        raise ImageError(f"it cannot be a file ({error})") from error  # a NUL in the path
    with stream:
        _check_regular(os.fstat(stream.fileno()), limit)
        yield stream


def write_atomically(path: Path, data: bytes, *, overwrite: bool) -> None:
    """Give `path` these bytes, all of them or none; a link is followed.

    Raises `InputError` when the path cannot be used (it exists and `overwrite` is false, its folder is
    missing or closed, it is no regular file) and `StoreError` when the disk fails.
    """
    refusal = f"cannot write {shown(str(path))}"
    try:
        _write_atomically(Path(os.path.realpath(path)), data, overwrite=overwrite)
    except FileExistsError:
        raise InputError(f"{refusal}: it exists already") from None
    except FileNotFoundError:
        raise InputError(f"{refusal}: there is no folder {shown(str(path.parent))}") from None
    except ValueError as error:  # a NUL in the path
        raise InputError(f"{refusal}: {error}") from error
    except OSError as error:
        kind = StoreError if error.errno in _STORAGE else InputError
        raise kind(f"{refusal}: {cause(error)}") from error


def shown(name: str) -> str:
    """`name` as it may stand in a message: control characters, line breaks and broken bytes are escaped."""
    return name if name.isprintable() and name else ascii(name)


def cause(error: OSError) -> str:
    """What the system says, without its number and file name."""
    return (error.strerror or str(error)).lower()


def _write_atomically(target: Path, data: bytes, *, overwrite: bool) -> None:
    mode = _mode_of_target(target, overwrite=overwrite)
    temporary = target.with_name(f".editthinker-{secrets.token_hex(8)}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        with os.fdopen(os.open(temporary, flags, mode), "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        _publish(temporary, target, overwrite=overwrite)
    finally:  # also on KeyboardInterrupt
        temporary.unlink(missing_ok=True)
    _sync_folder(target.parent)


def _publish(temporary: Path, target: Path, *, overwrite: bool) -> None:
    if not overwrite:
        try:
            target.hardlink_to(temporary)  # unlike a rename, fails when another process was faster
        except FileExistsError:
            raise
        except OSError:
            _mode_of_target(target, overwrite=False)  # a file system without links: the best there is
        else:
            return
    temporary.replace(target)


def _mode_of_target(target: Path, *, overwrite: bool) -> int:
    """Permissions for what will replace `target`; raises `OSError` when it must not be replaced."""
    try:
        mode = target.lstat().st_mode
    except FileNotFoundError:
        return 0o666  # less the umask, as for any new file
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, f"it is {_kind(mode)}")
    if not overwrite:
        raise FileExistsError
    return stat.S_IMODE(mode)


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    with contextlib.suppress(OSError):  # some file systems cannot; the file itself is complete either way
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _check_regular(status: os.stat_result, limit: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise ImageError(f"it is {_kind(status.st_mode)}, not a file")
    if status.st_size > limit:
        raise ImageError(
            f"its {status.st_size / 2**20:,.0f} MiB are more than the {limit / 2**20:,.0f} MiB allowed"
        )


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder"
    if stat.S_ISFIFO(mode):
        return "a pipe"
    return "a socket" if stat.S_ISSOCK(mode) else "a device"


def _absence(path: Path) -> str:
    if path.is_symlink():
        return "it is a link to a file that does not exist"
    if str(path).startswith(("http:", "https:", "data:")):
        return "addresses are not fetched; download the image first"
    return "there is no such file"
