"""Making training data: `python benchmarks/data.py`, from the root of the repository.

Three questions. How many trajectories a minute does this machine make of the darkroom's samples, and how many
images does the exact judge score? How much memory does every stage need at 1,000 and at 20,000 trajectories
(peak of a process of its own)? For `generate` scripted models stand in; for the others the trajectories of a
small pool are replicated under names and wishes of their own, images shared. And does the same seed give the
same bytes: the chain is played twice, the files of every stage are compared by sha256. Prints, and saves
`docs/results/data.json`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from editthinker.darkroom.photographs import photographs
from editthinker.testing import photograph

OUT = Path("docs/results/data.json")
MEMORY = Path("/dev/shm")  # noqa: S108 a temporary folder is made in it
BASE = 24
"""Trajectories that are replicated."""
STAGES = {
    "score": "score pool --judge quick:judge",
    "filter": "filter pool --out kept",
    "unroll": "unroll kept --out steps",
    "balance": "balance steps --out even",
    "split": "split even --out sides",
    "check": "check even --out clean",
    "export": "export clean --relative --out sft",
    "stats": "stats steps",
}
QUICK = """
from editthinker.core.contracts import EditorInfo
from editthinker.core.types import Critique, Edited, Judged, Score, Thought
from editthinker.testing.scripted import tinted


class Editor:
    info = EditorInfo("quick", price=0.0)

    async def edit(self, request):
        return Edited(tinted(request))


class Thinker:
    name = "quick"

    async def think(self, view):
        words = view.instruction + " more"
        return Thought(Critique(None, "because", words, satisfied=len(view.turns) > 0))


class Judge:
    name, price = "quick", 0.0

    async def score(self, sample, edited):
        value = int(edited.sha256[:4], 16) % 101 / 10
        return Judged(Score(value, value))


def editor():
    return Editor()


def thinker():
    return Thinker()


def judge():
    return Judge()
