"""From an entry to a sample: its images read, checked and fingerprinted; the only place that opens them.

In: an `Entry`. Out: a `Sample` and what its inputs were, as text for the ledger; or, without opening anything
that did not change, whether an entry is still what it was when the run began.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from editthinker.core.decoding import MAX_BYTES
from editthinker.core.errors import ImageError, InputError
from editthinker.core.files import cause, open_regular, shown
from editthinker.core.formats import is_plain_png
from editthinker.core.images import Picture
from editthinker.core.regions import mask_of_box
from editthinker.core.types import Sample
from editthinker.runs.samples import Entry
from editthinker.runs.tables import Cell


def opened(entry: Entry) -> tuple[Sample, str]:
    """The sample, and its inputs as `changes` reads them; blocks. Raises `InputError` or `ImageError`."""
    if entry.problem:
        raise InputError(entry.problem)
    files: list[dict[str, Any]] = []
    images = tuple(_picture(given, files) for given in entry.images)
    assert images[0].sha256  # noqa: S101 - hashed here, off the event loop; every turn is held against it
    mask = _picture(entry.mask, files) if entry.mask else None
    if entry.box:
        if mask is not None:
            raise InputError("a mask and a box say the same thing; give one of them")
        left, top, width, height = entry.box
        mask = mask_of_box(images[0].size, (left, top, left + width, top + height))
    sample = Sample(images, entry.instruction, id=entry.id, mask=mask, tags=dict(entry.tags))
    return sample, json.dumps({"said": entry.said, "files": files})


def changes(entry: Entry, inputs: str) -> str:
    """What is not as it was when the sample was begun, in a few words; empty when all of it is.

    A file of the same size and time is taken to be the same; any other is read and compared.
    """
    if entry.problem:
        return entry.problem
    before = json.loads(inputs)
    said = entry.said
    for name, value in before["said"].items():
        if value != said[name]:
            return f"its {name} was {_short(value)} and is {_short(said[name])}"
    for given, known in zip(_files(entry), before["files"], strict=False):
        if isinstance(given, Cell):
            same = hashlib.sha256(given.read()).hexdigest() == known["sha256"]
        else:
            status = given.stat()
            same = (status.st_size, status.st_mtime_ns) == (known["size"], known["mtime_ns"])
            same = same or _sha256(given) == known["sha256"]
        if not same:
            return f"the file {shown(given.name if isinstance(given, Path) else given.column)} has changed"
    return ""


def _files(entry: Entry) -> list[Path | Cell]:
    return [*entry.images, *([entry.mask] if entry.mask else [])]


def _picture(given: Path | Cell, files: list[dict[str, Any]]) -> Picture:
    """A picture; of a file that holds nothing but its pixels the very bytes are kept, and sent on."""
    name = shown(given.name if isinstance(given, Path) else f"column {given.column}, row {given.row + 1}")
    if isinstance(given, Cell):
        data, known = given.read(), {}
    else:
        try:
            with open_regular(given, MAX_BYTES) as stream:
                data, status = stream.read(), given.stat()
        except OSError as error:
            raise ImageError(f"cannot use {name}: {cause(error)}") from error
        known = {"size": status.st_size, "mtime_ns": status.st_mtime_ns}
    files.append({**known, "sha256": hashlib.sha256(data).hexdigest()})
    if is_plain_png(data):
        return Picture.decode(data, name)
    try:
        return Picture.open(data)
    except ImageError as error:
        raise ImageError(str(error).replace("the image", name, 1)) from error


def _sha256(path: Path) -> str:
    with open_regular(path, MAX_BYTES) as stream:
        return hashlib.sha256(stream.read()).hexdigest()


def _short(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)[:80]
