"""A thinker with weights of one's own: what is in the folder decides."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from editthinker import resolve
from editthinker.core.contracts import View
from editthinker.core.errors import EditThinkerError
from editthinker.core.images import Picture
from editthinker.core.types import Sample
from editthinker.darkroom import weights
from editthinker.darkroom.thinker import DarkroomThinker


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The package's own weights, in a folder of their own."""
    for name, data in weights.verified("thinker").items():
        (tmp_path / name).write_bytes(data)
    return tmp_path


def test_the_same_weights_think_the_same(folder: Path) -> None:
    source = Picture.from_array(np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8))
    sample = Sample((source,), "warmer")
    view = View(sample, "warmer", source, ())
    mine = resolve.resolve_thinker(f"onnx:{folder}")
    assert mine.name == f"onnx:{folder}"
    ours, theirs = (asyncio.run(thinker.think(view)) for thinker in (mine, DarkroomThinker.load()))
    assert ours.critique == theirs.critique


def test_a_folder_without_a_thinker_is_named_with_what_it_lacks(folder: Path) -> None:
    (folder / "thinker.decoder.onnx").unlink()
    with pytest.raises(EditThinkerError, match=r"thinker\.decoder\.onnx is missing"):
        resolve.resolve_thinker(f"onnx:{folder}")


def test_a_broken_file_is_one_sentence(folder: Path) -> None:
    (folder / "thinker.decoder.onnx").write_bytes(b"not an onnx file")
    with pytest.raises(EditThinkerError, match="cannot be loaded"):
        resolve.resolve_thinker(f"onnx:{folder}")
