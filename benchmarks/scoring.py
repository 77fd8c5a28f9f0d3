"""How long tables take: `python benchmarks/scoring.py`, from the root of the repository.

For each benchmark 2,000 samples with 5 judged turns are written as a run would leave them (records of the
authors' layout out of `tests/peers`, made-up replies, some unreadable and some refused), and read again:
`score` under each rules mode, once of the delivered images alone and once with all turns, and `compare` of
two such runs. Prints and saves CPU and wall-clock seconds as `docs/results/scoring.json`; what is measured
ends before anything is printed, starting Python is not in it.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import random
import re
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, "tests")

from PIL import Image

from editthinker.benchmarks.judged import About, Asked, Judged
from editthinker.benchmarks.known import benchmark_named, options_of
from editthinker.benchmarks.suite import Benchmark, Case, Reply
from editthinker.benchmarks.table import RULES
from editthinker.cli.bench.comparing import print_comparison
from editthinker.cli.bench.tables import print_scores
from editthinker.core.images import Picture
from editthinker.core.types import (
    Call,
    Critique,
    Edited,
    Sample,
    Score,
    Spend,
    Stop,
    StopReason,
    Trajectory,
    Turn,
)
from editthinker.runs.folder import RunFolder
from peers.benchmark_data import DATA, REPLIES

OUT = Path("docs/results/scoring.json")
MEMORY = Path("/dev/shm")  # noqa: S108 a temporary folder is made in it
"""Where writing the runs, which is not measured, needs not wait for a disk."""
SAMPLES, TURNS = 2000, 5
SUITES = ("imgedit", "gedit", "rise", "kris", "uniredit")
JUDGE = "chat:made-up"


def cases_of(benchmark: Benchmark, data: Path) -> list[Case]:
    """The benchmark's small data, again and again under other ids."""
    data.mkdir()
    DATA[benchmark.name](data)
    usable = [case for case in benchmark.load(data) if not case.problem]
    return [replace(usable[place % len(usable)], id=f"{place:05}") for place in range(SAMPLES)]


def reply_of(name: str, chance: random.Random) -> Reply:
    """A reply with marks of its own; two in a hundred cannot be read, one is refused."""
    fate = chance.random()
    if fate < 0.03:
        return Reply("", "refused", "made-up") if fate < 0.01 else Reply("Lovely.", model="made-up")
    text = re.sub(r"\b[48]\b", lambda _: str(chance.randint(1, 5)), REPLIES[name])
    return Reply(text, model="made-up")


def trajectory(sample: Sample, image: Picture, chance: random.Random) -> Trajectory:
    """Up to `TURNS` turns, one call of the editor and one of the thinker in each."""
    turns, calls = [], []
    for index in range(1, chance.randint(1, TURNS) + 1):
        score = Score(chance.randint(1, 10), chance.randint(1, 10))
        critique = Critique(score, "It looks well.", "make it warmer", "a reply " * 50)
        turns.append(Turn(index, "make it warmer", index, Edited(image), critique))
        calls += [Call(role, "made-up", index, 0.0, 1.0, "ok") for role in ("editor", "thinker")]
    chosen = max(turns, key=lambda turn: turn.score.overall if turn.score else 0.0).index
    return Trajectory(
        sample, tuple(turns), Stop(StopReason.TURN_LIMIT), "think-while-edit", tuple(calls), Spend(), chosen
    )


def write_run(benchmark: Benchmark, cases: Sequence[Case], place: Path, seed: int, *, turns: bool) -> None:
    """A judged run; with `turns` every turn is judged."""
    chance, source = random.Random(seed), Picture(Image.new("RGB", (64, 48), "grey"))
    edited = Picture(Image.new("RGB", (64, 48), "green"))
    prompts, asked, said = benchmark.prompts(None), [], []
    with RunFolder.create(place, {"verb": "bench"}) as folder:
        for case in cases:
            kinds = [call.kind for call in benchmark.judge_calls(case, case.images[0], prompts)]
            sample = Sample((source,), case.instruction, case.id, tags={"case": case.id})
            made = trajectory(sample, edited, chance)
            folder.recorder(sample).finish(made)
            for turn in made.turns if turns else made.turns[-1:]:
                delivered = turn.index == made.chosen if turns else True
                for kind in kinds:
                    question = f"{case.id} {turn.index} {kind}"
                    asked.append(Asked(case.id, turn.index, kind, delivered, question, "gpt"))
                    said.append((question, reply_of(benchmark.name, chance)))
    about = About(benchmark.name, options_of(benchmark), len(cases), prompts=prompts.sha256, every_turn=turns)
    with Judged(place, write=True) as store:
        store.begin(JUDGE, about, cases, asked)
        rows = [
            (question, JUDGE, 0, "", "", reply.text, reply.outcome, reply.model, 0.0, 0.0)
            for question, reply in said
        ]
        store._db.execute("BEGIN")  # `keep` writes each reply durably, which is not what is measured here
        store._db.executemany("INSERT INTO replies VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
        store._db.execute("COMMIT")


def seconds(verb: Callable[[], object]) -> dict[str, float]:
    """CPU and wall-clock seconds of a verb; what it prints is thrown away."""
    started, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    with contextlib.redirect_stdout(io.StringIO()):
        verb()
    now = resource.getrusage(resource.RUSAGE_SELF)
    cpu = now.ru_utime - used.ru_utime + now.ru_stime - used.ru_stime
    return {"cpu": round(cpu, 2), "wall": round(time.perf_counter() - started, 2)}


def measured(name: str, folder: Path) -> dict[str, Any]:
    """The figures of one benchmark."""
    benchmark = benchmark_named(name)
    cases = cases_of(benchmark, folder / f"{name}-data")
    places = {turns: [folder / f"{name}-{turns}-{seed}" for seed in (1, 2)] for turns in (False, True)}
    for turns, runs in places.items():
        for seed, place in enumerate(runs):
            write_run(benchmark, cases, place, seed, turns=turns)
    found: dict[str, Any] = {}
    for turns, runs in places.items():
        label = "every turn" if turns else "delivered"
        for rules in RULES:
            found[f"score, {rules}, {label}"] = seconds(lambda r=rules, p=runs[0]: print_scores(p, r))
        found[f"compare, {label}"] = seconds(lambda p=runs: compare(p))
    return found


def compare(runs: Sequence[Path], html: Path | None = None) -> None:
    """`bench compare` of two runs."""
    print_comparison(
        (runs[0], runs[1]),
        "strict",
        judge="",
        json_wanted=False,
        markdown=False,
        html=html,
        anyway=False,
        preservation=True,
    )


def main() -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--suites", nargs="*", default=SUITES)
    arguments = parser.parse_args()
    figures = {}
    for name in arguments.suites:
        with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
            figures[name] = measured(name, Path(folder))
        for verb, took in figures[name].items():
            print(f"{name:<10}{verb:<32}{took['cpu']:>7.2f} s CPU{took['wall']:>8.2f} s", flush=True)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    document = {"samples": SAMPLES, "most_turns": TURNS, "seconds": figures}
    OUT.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
