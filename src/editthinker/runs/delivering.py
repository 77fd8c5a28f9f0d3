"""Delivered images under the names of their samples, beside the run."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from contextlib import suppress
from pathlib import Path

from editthinker.runs.blobs import TEMPORARY
from editthinker.runs.disk import disk


def deliver(image: Path, folder: Path, name: str) -> Path:
    """Put a stored image into `folder` as `name` with its own suffix, whole or not at all.

    Nothing is encoded. A file that is there already stays when it is that very image, and is replaced
    otherwise. It is a copy, not a second name: who works on a delivered image must not change the run's.
    Raises `StoreError`.
    """
    target = folder / f"{name}{image.suffix}"
    with disk(folder, "write into"):
        with suppress(FileNotFoundError):
            if _same(target, image):
                return target
        temporary = folder / TEMPORARY.replace("*", secrets.token_hex(8))
        try:
            _copy(image, temporary)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    return target


def sweep(folder: Path) -> None:
    """Make the folder, and remove what a killed process left half-written in it. Raises `StoreError`."""
    with disk(folder, "write into"):
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in folder.glob(TEMPORARY):
            leftover.unlink(missing_ok=True)


def _same(one: Path, other: Path) -> bool:
    return one.stat().st_size == other.stat().st_size and one.read_bytes() == other.read_bytes()


def _copy(image: Path, copy: Path) -> None:
    """All of it, durably; on Btrfs and XFS the two share their bytes until one of them changes."""
    with image.open("rb", buffering=0) as source, copy.open("xb", buffering=0) as target:
        left = os.fstat(source.fileno()).st_size
        try:
            while left and (copied := os.copy_file_range(source.fileno(), target.fileno(), left)):
                left -= copied
        except (OSError, AttributeError) as error:  # not every system has it, nor between two disks
            if getattr(error, "errno", None) == errno.ENOSPC:
                raise
        shutil.copyfileobj(source, target)  # what is left, if anything
        os.fsync(target.fileno())
