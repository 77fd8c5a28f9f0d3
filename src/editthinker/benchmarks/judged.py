"""What judges said of a run's images: one SQLite file in the run folder, one transaction for every reply.

In: the cases of an evaluation, the questions it has to ask, replies as they come. Out: the same, also years
later and without the data: tables under other rules are made from here. A reply belongs to a question, which
is known by its content (prompt, images, parameters) and by its judge, so nothing is asked twice.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from editthinker.benchmarks.suite import Case, Reply
from editthinker.core.errors import InputError, StoreError
from editthinker.core.files import shown
from editthinker.runs.disk import disk

NAME = "judged.sqlite"
VERSION = 1

_TABLES = """
CREATE TABLE evaluations (
    judge TEXT PRIMARY KEY,
    about TEXT NOT NULL,          -- JSON of an `About`
    at REAL NOT NULL
);
CREATE TABLE cases (
    judge TEXT NOT NULL,
    place INTEGER NOT NULL,       -- in the order of the data
    id TEXT NOT NULL,
    record TEXT NOT NULL,         -- JSON; images left out
    PRIMARY KEY (judge, place)
);
CREATE TABLE asked (              -- which question stands for what; a case without one has no image
    judge TEXT NOT NULL,
    id TEXT NOT NULL,
    turn INTEGER NOT NULL,        -- from 1; 0: the source, given back unedited
    kind TEXT NOT NULL,
    delivered INTEGER NOT NULL,
    question TEXT NOT NULL,
    published TEXT NOT NULL,      -- the judge of the published figures
    PRIMARY KEY (judge, id, turn, kind)
);
CREATE TABLE replies (
    question TEXT NOT NULL,
    judge TEXT NOT NULL,
    number INTEGER NOT NULL,      -- from 0: asked again because the last could not be read
    prompt TEXT NOT NULL,         -- sha256
    images TEXT NOT NULL,         -- sha256
    text TEXT NOT NULL,
    outcome TEXT NOT NULL,
    model TEXT NOT NULL,
    cost REAL NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (question, judge, number)
);
"""


@dataclass(frozen=True, slots=True)
class About:
    """What a table must say of an evaluation, besides its replies."""

    benchmark: str
    options: Mapping[str, Any]
    cases: int
    """In the data; fewer are evaluated with a limit."""
    origin: str = ""
    """Where the judge prompts came from; empty: our own."""
    prompts: str = ""
    """sha256 of the prompts."""
    differences: tuple[str, ...] = ()
    unverified: tuple[str, ...] = ()
    source: str = ""
    """Whose prompts they were compared with."""
    every_turn: bool = False
    """Whether all images of a sample were judged, not only what was delivered."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One question as it is stored."""

    case: str
    turn: int
    kind: str
    delivered: bool
    question: str
    published: str


