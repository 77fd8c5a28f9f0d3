"""`editthinker data score`: a judge scores what has no score yet."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from editthinker.cli import options
from editthinker.cli.exits import Exit
from editthinker.cli.terminal import inert, say

if TYPE_CHECKING:
    from editthinker.data.scoring import Question, Scoring
    from editthinker.data.stage import Counts
    from editthinker.wire.pooled import PooledJudge

LINE_SECONDS = 10.0
MOST_FAILURES = 20
"""That are told one by one."""


def score(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="INPUT...",
            help="Folders of 'generate', run folders; or rows, such as 'import' makes, with --out.",
            show_default=False,
        ),
    ],
    judges: Annotated[
        list[str] | None,
        typer.Option("--judge", metavar="NAME", help="Who scores; several share the work: repeat it."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="New folder for scored rows.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Score also what has a judge's score.")] = False,
    retries: options.Retries = 6,
    max_cost: Annotated[
        float | None, typer.Option(min=0, metavar="USD", help="End after so many US dollars, all starts.")
    ] = None,
    concurrency: Annotated[
        str, typer.Option(metavar="N|auto", help="Images at a time; auto: as the judges take them.")
    ] = "auto",
    patience: Annotated[
        float, typer.Option(min=0, metavar="S", help="Wait this long for judges that are all down.")
    ] = 600.0,
    dry_run: options.DryRun = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Let a judge score every turn that no judge has scored.

    \b
    Examples:
      editthinker data score pool --judge rubric:gpt-4.1
      editthinker data score imported --judge rubric:gpt-4.1 --out scored

    Scores of a run go into its ledger, those of rows into the rows of a new folder. Without --judge the exact
    judge scores what the darkroom drew. The same command again goes on where it stopped; --again begins anew.
    Exit code 0 means that everything has a score, 3 that something has none.
    """  # noqa: D301 click looks for \b
    import asyncio

    from editthinker.cli.batch import samples_at_a_time
    from editthinker.data.scoring import Scoring

    listeners: list[Any] = []
    judge, named = _judge(judges or [], inputs, patience, lambda text: [tell(text) for tell in listeners])
    with _questions(inputs, out, again=again, writes=not dry_run) as work:
        if dry_run:
            return _foresee(work, judge, json=json)
        scoring = Scoring(judge, retries, samples_at_a_time(concurrency), max_cost, spent=work.spent)
        listeners.append(say)
        asyncio.run(_played(scoring, work.questions, quiet=quiet))
        ended = _ended(scoring)
        work.finish(scoring, named)
    _tell(scoring, work.counts, json=json, quiet=quiet)
    return ended


class Work:
    """What is to be scored, and where the scores go."""

    def __init__(self, counts: Counts, questions: Iterator[Question], spent: float, finish: Any) -> None:
        self.counts, self.questions, self.spent, self._finish = counts, questions, spent, finish

    def finish(self, scoring: Scoring, judges: list[str]) -> None:
        """Write down what came of it."""
        self._finish(scoring, {"judges": judges})


@contextmanager
def _questions(inputs: list[Path], out: Path | None, *, again: bool, writes: bool) -> Iterator[Work]:
    """Raises `InputError` for runs and rows together, and where a place for rows is needed or is not."""
    from editthinker.core.errors import InputError
    from editthinker.data.generating import runs_in
    from editthinker.runs import RunFolder
    from editthinker.runs.folder import CONFIG

    found = [[path] if (path / CONFIG).is_file() else runs_in(path) for path in inputs]
    runs = [run for each in found for run in each]
    if runs and out:
        raise InputError("scores of a run go into the run; --out is for rows")
    if runs and not all(found):
        raise InputError("runs and files of rows cannot be scored together; score one after the other")
    if not runs and not out and writes:
        raise InputError("say with --out where the scored rows go")
    with ExitStack() as stack:
        if runs:
            opened = [stack.enter_context(RunFolder.open(run, write=writes)) for run in runs]
            yield _of_runs(inputs, opened, again=again)
        else:
            yield _of_rows(inputs, out, stack, again=again, writes=writes)


def _of_runs(inputs: list[Path], runs: list[Any], *, again: bool) -> Work:
    from editthinker.data.scoring import of_runs
    from editthinker.data.stage import Counts, write_manifest

    counts = Counts()
    spent = sum(cost for run in runs for role, (_, cost) in run.spent().items() if role == "judge")

    def finish(scoring: Scoring, asked: dict[str, Any]) -> None:
        _count(counts, scoring)
        for path in inputs:
            write_manifest(path / "scored.json", "score", asked | {"again": again}, counts)

    return Work(counts, of_runs(runs, counts, again=again), spent, finish)


def _of_rows(inputs: list[Path], out: Path | None, stack: ExitStack, *, again: bool, writes: bool) -> Work:
    from editthinker.core.errors import InputError
    from editthinker.core.files import shown
    from editthinker.data import rows
    from editthinker.data.scoring import Book, of_rows, with_scores
    from editthinker.data.stage import Counts, begun

    if out and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{shown(str(out))} exists already; name another folder, or remove it first")
    source: rows.Source[Any] = rows.Source(rows.row_type(inputs), tuple(inputs))
    counts = Counts()
    place = out.with_name(f".{out.name}.scores") if out else None
    book = stack.enter_context(Book(place if place and (writes or place.exists()) else None))

    def finish(scoring: Scoring, asked: dict[str, Any]) -> None:
        if scoring.halted or out is None:
            return
        with begun("score", out, asked | {"again": again}) as stage:
            scored = (with_scores(row, book) for row in source.read(stage.counts))
            rows.write(stage, f"{'steps' if source.kind == 'step' else 'trajectories'}.jsonl", scored)
            stage.inputs = source.inputs
            for name, blame, why in scoring.failed:
                stage.counts.note(f"not_scored_{blame}", f"{name}: {why}")
        book.remove()

    return Work(counts, of_rows(source.read(counts), book, counts, again=again), book.spent, finish)


