"""What a run did, for browsers and for programs.

In: a run folder. Out: one HTML file that needs nothing but a browser (its images inside, and a policy that
forbids any request), or a JSON document.
"""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import Any

from editthinker.core.files import write_atomically
from editthinker.core.records import ImageRef, TrajectoryRecord
from editthinker.runs import page
from editthinker.runs.chapter import Chapter
from editthinker.runs.disk import put
from editthinker.runs.folder import UNFINISHED, RunFolder
from editthinker.runs.markup import Html, element
from editthinker.runs.previews import Preview, preview, thumbnail

NAME = "report.html"
MOST = 60
"""Trajectories that one page shows; a browser would not open thousands with their images."""

_SIDES = ((8, 1280), (24, 960), (MOST, 640))
"""Up to so many trajectories: so many pixels on the longer side of an image."""


def write_html(run: RunFolder, out: Path | None = None) -> Path:
    """Write the page to `out`, or into the run folder; an older report there is replaced.

    Raises `InputError` when `out` cannot be written and `StoreError` when the run or the disk fails.
    """
    data = _html(run).encode("utf-8", "replace")
    if out is None:
        put(run.path / NAME, data, overwrite=True)
        return run.path / NAME
    write_atomically(out, data, overwrite=True)
    return out


def summary(run: RunFolder) -> dict[str, Any]:
    """The run as one JSON document: configuration, counts, every trajectory, where each image lies."""
    begun, finished = run.counts()
    records = list(run.trajectories())
    return {
        "schema_version": 1,
        "run": str(run.path),
        **run.record.model_dump(mode="json", exclude={"schema_version"}),
        "samples": begun,
        "finished": finished,
        "delivered": sum(record.chosen is not None for record in records),
        "trajectories": [
            {"finished": record.stop != UNFINISHED, **record.model_dump(mode="json")} for record in records
        ],
        "images": {
            ref.sha256: str(run.image_path(ref).relative_to(run.path))
            for record in records
            for ref in (*_images(record), *_others(record))
        },
    }


def _html(run: RunFolder) -> str:
    begun, _ = run.counts()
    shown = min(begun, MOST)
    side = next(side for count, side in _SIDES if shown <= count)
    chapters = [
        Chapter(number, record, _previews(run, record, side))
        for number, record in enumerate(islice(run.trajectories(), MOST), 1)
    ]
    style = _asset("report.css") + "".join(page.proportions(chapter) for chapter in chapters)
    script = _asset("report.js")
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_policy(style, script)),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", page.title(chapters)),
        element("style", Html(style)),
    )
    body = page.body(chapters, run.path.name, run.record, begun, run.unusable())
    whole = element("html", head, element("body", body, element("script", Html(script))), lang="en")
    return f"<!doctype html>\n{whole}\n"


def _images(record: TrajectoryRecord) -> tuple[ImageRef, ...]:
    mask = () if record.sample.mask is None else (record.sample.mask,)
    return (*record.sample.images, *mask, *(turn.image for turn in record.turns))


def _others(record: TrajectoryRecord) -> tuple[ImageRef, ...]:
    return tuple(other.image for turn in record.turns for other in turn.others)


def _previews(run: RunFolder, record: TrajectoryRecord, side: int) -> dict[str, Preview]:
    small = {ref.sha256: thumbnail(run, ref) for ref in _others(record)}
    return small | {ref.sha256: preview(run, ref, side) for ref in _images(record)}


def _asset(name: str) -> str:
    return resources.files("editthinker.runs").joinpath("assets", name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """Nothing is fetched and nothing runs but the two texts whose hashes stand here."""
    return (
        f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(source: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"
