"""How much a batch gains: turns per second of `local:` for 1, 4 and 8 samples at once.

`python benchmarks/thinking.py [PATH_OR_REPO]`; without a model, a tiny Qwen3-VL of random weights on the CPU.
Every turn shows two photographs and writes the same number of tokens, in one run, so the ratios hold whatever
the machine. Prints and saves to `docs/results/thinking.json`.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from editthinker.core.contracts import View
from editthinker.core.errors import ReplyError
from editthinker.core.types import Sample
from editthinker.testing.behaviour import photograph
from editthinker.thinkers.local import LocalThinker

AT_ONCE = (1, 4, 8)
TURNS = 16
"""Per measurement; a multiple of all of `AT_ONCE`."""
REPEATS = 5
TOKENS = 64
"""Of every reply: no thought is read here, so each is written up to its limit."""
SIDE = 256
"""Pixels of the photographs' sides."""


@dataclass(frozen=True)
class Figure:
    """One line of the table."""

    at_once: int
    turns_per_second: float
    times_one: float


def views(count: int) -> list[View]:
    """Different wishes for different photographs."""
    return [
        View(
            Sample((photograph(SIDE, SIDE, seed=number),), f"make it warmer, version {number}"),
            f"make it warmer, version {number}",
            photograph(SIDE, SIDE, seed=100 + number),
        )
        for number in range(count)
    ]


async def think(thinker: LocalThinker, view: View) -> None:
    """One turn; the reply is cut, which is the point."""
    try:
        await thinker.think(view)
    except ReplyError:
        return


async def seconds(thinker: LocalThinker, at_once: int) -> float:
    """Wall seconds for `TURNS` turns, `at_once` samples each waiting for its own reply before it goes on."""
    waiting = iter(views(TURNS))

    async def sample() -> None:
        for view in waiting:
            await think(thinker, view)

    began = time.perf_counter()
    await asyncio.gather(*(sample() for _ in range(at_once)))
    return time.perf_counter() - began


async def measure(model: str) -> list[Figure]:
    """The table; what is measured alternates, so that a busy moment hits all alike."""
    settings = LocalThinker.Settings(batch=max(AT_ONCE), max_tokens=TOKENS)
    thinker = LocalThinker(model, settings, name="local")
    for at_once in AT_ONCE:
        await seconds(thinker, at_once)
    took: dict[int, list[float]] = {at_once: [] for at_once in AT_ONCE}
    for _ in range(REPEATS):
        for at_once in AT_ONCE:
            took[at_once].append(await seconds(thinker, at_once))
    rates = {at_once: TURNS / statistics.median(times) for at_once, times in took.items()}
    return [Figure(at_once, round(rate, 2), round(rate / rates[1], 2)) for at_once, rate in rates.items()]


def main() -> None:
    """Measure, print, save."""
    with tempfile.TemporaryDirectory() as name:
        model = sys.argv[1] if len(sys.argv) > 1 else ""
        if not model:
            sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
            from peers.tiny_qwen import tiny_qwen3vl

            # Random weights may end a reply early; nothing ends it where the end is never written.
            tiny_qwen3vl(Path(name))
            (Path(name) / "generation_config.json").write_text("{}")
        figures = asyncio.run(measure(model or name))
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    result = {
        "model": model or "tiny Qwen3-VL, random weights",
        "device": device,
        "threads": torch.get_num_threads(),
        "tokens": TOKENS,
        "turns": TURNS,
        "repeats": REPEATS,
        "figures": [asdict(figure) for figure in figures],
    }
    for figure in figures:
        print(f"{figure.at_once} at once: {figure.turns_per_second:6.2f} turns/s ({figure.times_one:.2f} x)")
    out = Path("docs/results/thinking.json")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
