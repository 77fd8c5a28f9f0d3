"""A stage's folder: it appears whole or not at all, and its manifest says how it came about.

A stage writes into `.NAME.part` beside the folder and renames that when everything, the manifest too, is on
disk. What a killed stage left behind is cleared away by the next one of the same name; a stage that runs
holds a lock on it. The manifest has no date, no place and no name of a machine: the same input and the same
parameters give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, BinaryIO

from editthinker.core.errors import InputError, StoreError
from editthinker.core.files import cause, shown, write_atomically
from editthinker.runs import lock

MANIFEST = "manifest.json"
MOST_EXAMPLES = 5
"""Rows that are named for each reason."""


@dataclass
class Counts:
    """What became of the rows of a stage."""

    read: int = 0
    kept: int = 0
    """Rows written."""
    dropped: Counter[str] = field(default_factory=Counter)
    """Rows left out, by reason."""
    noted: Counter[str] = field(default_factory=Counter)
    """What else happened (turns cut, rows moved), by name."""
    facts: dict[str, float] = field(default_factory=dict)
    """What the stage found out (a threshold), by name."""
    examples: dict[str, list[str]] = field(default_factory=dict)
    """The first few of every reason."""

    def drop(self, reason: str, example: str) -> None:
        """Count a row that is left out."""
        self.dropped[reason] += 1
        self._name(reason, example)

    def note(self, name: str, example: str = "", times: int = 1) -> None:
        """Count something that is not a loss."""
        self.noted[name] += times
        if example:
            self._name(name, example)

    def _name(self, reason: str, example: str) -> None:
        names = self.examples.setdefault(reason, [])
        if len(names) < MOST_EXAMPLES:
            names.append(shown(example[:200]))

    def as_json(self) -> dict[str, Any]:
        """For the manifest."""
        return {
            "read": self.read,
            "kept": self.kept,
            "dropped": dict(sorted(self.dropped.items())),
            "noted": dict(sorted(self.noted.items())),
            "facts": dict(sorted(self.facts.items())),
            "examples": dict(sorted(self.examples.items())),
        }


class Writer:
    """One file of a stage."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self.digest, self.rows, self.size = stream, hashlib.sha256(), 0, 0

    def write(self, data: bytes, rows: int = 1) -> None:
        """Append bytes that hold so many rows."""
        self._stream.write(data)
        self.digest.update(data)
        self.rows += rows
        self.size += len(data)


class Stage:
    """A folder in the making; see `begun`."""

    def __init__(self, verb: str, out: Path, part: Path, parameters: Mapping[str, Any]) -> None:
        self.verb, self.out, self.part = verb, out, part
        self.parameters = dict(parameters)
        self.counts = Counts()
        self.inputs: Sequence[Mapping[str, str]] = ()
        self.files: dict[str, dict[str, Any]] = {}
        self.found: dict[str, Any] = {}
        """What else belongs into the manifest."""

    @contextmanager
    def file(self, name: str) -> Iterator[Writer]:
        """A file of this stage, to be written from beginning to end."""
        with (self.part / name).open("wb") as stream:
            writer = Writer(stream)
            yield writer
            stream.flush()
            os.fsync(stream.fileno())
        self.files[name] = {"sha256": writer.digest.hexdigest(), "rows": writer.rows, "bytes": writer.size}

    def made(self, name: str, rows: int) -> None:
        """Enter a file that somebody else wrote into `part`."""
        digest = hashlib.sha256()
        with (self.part / name).open("rb") as stream:
            while data := stream.read(1 << 20):
                digest.update(data)
            os.fsync(stream.fileno())
            size = stream.tell()
        self.files[name] = {"sha256": digest.hexdigest(), "rows": rows, "bytes": size}

    def manifest(self) -> dict[str, Any]:
        """What stands in `manifest.json`."""
        return {
            "stage": self.verb,
            "editthinker": _version(),
            "inputs": [dict(entry) for entry in self.inputs],
            "parameters": self.parameters,
            "counts": self.counts.as_json(),
            **self.found,
            "files": dict(sorted(self.files.items())),
        }


def write_manifest(
    path: Path, verb: str, parameters: Mapping[str, Any], counts: Counts, **found: Any
) -> None:
    """The manifest of work that goes on in place, over that of an earlier start. Raises `StoreError`."""
    stage = Stage(verb, path.parent, path.parent, parameters)
    stage.counts, stage.found = counts, found
    stage.inputs = found.pop("inputs", ())
    text = json.dumps(stage.manifest(), indent=2) + "\n"
    write_atomically(path, text.encode(), overwrite=True)


@contextmanager
def begun(verb: str, out: Path, parameters: Mapping[str, Any]) -> Iterator[Stage]:
    """Make the folder `out`; it is there when the block has ended well, and only then.

    Raises `InputError` when the folder holds something already, or when no row at all was kept; `StoreError`
    when the disk fails.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{shown(str(out))} exists already; name another folder, or remove it first")
    part = out.with_name(f".{out.name}.part")
    try:
        part.mkdir(parents=True, exist_ok=True)
        held = _alone(part, out)
        try:
            _clear(part)
            stage = Stage(verb, out, part, parameters)
            yield stage
            _check_kept(stage)
            with stage.file(MANIFEST) as file:
                text = json.dumps(stage.manifest(), indent=2, ensure_ascii=True)
                file.write(text.encode() + b"\n", rows=0)
            (part / lock.NAME).unlink()
            part.replace(out)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
        finally:
            held.release()
    except OSError as error:
        raise StoreError(f"cannot write {shown(str(out))}: {cause(error)}") from error


def _alone(part: Path, out: Path) -> lock.Lock:
    try:
        return lock.Lock(part)
    except StoreError as error:
        raise StoreError(f"another process is writing {shown(str(out))} right now") from error


def _clear(part: Path) -> None:
    for leftover in part.iterdir():
        if leftover.name != lock.NAME:
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()


def _check_kept(stage: Stage) -> None:
    if stage.counts.kept or not stage.counts.read:
        if stage.counts.read:
            return
        raise InputError("there is not a single row in the input; nothing was written")
    reasons = ", ".join(f"{count} {reason}" for reason, count in stage.counts.dropped.most_common())
    example = next(iter(stage.counts.examples.values()), [""])[0]
    raise InputError(
        f"none of {stage.counts.read} rows is left ({reasons}{f'; {example}' if example else ''});"
        " nothing was written"
    )


def _version() -> str:
    try:
        return metadata.version("editthinker")
    except metadata.PackageNotFoundError:
        return "unknown"
