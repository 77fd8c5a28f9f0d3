"""What editor and judge answered before, by content: a training that starts again pays nothing twice.

In: keys made of names, sha256 of files, words and seeds. Out: the image an edit made, what a judge said of
it. Two files of lines, each appended in one write, so a process killed at any moment leaves at most one torn
line, which is no answer; several processes may share the folder. Images are kept until they are many (`most`
bytes), the oldest go first: a score needs its image only once.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from editthinker.core import decoding, files
from editthinker.core.errors import ImageError, StoreError
from editthinker.core.images import Picture
from editthinker.core.types import Score
from editthinker.training.rewards import Look

MOST = 4 * 2**30
"""Bytes of images."""


def key_of(*content: Any) -> str:
    """Hex sha256 of JSON values."""
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


class Kept:
    """A folder of answers. Safe to share between threads."""

    def __init__(self, folder: Path, most: int = MOST) -> None:
        """Raises `StoreError` when the folder cannot be used."""
        self.folder, self.most = folder, most
        self._lock = Lock()
        try:
            (folder / "images").mkdir(parents=True, exist_ok=True)
            self._edits = {line["key"]: str(line["image"]) for line in _lines(folder / "edits.jsonl")}
            self._looks = {
                line["key"]: Look(Score(line["semantic"], line["quality"]), line["kept"])
                for line in _lines(folder / "looks.jsonl")
            }
            images = [(entry.stat(), Path(entry)) for entry in os.scandir(folder / "images")]
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise StoreError(
                f"cannot use the folder of answers {files.shown(str(folder))}: {error}"
            ) from error
        self._images = {path: stat.st_size for stat, path in sorted(images, key=lambda i: i[0].st_mtime)}
        self._size = sum(self._images.values())

    def image_of(self, key: str) -> str:
        """The name of the image an edit made; empty when it was not made yet."""
        return self._edits.get(key, "")

    def image(self, name: str) -> Picture | None:
        """The image of that name, None when it is gone or damaged. Blocking."""
        path = self._path(name)
        try:
            data = path.read_bytes()
        except OSError:
            return None
        return Picture.decode(data, path.name) if hashlib.sha256(data).hexdigest() == name else None

    def look(self, key: str) -> Look | None:
        """What a judge said."""
        return self._looks.get(key)

    def keep_image(self, key: str, picture: Picture) -> str:
        """Keep what an edit made; its name. Blocking. Raises `StoreError` when the disk fails."""
        data = picture.encode()
        name = hashlib.sha256(data).hexdigest()
        path = self._path(name)
        if path not in self._images:
            files.write_atomically(path, data, overwrite=True)
        self._append("edits.jsonl", {"key": key, "image": name})
        with self._lock:
            self._edits[key] = name
            self._size += len(data) - self._images.pop(path, 0)
            self._images[path] = len(data)
            while self._size > self.most and len(self._images) > 1:
                oldest = next(iter(self._images))
                self._size -= self._images.pop(oldest)
                oldest.unlink(missing_ok=True)
        return name

    def keep_look(self, key: str, look: Look) -> None:
        """Keep what a judge said. Blocking. Raises `StoreError`."""
        said = {"semantic": look.score.semantic, "quality": look.score.quality, "kept": look.kept}
        self._append("looks.jsonl", {"key": key, **said})
        self._looks[key] = look

    def _path(self, name: str) -> Path:
        return self.folder / "images" / f"{name}.png"

    def _append(self, name: str, line: dict[str, Any]) -> None:
        path = self.folder / name
        try:
            file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                os.write(file, b"\n" + json.dumps(line).encode())  # first, as the line before may be torn
            finally:
                os.close(file)
        except OSError as error:
            raise StoreError(f"cannot write {files.shown(str(path))}: {files.cause(error)}") from error


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """Whole lines; the same key may come twice, the last counts."""
    if not path.exists():
        return
    with path.open("rb") as stream:
        for line in stream:
            try:
                read = json.loads(line)
            except ValueError:
                continue  # torn, or empty
            if isinstance(read, dict):
                yield read


def sha_of(paths: Sequence[Path]) -> list[str]:
    """sha256 of images as files. Blocking. Raises `ImageError`."""
    found = []
    for path in paths:
        try:
            with files.open_regular(path, decoding.MAX_BYTES) as stream:
                found.append(hashlib.sha256(stream.read()).hexdigest())
        except (OSError, ImageError) as error:
            why = files.cause(error) if isinstance(error, OSError) else error
            raise ImageError(f"cannot use {files.shown(str(path))}: {why}") from error
    return found
