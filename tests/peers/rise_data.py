"""A RISE-shaped data folder around given records, with small images."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

GOLD: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "benchmarks" / "gold" / "rise.json").read_text("utf-8")
)
"""Made-up replies, and what the official script makes of them."""


def written(
    folder: Path, records: Sequence[Mapping[str, Any]], name: str = "datav2_total_w_subtask.json"
) -> Path:
    """A data folder of the authors' shape with small images."""
    for record in records:
        for field in ("image", "reference_img"):
            if file := record.get(field):
                path = folder / "data" / file
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (24, 16), (200, 10, 10)).save(path)
    (folder / name).write_text(json.dumps(records))
    return folder
