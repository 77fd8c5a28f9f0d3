"""The package's weights, handed out only after their hashes match `MANIFEST.toml`.

In: the name of a model. Out: its files as bytes.
"""

from __future__ import annotations

import hashlib
import tomllib
from importlib import resources
from typing import Any

from editthinker.core.errors import StoreError

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
