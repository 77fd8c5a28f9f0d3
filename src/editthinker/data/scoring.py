"""A judge scores what has no score yet: many images at a time, each score on disk as soon as it is there.

In: questions, each an image of a row and somebody who keeps its score; a judge. Out: what became of them all.
Questions come from run folders, whose ledgers keep the scores, or from files of rows, beside whose new folder
a `Book` keeps them until it is written. A judge that fails gives no score: never a guessed one. What was
scored is not asked again, so an interrupted scoring goes on where it stopped.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from editthinker.core.calls import Calls
from editthinker.core.contracts import Judge, Priced
from editthinker.core.errors import EditThinkerError, JudgeError, StoreError
from editthinker.core.events import JudgeStarted
from editthinker.core.images import Picture
from editthinker.core.limits import Limits
from editthinker.core.records import CallRecord, ScoreRecord, call_record, score_record
from editthinker.core.types import Judged, Sample, Score, StopReason
from editthinker.darkroom.targets import TAG
from editthinker.data.records import StepRow, TrajectoryRow
from editthinker.data.rows import Source, of_run, row_type
from editthinker.data.stage import Counts
from editthinker.runs import RunFolder
from editthinker.runs.disk import disk
from editthinker.runs.runner import DRAIN_SECONDS, HOPELESS

MOST_AT_A_TIME = 256
AT_A_TIME = 8
"""Questions, where nobody knows how many the judge takes."""
SPENT = "the limit of cost was reached"
R = TypeVar("R", TrajectoryRow, StepRow)
Keep = Callable[[ScoreRecord | None, Sequence[CallRecord]], Awaitable[None]]


@dataclass(frozen=True)
class Question:
    """One image that a judge is to score."""

    row: TrajectoryRow | StepRow
    turn: int
    image: str
    """Its path."""
    keep: Keep

    @property
    def name(self) -> str:
        """For messages."""
        return f"{self.row.id} turn {self.turn}"

    def opened(self) -> tuple[Sample, Picture]:
        """What the judge is shown; blocks. Raises `ImageError`."""
        row = self.row
        images = tuple(Picture.open(Path(image.path)) for image in row.images)
        mask = Picture.open(Path(row.mask.path)) if row.mask else None
        sample = Sample(images, row.instruction, id=row.id, mask=mask, tags=row.tags)
        return sample, Picture.open(Path(self.image))


def of_runs(runs: Iterable[RunFolder], counts: Counts, *, again: bool = False) -> Iterator[Question]:
    """Every turn of a finished trajectory that no judge has scored; with `again`, every turn."""
    for run in runs:
        for number, record in run.numbered():
            if record.failure or record.stop.reason in (StopReason.CANCELLED, StopReason.REFUSED):
                counts.note("turns_of_unfinished_or_failed", times=len(record.turns))
                continue
            row = of_run(record, run)
            for turn, shown in zip(record.turns, row.turns, strict=True):
                counts.read += 1
                if turn.judged and not again:
                    counts.note("scored_before")
                    continue

                async def keep(
                    score: ScoreRecord | None,
                    calls: Sequence[CallRecord],
                    run: RunFolder = run,
                    number: int = number,
                    turn: object = turn,
                ) -> None:
                    kept = turn.model_copy(update={"judged": score})  # type: ignore[attr-defined]
                    await run.keep_score(number, kept, calls)

                yield Question(row, turn.index, shown.image.path, keep)


def of_rows(rows: Iterable[R], book: Book, counts: Counts, *, again: bool = False) -> Iterator[Question]:
    """The same of rows, trajectories or steps; `book` keeps the scores."""
    for row in rows:
        for name, turn, image, score in _images(row):
            if score and not again:
                counts.note("scored_before")
            elif name in book:
                counts.note("scored_before_the_interruption")
            else:
                yield Question(row, turn, image, partial(book.keep, name))


def with_scores(row: R, book: Book) -> R:
    """The row with the scores of the book."""
    if isinstance(row, StepRow):
        found = {turn: book.score(name) for name, turn, _, _ in _images(row)}
        return row.model_copy(update={"score": found[row.turn] or row.score})
    found = {turn: book.score(name) for name, turn, _, _ in _images(row)}
    turns = tuple(turn.model_copy(update={"judged": found[turn.index] or turn.judged}) for turn in row.turns)
    return row.model_copy(update={"turns": turns})


def _images(row: TrajectoryRow | StepRow) -> Iterator[tuple[str, int, str, ScoreRecord | None]]:
    """Name, turn, path and score of every edited image of a row."""
    if isinstance(row, StepRow):
        yield row.own, row.turn, row.edited.path, row.score
        return
    for turn in row.turns:
        yield f"{row.key}:{turn.index}", turn.index, turn.image.path, turn.judged


def drawn_by_darkroom(paths: Sequence[Path]) -> bool:
    """Whether the first row says its target program, so that the exact judge can score it."""
    source: Source[TrajectoryRow] | Source[StepRow]
    kind = row_type(paths)
    source = Source(StepRow, tuple(paths)) if kind is StepRow else Source(TrajectoryRow, tuple(paths))
    with closing(source.again()) as rows:
        return TAG in next((row.tags for row in rows), {})


class Book:
    """Scores by name, each on disk before the next question; use it as a context manager."""

    def __init__(self, path: Path | None) -> None:
        """None keeps nothing beyond the process. Raises `StoreError`."""
        self.path = path or Path()
        with disk(self.path, "keep scores in"):
            if path:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path or ":memory:", isolation_level=None)
            try:
                self._db.execute("PRAGMA journal_mode = WAL")
                self._db.execute("PRAGMA synchronous = FULL")
                self._db.execute("CREATE TABLE IF NOT EXISTS scores (name TEXT PRIMARY KEY, score TEXT)")
                self._db.execute("CREATE TABLE IF NOT EXISTS calls (cost REAL)")
            except BaseException:
                self._db.close()
                raise

    def __enter__(self) -> Book:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def __contains__(self, name: str) -> bool:
        return self.score(name) is not None

    def score(self, name: str) -> ScoreRecord | None:
        """What was kept under this name."""
        with disk(self.path, "read scores from"):
            found = self._db.execute("SELECT score FROM scores WHERE name = ?", (name,)).fetchone()
        return ScoreRecord.model_validate_json(found[0]) if found else None

    @property
    def spent(self) -> float:
        """US dollars that all calls cost."""
        with disk(self.path, "read scores from"):
            return float(self._db.execute("SELECT coalesce(sum(cost), 0) FROM calls").fetchone()[0])

    async def keep(self, name: str, score: ScoreRecord | None, calls: Sequence[CallRecord]) -> None:
        """Durable when it returns. Raises `StoreError`."""
        with disk(self.path, "keep scores in"):
            self._db.execute("BEGIN")
            try:
                self._db.executemany("INSERT INTO calls VALUES (?)", [(call.cost,) for call in calls])
                if score:
                    said = score.model_dump_json()
                    self._db.execute("INSERT OR REPLACE INTO scores VALUES (?, ?)", (name, said))
                self._db.execute("COMMIT")
            except BaseException:
                self._db.execute("ROLLBACK")
                raise

    def remove(self) -> None:
        """Everything in it is elsewhere now."""
        self._db.close()
        for end in ("", "-wal", "-shm"):
            self.path.with_name(f"{self.path.name}{end}").unlink(missing_ok=True)


@dataclass
class Scoring:
    """One start of a scoring; single-use, and may be watched at any time."""

    judge: Judge
    retries: int = 6
    at_a_time: int | None = None
    """None: as many as the judge takes."""
    budget: float | None = None
    """US dollars, those spent before included."""
    spent: float = 0.0
    scored: int = 0
    calls: int = 0
    failed: list[tuple[str, str, str]] = field(default_factory=list)
    """Name, who is to blame, why."""
    halted: str = ""
    """Why it ended before its questions did; empty when it did not."""
    _under_way: set[asyncio.Task[None]] = field(default_factory=set)
    _grace: float = DRAIN_SECONDS
    _in_a_row: int = 0
    _stopped: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, questions: Iterable[Question]) -> None:
        """Until every question is answered or it is stopped. Raises `StoreError`."""
        tasks = self._under_way
        try:
            for question in questions:
                while not self.halted and (len(tasks) >= self._room() or (tasks and not self._affordable())):
                    await self._progress()
                if not self.halted and not self._affordable():
                    self.drain(SPENT)
                if self.halted:
                    break
                tasks.add(asyncio.create_task(self._ask(question), name=question.name))
            until = asyncio.get_running_loop().time() + self._grace
            while tasks and not (self.halted and asyncio.get_running_loop().time() > until):
                was_halted = bool(self.halted)
                await self._progress(0.05 if was_halted else None)
                if self.halted and not was_halted:
                    until = asyncio.get_running_loop().time() + self._grace
        finally:
            left = [*tasks]
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    def drain(self, why: str) -> None:
        """Ask nothing more; what is under way may be answered, for a few seconds."""
        self.halted = self.halted or why
        self._stopped.set()

    def stop(self, why: str) -> None:
        """The same at once."""
        self._grace = 0.0
        self.drain(why)

    def _room(self) -> int:
        return self.at_a_time or min(MOST_AT_A_TIME, int(getattr(self.judge, "capacity", AT_A_TIME)))

    def _affordable(self) -> bool:
        """Whether one more call fits into the budget, beside those under way."""
        if self.budget is None:
            return True
        price = self.judge.price if isinstance(self.judge, Priced) else None
        if price:
            return self.spent + price * (len(self._under_way) + 1) <= self.budget + 1e-9
        return self.spent < self.budget or not self.spent

    async def _progress(self, seconds: float | None = None) -> None:
        """Wait until one is answered, or it is stopped."""
        stopped = asyncio.ensure_future(self._stopped.wait() if not self.halted else asyncio.sleep(3600))
        try:
            done, _ = await asyncio.wait(
                [*self._under_way, stopped], timeout=seconds, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            stopped.cancel()
        for task in done & self._under_way:
            self._under_way.discard(task)
            task.result()

    async def _ask(self, question: Question) -> None:
        made = Calls(Limits(retries=self.retries))
        score, fault = None, None
        try:
            sample, image = await asyncio.to_thread(question.opened)
            score = score_record(await self._judged(made, question, sample, image))
        except StoreError:
            raise
        except EditThinkerError as error:
            fault = error
        calls = [call_record(call) for call in made.made if call.outcome != "cancelled"]
        self.calls += len(calls)
        self.spent += sum(call.cost for call in calls)
        if calls:
            await question.keep(score, calls)
        if fault is None:
            self.scored, self._in_a_row = self.scored + 1, 0
            return
        if ended := getattr(getattr(self.judge, "pool", None), "ended", ""):
            self.drain(ended)  # nobody is left: no fault of the image's
            return
        self.failed.append((question.name, fault.blame, str(fault)))
        self._in_a_row += isinstance(fault, JudgeError)
        if self._in_a_row >= HOPELESS:
            self.drain(f"the last {HOPELESS} images could not be scored: {fault}")

    async def _judged(self, made: Calls, question: Question, sample: Sample, image: Picture) -> Score:
        judge = self.judge
        verb = partial(judge.score, sample, image)
        judged, _ = await made.make("judge", judge.name, JudgeStarted(question.turn), verb, _checked)
        return judged.score


def _checked(name: str, answer: Judged) -> Judged:
    if not isinstance(answer, Judged):
        raise JudgeError(f"judge {name!r} returned no Judged, but {type(answer).__name__}")
    return answer
