"""How long the command line takes, and how much memory: `python benchmarks/speed.py`.

Prints the median of several runs of each command as whole processes (wall seconds, peak memory)
and saves them to `docs/results/speed.json`. Needs Linux or macOS.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

from editthinker.darkroom.photographs import demo_photo

CLI = [sys.executable, "-m", "editthinker.cli"]
TO_MEGABYTES = 1024 if sys.platform == "linux" else 1024**2


def run(command: list[str], folder: Path) -> tuple[float, float]:
    """Wall seconds and peak memory in MB of one process."""
    began = time.monotonic()
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "EDITTHINKER_RUNS": str(folder / "runs")},
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return time.monotonic() - began, usage.ru_maxrss / TO_MEGABYTES


def photo(folder: Path, megapixels: int) -> Path:
    """The demo photograph at another size."""
    with Image.open(demo_photo()) as demo:
        scale = (megapixels * 1e6 / (demo.width * demo.height)) ** 0.5
        size = (round(demo.width * scale), round(demo.height * scale))
        file = folder / f"{megapixels}.jpg"
        demo.resize(size).save(file, quality=92)
    return file


def main() -> None:
    """Measure and print."""
    figures = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # A threshold above 10 is never reached, so all three turns are made.
        options = ["--turns", "3", "--threshold", "11", "--force", "-o", str(folder / "out.png")]
        commands = {"--help": ([*CLI, "--help"], 9)}
        for megapixels in (2, 12):
            words = ["edit", str(photo(folder, megapixels)), "make it moody, and blur the background"]
            commands[f"edit, {megapixels} megapixels, 3 turns"] = ([*CLI, *words, *options], 5)
        for label, (command, times) in commands.items():
            run(command, folder)
            runs = [run(command, folder) for _ in range(times)]
            seconds, memory = (statistics.median(column) for column in zip(*runs, strict=True))
            figures[label] = {"seconds": round(seconds, 3), "megabytes": round(memory), "runs": times}
            print(f"{label:<32} {seconds:6.2f} s   {memory:5.0f} MB   (median of {times})", flush=True)
    out = Path("docs/results/speed.json")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
