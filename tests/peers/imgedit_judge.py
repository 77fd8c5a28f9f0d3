"""A small ImgEdit-shaped data folder of our own photographs, and what a judge of it says."""

from __future__ import annotations

import json
from pathlib import Path

from editthinker.testing.behaviour import photograph
from peers.chat_server import Asked

WISHES = {
    "1": ("adjust", "make it warmer"),
    "2": ("style", "black and white"),
    "3": ("background", "blur the background"),
}


def write_data(folder: Path, number: int = 3) -> Path:
    """The folder, with `singleturn.json` and images beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    records = {}
    for place, (key, (kind, words)) in enumerate(list(WISHES.items())[:number]):
        photograph(96, 64, seed=place).save(folder / f"{key}.jpg")
        records[key] = {"id": f"{key}.jpg", "prompt": words, "edit_type": kind}
    (folder / "singleturn.json").write_text(json.dumps(records), "utf-8")
    return folder


def marks(asked: Asked) -> str:
    """Three marks: 5 where the images differ, 1 where they do not."""
    first, second = (picture.convert("RGB") for picture in asked.pictures)
    done = 1 if first.tobytes() == second.tobytes() else 5
    return f"It was looked at.\nInstruction: {done}\nPreservation: {done}\nQuality: 4"
