"""Edits per second of a local pipeline for concurrent requests: `python benchmarks/batching.py [FOLDER]`.

FOLDER is a diffusers pipeline or a repository; without it a tiny FLUX.2 klein with random weights is made.
Each row lets 1, 4 or 8 requests wait at the same time, each with its own source, words and seed, once with
calls shared (`batch`) and once without. Rows are taken in turns, several times over, so that a busy machine
disturbs all alike; the median counts. Saves `docs/results/batching.json`.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path

from editthinker.core.types import EditRequest
from editthinker.editors.diffusers import DiffusersEditor
from editthinker.testing.behaviour import photograph

CONCURRENT = (1, 4, 8)
EDITS = 16
ROUNDS = 7
SIDE = 256
STEPS = 4


async def measure(editor: DiffusersEditor, concurrent: int) -> float:
    """Edits per second."""
    requests = [EditRequest((photograph(SIDE, SIDE, seed=n),), f"make it {n}", n) for n in range(EDITS)]
    places = asyncio.Semaphore(concurrent)

    async def one(request: EditRequest) -> None:
        async with places:
            await editor.edit(request)

    began = time.monotonic()
    await asyncio.gather(*map(one, requests))
    return EDITS / (time.monotonic() - began)


async def rows(folder: str) -> list[dict[str, float]]:
    """One row for each number of concurrent requests."""

    def made(batch: int) -> DiffusersEditor:
        return DiffusersEditor(folder, DiffusersEditor.Settings.read("it", {"steps": STEPS, "batch": batch}))

    editors = {concurrent: (made(1), made(concurrent)) for concurrent in CONCURRENT}
    found: dict[int, tuple[list[float], list[float]]] = {concurrent: ([], []) for concurrent in CONCURRENT}
    for number in range(ROUNDS + 1):
        for concurrent, pair in editors.items():
            for editor, figures in zip(pair, found[concurrent], strict=True):
                figure = await measure(editor, concurrent)
                if number:  # the first round loads and warms up
                    figures.append(figure)
    one = statistics.median(found[1][0])
    return [
        {
            "concurrent": concurrent,
            "edits_per_second_apart": round(statistics.median(apart), 2),
            "edits_per_second_shared": round(statistics.median(shared), 2),
            "shared_over_one_at_a_time": round(statistics.median(shared) / one, 2),
        }
        for concurrent, (apart, shared) in found.items()
    ]


def main() -> None:
    """Measure, print and save."""
    with tempfile.TemporaryDirectory() as name:
        if len(sys.argv) > 1:
            folder = sys.argv[1]
        else:
            sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
            from peers.tiny_pipelines import tiny_klein

            folder = str(tiny_klein(Path(name) / "tiny klein", distilled=True))
        table = asyncio.run(rows(folder))
    for row in table:
        print(
            f"{row['concurrent']} concurrent: {row['edits_per_second_apart']:6.2f} edits/s apart, "
            f"{row['edits_per_second_shared']:6.2f} shared "
            f"({row['shared_over_one_at_a_time']:.2f} x one at a time)"
        )
    import torch

    figures = {
        "pipeline": Path(folder).name,
        "machine": f"{os.cpu_count()} CPU cores, {platform.machine()}, torch {torch.__version__}",
        "threads": torch.get_num_threads(),
        "steps": STEPS,
        "side": SIDE,
        "median_of": ROUNDS,
        "rows": table,
    }
    out = Path("docs/results/batching.json")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
