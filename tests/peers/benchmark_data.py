"""A small data folder of every benchmark, in its authors' layout, and a reply that each can read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from editthinker.benchmarks.gedit.data import TASKS
from editthinker.testing.behaviour import photograph
from peers import imgedit_judge, kris_data, rise_data

GOLD = Path(__file__).parents[1] / "benchmarks" / "gold"
REPLIES = {
    "imgedit": "Fine.\nInstruction: 4\nPreservation: 4\nQuality: 4",
    "uge": "Brief reasoning: the left one is gone.\nScore: 4",
    "gedit": '{"score": [8, 9], "reasoning": "fine"}',
    "rise": "It is.\nFinal Score: 4",
    "kris": json.dumps(
        {f"{name}_score": 4 for name in ("consistency", "instruction", "knowledge", "quality")}
    ),
    "uniredit": "It is.\nFinal Score: 4",
}


def gedit_data(folder: Path) -> Path:
    photograph(40, 30).save(folder / "a.png")
    rows = [
        {"task_type": task, "key": f"{place:032x}", "instruction": "warmer", "file_name": "a.png"}
        | {"instruction_language": "en", "Intersection_exist": True}
        for place, task in enumerate(TASKS)
    ]
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    return folder


def uniredit_data(folder: Path) -> Path:
    records = json.loads((GOLD / "uniredit.json").read_text())["inputs"]["records"]
    for name in (
        record[key] for record in records for key in ("original_image_path", "reference_image_path")
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 20)).save(folder / name)
    (folder / "data.json").write_text(json.dumps(records))
    return folder


def uge_data(folder: Path) -> Path:
    photograph(40, 30).save(folder / "a.jpg")
    photograph(30, 40, seed=1).save(folder / "b.jpg")
    records = {
        "1": {"id": "a.jpg", "prompt": "warmer"},
        "7": {"id": "b.jpg", "prompt": "remove the left one"},
    }
    (folder / "UGE_edit.json").write_text(json.dumps(records), "utf-8")
    return folder


DATA: dict[str, Callable[[Path], Any]] = {
    "imgedit": imgedit_judge.write_data,
    "uge": uge_data,
    "gedit": gedit_data,
    "rise": lambda folder: rise_data.written(folder, rise_data.GOLD["inputs"]["records"]),
    "kris": kris_data.written,
    "uniredit": uniredit_data,
}
