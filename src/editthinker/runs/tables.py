"""Rows of Parquet files and of datasets saved to disk; images inside them stay there until they are needed.

In: a path. Out: rows, in which a `Cell` stands for an image.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from editthinker.core.errors import InputError, MissingExtra
from editthinker.core.files import shown


@dataclass(frozen=True, slots=True)
class Cell:
    """An image in a table."""

    fetch: Callable[[str, int], Any] = field(repr=False)
    column: str
    row: int

    def read(self) -> bytes:
        """Its bytes; may block. Raises `InputError`."""
        value = self.fetch(self.column, self.row)
        value = value.get("bytes") if isinstance(value, dict) else value
        if not isinstance(value, bytes):
            raise InputError(f"column {self.column!r} holds no image in row {self.row + 1}")
        return value


def parquet(path: Path) -> Iterator[Mapping[str, Any]]:
    """Rows of a Parquet file. Raises `InputError` or `MissingExtra`."""
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise MissingExtra("reading Parquet", "data") from None
    try:
        file = ParquetFile(path)
        schema = file.schema_arrow
        images = [name for name in schema.names if _holds_bytes(str(schema.field(name).type))]
        plain = [name for name in schema.names if name not in images]
        fetch, number = _RowGroups(file), 0
        for batch in file.iter_batches(batch_size=1024, columns=plain):
            for row in batch.to_pylist():
                yield {**row, **{name: Cell(fetch, name, number) for name in images}}
                number += 1
    except (ArrowException, OSError) as error:
        raise InputError(f"cannot read {shown(str(path))}: {error}") from None


def _holds_bytes(kind: str) -> bool:
    return kind in ("binary", "large_binary") or (kind.startswith("struct<") and "bytes: binary" in kind)


class _RowGroups:
    """Values of a Parquet file, one group of rows in memory at a time: samples come in the file's order."""

    def __init__(self, file: Any) -> None:
        self._file, self._lock = file, threading.Lock()
        self._held: tuple[int, str, Any] = (-1, "", None)

    def __call__(self, column: str, row: int) -> Any:
        group = 0
        while row >= (size := self._file.metadata.row_group(group).num_rows):
            row, group = row - size, group + 1
        with self._lock:
            if self._held[:2] != (group, column):
                self._held = group, column, self._file.read_row_group(group, columns=[column])[column]
            return self._held[2][row].as_py()


def saved(path: Path) -> Iterator[Mapping[str, Any]]:
    """Rows of what `Dataset.save_to_disk` of the datasets library wrote. Raises as `parquet` does."""
    try:
        import datasets
    except ImportError:
        raise MissingExtra("reading a saved dataset", "data") from None
    try:
        table = datasets.load_from_disk(str(path))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {shown(str(path))}: {error}") from None
    images = [name for name, kind in table.features.items() if isinstance(kind, datasets.Image)]
    for name in images:
        table = table.cast_column(name, datasets.Image(decode=False))

    def fetch(column: str, row: int) -> Any:
        return table[row][column]

    for number, row in enumerate(table.remove_columns(images)):
        yield {**row, **{name: Cell(fetch, name, number) for name in images}}


def is_saved(path: Path) -> bool:
    """Whether a folder holds a saved dataset."""
    return (path / "dataset_info.json").is_file() and (path / "state.json").is_file()
