"""Results folders: written as the official scorer expects them, and found in folders that others made.

In: cases, where their edited images lie, a folder. Out: files in the benchmark's places; or which cases a
folder has images for, and which not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from editthinker.benchmarks.showing import Source, bytes_of
from editthinker.benchmarks.suite import Benchmark, Case
from editthinker.core.errors import InputError
from editthinker.core.files import cause, shown, write_atomically
from editthinker.core.formats import HEAD, MEDIA_TYPES, format_of_suffix, identify
from editthinker.core.images import Picture


def lay_out(
    benchmark: Benchmark, cases: Sequence[Case], edited: Mapping[str, Source], folder: Path
) -> tuple[str, ...]:
    """Write every edited image (by case id) to its place, with the source where the scorer wants it.

    Bytes are kept where they are of the format that the place's suffix names. Returns the ids of the cases
    without an image. Raises `InputError` for a folder that is not empty, `ImageError`, `StoreError`.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{shown(str(folder))} is not an empty folder; results are laid out into a new one")
    for case in cases:
        if case.id in edited and not case.problem:
            place = benchmark.where(case)
            _write(edited[case.id], folder / place.edited)
            if place.source:
                _write(case.images[0], folder / place.source)
    return tuple(case.id for case in cases if case.id not in edited or case.problem)


def find_results(
    benchmark: Benchmark, cases: Sequence[Case], folder: Path
) -> tuple[dict[str, Path], tuple[str, ...]]:
    """Edited images in a results folder by case id, and the ids without one. Raises `InputError` for none."""
    if not folder.is_dir():
        raise InputError(f"there is no results folder {shown(str(folder))}")
    found = {}
    for case in cases:
        if case.problem:  # without its source it cannot be judged
            continue
        place = benchmark.where(case)
        paths = (folder / name for name in (place.edited, *place.also))
        if path := next((path for path in paths if path.is_file()), None):
            found[case.id] = path
    if not found and cases:
        raise InputError(
            f"{shown(str(folder))} holds no results of {benchmark.name}: expected files such as"
            f" {benchmark.where(cases[0]).edited}"
        )
    return found, tuple(case.id for case in cases if case.id not in found)


def _write(image: Source, path: Path) -> None:
    data = bytes_of(image)
    wanted = MEDIA_TYPES[format_of_suffix(path.suffix)]
    if MEDIA_TYPES[identify(data[:HEAD])] != wanted:
        data = Picture.open(data).encode(wanted)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {shown(str(path.parent))}: {cause(error)}") from None
    write_atomically(path, data, overwrite=True)
