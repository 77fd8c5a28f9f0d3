"""Which project files may say what a model is: those the user has read, as they were then.

A project file comes with whatever was cloned. What it defines decides which code runs, where photos go and
which key goes with them, so it counts only after `editthinker config trust`, and a changed file has to be
trusted anew.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from editthinker.core.errors import StoreError
from editthinker.core.files import write_atomically


def is_trusted(path: Path, content: bytes) -> bool:
    """Whether the user trusted this file with exactly this content."""
    try:
        lines = _store().read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return False
    return _line(path, content) in lines


def trust(path: Path, content: bytes) -> None:
    """Remember this content of this file, and forget what it was before. Raises `StoreError`."""
    store, line = _store(), _line(path, content)
    try:
        lines = store.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        lines = []
    place = line.partition(" ")[2]
    kept = [known for known in lines if known.partition(" ")[2] != place]
    try:
        store.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot make the folder {store.parent}: {error.strerror}") from error
    write_atomically(store, "".join(f"{known}\n" for known in [*kept, line]).encode(), overwrite=True)


def _line(path: Path, content: bytes) -> str:
    """`sha256 "path"`, on one line whatever the path holds."""
    return f"{hashlib.sha256(content).hexdigest()} {os.path.realpath(path)!a}"


def _store() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")  # noqa: PTH111 - never raises
    return Path(state) / "editthinker" / "trusted"
