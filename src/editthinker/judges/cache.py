"""Answers kept by what was asked, so that no question is paid for twice.

In: a folder of the user's and the content of a question (texts, sha256 of images, model, parameters, number
of the sample). Out: the reply that once came, or None. One small file per answer, written whole or not at all
and sealed by a sum over itself: any number of processes may share the folder, and a torn file is no answer.
The address of the server is no part of a question: the same model elsewhere gives the same answers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from editthinker.core import files
from editthinker.core.errors import EditThinkerError, ImageError, InputError, StoreError
from editthinker.wire.chat import ChatReply

_SCHEMA = 1
_MOST_BYTES = 16 * 2**20
"""Of one answer; what is larger was not written by us."""


class AnswerCache:
    """A folder of answers. Blocking: call it off the event loop."""

    def __init__(self, folder: str | Path) -> None:
        """Nothing is created yet. Raises `InputError` for what cannot become a folder."""
        self.folder = Path(folder).expanduser()
        if self.folder.exists() and not self.folder.is_dir():
            raise InputError(f"the cache {files.shown(str(folder))} is a file; give a folder")

    def get(self, key: str) -> ChatReply | None:
        """The reply kept under a key; it costs nothing. None when there is none, or none that is whole."""
        try:
            with files.open_regular(self._path(key), _MOST_BYTES) as stream:
                kept = json.loads(stream.read())
            said = kept["reply"]
            if (kept["schema"], kept["key"], kept["sum"]) != (_SCHEMA, key, _sum(said)):
                return None
            return ChatReply(said["text"], said["reasoning"], said["finish"], 0.0, said["notes"])
        except (ImageError, OSError, ValueError, TypeError, KeyError, RecursionError):
            return None  # absent, torn, or foreign: the question is asked

    def put(self, key: str, reply: ChatReply) -> None:
        """Keep a reply; what was kept under the key before is replaced. Raises `StoreError`."""
        said = {name: value for name, value in asdict(reply).items() if name != "cost"}
        kept = {"schema": _SCHEMA, "key": key, "sum": _sum(said), "reply": said}
        path = self._path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            files.write_atomically(path, json.dumps(kept).encode(), overwrite=True)
        except OSError as error:
            raise StoreError(f"cannot write {files.shown(str(path))}: {files.cause(error)}") from error
        except EditThinkerError as error:
            raise StoreError(str(error)) from error

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"


def key_of(question: Mapping[str, Any]) -> str:
    """Hex sha256 of a question's content, JSON values only."""
    return hashlib.sha256(_canonical(question)).hexdigest()


def _sum(said: Mapping[str, Any]) -> str:
    return hashlib.sha256(_canonical(said)).hexdigest()


def _canonical(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, default=str).encode()