def _judge(
    judges: list[str], inputs: list[Path], patience: float, tell: Any
) -> tuple[PooledJudge, list[str]]:
    """One judge out of several. Raises `InputError` when nobody is named, or one twice."""
    from editthinker import resolve
    from editthinker.cli import naming
    from editthinker.cli.batch import usual
    from editthinker.core import names
    from editthinker.core.errors import InputError
    from editthinker.data.scoring import drawn_by_darkroom
    from editthinker.wire.pool import Pool
    from editthinker.wire.pooled import PooledJudge

    judges = judges or usual("judge") or (["darkroom"] if drawn_by_darkroom(inputs) else [])
    if not judges:
        raise InputError("say who scores: --judge NAME; see 'editthinker models'")
    if len(set(judges)) < len(judges):
        raise InputError(f"the same judge is named twice: {names.recorded(judges[0])!r}")
    members = {}
    for name in judges:
        naming.look_here_too("judge", name)
        members[names.recorded(name)] = resolve.resolve_judge(name)
    return PooledJudge(Pool("judge", members, patience=patience, tell=tell)), list(members)


async def _played(scoring: Scoring, questions: Iterator[Question], *, quiet: bool) -> None:
    """Until it is done; the first Ctrl-C lets calls under way end, the second does not."""
    import asyncio

    from editthinker.cli.batch import INTERRUPTED

    asked = 0

    def leave() -> None:
        nonlocal asked
        asked += 1
        if asked == 1:
            say("stopping: calls under way may end, for a few seconds; once more stops at once")
            scoring.drain(INTERRUPTED)
        else:
            scoring.stop(INTERRUPTED)

    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):  # Windows: Ctrl-C then ends in KeyboardInterrupt
            asyncio.get_running_loop().add_signal_handler(number, leave)
    watching = asyncio.create_task(_watch(scoring, quiet=quiet))
    try:
        await scoring.run(questions)
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def _watch(scoring: Scoring, *, quiet: bool) -> None:
    import asyncio

    began = time.monotonic()
    while not quiet:
        await asyncio.sleep(LINE_SECONDS)
        rate = scoring.scored / (time.monotonic() - began)
        failed = f", {len(scoring.failed)} failed" if scoring.failed else ""
        cost = f", ${scoring.spent:.4f}" if scoring.spent else ""
        say(f"{scoring.scored} images scored{failed}, {rate:.1f}/s{cost}")


def _ended(scoring: Scoring) -> Exit:
    from editthinker.cli.batch import INTERRUPTED

    if scoring.halted == INTERRUPTED:
        return Exit.INTERRUPTED
    return Exit.SOME_FAILED if scoring.halted or scoring.failed else Exit.DELIVERED


def _foresee(work: Work, judge: PooledJudge, *, json: bool) -> Exit:
    from json import dumps

    number = sum(1 for _ in work.questions)
    cost = None if judge.price is None else number * judge.price
    if json:
        plan = {"schema_version": 1, "judge_calls": number, "cost": cost, "spent": work.spent}
        print(dumps(plan, indent=2))
        return Exit.DELIVERED
    print(f"calls:    {number} of the judge {inert(judge.name)}, repeated ones not counted")
    print(f"cost:     {'unknown' if cost is None else f'about ${cost:.2f}'}")
    say("nothing was called")
    return Exit.DELIVERED


def _count(counts: Counts, scoring: Scoring) -> None:
    counts.kept = scoring.scored
    for name, blame, why in scoring.failed:
        counts.drop(f"not_scored_{blame}", f"{name}: {why}")


def _tell(scoring: Scoring, counts: Counts, *, json: bool, quiet: bool) -> None:
    from json import dumps

    from editthinker.cli.batch import again

    failed: Sequence[tuple[str, str, str]] = scoring.failed
    if json:
        told: dict[str, Any] = {"scored": scoring.scored, "calls": scoring.calls, "cost": scoring.spent}
        named = [{"name": name, "blame": blame, "why": why} for name, blame, why in failed]
        told |= {"noted": counts.noted, "failed": named, "halted": scoring.halted}
        print(dumps(told, indent=2))
    if quiet and not failed and not scoring.halted:
        return
    for name, blame, why in failed[:MOST_FAILURES]:
        say(f"{name}: failed ({blame}): {why}")
    if len(failed) > MOST_FAILURES:
        say(f"... and {len(failed) - MOST_FAILURES} more")
    before = sum(counts.noted[name] for name in ("scored_before", "scored_before_the_interruption"))
    earlier = f", {before} had a score before" if before else ""
    say(f"{scoring.scored} images scored{earlier}" + (f", {len(failed)} failed" if failed else ""))
    if scoring.spent:
        say(f"cost:   ${scoring.spent:.4f}")
    if scoring.halted:
        say(f"stopped: {scoring.halted}")
        say(f"resume: {again()}")
