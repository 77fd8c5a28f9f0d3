"""What workers on a Ray cluster bring, and what Ray itself costs: `python benchmarks/cluster.py [--quick]`.

Whole runs, ledger and all, with 1, 2 and 4 workers for each model. CPU-bound: the darkroom's editor at 512
px, beside as many bare processes of the same work, which is what the machine can do at best. Latency-bound:
an editor and a thinker that answer one call at a time, after 100 and 60 ms, as a GPU would. Efficiency is
the throughput divided by (workers x the throughput of one). Rows are taken in turns, several times over, so
that a busy machine disturbs all alike; the median counts, and CPU time is counted beside, all processes of
Ray included. Then the CPU time of one call at 512 px, here and there, beyond that of the same call without
Ray. Saves `docs/results/cluster.json`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from PIL import Image

from editthinker.core.contracts import EditorInfo, View
from editthinker.core.episode import Episode
from editthinker.core.images import Picture
from editthinker.core.limits import Limits
from editthinker.core.method import Method
from editthinker.core.types import Critique, Edited, EditRequest, Sample, Score, Thought
from editthinker.darkroom.editor import DarkroomEditor
from editthinker.darkroom.photographs import demo_photo
from editthinker.runs import RunFolder
from editthinker.runs.cluster import Asked, Post, Staff, connected
from editthinker.runs.orders import Crew, Orders
from editthinker.runs.runner import Runner
from editthinker.runs.samples import read
from editthinker.wire.pool import Pool
from editthinker.wire.pooled import PooledEditor, PooledThinker

OUT = Path("docs/results/cluster.json")
WORKERS = (1, 2, 4)
SIDE = 512
EDIT_SECONDS, THINK_SECONDS, TURNS = 0.1, 0.06, 3
WORDS = ("make it warmer", "darker, with more contrast", "add some grain", "brighter and sharper")


# --- models that take their time, and no CPU ---


class WaitingEditor:
    """Answers one call at a time; notes the CPU time its process has used."""

    info = EditorInfo("waiting", price=0.0)

    def __init__(self, seconds: float = EDIT_SECONDS) -> None:
        self._seconds, self._one = seconds, asyncio.Semaphore()

    async def edit(self, request: EditRequest) -> Edited:
        async with self._one:
            await asyncio.sleep(self._seconds)
        image = Picture(request.images[0].pixels.transpose(Image.Transpose.ROTATE_180))
        return Edited(image, notes={"cpu": time.process_time()})


class WaitingThinker:
    """Answers one call at a time, and is never content."""

    name = "waiting"
    price = 0.0

    def __init__(self) -> None:
        self._one = asyncio.Semaphore()

    async def think(self, view: View) -> Thought:
        async with self._one:
            await asyncio.sleep(THINK_SECONDS)
        return Thought(Critique(Score(5, 5), "as ever", f"{view.instruction} again"))


# --- whole runs ---

Cost = tuple[float, float]
"""Seconds that passed, and seconds of CPU time."""


def cpu_of(pid: int) -> float:
    """Seconds of CPU time that a process has used."""
    used = psutil.Process(pid).cpu_times()
    return used.user + used.system


def cpu_of_all() -> float:
    """Of this process and of everything that it has started: workers and Ray's own."""
    return sum(
        cpu_of(process.pid) for process in (psutil.Process(), *psutil.Process().children(recursive=True))
    )