"""


CHILD = """
import sys
from pathlib import Path
from editthinker.cli import main
code = main(sys.argv[1:])
status = Path("/proc/self/status").read_text()
Path("peak.txt").write_text(status.partition("VmHWM:")[2].split()[0])
sys.exit(code)
"""
"""What rusage calls the peak of a child is that of whoever started it, if that was higher."""


def played(folder: Path, words: str) -> dict[str, float]:
    """One verb in a process of its own: wall-clock and CPU seconds, peak memory in MiB."""
    command = [sys.executable, "-c", CHILD, "data", *words.split()]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(folder)}
    began = time.monotonic()
    with (folder / "log.txt").open("ab") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, env=environment)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(
            f"{words!r} ended with {process.returncode}: {(folder / 'log.txt').read_text()[-2000:]}"
        )
    return {
        "seconds": round(time.monotonic() - began, 2),
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 2),
        "peak_mib": round(int((folder / "peak.txt").read_text()) / 1024, 1),
    }


def rate(folder: Path, count: int) -> dict[str, Any]:
    """Trajectories and scores a minute, of real models, photographs at their own size."""
    folder.mkdir()
    made = played(folder, f"generate darkroom --count {count} --out pool --quiet")
    calls = json.loads((folder / "pool" / "manifest.json").read_bytes())["runs"][0]["calls"]
    scored = played(folder, "score pool --quiet")
    return {
        "trajectories": count,
        "calls": calls,
        "generate": {**made, "trajectories_a_minute": round(60 * count / made["seconds"])},
        "score": {**scored, "images_a_minute": round(60 * calls["editor"] / scored["seconds"])},
    }


def small_photos(folder: Path) -> None:
    folder.mkdir(parents=True)
    for photo in photographs("validation"):
        photo.picture().within(20_000).save(folder / photo.path.name)


def memory(folder: Path, count: int) -> dict[str, Any]:
    """Every stage, at this number of trajectories."""
    small_photos(folder / "photos")
    (folder / "quick.py").write_text(QUICK)
    photograph(32, 32).save(folder / "p.png")
    rows = [{"id": f"s{n}", "image": "p.png", "instruction": f"wish {n}"} for n in range(count)]
    (folder / "samples.jsonl").write_text("\n".join(map(json.dumps, rows)))
    told = {}
    scripted = "--editor quick:editor --thinker quick:thinker --turns 2 --quiet"
    told["generate"] = played(folder, f"generate samples.jsonl --out scripted {scripted}")
    shutil.rmtree(folder / "scripted")
    played(
        folder, f"generate darkroom --count {BASE} --photos photos --out pool --quiet --tag licence=CC0-1.0"
    )
    replicate(folder / "pool" / "darkroom" / "ledger.sqlite", count)
    return told | {name: played(folder, words) for name, words in STAGES.items()}


def replicate(ledger: Path, count: int) -> None:
    """Fill a ledger with copies of its trajectories until there are so many."""
    db = sqlite3.connect(ledger)
    query = "SELECT number, s.record, started, e.record, e.finished FROM samples s JOIN trajectories e"
    base = db.execute(f"{query} ON sample = number").fetchall()
    turns = {
        row[0]: db.execute("SELECT turn, record FROM turns WHERE sample = ?", (row[0],)).fetchall()
        for row in base
    }
    first = max(turns) + 1
    with db:
        for number in range(first, first + count - len(base)):
            old, sample, started, end, finished = base[number % len(base)]
            said = json.loads(sample)
            said |= {"id": f"{said['id']}-{number}", "instruction": f"{said['instruction']} ({number})"}
            key = hashlib.sha256(str(number).encode()).hexdigest()
            db.execute(
                "INSERT INTO samples (number, key, record, started) VALUES (?, ?, ?, ?)",
                (number, key, json.dumps(said), started),
            )
            db.executemany("INSERT INTO turns VALUES (?, ?, ?, 1)", [(number, *turn) for turn in turns[old]])
            db.execute("INSERT INTO trajectories VALUES (?, ?, ?)", (number, end, finished))
    db.close()


def hashes(folder: Path) -> dict[str, str]:
    """sha256 of every file of every stage, after the chain from its beginning."""
    small_photos(folder / "photos")
    draw = f"generate darkroom --count {BASE} --photos photos --out pool --quiet --tag licence=CC0-1.0"
    for words in (draw, "score pool", *list(STAGES.values())[1:-1]):
        played(folder, words)
    files = sorted(path for path in folder.rglob("*.json*") if "darkroom" not in path.parts)
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
    }


def main() -> None:
    """Ask all three questions; save the answers."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=200, help="real trajectories")
    parser.add_argument("--most", type=int, default=20_000, help="replicated ones")
    parser.add_argument("--out", type=Path, default=OUT)
    asked = parser.parse_args()
    place = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(dir=place) as folder:
        here = Path(folder)
        told: dict[str, Any] = {"machine": f"{platform.machine()}, {os.cpu_count()} threads"}
        told["rate"] = rate(here / "rate", asked.count)
        print(json.dumps(told["rate"], indent=1))
        first, second = hashes(here / "one"), hashes(here / "two")
        told["same_seed"] = {"files": len(first), "same": sum(second.get(k) == v for k, v in first.items())}
        told["same_seed"]["sha256"] = first
        print(f"same seed: {told['same_seed']['same']} of {len(first)} files have the same bytes")
        told["stages"] = {str(count): memory(here / f"of{count}", count) for count in (1000, asked.most)}
    print(f"{'stage':<10}" + "".join(f"{count:>20}" for count in told["stages"]))
    for stage in ("generate", *STAGES):
        each = [
            f"{of[stage]['peak_mib']:.0f} MiB {of[stage]['cpu_seconds']:.0f} s"
            for of in told["stages"].values()
        ]
        print(f"{stage:<10}" + "".join(f"{text:>20}" for text in each))
    asked.out.write_text(json.dumps(told, indent=1) + "\n")
    print(f"written: {asked.out}")


if __name__ == "__main__":
    main()
