"""Exact resume and speed of SFT on a tiny Qwen3-VL: `python benchmarks/training.py [KILLS]`.

The same training is run once without interruption, and once with a `kill -9` at KILLS random moments (5), the
same command being given again each time; the final weights are compared bit by bit. Every start is a process
of its own, as at a shell. Rows per second and per CPU second are those of the uninterrupted run, without
loading. Saves `docs/results/training-sft.json`.
"""

from __future__ import annotations

import json
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "training")]
STEPS, BATCH, EVERY = 40, 16, 5
THREADS = 1
"""On a machine that does other things too, a second thread mostly waits."""
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": str(THREADS)}
SEED = 6


def command(recipe: Path, out: Path) -> list[str]:
    """What a person would type."""
    said = [f"optimiser.steps={STEPS}", f"optimiser.batch={BATCH}", "optimiser.at_once=16", f"out={out}"]
    said += [f"saving.every={EVERY}", "model.pixels=16384"]
    return [sys.executable, "-m", "editthinker.cli", "train", "sft", str(recipe), *said]


def log(out: Path) -> list[dict[str, Any]]:
    """Lines of the training's own log."""
    file = out / "training" / "log.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []


def killed(recipe: Path, out: Path, at: int) -> int:
    """Start, and kill when this step or a later one is in the log; the step that was reached."""
    started = len(log(out))
    with subprocess.Popen(command(recipe, out), stderr=subprocess.DEVNULL, env=ENVIRONMENT) as process:
        while process.poll() is None:
            reached = max((line["step"] for line in log(out)[started:] if "loss" in line), default=0)
            if reached >= at:
                process.send_signal(signal.SIGKILL)
                process.wait()
                return int(reached)
            time.sleep(0.02)
    raise SystemExit(f"it ended by itself ({process.returncode}) before step {at}")


def same(one: Path, other: Path) -> bool:
    """Whether every weight has the same bits."""
    return (one / "model.safetensors").read_bytes() == (other / "model.safetensors").read_bytes()


def main() -> None:
    """Run, print, save."""
    import torch
    from lesson_files import training

    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    dice = random.Random(SEED)
    with tempfile.TemporaryDirectory() as name:
        recipe = training(Path(name), count=96, held_out=8, side=128)
        whole, torn = Path(name) / "whole", Path(name) / "torn"
        subprocess.run(command(recipe, whole), check=True, stderr=subprocess.DEVNULL, env=ENVIRONMENT)
        lines = [line for line in log(whole) if "loss" in line]
        first, last = lines[4], lines[-1]
        rows = BATCH * (last["step"] - first["step"])
        moments = sorted(dice.randrange(2, STEPS - 1) for _ in range(kills))
        reached = [killed(recipe, torn, moment) for moment in moments]
        subprocess.run(command(recipe, torn), check=True, stderr=subprocess.DEVNULL, env=ENVIRONMENT)
        figures = {
            "machine": f"{os.cpu_count()} CPU cores, {platform.machine()}, torch {torch.__version__}",
            "load": os.getloadavg()[0],
            "threads": THREADS,
            "steps": STEPS,
            "batch": BATCH,
            "checkpoint_every": EVERY,
            "killed_after_steps": reached,
            "weights_equal_bit_by_bit": same(whole, torn),
            "parameters": sum(weight.numel() for weight in _weights(whole).values()),
            "tokens_per_row": last["num_tokens"] / (STEPS * BATCH),
            "rows_per_second": round(rows / (last["seconds"] - first["seconds"]), 2),
            "rows_per_cpu_second": round(rows / (last["cpu_seconds"] - first["cpu_seconds"]), 2),
            "peak_gigabytes": last["gigabytes"],
        }
    print(json.dumps(figures, indent=1))
    (ROOT / "docs/results/training-sft.json").write_text(json.dumps(figures, indent=1) + "\n")
    if not figures["weights_equal_bit_by_bit"]:
        raise SystemExit("the weights differ")


def _weights(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return dict(load_file(folder / "model.safetensors"))


if __name__ == "__main__":
    main()
