"""A small KRIS-shaped data folder: every kind of record the benchmark has, with words of our own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

RECORDS: dict[str, dict[str, dict[str, Any]]] = {
    "color_change": {
        "1": {"ori_img": "1.jpg", "gt_img": "", "ins_en": "Make it yellow.", "explain_en": ""},
        "2": {"ori_img": "2.png", "gt_img": "", "ins_en": "Make it {red}.", "explain_en": ""},
    },
    "anomaly_correction": {
        "1": {"ori_img": "1.png", "gt_img": "", "ins_en": "Correct it.", "explain_en": "Why."}
    },
    "abstract_reasoning": {"1": {"ori_img": "1.jpg", "ins_en": "Fill it in.", "explain_en": "It is 32."}},
    "chemistry": {
        "1": {"ori_img": "1.png", "gt_img": "", "ins_en": "Add sodium.", "explain_en": "It boils."}
    },
    "viewpoint_change": {
        "1": {"ori_img": "1.jpg", "gt_img": "1_gt.jpg", "ins_en": "Draw the front.", "explain_en": ""}
    },
    "multi-element_composition": {
        "3": {"ori_img": ["3-1.jpg", "3-2.jpg"], "gt_img": "", "ins_en": "Put it on.", "explain_en": ""},
        "25": {
            "ori_img": ["25-1.jpg", "25-2.jpg", "25-3.jpg", "25-4.jpg", "25-5.jpg"],
            "gt_img": "",
            "ins_en": "Put all on.",
            "explain_en": "",
        },
    },
    "temporal_prediction": {
        "16": {
            "ori_img": ["16-4.jpg", "16-1.jpg", "16-3.jpg"],
            "gt_img": "16-2.jpg",
            "ins_en": "Generate the frame.",
            "explain_en": "",
        },
        "3": {
            "ori_img": ["3-2.jpg", "3-3.jpg", "3-4.jpg"],
            "gt_img": "3-1.jpg",
            "ins_en": "Generate the frame.",
            "explain_en": "",
        },
    },
}
"""In the shape of the authors' annotation.json files; the words are made up."""


def written(folder: Path, records: Mapping[str, Mapping[str, Mapping[str, Any]]] = RECORDS) -> Path:
    """A folder KRIS_Bench with small images, each of a size of its own."""
    side = 20
    for category, members in records.items():
        place = folder / "KRIS_Bench" / category
        place.mkdir(parents=True, exist_ok=True)
        (place / "annotation.json").write_text(json.dumps(members))
        for record in members.values():
            names = record["ori_img"] if isinstance(record["ori_img"], list) else [record["ori_img"]]
            for name in (*names, record.get("gt_img")):
                if name:
                    side += 1
                    # JPEG whatever the name: the authors call every file image/jpeg, our servers check
                    Image.new("RGB", (side, 20), (90, 40, 200)).save(place / name, "JPEG")
    return folder
