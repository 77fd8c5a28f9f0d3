"""A run folder: made or opened, written by one process, read by any number."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from pydantic import ValidationError

from editthinker.core.errors import ImageError, InputError, StoreError
from editthinker.core.files import shown
from editthinker.core.images import Picture
from editthinker.core.past import Past
from editthinker.core.records import (
    SCHEMA_VERSION,
    CallRecord,
    Document,
    ImageRef,
    StopRecord,
    TrajectoryRecord,
    TurnRecord,
)
from editthinker.core.types import Call, Sample, StopReason
from editthinker.runs import answers, ledger, lock
from editthinker.runs.blobs import Blobs
from editthinker.runs.commits import Commits
from editthinker.runs.disk import disk, put
from editthinker.runs.recorder import Recorder, sample_key

CONFIG = "run.json"
IMAGES = "images"


class RunRecord(Document):
    """`run.json`: enough to know how a run came about and to repeat it."""

    package_version: str
    created: datetime
    config: dict[str, Any]
    """The resolved configuration, JSON values; names of models, never keys or other secrets."""


UNFINISHED = StopRecord(
    reason=StopReason.CANCELLED,
    sentence="it has not finished: it is still running, or its process was ended",
)
"""Stands in for the end of a trajectory that has none."""


class RunFolder:
    """One run on disk. Raises `StoreError`; use it as a context manager."""

    def __init__(self, path: Path, record: RunRecord, held: lock.Lock | None) -> None:
        """Use `create` or `open` instead."""
        self.path = path
        self.record = record
        self._lock = held
        self._ledger = ledger.Ledger(path, write=held is not None)
        self._blobs = Blobs(path / IMAGES)
        self._commits = Commits(self._ledger)

    @classmethod
    def create(cls, path: Path | None, config: Mapping[str, Any]) -> RunFolder:
        """Make a new run and hold it for writing; None finds it a place, see `new_place`.

        `config` is the resolved configuration, JSON values without secrets. Raises `InputError` when the
        folder holds anything already.
        """
        record = RunRecord(package_version=_version(), created=datetime.now(UTC), config=dict(config))
        path = path or new_place()
        with disk(path, "make a run in"):
            try:
                path.mkdir(parents=True)
            except FileExistsError:
                _check_empty(path)
                return cls._made(path, record, fresh=False)
            return cls._made(path, record, fresh=True)

    @classmethod
    def open(cls, path: Path, *, write: bool = False) -> RunFolder:
        """Open a run to read it, also while it is being written, or (with `write`) to go on with it."""
        with disk(path, "open the run"):
            record = _read(path)
            held = lock.Lock(path) if write else None
            try:
                run = cls(path, record, held)
                if write:
                    run._blobs.sweep()
            except BaseException:
                if held:
                    held.release()
                raise
            return run

    @classmethod
    def _made(cls, path: Path, record: RunRecord, *, fresh: bool) -> RunFolder:
        held = lock.Lock(path)
        run = None
        try:
            run = cls(path, record, held)
            data = json.dumps(record.model_dump(mode="json"), indent=2) + "\n"
            put(path / CONFIG, data.encode(), overwrite=False)
        except BaseException:
            if run:
                run._ledger.close()
            if fresh:
                shutil.rmtree(path, ignore_errors=True)
            held.release()
            raise
        return run

    def close(self) -> None:
        """Let go of the run, once everything is written; it can be opened again."""
        self._commits.close()
        self._ledger.close()
        if self._lock:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def recorder(
        self, sample: Sample, *, key: str = "", inputs: str = "", past: Past | None = None
    ) -> Recorder:
        """The listener that stores an episode of this sample.

        `key` names it ("": by words and pixels), `inputs` is kept beside it, `past` is what `past(key)` gave.
        """
        if not self._lock:
            raise StoreError(f"the run {shown(str(self.path))} was opened for reading only")
        return Recorder(sample, self._ledger, self._blobs, self._commits, key=key, inputs=inputs, past=past)

    def past(self, key: str) -> Past:
        """What models were asked for this sample and what they said, to go on from there.

        Answers end where the first of them cannot be read any more: what came later rests on it.
        """
        past, intact = Past(), True
        for place, (record, question, answer) in enumerate(self._ledger.calls(key)):
            past.calls.append(Call(**record.model_dump(exclude={"schema_version"}), question=question))
            if answer is not None and intact:
                try:
                    past.answers[question] = place, answers.read(answer, self._blobs.load)
                except (ImageError, ValueError):
                    intact = False
        return past

    def begun(self) -> list[ledger.Begun]:
        """Every sample that was begun, and how it ended if it has."""
        return self._ledger.begun()

    def spent(self) -> dict[str, tuple[int, float]]:
        """Calls made and US dollars spent, by role, over all samples and interruptions."""
        return self._ledger.spent()

    def turn(self, sample: int, index: int) -> TurnRecord | None:
        """One turn of the sample that the ledger gave this number."""
        return self._ledger.turn(sample, index)

    def set_unusable(self, problems: Mapping[str, str]) -> None:
        """Note the inputs that could not become samples: id to reason."""
        self._ledger.set_unusable(problems)

    def unusable(self) -> dict[str, str]:
        """Inputs that could not become samples: id to reason."""
        return self._ledger.unusable()

    def is_finished(self, sample: Sample) -> bool:
        """Whether this very sample (words and pixels) has its trajectory."""
        return self._ledger.is_finished(sample_key(sample))

    def finished_turns(self, sample: Sample) -> tuple[TurnRecord, ...]:
        """What was done of this sample, finished or not."""
        return self._ledger.turns(sample_key(sample))

    def counts(self) -> tuple[int, int]:
        """Samples begun, and finished."""
        return self._ledger.counts()

    def trajectories(self) -> Iterator[TrajectoryRecord]:
        """All of them in order of arrival; one without an end carries the stop `UNFINISHED`."""
        return (record for _, record in self.numbered("number"))

    def numbered(self, order: Literal["number", "key"] = "key") -> Iterator[tuple[int, TrajectoryRecord]]:
        """The same with the sample's number; in the order of their keys, which is the same in every run."""
        stop = UNFINISHED.model_dump(mode="json")
        unfinished = {"stop": stop, "strategy": str(self.record.config.get("strategy", ""))}
        return self._ledger.trajectories(unfinished, order)

    async def keep_score(self, sample: int, turn: TurnRecord, calls: Sequence[CallRecord]) -> None:
        """Keep a turn that was scored when its trajectory had ended, and the calls that took."""
        jobs = [ledger.call_job(sample, None, call) for call in calls]
        if turn.judged:
            jobs.append(ledger.turn_job(sample, turn, finished=True))
        await self._commits.write(jobs)

    def image_path(self, ref: ImageRef) -> Path:
        """Where the bytes of an image lie."""
        return self._blobs.path(ref)

    def picture(self, ref: ImageRef) -> Picture:
        """The image itself. Raises `ImageError` when it is missing or damaged."""
        return Picture.open(self.image_path(ref))


