"""The package's weights, handed out only after their hashes match `MANIFEST.toml`; and thinkers in folders.

In: the name of a model, or a folder. Out: its files as bytes.
"""

from __future__ import annotations

import hashlib
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

from editthinker.core.errors import InputError, StoreError

FOLDER = resources.files("editthinker.darkroom") / "weights"
THINKER = ("thinker.vision.onnx", "thinker.decoder.onnx", "thinker.tokenizer.json")
"""The files of a thinker: what it sees with, what it writes with, its words."""


def manifest() -> dict[str, Any]:
    """What is shipped: per model its files (size, sha256), recipe, licence and measured scores."""
    return tomllib.loads((FOLDER / "MANIFEST.toml").read_text(encoding="utf-8"))


def verified(model: str) -> dict[str, bytes]:
    """The files of a model of the manifest by name. Raises `StoreError` if one is missing or altered."""
    shipped = manifest().get(model)
    if shipped is None:
        raise StoreError(f"this package has no weights for {model}; see darkroom/weights/MANIFEST.toml")
    files: dict[str, bytes] = {}
    for entry in shipped["files"]:
        name = entry["name"]
        try:
            data = (FOLDER / name).read_bytes()
        except OSError as error:
            raise StoreError(f"the weights file {name} is missing; reinstall editthinker") from error
        if len(data) != entry["size"] or hashlib.sha256(data).hexdigest() != entry["sha256"]:
            raise StoreError(f"the weights file {name} does not match its manifest; reinstall editthinker")
        files[name] = data
    return files


def lacking(folder: Path) -> list[str]:
    """Which files of a thinker a folder does not have."""
    return [file for file in THINKER if not (folder / file).is_file()]


def opened(folder: Path) -> dict[str, bytes]:
    """The files of a thinker that somebody trained, as they are. Raises `InputError` when one is missing."""
    if missing := lacking(folder):
        raise InputError(f"{folder} holds no darkroom thinker: {missing[0]} is missing")
    return {file: (folder / file).read_bytes() for file in THINKER}
