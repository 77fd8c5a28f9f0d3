"""`editthinker show`: what a run folder holds, for people, browsers and programs."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from editthinker.cli import options

if TYPE_CHECKING:
    from editthinker.core.records import TrajectoryRecord, TurnRecord
    from editthinker.runs import RunFolder


def show(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.", show_default=False)],
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the report to this file.", show_default=False)
    ] = None,
    json: options.Json = False,
    force: options.Force = False,
) -> None:
    """Show what a run did: turns, scores, why it stopped, what it cost.

    \b
    Examples:
      editthinker show runs/20250131-120000-a1b2c3
      editthinker show runs/20250131-120000-a1b2c3 --html report.html
    """  # noqa: D301 click looks for \b
    from editthinker.cli.terminal import inert, say
    from editthinker.runs import RunFolder

    with RunFolder.open(run) as folder:
        if html:
            _write_report(folder, html, force=force)
            say(f"report: {html}")
        if json:
            print(_document(folder))
        elif not html:
            for line in _lines(folder):
                print(inert(line))


def _write_report(folder: RunFolder, html: Path, *, force: bool) -> None:
    from editthinker.core.errors import InputError
    from editthinker.runs.report import write_html

    if html.exists() and not force:
        raise InputError(f"{html} exists already; --force replaces it")
    write_html(folder, html)


def _document(folder: RunFolder) -> str:
    from json import dumps

    from editthinker.runs.report import summary

    return dumps(summary(folder), indent=2)


def _lines(folder: RunFolder) -> Iterator[str]:
    begun, finished = folder.counts()
    made = folder.record.created.astimezone()
    yield f"run of {made:%Y-%m-%d %H:%M}, {finished} of {begun} samples finished"
    for trajectory in folder.trajectories():
        yield ""
        yield f"{trajectory.sample.id}: {trajectory.sample.instruction}"
        yield from _plan(trajectory)
        for turn in trajectory.turns:
            yield from _turn(turn, folder, chosen=turn.index == trajectory.chosen)
        yield from _end(trajectory)


def _turn(turn: TurnRecord, folder: RunFolder, *, chosen: bool) -> Iterator[str]:
    from editthinker.cli.progress import in_words

    of = f"{'delivered, ' * chosen}{f'step {turn.step}, ' * bool(turn.step)}"
    of += f"from turn {turn.base}, " * bool(turn.base) + f"best of {len(turn.others) + 1}, " * bool(
        turn.others
    )
    known = f" ({of.removesuffix(', ')})" if of else ""
    yield f"  turn {turn.index}{known}: {in_words(turn.score)}: {turn.instruction}"
    if turn.why:
        yield f"    why: {turn.why}"
    if turn.judged and turn.critique and turn.critique.score:
        yield f"    the thinker gave {in_words(turn.critique.score)}"
    if turn.critique and turn.critique.reasoning:
        yield f"    {turn.critique.reasoning}"
    yield f"    {folder.image_path(turn.image)}"


def _plan(trajectory: TrajectoryRecord) -> Iterator[str]:
    from editthinker.cli.progress import steps

    if trajectory.plan is None:
        return
    head, *lines = steps(trajectory.plan)
    yield f"  {head}"
    fates = [f"turn {index}" if index else "skipped" for index in trajectory.accepted]
    for line, fate in zip_longest(lines, fates):
        if line:
            yield f"  {line}{f': {fate}' if fate else ''}"


def _end(trajectory: TrajectoryRecord) -> Iterator[str]:
    spend = trajectory.spend
    yield f"  stopped: {trajectory.stop.sentence}"
    if trajectory.chosen_by:
        yield f"  chosen: {trajectory.chosen_by}"
    made = (
        (spend.editor_calls, "edit"),
        (spend.thinker_calls, "thought"),
        (spend.judge_calls, "judgement"),
    )
    calls = ", ".join(f"{number} {noun}{'s' * (number != 1)}" for number, noun in made if number)
    money = f", ${spend.cost:.4g}" if spend.cost else ""
    yield f"  cost: {calls or 'no call'}, {spend.seconds:.1f} s{money}"