class Judged:
    """The file. Safe to use from several threads; raises `StoreError`."""

    def __init__(self, folder: Path, *, write: bool) -> None:
        """Open it, made if need be when `write`. Raises `InputError` when there is none to read."""
        path = folder / NAME
        if not write and not path.is_file():
            raise InputError(f"{shown(str(folder))} has no judgements: it has no {NAME}")
        self._folder, self._lock, self._write = folder, threading.Lock(), write
        with disk(folder, "open the judgements of"):
            uri = f"{path.absolute().as_uri()}?mode={'rwc' if write else 'rw'}"
            self._db = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
            try:
                self._prepare()
            except BaseException:
                self._db.close()
                raise

    def _prepare(self) -> None:
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise StoreError(f"{shown(str(self._folder / NAME))} was written by a newer editthinker")
        if self._write:
            self._db.execute("PRAGMA synchronous = FULL")
            if not version:
                self._db.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {VERSION}; COMMIT;")

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def begin(self, judge: str, about: About, cases: Sequence[Case], asked: Sequence[Asked]) -> None:
        """Note what is to be asked of a judge, in place of what was noted of it before; replies stay."""
        told = {name: getattr(about, name) for name in About.__slots__}
        with self._lock, disk(self._folder, "write the judgements of"):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                for table in ("evaluations", "cases", "asked"):
                    self._db.execute(f"DELETE FROM {table} WHERE judge = ?", (judge,))  # noqa: S608 - our own names
                self._db.execute(
                    "INSERT INTO evaluations VALUES (?, ?, ?)", (judge, json.dumps(told), time.time())
                )
                self._db.executemany(
                    "INSERT INTO cases VALUES (?, ?, ?, ?)",
                    [(judge, place, case.id, _json(case)) for place, case in enumerate(cases)],
                )
                self._db.executemany(
                    "INSERT INTO asked VALUES (?, ?, ?, ?, ?, ?, ?)",
                    [
                        (judge, one.case, one.turn, one.kind, one.delivered, one.question, one.published)
                        for one in asked
                    ],
                )
                self._db.execute("COMMIT")
            except BaseException:
                self._db.execute("ROLLBACK")
                raise

    def keep(
        self, question: str, judge: str, number: int, sums: tuple[str, str], said: Reply, cost: float
    ) -> None:
        """Store a reply, durably; `sums` are those of prompt and images."""
        values = (question, judge, number, *sums, said.text, said.outcome, said.model, cost, time.time())
        with self._lock, disk(self._folder, "write the judgements of"):
            self._db.execute("INSERT OR IGNORE INTO replies VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)

    def forget(self, judge: str, case: str, turn: int) -> None:
        """An image that turned out to be none counts as missing."""
        with self._lock, disk(self._folder, "write the judgements of"):
            self._db.execute("DELETE FROM asked WHERE (judge, id, turn) = (?, ?, ?)", (judge, case, turn))

    def judges(self) -> list[str]:
        """Who was asked, the latest last."""
        return [name for (name,) in self._rows("SELECT judge FROM evaluations ORDER BY at")]

    def about(self, judge: str) -> About:
        """What was noted of an evaluation."""
        rows = self._rows("SELECT about FROM evaluations WHERE judge = ?", judge)
        told = json.loads(rows[0][0])
        lists = ("differences", "unverified")
        return About(**{**told, **{name: tuple(told.get(name, ())) for name in lists}})

    def cases(self, judge: str) -> list[Case]:
        """The cases of an evaluation, without their images."""
        rows = self._rows("SELECT record FROM cases WHERE judge = ? ORDER BY place", judge)
        return [Case(images=(), **json.loads(record)) for (record,) in rows]

    def asked(self, judge: str) -> list[Asked]:
        """What an evaluation asks, answered or not."""
        rows = self._rows(
            "SELECT id, turn, kind, delivered, question, published FROM asked WHERE judge = ?"
            " ORDER BY id, turn",
            judge,
        )
        return [Asked(case, turn, kind, bool(out), *rest) for case, turn, kind, out, *rest in rows]

    def replies(self, judge: str) -> dict[str, list[Reply]]:
        """Everything a judge said, by question, in the order of asking."""
        rows = self._rows(
            "SELECT question, text, outcome, model FROM replies WHERE judge = ? ORDER BY question, number",
            judge,
        )
        said: dict[str, list[Reply]] = {}
        for question, *reply in rows:
            said.setdefault(question, []).append(Reply(*reply))
        return said

    def spent(self, judge: str) -> tuple[int, float]:
        """Replies of a judge and what they cost, in US dollars."""
        ((number, cost),) = self._rows("SELECT count(*), total(cost) FROM replies WHERE judge = ?", judge)
        return number, cost

    def _rows(self, query: str, *values: Any) -> list[Any]:
        with self._lock, disk(self._folder, "read the judgements of"):
            return self._db.execute(query, values).fetchall()


def _json(case: Case) -> str:
    """A case without its images; values that JSON does not know stand as text."""
    fields = ("id", "instruction", "category", "tags", "record", "problem")
    return json.dumps({name: _plain(getattr(case, name)) for name in fields}, default=str)


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value
