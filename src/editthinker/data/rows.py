"""Files of rows and run folders, a line at a time.

In: JSON lines, a stage's folder, a run folder. Out: rows with absolute image paths; whatever cannot be read
is counted and passed over. Written, a path is relative to its file's folder, so that a tree of runs and
stages can be moved as a whole.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Generic, TypeVar

from pydantic import ValidationError

from editthinker.core.errors import InputError
from editthinker.core.files import cause, shown
from editthinker.core.records import CritiqueRecord, EditorRecord, ImageRef, TrajectoryRecord, TurnRecord
from editthinker.data.generating import runs_in
from editthinker.data.records import ImageFile, StepRow, TrajectoryRow, TurnRow, key_of
from editthinker.data.stage import Counts, Stage
from editthinker.runs import RunFolder
from editthinker.runs.folder import CONFIG
from editthinker.runs.resuming import FREE

MAX_LINE = 8 * 2**20
"""Bytes of a row; a longer line is no row."""
R = TypeVar("R", TrajectoryRow, StepRow)
_MADE_BY = {"trajectory": "'editthinker data filter'", "step": "'editthinker data unroll'"}


@dataclass
class Source(Generic[R]):
    """Rows of one kind that can be read any number of times; counts, and knows what it read, the first time.

    `row` is `TrajectoryRow` or `StepRow`; only trajectories can come from run folders.
    """

    row: type[R]
    paths: tuple[Path, ...]
    inputs: list[dict[str, str]] = field(default_factory=list)
    """What was read: name and sha256, for the manifest."""

    @property
    def kind(self) -> str:
        """Trajectory or step, as the rows say it."""
        return str(self.row.model_fields["kind"].default)

    def read(self, counts: Counts) -> Generator[R]:
        """Every row, in order; those that cannot be read are counted as "malformed"."""
        inputs = []
        for path in (run for given in self.paths for run in runs_in(given) or [given]):
            digest = hashlib.sha256()
            if (path / CONFIG).is_file():
                yield from self._of_run(path, digest.update, counts)
            else:
                yield from self._of_file(self.file(path), digest.update, counts)
            inputs.append({"name": path.name or path.resolve().name, "sha256": digest.hexdigest()})
        if self.inputs and self.inputs != inputs:
            raise InputError("the input changed while it was being read; run the stage again")
        self.inputs = inputs

    def again(self) -> Generator[R]:
        """Every row once more, without counting."""
        return self.read(Counts())

    def file(self, path: Path) -> Path:
        """The file of rows that a path means. Raises `InputError`."""
        if path.is_file():
            return path
        if not path.exists():
            raise InputError(f"there is nothing at {shown(str(path))}: no run folder, no file of rows")
        found = sorted(path.glob("*.jsonl"))
        if len(found) != 1:
            holds = ", ".join(file.name for file in found) or "none"
            raise InputError(f"{shown(str(path))} is neither a run nor one file of rows (it holds: {holds})")
        return found[0]

    def _of_run(self, path: Path, digest: Callable[[bytes], None], counts: Counts) -> Iterator[R]:
        if self.row is not TrajectoryRow:
            raise InputError(
                f"{shown(str(path))} is a run; this stage takes steps: {_MADE_BY['step']} makes them"
            )
        with RunFolder.open(path) as run:
            for _, record in run.numbered():
                row = of_run(record, run)
                digest(with_paths(row, os.path.basename).model_dump_json().encode())
                counts.read += 1
                yield row  # type: ignore[misc] # checked above: the row is a TrajectoryRow

    def _of_file(self, path: Path, digest: Callable[[bytes], None], counts: Counts) -> Iterator[R]:
        folder = path.parent.resolve()
        kind = self.kind
        try:
            with path.open("rb") as stream:
                for number, line in _lines(stream, digest):
                    counts.read += 1
                    try:
                        data = json.loads(line)
                        if isinstance(data, dict) and data.get("kind") in _MADE_BY and data["kind"] != kind:
                            raise InputError(
                                f"{shown(str(path))} holds rows of kind {data['kind']!r}, this stage takes"
                                f" {kind!r}: {_MADE_BY[kind]} makes them"
                            )
                        row = self.row.model_validate(data)
                    except (ValueError, RecursionError) as error:
                        counts.drop("malformed", f"{path.name} line {number}: {_short(error)}")
                        continue
                    yield with_paths(row, lambda old: os.path.normpath(folder / old))
        except OSError as error:
            raise InputError(f"cannot read {shown(str(path))}: {cause(error)}") from error


def row_type(paths: Sequence[Path]) -> type[TrajectoryRow] | type[StepRow]:
    """What the first of these holds; trajectories where that cannot be told."""
    source = Source(TrajectoryRow, tuple(paths[:1]))
    if (paths[0] / CONFIG).is_file() or runs_in(paths[0]):
        return TrajectoryRow
    with source.file(paths[0]).open("rb") as stream:
        begin = stream.readline(MAX_LINE)
    return StepRow if b'"kind": "step"' in begin else TrajectoryRow


def _lines(stream: BinaryIO, digest: Callable[[bytes], None]) -> Iterator[tuple[int, bytes]]:
    """Lines with their numbers, empty ones left out; of one that is too long its beginning (no JSON)."""
    number = 0
    while line := stream.readline(MAX_LINE):
        digest(line)
        number += 1
        rest = line
        while not rest.endswith(b"\n") and (rest := stream.readline(MAX_LINE)):
            digest(rest)
            line = b"it is too long"
        if line.strip():
            yield number, line


def _short(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}".lower()[:120]
    return "it is not valid JSON"


def write(stage: Stage, name: str, rows: Iterable[R]) -> None:
    """Write a stage's file of rows, and count them."""
    folder = stage.out.resolve()
    with stage.file(name) as file:
        for row in rows:
            stage.counts.kept += 1
            file.write(written(row, folder))


