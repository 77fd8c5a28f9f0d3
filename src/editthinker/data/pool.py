"""The pool that trajectories are made from (paper section 4): samples, and which editor gets which.

In: samples as `runs.samples` reads them, or photographs for the darkroom to draw samples over; a number of
editors. Out: the entries of each editor. A sample's part depends on those before it only, so a pool may grow
at its end while its trajectories are being made.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from editthinker.core.errors import InputError
from editthinker.core.files import shown, write_atomically
from editthinker.core.images import Picture
from editthinker.darkroom.cases import SMALL, draw_samples
from editthinker.darkroom.photographs import MANIFEST, Photograph, folder, photographs
from editthinker.darkroom.regions import shrunk
from editthinker.darkroom.targets import TAG, spelled
from editthinker.data.records import TASK_TAGS, first_tag
from editthinker.runs.samples import Entry, entries_of

FILE = "samples.jsonl"
"""What was drawn, in the folder of the trajectories; an ordinary file of samples."""


def divided(entries: Sequence[Entry], editors: int) -> list[list[Entry]]:
    """A part for each editor, as many of every kind of edit in each as there can be."""
    parts: list[list[Entry]] = [[] for _ in range(editors)]
    seen: Counter[str] = Counter()
    for entry in entries:
        task = first_tag(dict(entry.tags), TASK_TAGS)
        if task not in seen:
            seen[task] = len(seen)  # so that not every kind begins at the first editor
        parts[seen[task] % editors].append(entry)
        seen[task] += 1
    return parts


def tagged(entries: Iterable[Entry], tags: Mapping[str, str]) -> list[Entry]:
    """The same entries, each with these tags on top of its own."""
    return [replace(entry, tags=tuple(sorted({**dict(entry.tags), **tags}.items()))) for entry in entries]


def digest(entries: Iterable[Entry]) -> str:
    """sha256 of everything that is said of the samples."""
    total = hashlib.sha256()
    for entry in entries:
        total.update(json.dumps([entry.id, entry.said]).encode())
    return total.hexdigest()


def training_photographs(path: Path | None) -> list[Photograph]:
    """Those of a folder, else our own training ones; with their licences where a `photographs.toml` says.

    Validation and test photographs are left out. Raises `InputError`.
    """
    if path is None:
        try:
            return photographs("train")
        except InputError as error:
            raise InputError(f"{error}; name a folder of your own with --photos DIR") from None
    if not (path / MANIFEST).is_file():
        return list(folder(path).photographs)
    try:
        table = tomllib.loads((path / MANIFEST).read_text("utf-8"))
        every = [Photograph(path=path / row.pop("file"), **row) for row in table["photograph"]]
    except (ValueError, KeyError, TypeError, AttributeError, ValidationError) as error:
        raise InputError(f"cannot read {shown(str(path / MANIFEST))}: {error}") from None
    found = sorted((one for one in every if one.split in ("train", "own")), key=lambda one: one.name)
    if not found:
        raise InputError(f"{shown(str(path))} has no training photographs, only held-out ones")
    return found


def drawn(
    out: Path, photos: Sequence[Photograph], count: int, *, seed: int = 0, keep: bool = True
) -> list[Entry]:
    """The first `count` samples that the darkroom draws over these photographs, which lie in one folder.

    `out` remembers them (with `keep`): samples that were drawn already are read. Raises `InputError` when it
    holds those of another seed.
    """
    place, rows = out / FILE, list[dict[str, Any]]()
    if place.is_file():
        rows = [json.loads(line) for line in place.read_text("utf-8").splitlines()]
        if rows and rows[0]["tags"]["seed"] != str(seed):
            before = rows[0]["tags"]["seed"]
            raise InputError(f"{shown(str(place))} was drawn with the seed {before}, not {seed}")
    if len(rows) < count:
        rows = _rows(photos, count, seed)
        if keep:
            out.mkdir(parents=True, exist_ok=True)
            text = "".join(json.dumps(row) + "\n" for row in rows)
            write_atomically(place, text.encode(), overwrite=True)
    return entries_of(rows[:count], photos[0].path.parent)


def _rows(photos: Sequence[Photograph], count: int, seed: int) -> list[dict[str, Any]]:
    """Samples are drawn over small copies: two hundred photographs need not be in memory."""
    small = [(one.name, Picture.from_array(shrunk(one.picture().array()[..., :3], SMALL))) for one in photos]
    try:
        samples = draw_samples(small, count, split="train", seed=seed)
    except ValueError as error:
        raise InputError(str(error)) from error
    by_name = {one.name: one for one in photos}
    rows = []
    for sample in samples:
        photo = by_name[sample.tags["photo"]]
        tags = {**sample.tags, **_origin(photo), "seed": str(seed), TAG: spelled(sample.truth.said)}
        row = {"id": sample.id, "image": photo.path.name, "instruction": sample.instruction}
        rows.append({**row, "tags": tags})
    return rows


def _origin(photo: Photograph) -> dict[str, str]:
    known = {
        "dataset": f"darkroom {photo.package}".strip(),
        "licence": photo.licence,
        "author": photo.author,
        "url": photo.url,
    }
    return {name: value for name, value in known.items() if value}
