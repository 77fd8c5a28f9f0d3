"""One photo from the command line to its result: check, build, play, keep, deliver.

What can be refused is refused before the first call, and before anything is written.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import traceback
from pathlib import Path
from typing import Any
from urllib.parse import quote

from editthinker import api
from editthinker.cli import inputs, naming, outcome, places
from editthinker.cli.exits import Exit
from editthinker.cli.options import Order
from editthinker.cli.progress import Progress, progress
from editthinker.core import names
from editthinker.core.episode import Episode
from editthinker.core.errors import InputError
from editthinker.core.events import Event
from editthinker.core.selection import same_pixels
from editthinker.core.strategies import strategy_named
from editthinker.core.types import Role, StopReason, Trajectory
from editthinker.runs import Recorder, RunFolder
from editthinker.runs.report import write_html


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
    if order.plan_only:
        return _show_plan(order)
    if order.dry_run:
        return _show_outlook(order)
    place = _place(order)
    options = _options(order)
    audience = Audience(progress(quiet=order.quiet))
    episode = _episode(order, options, audience)
    with RunFolder.create(order.run, _config(order, options)) as run:
        audience.recorder = recorder = run.recorder(episode.trajectory.sample)
        interrupted = _play(episode, audience.view)
        trajectory = episode.trajectory
        record = recorder.finish(trajectory)
        if not interrupted and trajectory.delivered:
            place.write(trajectory.image)
        report = write_html(run)
    if _came_to_nothing(trajectory):
        shutil.rmtree(run.path)  # nothing was done, so nothing stays
        raise InputError(trajectory.stop.detail)
    end = outcome.Outcome(
        record, run.path, report, place, interrupted=interrupted, unchanged=_is_unchanged(trajectory)
    )
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


def _options(order: Order) -> api.Options:
    """The order in the words of `editthinker.edit`; files are still names, but plans and boxes are read."""
    return {
        "images": tuple(order.reference or ()),
        "mask": order.mask,
        "box": inputs.read_box(order.box) if order.box is not None else None,
        "editor": order.editor,
        "alternates": tuple(order.also or ()),
        "thinker": prompted(order.thinker, order.prompt),
        "judge": order.judge,
        "comparer": order.compare,
        "strategy": order.strategy,
        "policy": order.policy,
        "plan": inputs.read_plan(order.plan) if order.plan is not None else None,
        "candidates": order.candidates,
        "stack": order.stack,
        "paste_back": order.paste_back,
        "turns": order.turns,
        "seed": order.seed,
        "threshold": order.threshold,
        "semantic": order.semantic,
        "quality": order.quality,
        "patience": order.patience,
        "retries": order.retries,
        "max_cost": order.max_cost,
        "max_seconds": order.max_seconds,
        "max_editor_calls": order.max_editor_calls,
        "max_thinker_calls": order.max_thinker_calls,
    }


def prompted(thinker: str, prompt: Path | None) -> str:
    """The thinker's name with the template as one of its settings."""
    if prompt is None:
        return thinker
    if thinker == "none" or thinker.startswith(names.VOTE):
        raise InputError(f"--prompt needs a single thinker that reads one, not {thinker.partition(':')[0]!r}")
    return f"{thinker}{'&' if '?' in thinker else '?'}prompt={quote(str(prompt))}"


def _config(order: Order, options: api.Options) -> dict[str, Any]:
    """What it takes to do this again, for the run folder: every option, models by name, no secret."""
    files = {"reference": list(order.reference or ()), "mask": order.mask}
    record = api.recorded(options)
    del record["images"]
    return {"verb": "edit", "image": order.image, "instruction": order.instruction, **record, **files}


def _episode(order: Order, options: api.Options, audience: Audience) -> Episode:
    """Build everything; what is cheap to check comes first."""
    strategy_named(order.strategy)
    _find_modules(order)
    image, label = places.photo(order.image), places.label(order.image)
    return api.episode(image, order.instruction, label=label, listener=audience, **options)


def _find_modules(order: Order) -> None:
    """Let every dotted path among the names find modules of the current folder."""
    named: dict[Role, list[str | None]] = {
        "editor": [order.editor, *(order.also or ())],
        "thinker": [order.thinker],
        "judge": [order.judge, order.compare],
    }
    for role, known in named.items():
        for name in filter(None, known):
            naming.look_here_too(role, name)


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


def _came_to_nothing(trajectory: Trajectory) -> bool:
    """Whether the first call refused the words, at no cost: they are bad input then."""
    refused = trajectory.stop.reason is StopReason.REFUSED
    return refused and len(trajectory.calls) == 1 and not trajectory.spend.cost


def _is_unchanged(trajectory: Trajectory) -> bool:
    """Whether every turn gave the photo back as it was."""
    source, turns = trajectory.sample.source, trajectory.turns
    return bool(turns) and not trajectory.delivered and all(same_pixels(source, turn.image) for turn in turns)


def _show_plan(order: Order) -> Exit:
    """Print the steps the thinker would take, ready for --plan."""
    _find_modules(order)
    options = _options(order)
    plan = api.plan(places.photo(order.image), order.instruction, **options)
    outcome.print_plan(plan, json_wanted=order.json)
    return Exit.DELIVERED


def _show_outlook(order: Order) -> Exit:
    """Say what would be done, and what it may cost at most; every check of a real edit is made."""
    _place(order)
    _find_modules(order)
    told = api.outlook(places.photo(order.image), order.instruction, **_options(order))
    outcome.print_outlook(told, json_wanted=order.json)
    return Exit.DELIVERED
