"""Names on the command line become objects; modules in the current folder count, as with `python -m`."""

from __future__ import annotations

import sys
from pathlib import Path

from editthinker import resolve
from editthinker.core.contracts import Editor, Thinker
from editthinker.core.types import Role


def editor(name: str) -> Editor:
    """The editor called `name`. Raises `UnknownName`, `MissingExtra` or `InputError`."""
    look_here_too("editor", name)
    return resolve.resolve_editor(name)


def thinker(name: str) -> Thinker | None:
    """The thinker called `name`, or None for "none". Raises as `editor` does."""
    look_here_too("thinker", name)
    return resolve.resolve_thinker(name)


def look_here_too(role: Role, name: str) -> None:
    """Let a dotted path find modules of the current folder.

    Last in the path, and only for dotted paths: a stray file must not stand in for a library that a built-in
    adapter looks for.
    """
    here = str(Path.cwd())
    if resolve.is_dotted(role, name) and here not in sys.path:
        sys.path.append(here)