def samples(folder: Path, number: int, side: int) -> Path:
    """So many samples of the demo photo."""
    photo = Picture.open(demo_photo())
    Picture(photo.pixels.convert("RGB").resize((side, side))).save(folder / "photo.png", overwrite=True)
    rows = [{"id": f"s{n}", "image": "photo.png", "instruction": WORDS[n % 4]} for n in range(number)]
    path = folder / "samples.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def run(path: Path, workers: int, editor: Callable[[], object], thinker: Callable[[], object] | None) -> Cost:
    """What a run costs from the first call to its end; the workers are there before."""
    posts = [Post(role="editor", verb="edit", name="e", factory=editor)]
    if thinker:
        posts.append(Post(role="thinker", verb="think", name="t", factory=thinker))
    staff = Staff(posts, Asked.read(str(workers)), print)
    members = staff.begin(60.0, grows=False)

    async def play(folder: RunFolder) -> Cost:
        pools: list[Pool[Any]] = [Pool(post.role, each) for post, each in zip(posts, members, strict=True)]
        crew = Crew(editor=PooledEditor(pools[0]), thinker=PooledThinker(pools[1]) if thinker else None)
        method = Method() if thinker else Method(strategy="single")
        runner = Runner(folder, read(path), crew, Orders(method=method, limits=Limits(turns=TURNS)))
        tending = asyncio.create_task(staff.tend(pools))
        while any(len(pool.members) < workers for pool in pools):
            await asyncio.sleep(0.02)
        began, used = time.monotonic(), cpu_of_all()
        tally = await runner.run()
        cost = time.monotonic() - began, cpu_of_all() - used
        tending.cancel()
        await asyncio.gather(tending, return_exceptions=True)
        if tally.endings["finished"] < tally.inputs:
            sys.exit(f"not everything finished: {tally.failures[:1]}")
        return cost

    try:
        with tempfile.TemporaryDirectory() as name, RunFolder.create(Path(name) / "run", {}) as folder:
            return asyncio.run(play(folder))
    finally:
        staff.close()


# --- the same work without anything of ours around it ---


