"""Samples in which two runs differ most, with their images small enough for a page.

In: two measured runs and where they lie. Out: `Pair`s, those that gained most and those that lost most.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image

from editthinker.benchmarks.known import benchmark_named
from editthinker.benchmarks.layout import find_results
from editthinker.benchmarks.measured import Measured
from editthinker.benchmarks.table import Scored, Table
from editthinker.core.errors import ImageError, InputError
from editthinker.core.images import Picture
from editthinker.runs.folder import RunFolder

MOST: Final = 12
"""Pairs each way."""
SIDE: Final = 360
"""Pixels of the longer side of an image."""


@dataclass(frozen=True, slots=True)
class View:
    """What one run delivered for a sample."""

    value: float | None
    """Its headline figure; None: it has none."""
    state: str
    """As in the table."""
    image: str = ""
    """A data URI; empty where the image is not at hand."""
    turn: int | None = None
    """Which turn was delivered, 0 for the source; None where that is not known."""
    words: str = ""
    """What the editor was told in that turn."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One sample in both runs."""

    case: str
    category: str
    instruction: str
    gain: float
    """Second minus first."""
    source: str
    views: tuple[View, View]


@dataclass(frozen=True, slots=True)
class _Found:
    source: Path | None = None
    edited: Path | None = None
    turn: int | None = None
    words: str = ""


def gallery(
    places: tuple[Path, Path], runs: tuple[Measured, Measured], tables: tuple[Table, Table]
) -> tuple[list[Pair], list[Pair]]:
    """The largest gains and the largest losses by the headline figure, the largest first; at most `MOST`."""
    figure = tables[0].headline[1]
    values = [{one.case: one for one in table.scored} for table in tables]
    gains = {
        case: values[1][case].values[figure] - values[0][case].values[figure]
        for case in values[0]
        if case in values[1] and all(figure in side[case].values for side in values)
    }
    whole = {case: _total(values[1][case]) - _total(values[0][case]) for case in gains}
    finite = (case for case in gains if math.isfinite(gains[case]))
    ranked = sorted(finite, key=lambda case: (gains[case], whole[case]), reverse=True)
    up = [case for case in ranked if gains[case] > 0][:MOST]
    down = [case for case in reversed(ranked) if gains[case] < 0][:MOST]
    found = [_found(place, run, {*up, *down}) for place, run in zip(places, runs, strict=True)]
    words = {case.id: (case.category, case.instruction) for case in runs[0].cases}

    def pair(case: str) -> Pair:
        here = [side.get(case, _Found()) for side in found]
        first, second = (
            View(one[case].values[figure], one[case].state, small(at.edited), at.turn, at.words)
            for one, at in zip(values, here, strict=True)
        )
        return Pair(case, *words[case], gains[case], small(here[0].source or here[1].source), (first, second))

    return [pair(case) for case in up], [pair(case) for case in down]


def _total(one: Scored) -> float:
    """All figures together, to tell samples with the same gain apart."""
    return sum(value for value in one.values.values() if math.isfinite(value))


def small(path: Path | None) -> str:
    """The image as a data URI of at most `SIDE` pixels; empty when there is none that can be read."""
    if path is None:
        return ""
    try:
        pixels = Picture.open(path).flattened().pixels.copy()
    except ImageError:
        return ""
    pixels.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS, reducing_gap=2.0)
    stream = io.BytesIO()
    pixels.convert("RGB").save(stream, "JPEG", quality=80, progressive=True)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"


def _found(place: Path, run: Measured, wanted: Collection[str]) -> Mapping[str, _Found]:
    """Where the images of these cases lie. A report of the darkroom bench has none."""
    if not place.is_dir():
        return {}
    with RunFolder.open(place) as folder:
        if results := folder.record.config.get("results"):
            return _imported(Path(str(results)), run, wanted)
        return {case: found for case, found in _edited(folder) if case in wanted}


def _imported(results: Path, run: Measured, wanted: Collection[str]) -> Mapping[str, _Found]:
    benchmark = benchmark_named(run.about.benchmark, run.about.options)
    try:
        paths, _ = find_results(benchmark, [case for case in run.cases if case.id in wanted], results)
    except InputError:  # it was moved since; the page does without
        return {}
    return {case: _Found(edited=path) for case, path in paths.items()}


def _edited(folder: RunFolder) -> list[tuple[str, _Found]]:
    made = []
    for record in folder.trajectories():
        source = folder.image_path(record.sample.images[0])
        turn = next((turn for turn in record.turns if turn.index == record.chosen), None)
        if turn:
            found = _Found(source, folder.image_path(turn.image), turn.index, turn.instruction)
        else:
            found = _Found(source, None if record.failure else source, None if record.failure else 0)
        made.append((record.sample.tags.get("case", record.sample.id), found))
    return made
