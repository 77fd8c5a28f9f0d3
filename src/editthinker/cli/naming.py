"""Names on the command line become objects; modules in the current folder count, as with `python -m`."""

from __future__ import annotations

import sys
from pathlib import Path

from editthinker import resolve
from editthinker.core.contracts import Editor, Thinker


def editor(name: str) -> Editor:
    """The editor called `name`. Raises `UnknownName`, `MissingExtra` or `InputError`."""
    _look_here_too(name)
    return resolve.resolve_editor(name)


def thinker(name: str) -> Thinker | None:
    """The thinker called `name`, or None for "none". Raises as `editor` does."""
    _look_here_too(name)
    return resolve.resolve_thinker(name)


def _look_here_too(name: str) -> None:
    """Last in the path, and only for dotted names: a stray file must not stand in for a library."""
    here = str(Path.cwd())
    if ":" in name and here not in sys.path:
        sys.path.append(here)