def new_place() -> Path:
    """A folder that does not exist, below EDITTHINKER_RUNS or the user's data folder."""
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    home = Path(os.environ.get("EDITTHINKER_RUNS") or Path(data) / "editthinker" / "runs")
    return home / f"{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"  # noqa: DTZ005 - the user's clock


def _check_empty(path: Path) -> None:
    """Raises `InputError`, or `StoreError` when another process is about to fill the folder."""
    ours = {lock.NAME, *(f"{ledger.NAME}{end}" for end in ("", "-wal", "-shm", "-journal"))}
    if {entry.name for entry in path.iterdir()} <= ours:  # empty, or a run that was never made completely
        return
    if (path / CONFIG).exists():
        lock.Lock(path).release()
    raise InputError(f"the folder {shown(str(path))} is not empty; a new run needs one of its own")


def _read(path: Path) -> RunRecord:
    place = shown(str(path))
    if not (path / CONFIG).is_file():
        raise StoreError(f"{place} is no run folder: it has no {CONFIG}")
    try:
        content = json.loads((path / CONFIG).read_bytes())
        version = content.get("schema_version")
        if isinstance(version, int) and version > SCHEMA_VERSION:
            raise StoreError(f"the run {place} was written by a newer editthinker; upgrade to open it")
        return RunRecord.model_validate(content)
    except (ValueError, AttributeError, ValidationError) as error:
        raise StoreError(f"the run {place} has a damaged {CONFIG}") from error


def _version() -> str:
    try:
        return metadata.version("editthinker")
    except metadata.PackageNotFoundError:
        return "unknown"
