"""Writes the tiny models the engines serve: `python models.py qwen|klein FOLDER`.

The classes, files and sizes are those of the tests (`tests/peers`); the Qwen3-VL has a head of 64, the least
vLLM's attention takes on a CPU, and is taught three replies so that there is something to read.
"""

from __future__ import annotations

import sys
from pathlib import Path


def qwen(folder: Path) -> None:
    """A Qwen3-VL that knows the lessons of `thinker.py`; its short prompt lies beside it."""
    from peers.tiny_qwen import json_lesson, lessons, taught, tiny_qwen3vl

    prompt = folder.parent / "short.txt"
    taught(tiny_qwen3vl(folder, head_dim=64), [*lessons(prompt), json_lesson(prompt)])


def klein(folder: Path) -> None:
    """A FLUX.2-klein whose autoencoder shrinks by 32, so that its 1024 x 1024 warm-up is quick."""
    from peers.tiny_pipelines import tiny_klein

    tiny_klein(folder, distilled=True)


if __name__ == "__main__":
    kind, place = sys.argv[1:]
    if not Path(place).exists():
        {"qwen": qwen, "klein": klein}[kind](Path(place))
