"""One photo from the command line to its result: check, build, play, keep, deliver.

What can be refused is refused before the first call, and before anything is written.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path

from editthinker.cli import naming, outcome, places
from editthinker.cli.exits import Exit
from editthinker.cli.progress import Progress, progress
from editthinker.core.episode import Episode
from editthinker.core.errors import InputError, Refused
from editthinker.core.events import Event
from editthinker.core.limits import Limits
from editthinker.core.strategies import strategy_named
from editthinker.core.types import Sample
from editthinker.runs import Recorder, RunFolder
from editthinker.runs.report import write_html


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the command line said; the fields are its options."""

    image: str
    instruction: str
    out: str | None
    editor: str
    thinker: str
    strategy: str
    turns: int
    seed: int
    threshold: float
    max_seconds: float | None
    max_editor_calls: int | None
    run: Path | None
    json: bool
    quiet: bool
    force: bool

    def config(self) -> dict[str, object]:
        """What it takes to do this again, for the run folder."""
        how = asdict(self)
        for where in ("out", "run", "json", "quiet", "force"):
            del how[where]
        return {"verb": "edit", **how}


class Audience:
    """Hears an episode: the recorder first, so that what is shown is already kept."""

    def __init__(self, view: Progress) -> None:
        self.view = view
        self.recorder: Recorder | None = None

    async def __call__(self, event: Event) -> None:
        """Pass the event on."""
        if self.recorder:
            await self.recorder(event)
        self.view.hear(event)


def deliver(order: Order) -> Exit:
    """Carry out an order. Raises `InputError`, `MissingExtra` or `StoreError` when it cannot be."""
    place = _place(order)
    audience = Audience(progress(quiet=order.quiet))
    sample, episode = _episode(order, audience)
    with RunFolder.create(order.run, order.config()) as run:
        audience.recorder = recorder = run.recorder(sample)
        interrupted = _play(episode, audience.view)
        refused = isinstance(episode.error, Refused) and not episode.trajectory.turns
        record = recorder.finish(episode.trajectory)
        if not interrupted and episode.trajectory.delivered:
            place.write(episode.trajectory.image)
        report = write_html(run)
    if refused:
        shutil.rmtree(run.path)  # nothing was done, so nothing stays
        raise InputError(str(episode.error))
    end = outcome.Outcome(record, run.path, report, place, interrupted=interrupted)
    if order.json:
        outcome.print_document(end)
    outcome.tell(end, quiet=order.quiet)
    return end.exit


def _place(order: Order) -> places.Destination:
    if order.out == places.STREAM and order.json:
        raise InputError("--json and '-o -' both want stdout; give the result a file name with -o")
    if order.image != places.STREAM and not Path(order.image).is_file():
        places.photo(order.image)  # says what is wrong with it, before anything is said about the result
    return places.destination(order.out, order.image, force=order.force)


def _episode(order: Order, audience: Audience) -> tuple[Sample, Episode]:
    """Build everything; what is cheap to check comes first."""
    limits = Limits(turns=order.turns, seconds=order.max_seconds, editor_calls=order.max_editor_calls)
    strategy_named(order.strategy)
    source = places.photo(order.image)
    sample = Sample((source,), order.instruction, id=places.label(order.image))
    episode = Episode(
        sample,
        naming.editor(order.editor),
        naming.thinker(order.thinker),
        strategy=order.strategy,
        limits=limits.with_threshold(order.threshold),
        seed=order.seed,
        listener=audience,
    )
    return sample, episode


def _play(episode: Episode, view: Progress) -> bool:
    """Play to the end; returns whether the user interrupted it."""
    try:
        with view.watching():
            asyncio.run(episode.run())
    except KeyboardInterrupt:
        return True
    if episode.error and os.environ.get("EDITTHINKER_DEBUG") == "1":
        traceback.print_exception(episode.error)
    return False
