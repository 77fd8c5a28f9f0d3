"""Conversations with their images as one Parquet file, which `datasets` opens with the images decoded.

In: conversations and paths, in order. Out: `prompt`, `completion`, `images` (the files' own bytes) and the
columns a reward wants. A group of rows is in memory at a time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from editthinker.core.errors import ImageError, MissingExtra
from editthinker.core.images import Picture
from editthinker.data.stage import Counts

MOST_ROWS, MOST_BYTES = 100, 64 * 2**20
"""A group of rows is written when it has this many rows, or this many bytes of images."""
_STRING = {"dtype": "string", "_type": "Value"}
_NUMBER = {"dtype": "float64", "_type": "Value"}
_CONTENT = [{"type": _STRING, "text": _STRING}]
_MESSAGES = [{"role": _STRING, "content": _CONTENT}]
FEATURES: dict[str, Any] = {
    "prompt": _MESSAGES,
    "completion": _MESSAGES,
    "id": _STRING,
    "instruction": _STRING,
    "sent": _STRING,
    "semantic": _NUMBER,
    "quality": _NUMBER,
    "task": _STRING,
    "images": [{"_type": "Image"}],
}
"""As `datasets` writes them into a file, so that it knows which column holds images."""


def write(path: Path, rows: Iterable[tuple[dict[str, Any], Sequence[str]]], counts: Counts) -> int:
    """Write the file and return how many rows it has; a row whose image is none is dropped."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingExtra("writing Parquet", "data") from None
    text = pa.string()
    messages = pa.list_(
        pa.struct({"role": text, "content": pa.list_(pa.struct({"type": text, "text": text}))})
    )
    known = {"prompt": messages, "completion": messages, "semantic": pa.float64(), "quality": pa.float64()}
    known["images"] = pa.list_(pa.struct({"bytes": pa.binary(), "path": text}))
    told = json.dumps({"info": {"features": FEATURES}}).encode()
    schema = pa.schema({name: known.get(name, text) for name in FEATURES}, metadata={b"huggingface": told})
    group: list[dict[str, Any]] = []
    written = size = 0
    with pq.ParquetWriter(path, schema) as file:
        for row, images in rows:
            try:
                inside = [_image(Path(image)) for image in images]
            except ImageError as error:
                counts.kept -= 1
                counts.drop("missing_image", f"{row['id']}: {error}")
                continue
            group.append(row | {"images": inside})
            size += sum(len(image["bytes"]) for image in inside)
            if len(group) >= MOST_ROWS or size >= MOST_BYTES:
                file.write_table(pa.Table.from_pylist(group, schema))
                written, size, group = written + len(group), 0, []
        if group:
            file.write_table(pa.Table.from_pylist(group, schema))
    return written + len(group)


def _image(path: Path) -> dict[str, Any]:
    """The file's bytes, once they have proved to be an image: a path in a foreign file may lead anywhere."""
    Picture.open(path)
    return {"bytes": path.read_bytes(), "path": path.name}