def written(row: R, folder: Path) -> bytes:
    """The line of a file in `folder` that says this row; paths relative to it."""
    moved = with_paths(row, lambda path: os.path.relpath(path, folder))
    said = {"kind": row.kind, "schema_version": row.schema_version}
    return json.dumps(said | moved.model_dump(mode="json", exclude_defaults=True)).encode() + b"\n"


def with_paths(row: R, change: Callable[[str], str]) -> R:
    """The row with every image path changed."""

    def moved(image: ImageFile) -> ImageFile:
        return image.model_copy(update={"path": Path(change(image.path)).as_posix()})

    update: dict[str, object] = {
        "images": tuple(moved(image) for image in row.images),
        "mask": row.mask and moved(row.mask),
    }
    if isinstance(row, TrajectoryRow):
        update["turns"] = tuple(t.model_copy(update={"image": moved(t.image)}) for t in row.turns)
    else:
        update["edited"] = moved(row.edited)
    return row.model_copy(update=update)


def image_files(row: TrajectoryRow | StepRow) -> tuple[ImageFile, ...]:
    """Every image the row needs."""
    edited = [turn.image for turn in row.turns] if isinstance(row, TrajectoryRow) else [row.edited]
    return (*row.images, *([row.mask] if row.mask else []), *edited)


def of_run(record: TrajectoryRecord, run: RunFolder) -> TrajectoryRow:
    """A trajectory of a run folder as a row."""

    def at(ref: ImageRef) -> ImageFile:
        return ImageFile(path=run.image_path(ref).resolve().as_posix(), sha256=ref.sha256)

    config = run.record.config
    sample = record.sample
    editor = next((turn.editor for turn in record.turns if turn.editor), _names(config, "editor"))
    return TrajectoryRow(
        id=sample.id,
        key=key_of(
            sample.id,
            sample.instruction,
            [image.sha256 for image in sample.images],
            [[turn.instruction, turn.seed, turn.editor, turn.image.sha256] for turn in record.turns],
        ),
        instruction=sample.instruction,
        images=tuple(at(image) for image in sample.images),
        mask=at(sample.mask) if sample.mask else None,
        tags=sample.tags,
        editor=editor,
        about=_about(config, editor),
        thinker=_names(config, "thinker"),
        turns=tuple(_turn(turn, at(turn.image)) for turn in record.turns),
        stop=record.stop.reason.value,
        failure=record.failure.message if record.failure else "",
    )


def _names(config: Mapping[str, Any], role: str) -> str:
    """Who was named; several are servers of one model."""
    named = config.get(role) or ""
    return named if isinstance(named, str) else " + ".join(map(str, named))


def _about(config: Mapping[str, Any], editor: str) -> EditorRecord | None:
    """What the run kept of what its thinker was told of this editor."""
    kept = (config.get(FREE) or {}).get("facts") or {}
    return EditorRecord.model_validate(kept[editor]) if editor in kept else None


def _turn(turn: TurnRecord, image: ImageFile) -> TurnRow:
    """Without the raw reply, which the reasoning and the refined instruction were read from."""
    critique: CritiqueRecord | None = turn.critique and turn.critique.model_copy(update={"reply": ""})
    return TurnRow(
        index=turn.index,
        instruction=turn.instruction,
        image=image,
        critique=critique,
        judged=turn.judged,
        base=turn.base,
        step=turn.step,
    )
