"""Files of other people's benchmarks, read with care: text, JSON, and image names that stay in their folder.

In: paths. Out: values, or an `InputError` that says which file and what is wrong with it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from editthinker.core.errors import ImageError, InputError
from editthinker.core.files import cause, open_regular, shown

MOST_BYTES = 64 * 2**20
"""Of a file of records or prompts; the largest known has less than 1 MiB."""
_LISTED = 8


def text_of(path: Path) -> str:
    """The text of a file, line ends as Python reads them. Raises `InputError`."""
    try:
        with open_regular(path, MOST_BYTES) as stream:
            text = stream.read().decode("utf-8-sig")
    except ImageError as error:
        raise InputError(f"cannot read {shown(str(path))}: {error}") from None
    except OSError as error:
        raise InputError(f"cannot read {shown(str(path))}: {cause(error)}") from None
    except UnicodeDecodeError:
        raise InputError(f"cannot read {shown(str(path))}: it is not UTF-8 text") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def json_of(path: Path) -> Any:
    """The value of a JSON file. Raises `InputError`, also for a name that stands twice in one object."""

    def told_apart(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise InputError(f"cannot read {shown(str(path))}: {shown(twice)} stands in it more than once")
        return made

    try:
        return json.loads(text_of(path), object_pairs_hook=told_apart)
    except (ValueError, RecursionError):
        raise InputError(f"cannot read {shown(str(path))}: it is not valid JSON") from None


def found_in(data: Path, places: Sequence[str], what: str) -> Path:
    """The first of these relative paths that is a file; `data` may be the file. Raises `InputError`."""
    if data.is_file():
        return data
    if not data.exists():
        raise InputError(f"there is no data folder {shown(str(data))}")
    for place in places:
        if (path := data / place).is_file():
            return path
    expected = " or ".join(places)
    raise InputError(f"{shown(str(data))} is not {what}: expected {expected} in it; {inside(data)}")


def inside(data: Path) -> str:
    """What lies in a wrong folder, as a clause; the first few names."""
    if not data.is_dir():
        return "it is no folder"
    try:
        names = sorted(path.name for path in data.iterdir())
    except OSError as error:
        return f"it cannot be looked into: {cause(error)}"
    more = f" and {len(names) - _LISTED} more" * (len(names) > _LISTED)
    return f"it holds {', '.join(shown(name) for name in names[:_LISTED])}{more}" if names else "it is empty"


def image_in(roots: Iterable[Path], name: Any) -> tuple[Path, str]:
    """Where an image of this relative name lies, and what is wrong with it (empty: nothing, not opened)."""
    roots = tuple(roots)
    if not isinstance(name, str) or not name.strip() or "\0" in name:
        return roots[0], "its record names no image"
    for root in roots:
        path = root / name
        if not path.resolve().is_relative_to(root.resolve()):
            return path, f"its image {shown(name[:120])} lies outside the data folder"
        try:
            if path.is_file():
                return path, ""
        except OSError:  # a name too long for the system
            continue
    return roots[0] / name, f"its image {shown(name[:120])} is not in the data folder"