def bare(path: Path, processes: int) -> Cost:
    """What so many processes take for the same edits; from when all have loaded their model."""
    command = [sys.executable, __file__, "--bare", str(path)]
    entries = len(read(path))
    shares = [(entries * n // processes, entries * (n + 1) // processes) for n in range(processes)]
    started = [
        subprocess.Popen([*command, str(a), str(b)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for a, b in shares
    ]
    for process in started:
        process.stdout.readline()  # type: ignore[union-attr]  # it is a pipe
    began, used = time.monotonic(), sum(map(cpu_of, (process.pid for process in started)))
    for process in started:
        process.stdin.write("go\n")  # type: ignore[union-attr]
        process.stdin.flush()  # type: ignore[union-attr]
    for process in started:
        process.stdout.readline()  # type: ignore[union-attr]
    seconds = time.monotonic() - began
    used = sum(map(cpu_of, (process.pid for process in started))) - used
    for process in started:
        process.communicate()
    return seconds, used


def bare_share(path: Path, start: int, end: int) -> None:
    """One of them."""
    from editthinker.runs.opening import opened

    editor = DarkroomEditor.load()
    print("ready", flush=True)
    sys.stdin.readline()

    async def work() -> None:
        for entry in read(path)[start:end]:
            sample = Sample(opened(entry)[0].images, entry.instruction or "", id=entry.id)
            episode = Episode(sample, editor, None, strategy="single", seed=1)
            (await episode.run()).image.encode()

    asyncio.run(work())
    print("done", flush=True)
    sys.stdin.readline()


# --- one call ---


def one_call(calls: int) -> dict[str, float]:
    """Milliseconds of a call at 512 px: elapsed, and CPU here and in the worker, with and without Ray."""
    source = Picture(Picture.open(demo_photo()).pixels.convert("RGB").resize((SIDE, SIDE)))
    request = EditRequest((source,), "make it warmer", 1)

    async def measure(editor: Any, *, finish: bool) -> tuple[float, float, float]:
        elapsed = []
        there = float((await editor.edit(request)).notes["cpu"])
        here = time.process_time()
        for number in range(calls):
            began = time.monotonic()
            edited = await editor.edit(replace(request, seed=number))
            if finish:  # what the run folder needs, and a worker does beforehand
                edited.image.encode()
                edited.image.sha256  # noqa: B018 - made, and kept
            elapsed.append(time.monotonic() - began)
        here, there = time.process_time() - here, float(edited.notes["cpu"]) - there
        return statistics.median(elapsed), here / calls, there / calls

    staff = Staff(
        [Post(role="editor", verb="edit", name="e", factory=partial(WaitingEditor, 0.0))],
        Asked.read("1"),
        print,
    )
    try:
        (members,) = staff.begin(60.0, grows=False)
        away = asyncio.run(measure(next(iter(members.values())), finish=False))
    finally:
        staff.close()
    home = asyncio.run(measure(WaitingEditor(0.0), finish=True))
    ms = [round(1000 * value, 2) for value in (*home[:2], *away)]
    names = ("local_elapsed", "local_cpu", "ray_elapsed", "ray_cpu_driver", "ray_cpu_worker")
    figures = dict(zip(names, ms, strict=True))
    figures["cost_of_ray_cpu"] = round(ms[3] + ms[4] - ms[1], 2)
    return figures


# --- tables ---


def table(rounds: int, kinds: dict[str, Callable[[int], Cost]], number: int) -> list[dict[str, float]]:
    """One row for each number of workers; `kinds` gives what `number` samples cost."""
    seen: dict[tuple[str, int], list[float]] = {}
    used: dict[tuple[str, int], list[float]] = {}
    for _ in range(rounds):
        for workers in WORKERS:
            for name, measure in kinds.items():
                seconds, cpu = measure(workers)
                seen.setdefault((name, workers), []).append(number / seconds)
                used.setdefault((name, workers), []).append(1000 * cpu / number)
    rate = {key: statistics.median(values) for key, values in seen.items()}
    rows = []
    for workers in WORKERS:
        row: dict[str, float] = {"workers": workers}
        for name in kinds:
            row[f"{name}_samples_per_second"] = round(rate[name, workers], 2)
            row[f"{name}_efficiency"] = round(rate[name, workers] / workers / rate[name, 1], 3)
            row[f"{name}_cpu_ms_per_sample"] = round(statistics.median(used[name, workers]), 1)
        if "bare" in kinds:
            row["of_what_the_machine_can_do"] = round(rate["ray", workers] / rate["bare", workers], 3)
        rows.append(row)
    return rows


def show(title: str, rows: Sequence[dict[str, float]]) -> None:
    print(title)
    for row in rows:
        print(
            "  " + ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in row.items()), flush=True
        )


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round of few samples; saves nothing")
    parser.add_argument("--bare", nargs=3, metavar=("SAMPLES", "FROM", "TO"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.bare:
        bare_share(Path(asked.bare[0]), int(asked.bare[1]), int(asked.bare[2]))
        return
    rounds, edits, waits = (1, 24, 24) if asked.quick else (3, 48, 96)
    load = os.getloadavg()[1]
    with tempfile.TemporaryDirectory() as name, connected("local", cpus=2 * max(WORKERS) + 1):
        work, wait = Path(name) / "work", Path(name) / "wait"
        for folder in (work, wait):
            folder.mkdir()
        large, small = samples(work, edits, SIDE), samples(wait, waits, 64)
        call = one_call(50 if asked.quick else 300)
        print("one call at 512 px, ms:", call)
        waiting = {"ray": lambda n: run(small, n, WaitingEditor, WaitingThinker)}
        latency = table(1 if asked.quick else 2, waiting, waits)
        show(f"latency-bound, {TURNS} turns of {EDIT_SECONDS:g} s and {THINK_SECONDS:g} s", latency)
        cpu = table(
            rounds,
            {"ray": lambda n: run(large, n, DarkroomEditor.load, None), "bare": lambda n: bare(large, n)},
            edits,
        )
        show("CPU-bound, one darkroom edit at 512 px", cpu)
    figures = {
        "machine": f"{os.cpu_count()} CPU cores, {platform.machine()}, Python {platform.python_version()}",
        "load": [round(load, 1), round(os.getloadavg()[1], 1)],
        "rounds": rounds,
        "one_call_ms": call,
        "latency_bound": latency,
        "cpu_bound": cpu,
    }
    if not asked.quick:
        OUT.parent.mkdir(parents=True, exist_ok=True)
        OUT.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
