"""What edits left as it was, beside the scores: measured on the pixels, once for every pair of images.

In: delivered images and their sources. Out: figures in the run's `preservation.sqlite`, found again by the
content of the images, and a `Table` of them. Where a case knows which part may change (`MASK` among its
references) only the rest is compared; else the whole image is, the edit itself included. Where an instruction
may change everything the figures inform and are no score.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from editthinker.benchmarks.evaluation import Edited
from editthinker.benchmarks.showing import bytes_of
from editthinker.benchmarks.suite import Case
from editthinker.benchmarks.table import Over, Rules, Scored, Table, tabulate
from editthinker.core.errors import EditThinkerError
from editthinker.core.images import Picture
from editthinker.core.preservation import preserved
from editthinker.runs.disk import disk

NAME: Final = "preservation.sqlite"
MASK: Final = "mask"
"""Name among a case's references of an image of the source's size, black where nothing may change."""
LOCAL: Final = "local edits"
FIGURES: Final = ("SSIM", "colour", "unchanged", "same size", "moved")
MEANINGS: Final = (
    "preservation, without a judge: SSIM 1 is alike; colour: mean CIE Lab distance, 2.3 just visible;"
    " unchanged: share of equal pixels; same size, moved (shift or zoom): share of images"
)
LOCAL_EDITS: Final[Mapping[str, frozenset[str]]] = {
    "imgedit": frozenset({"add", "adjust", "replace", "remove", "compose", "action"}),
    "gedit": frozenset(
        {
            "color_alter",
            "material_alter",
            "motion_change",
            "ps_human",
            "subject-add",
            "subject-remove",
            "subject-replace",
            "text_change",
        }
    ),
    "kris": frozenset(
        {
            "count_change",
            "color_change",
            "size_adjustment",
            "part_completion",
            "anomaly_correction",
            "position_movement",
        }
    ),
}
"""Categories that ask for a change in one place. Of a benchmark that is not here no category does."""

MOST_AT_A_TIME: Final = 4
"""Images that are measured at once; each is held in memory several times over."""

_TABLES = """
CREATE TABLE IF NOT EXISTS figures (
    images TEXT PRIMARY KEY,      -- sha256 of those of source, edited image and mask
    figures TEXT NOT NULL         -- JSON
);
CREATE TABLE IF NOT EXISTS delivered (
    id TEXT PRIMARY KEY,          -- of a case
    images TEXT NOT NULL
);
"""


@dataclass(frozen=True, slots=True)
class Measures:
    """What came of measuring."""

    measured: int
    found: int
    """Measured before."""
    problems: Mapping[str, str]
    """Case to why it could not be measured."""


def measure(
    folder: Path, images: Iterable[Edited], *, done: Callable[[int, int], object] = lambda *_: None
) -> Measures:
    """Measure what was delivered and keep it in the run; `done` is told how many of how many. May take long.

    Raises `StoreError`.
    """
    delivered = [one for one in images if one.delivered]
    problems: dict[str, str] = {}
    pool = ThreadPoolExecutor(min(MOST_AT_A_TIME, os.cpu_count() or 1))
    measured = found = 0
    try:
        with _opened(folder) as db:
            db.execute("DELETE FROM delivered")
            known = frozenset(images for (images,) in db.execute("SELECT images FROM figures"))
            outcomes = pool.map(partial(_measured, known), delivered)
            for number, (one, made) in enumerate(zip(delivered, outcomes, strict=True), 1):
                done(number, len(delivered))
                if isinstance(made, str):
                    problems[one.case.id] = made
                    continue
                name, figures = made
                found += figures is None
                measured += figures is not None
                if figures is not None:
                    db.execute("INSERT OR IGNORE INTO figures VALUES (?, ?)", (name, json.dumps(figures)))
                db.execute("INSERT OR REPLACE INTO delivered VALUES (?, ?)", (one.case.id, name))
    finally:
        pool.shutdown(cancel_futures=True)
    return Measures(measured, found, problems)


def figures_of(source: Picture, edited: Picture, mask: Picture | None = None) -> dict[str, Any]:
    """The figures of one image as JSON values. Without a mask the whole image is compared."""
    from PIL import Image

    whole = Picture(Image.new("L", source.size, 0)) if mask is None else mask
    return {**preserved(source, edited, whole).as_dict(), "method": "whole" if mask is None else "mask"}


def stored(folder: Path) -> dict[str, dict[str, Any]]:
    """The figures of what was delivered, by case; empty where nothing was measured. Raises `StoreError`."""
    if not (folder / NAME).is_file():
        return {}
    with _opened(folder) as db:
        rows = db.execute("SELECT id, figures FROM delivered JOIN figures USING (images)").fetchall()
    return {case: json.loads(figures) for case, figures in rows}


def table(
    benchmark: str, cases: Sequence[Case], figures: Mapping[str, Mapping[str, Any]], rules: Rules
) -> Table | None:
    """The figures as a table; None where nothing was measured."""
    if not any(case.id in figures for case in cases):
        return None
    local = LOCAL_EDITS.get(benchmark, frozenset())
    scored = [_scored(case, figures.get(case.id), local) for case in cases]
    categories = list(dict.fromkeys(one.category for one in scored))
    layout: list[tuple[str, Over]] = [("all", "samples")]
    if any(one.category in local for one in scored):
        layout.insert(0, (LOCAL, "samples"))
    layout += [(name, "samples") for name in categories if name not in ("all", LOCAL)]
    return Table(
        benchmark=benchmark,
        rules=rules,
        headline=(layout[0][0], FIGURES[0]),
        lines=tabulate(scored, layout, FIGURES),
        scored=tuple(scored),
        flags=tuple(_flags(figures, categories, local)),
    )


def _flags(
    figures: Mapping[str, Mapping[str, Any]], categories: Sequence[str], local: frozenset[str]
) -> list[str]:
    words = []
    if whole := sum(one["method"] == "whole" for one in figures.values()):
        words.append(f"{whole} images: no mask is known, so the whole image is compared, the edit included")
    free = [name for name in categories if name not in local]
    if free:
        named = "every line" if len(free) == len(categories) else ", ".join(free)
        words.append(f"{named}: an instruction may change the whole picture; information, not a score")
    return words


def _scored(case: Case, figures: Mapping[str, Any] | None, local: frozenset[str]) -> Scored:
    lines = (LOCAL,) * (case.category in local) + ("all", case.category)
    if figures is None:
        return Scored(case.id, case.category, "missing", lines)
    moved = any(figures["shift"]) or figures["zoom"] != 1
    values = {
        "SSIM": figures["ssim"],
        "colour": figures["difference"],
        "unchanged": figures["unchanged"],
        "same size": float(figures["same_size"]),
        "moved": float(moved),
    }
    known = {name: value for name, value in values.items() if value is not None}
    return Scored(case.id, case.category, "scored", lines, known)


def _measured(known: frozenset[str], one: Edited) -> tuple[str, dict[str, Any] | None] | str:
    """What names the images, and their figures if they are not known; or why there are none."""
    mask = one.case.references.get(MASK)
    try:
        data = [bytes_of(image) for image in (one.case.images[0], one.image, *([mask] if mask else []))]
        name = sha256("".join(sha256(each).hexdigest() for each in data).encode()).hexdigest()
        if name in known:
            return name, None
        return name, figures_of(*(Picture.decode(each, "the image") for each in data))
    except EditThinkerError as error:
        return str(error)


@contextmanager
def _opened(folder: Path) -> Iterator[sqlite3.Connection]:
    """The file; each statement is a transaction."""
    with disk(folder, "keep the preservation figures of"):
        db = sqlite3.connect(folder / NAME, isolation_level=None)
        try:
            db.executescript(_TABLES)
            yield db
        finally:
            db.close()
