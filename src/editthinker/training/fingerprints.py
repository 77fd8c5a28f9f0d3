"""What a training learns from, as one sha256: a resumed training must find what it was begun with.

In: files of steps, or a dataset whose rows are made by number. Out: a hex digest. Of a dataset some rows are
looked at, from its first to its last; numbers, words, arrays and images in them count.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from editthinker.core.errors import InputError
from editthinker.core.files import cause, shown
from editthinker.data.records import StepRow
from editthinker.data.rows import Source

LOOKED_AT = 8
"""Rows of a dataset that stand for all."""


def of_files(paths: Sequence[Path], prompt: Path | None, how: str) -> str:
    """Of everything that decides which steps come in which order. Raises `InputError`."""
    source = Source(StepRow, tuple(paths))
    total = hashlib.sha256(how.encode())
    for path in (*map(source.file, paths), *([prompt] if prompt else [])):
        try:
            with path.open("rb") as stream:
                total.update(hashlib.file_digest(stream, "sha256").digest())
        except OSError as error:
            raise InputError(f"cannot read {shown(str(path))}: {cause(error)}") from error
    return total.hexdigest()


def of_rows(rows: Any) -> str:
    """Of some rows of a dataset, and of how many there are."""
    total = hashlib.sha256(str(len(rows)).encode())
    for number in sorted({round(place) for place in np.linspace(0, len(rows) - 1, LOOKED_AT)}):
        for piece in _pieces(rows[number]):
            total.update(piece)
    return total.hexdigest()


def _pieces(value: Any) -> Iterator[bytes]:
    """A value in bytes that say it and nothing of where it lies."""
    if isinstance(value, Mapping):
        for key in sorted(value):
            yield str(key).encode()
            yield from _pieces(value[key])
    elif isinstance(value, (list, tuple)):
        yield f"[{len(value)}".encode()
        for one in value:
            yield from _pieces(one)
    elif is_dataclass(value):
        yield from _pieces([getattr(value, field.name) for field in fields(value)])
    elif isinstance(value, (np.ndarray, Image.Image)):
        array = np.asarray(value)
        yield repr((array.shape, array.dtype.str)).encode()
        yield array.tobytes()
    elif value is None or isinstance(value, (str, bytes, int, float)):
        yield repr(value).encode()
    else:  # its repr may say where it lies, which is another place next time
        raise TypeError(f"a {type(value).__name__} in a row has no fingerprint")
