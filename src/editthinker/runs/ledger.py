"""The durable record of a run: tables in SQLite, every fact in one transaction.

In: records and a sample's key. Out: the same records, in the order in which they were made. It does not know
what an image is nor where it lies.

WAL, so that `show` reads while a run writes; synchronous=FULL, because a row stands for a call that cost
time or money and one fsync costs milliseconds. Closing the writer folds the WAL back, so that a finished run
is one plain file that can be copied, mailed, and read from a read-only disk.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from editthinker.core.errors import StoreError
from editthinker.core.files import shown
from editthinker.core.records import CallRecord, Record, SampleRecord, TrajectoryRecord, TurnRecord
from editthinker.core.types import StopReason
from editthinker.runs.disk import disk

NAME = "ledger.sqlite"
PAGE_BYTES = 1024
"""A commit writes whole pages for a row or two; with SQLite's usual 4096 it would write twice as much."""
WAL_BYTES = 4 * 2**20
"""Length of the WAL from which its pages go into the ledger, each once, however often it changed."""

MIGRATIONS: Sequence[Sequence[str]] = (
    (
        """CREATE TABLE samples (
            number INTEGER PRIMARY KEY,   -- order of arrival
            key TEXT NOT NULL UNIQUE,     -- sha256 of the content, see recorder.sample_key
            record TEXT NOT NULL,
            started REAL NOT NULL
        )""",
        """CREATE TABLE turns (
            sample INTEGER NOT NULL REFERENCES samples ON DELETE CASCADE,
            turn INTEGER NOT NULL,
            record TEXT NOT NULL,
            finished INTEGER NOT NULL,    -- 0: edited, not yet judged
            PRIMARY KEY (sample, turn)
        )""",
        """CREATE TABLE calls (
            sample INTEGER NOT NULL REFERENCES samples ON DELETE CASCADE,
            attempt INTEGER NOT NULL,     -- how often the sample was begun
            number INTEGER NOT NULL,
            record TEXT NOT NULL,
            PRIMARY KEY (sample, attempt, number)
        )""",
        """CREATE TABLE trajectories (
            sample INTEGER PRIMARY KEY REFERENCES samples ON DELETE CASCADE,
            record TEXT NOT NULL,         -- everything but sample, turns and calls, which have their tables
            finished REAL NOT NULL
        )""",
    ),
    (
        """CREATE TABLE calls_2 (
            sample INTEGER NOT NULL REFERENCES samples ON DELETE CASCADE,
            number INTEGER NOT NULL,      -- from 0, through all attempts at the sample
            role TEXT NOT NULL,
            cost REAL NOT NULL,
            record TEXT NOT NULL,
            question TEXT NOT NULL,       -- see core.past
            answer TEXT,                  -- see answers; NULL: it failed, or nobody will ask for it
            PRIMARY KEY (sample, number)
        )""",
        """INSERT INTO calls_2 SELECT
            sample, row_number() OVER (PARTITION BY sample ORDER BY attempt, number) - 1,
            json_extract(record, '$.role'), json_extract(record, '$.cost'), record, '', NULL
        FROM calls""",
        "DROP TABLE calls",
        "ALTER TABLE calls_2 RENAME TO calls",
        "ALTER TABLE samples ADD COLUMN inputs TEXT NOT NULL DEFAULT ''",  # see samples.Entry.inputs
        """CREATE TABLE unusable (
            id TEXT PRIMARY KEY,          -- of an input that could not become a sample
            message TEXT NOT NULL
        )""",
    ),
)
"""One tuple of statements per version, never changed once released; the schema's version is their number."""

_OWN_TABLES = {"sample", "turns", "calls"}
"""Fields of a `TrajectoryRecord` that lie in tables of their own."""


Job = Callable[[sqlite3.Connection], object]
"""Part of a transaction; everything that can go wrong but the disk went wrong before."""


