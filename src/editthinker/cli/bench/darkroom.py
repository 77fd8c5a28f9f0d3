"""`editthinker bench ...`: builds what is named, lets `editthinker.benchmarks` measure, prints the table."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from editthinker.cli import options
from editthinker.cli.terminal import inert, say

if TYPE_CHECKING:
    from editthinker.benchmarks.darkroom import Report
    from editthinker.benchmarks.intervals import Estimate
    from editthinker.core.types import Sample
    from editthinker.runs.folder import RunFolder

Cases = Annotated[int, typer.Option("--n", min=1, help="How many cases.")]
Photos = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Your photographs instead of the held-out ones.", show_default=False),
]
JsonFile = Annotated[
    Path | None,
    typer.Option("--json", metavar="FILE", help="Write every figure to this file.", show_default=False),
]
KeptIn = Annotated[
    Path | None,
    typer.Option(
        "--run", metavar="DIR", help="Keep images and figures in this new folder.", show_default=False
    ),
]


def darkroom(
    n: Cases = 200,
    seed: options.Seed = 0,
    photos: Photos = None,
    strategy: options.Strategy = "think-while-edit",
    editor: options.EditorName = "darkroom",
    thinker: options.ThinkerName = "darkroom",
    turns: options.Turns = 3,
    json: JsonFile = None,
    run: KeptIn = None,
    quiet: options.Quiet = False,
) -> None:
    """Success rate (overall of 8 or more), scores and calls on held-out photographs, with 95 % intervals.

    The judge is exact: every case is made from a known target. 'bench score' and 'bench compare' read what
    --json and --run leave behind.

    \b
    Examples:
      editthinker bench darkroom --n 300 --thinker none
      editthinker bench darkroom --strategy best-of-n --json best-of-3.json
      editthinker bench darkroom --n 100 --run runs/think
    """  # noqa: D301 click looks for \b
    import asyncio
    from json import dumps

    from editthinker.benchmarks.darkroom import as_json
    from editthinker.benchmarks.darkroom import run as bench
    from editthinker.cli import naming
    from editthinker.cli.places import check_writable
    from editthinker.core.limits import Limits
    from editthinker.resolve import resolve_judge
    from editthinker.runs.folder import RunFolder

    if json:
        check_writable(json.parent)
    samples = _samples(n, seed, photos)
    models = naming.editor(editor), naming.thinker(thinker), resolve_judge("darkroom")
    told = Count(0 if quiet else n)
    played = {"strategy": strategy, "turns": turns, "n": n, "seed": seed}
    config = {"verb": "bench darkroom", "editor": editor, "thinker": thinker, **played}
    with RunFolder.create(run, config) if run else nullcontext() as folder:
        playing = bench(
            samples,
            *models,
            strategy=strategy,
            limits=Limits(turns=turns),
            seed=seed,
            finished=told,
            folder=folder,
        )
        report = asyncio.run(playing)
        document = dumps(as_json(report), indent=1)
        if folder:
            _keep(folder, document, quiet=quiet)
    if json:
        json.write_text(document, encoding="utf-8")
    print(_table(report))


def _keep(folder: RunFolder, document: str, *, quiet: bool) -> None:
    """The report beside the images, and what was left of the photographs."""
    from editthinker.benchmarks.darkroom_table import FILE, delivered
    from editthinker.cli.bench.keeping import measure
    from editthinker.runs.disk import put

    put(folder.path / FILE, document.encode(), overwrite=False)
    measure(folder.path, list(delivered(folder)), quiet=quiet)


class Count:
    """Tells how far a bench is, about ten times; with `total` 0, never."""

    def __init__(self, total: int) -> None:
        self._done, self._total = 0, total

    def __call__(self, _: object) -> None:
        """Count one case."""
        self._done += 1
        if self._total and self._done % max(1, self._total // 10) == 0:
            say(f"{self._done} of {self._total} cases")


def _samples(n: int, seed: int, photos: Path | None) -> list[Sample]:
    from editthinker.core.errors import InputError
    from editthinker.darkroom.cases import draw_samples
    from editthinker.darkroom.photographs import folder, photographs

    if photos is None:
        found = tuple(photographs("test"))
    else:
        own = folder(photos)
        found = own.photographs
        for sentence in own.skipped:
            say(f"skipped: {sentence}")
    try:
        return draw_samples([(photo.name, photo.picture()) for photo in found], n, seed=seed)
    except ValueError as error:
        raise InputError(str(error)) from error


def _table(report: Report) -> str:
    """One line per group; success in percent, scores 0-10."""
    lines = [
        f"{'group':<10}{'n':>5}  {'success %':<20}{'overall':<20}{'semantic':>9}{'quality':>9}{'edits':>7}"
    ]
    for row in report.table():
        success, overall = _interval(row["success"], 100, 1), _interval(row["overall"], 1, 2)
        means = f"{row['semantic'].mean:>9.2f}{row['quality'].mean:>9.2f}{row['editor_calls']:>7.2f}"
        lines.append(f"{row['group']:<10}{row['success'].n:>5}  {success:<20}{overall:<20}{means}")
    how = f"{report.strategy}, editor {report.editor}, thinker {report.thinker}, at most {report.turns} turns"
    return "\n".join([inert(how), *lines])


def _interval(value: Estimate, scale: float, digits: int) -> str:
    low, high = value.low * scale, value.high * scale
    return f"{value.mean * scale:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"