@dataclass(frozen=True, slots=True)
class Begun:
    """What the ledger knows of a sample at a glance."""

    number: int
    key: str
    id: str
    inputs: str
    reason: str | None
    """Why it ended; None: it has not."""
    failure: Mapping[str, str] | None
    """A `FailureRecord`."""
    chosen: int | None

    @property
    def finished(self) -> bool:
        """Whether it came to an end of its own; a cancelled one can go on."""
        return self.reason not in (None, StopReason.CANCELLED.value)


class Ledger:
    """The tables of one run. Safe to use from several threads; raises `StoreError`."""

    def __init__(self, folder: Path, *, write: bool) -> None:
        self._folder = folder
        self._lock = threading.RLock()
        self._write = write
        path = folder / NAME
        with disk(folder, "open the run"):
            if not write and not path.is_file():
                raise StoreError(f"{shown(str(folder))} is no run folder: it has no {NAME}")
            self._db = _connect(path) if write else _connect_read_only(path)
            try:
                self._bring_up_to_date()
            except BaseException:
                self._db.close()
                raise

    def close(self) -> None:
        """A finished run becomes one plain file; a reader that is still there only delays that."""
        with self._lock:
            if self._write:
                with suppress(sqlite3.Error):
                    self._db.execute("PRAGMA busy_timeout = 0")
                    self._db.execute("PRAGMA journal_mode = DELETE")
            self._db.close()

    def commit(self, jobs: Sequence[Job]) -> None:
        """Do all of this in one transaction, or nothing."""
        with self._transaction() as db:
            for job in jobs:
                job(db)

    def begin(self, key: str, record: SampleRecord, inputs: str = "") -> tuple[int, int]:
        """Note that a sample is (again) begun; returns its number, and how many calls are stored of it."""
        with self._transaction() as db:
            db.execute(
                "INSERT INTO samples (key, record, started, inputs) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (key) DO NOTHING",
                (key, _json(record), time.time(), inputs),
            )
            (number,) = db.execute("SELECT number FROM samples WHERE key = ?", (key,)).fetchone()
            (calls,) = db.execute("SELECT count(*) FROM calls WHERE sample = ?", (number,)).fetchone()
            return number, calls

    def begun(self) -> list[Begun]:
        """Every sample that was begun, in order of arrival."""
        rows = self._rows(
            "SELECT number, key, json_extract(s.record, '$.id'), inputs, "
            "json_extract(e.record, '$.stop.reason'), json_extract(e.record, '$.failure'), "
            "json_extract(e.record, '$.chosen') "
            "FROM samples s LEFT JOIN trajectories e ON sample = number ORDER BY number"
        )
        return [
            Begun(number, key, name, inputs, reason, json.loads(failure) if failure else None, chosen)
            for number, key, name, inputs, reason, failure, chosen in rows
        ]

    def spent(self) -> dict[str, tuple[int, float]]:
        """Calls made and US dollars spent, by role."""
        rows = self._rows("SELECT role, count(*), sum(cost) FROM calls GROUP BY role")
        return {role: (count, cost) for role, count, cost in rows}

    def calls(self, key: str) -> list[tuple[CallRecord, str, str | None]]:
        """What was asked for this sample: each call with its question and its answer, in order."""
        rows = self._rows(
            "SELECT c.record, question, answer FROM calls c JOIN samples ON c.sample = samples.number "
            "WHERE key = ? ORDER BY c.number",
            key,
        )
        with self._reading():
            return [
                (CallRecord.model_validate_json(record), question, answer)
                for record, question, answer in rows
            ]

    def turn(self, sample: int, index: int) -> TurnRecord | None:
        """One turn of the sample with this number."""
        rows = self._rows("SELECT record FROM turns WHERE sample = ? AND turn = ?", sample, index)
        with self._reading():
            return TurnRecord.model_validate_json(rows[0][0]) if rows else None

    def set_unusable(self, problems: Mapping[str, str]) -> None:
        """Replace what is known of inputs that could not become samples: id to reason."""
        with self._transaction() as db:
            db.execute("DELETE FROM unusable")
            db.executemany("INSERT OR REPLACE INTO unusable VALUES (?, ?)", problems.items())

    def unusable(self) -> dict[str, str]:
        """Inputs that could not become samples: id to reason."""
        return dict(self._rows("SELECT id, message FROM unusable ORDER BY rowid"))

    def finish(self, sample: int, record: TrajectoryRecord, first: int = 0) -> None:
        """Keep the end of a trajectory, and whatever of it was not told before, in one transaction."""
        self.commit(ending(sample, record, first=first))

    def is_finished(self, key: str) -> bool:
        """Whether the trajectory of this sample came to an end of its own; a cancelled one can go on."""
        query = (
            "SELECT 1 FROM samples JOIN trajectories t ON sample = number "
            "WHERE key = ? AND json_extract(t.record, '$.stop.reason') <> ?"
        )
        return bool(self._rows(query, key, StopReason.CANCELLED.value))

    def turns(self, key: str) -> tuple[TurnRecord, ...]:
        """The finished turns of this sample, in order: what a resumed run need not do again."""
        query = (
            "SELECT t.record FROM turns t JOIN samples ON t.sample = number "
            "WHERE key = ? AND finished ORDER BY turn"
        )
        with self._reading():
            return tuple(TurnRecord.model_validate(json.loads(row[0])) for row in self._rows(query, key))

    def counts(self) -> tuple[int, int]:
        """Samples begun, and finished."""
        ((begun, finished),) = self._rows(
            "SELECT (SELECT count(*) FROM samples), (SELECT count(*) FROM trajectories)"
        )
        return begun, finished

    def trajectories(
        self, unfinished: dict[str, Any], order: Literal["number", "key"] = "number"
    ) -> Iterator[tuple[int, TrajectoryRecord]]:
        """Every sample's number and trajectory so far; `unfinished` completes those that have no end yet."""
        for number, sample, end in self._ends(order):
            turns = self._rows("SELECT record FROM turns WHERE sample = ? ORDER BY turn", number)
            calls = self._rows("SELECT record FROM calls WHERE sample = ? ORDER BY number", number)
            with self._reading():
                record = {
                    **(json.loads(end) if end else unfinished),
                    "sample": json.loads(sample),
                    "turns": [json.loads(row[0]) for row in turns],
                    "calls": [json.loads(row[0]) for row in calls],
                }
                yield number, TrajectoryRecord.model_validate(record)

    def _ends(self, order: str) -> Iterator[tuple[int, str, str | None]]:
        """Number, record and end of every sample; a few at a time, there may be a hundred thousand."""
        last: int | str = -1 if order == "number" else ""
        while rows := self._rows(
            f"SELECT number, s.record, e.record, {order} FROM samples s LEFT JOIN trajectories e "  # noqa: S608
            f"ON sample = number WHERE {order} > ? ORDER BY {order} LIMIT 200",
            last,
        ):
            yield from (row[:3] for row in rows)
            last = rows[-1][3]

    def _bring_up_to_date(self) -> None:
        db = self._db
        known = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'schema_version'").fetchone()
        version = db.execute("SELECT max(version) FROM schema_version").fetchone()[0] if known else 0
        place = shown(str(self._folder))
        if version > len(MIGRATIONS):
            raise StoreError(
                f"the run {place} was written by a newer editthinker (ledger version {version}, "
                f"this one reads up to {len(MIGRATIONS)}); upgrade to open it"
            )
        if version == len(MIGRATIONS):
            return
        if not self._write:
            raise StoreError(f"the run {place} was not made completely (ledger version {version})")
        with self._transaction():
            db.execute(
                "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER PRIMARY KEY, applied REAL)"
            )
            for number, statements in enumerate(MIGRATIONS[version:], version + 1):
                for statement in statements:
                    db.execute(statement)
                db.execute("INSERT INTO schema_version VALUES (?, ?)", (number, time.time()))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, disk(self._folder, "write the run"):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # SQLite itself has rolled back after a full disk
                    self._db.execute("ROLLBACK")
                raise

    def _rows(self, query: str, *values: Any) -> list[Any]:
        with self._lock, disk(self._folder, "read the run"):
            return self._db.execute(query, values).fetchall()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (ValidationError, json.JSONDecodeError) as error:
            raise StoreError(
                f"the run {shown(str(self._folder))} holds a damaged or foreign record"
            ) from error


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        db.execute(f"PRAGMA page_size = {PAGE_BYTES}")  # of a new ledger
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(f"PRAGMA wal_autocheckpoint = {WAL_BYTES // PAGE_BYTES}")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA foreign_keys = ON")
    except BaseException:
        db.close()
        raise
    return db


def _connect_read_only(path: Path) -> sqlite3.Connection:
    """Read a ledger that may be written to right now, or that lies where nothing can be written."""
    db = _connect_uri(path, "mode=ro")
    try:
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        db.close()
        wal = path.with_name(f"{NAME}-wal")
        if wal.exists() and wal.stat().st_size:  # its rows would be missing
            raise
        db = _connect_uri(path, "immutable=1")
    except BaseException:
        db.close()
        raise
    return db


def _connect_uri(path: Path, option: str) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?{option}"
    return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)


def turn_job(sample: int, record: TurnRecord, *, finished: bool) -> Job:
    """Keep a turn; one with the same index is replaced, as an edit is by the same edit judged."""
    values = (sample, record.index, _json(record), finished)
    return lambda db: db.execute("INSERT OR REPLACE INTO turns VALUES (?, ?, ?, ?)", values)


def call_job(
    sample: int, number: int | None, record: CallRecord, question: str = "", answer: Record | None = None
) -> Job:
    """Keep the `number`-th attempt of a model, None: one more; what is there already stays."""
    told = None if answer is None else _json(answer)
    values = (sample, number, sample, record.role, record.cost, _json(record), question, told)
    place = "coalesce(?, (SELECT coalesce(max(number), -1) + 1 FROM calls WHERE sample = ?))"
    query = f"INSERT OR IGNORE INTO calls VALUES (?, {place}, ?, ?, ?, ?, ?)"  # noqa: S608 all of it is ours
    return lambda db: db.execute(query, values)


def ending(
    sample: int, record: TrajectoryRecord, *, first: int = 0, turns: int = 0, calls: int = 0
) -> list[Job]:
    """Keep the end of a trajectory with its turns and calls; the first `turns` and `calls` are there already.

    Its calls are numbered from `first`. What an earlier attempt did beyond it goes, unless this one was
    cancelled and may be taken up again.
    """
    number = len(record.turns)
    jobs = [turn_job(sample, turn, finished=True) for turn in record.turns[turns:]]
    jobs += [call_job(sample, first + calls + place, call) for place, call in enumerate(record.calls[calls:])]
    if record.stop.reason is not StopReason.CANCELLED:
        jobs.append(
            lambda db: db.execute("DELETE FROM turns WHERE sample = ? AND turn > ?", (sample, number))
        )
    values = (sample, _json(record, exclude=_OWN_TABLES), time.time())
    jobs.append(lambda db: db.execute("INSERT OR REPLACE INTO trajectories VALUES (?, ?, ?)", values))
    return jobs


def _json(record: Record, *, exclude: set[str] | None = None) -> str:
    """ASCII, so that the broken Unicode of a file name survives; notes must be JSON values."""
    try:
        return json.dumps(record.model_dump(mode="json", exclude=exclude))
    except (PydanticSerializationError, TypeError, ValueError) as error:
        raise StoreError(f"a {type(record).__name__} cannot be stored as JSON: {error}") from error
