"""`editthinker data generate`: who gets what, what becomes of it, and that nothing is asked twice."""

from __future__ import annotations

import ast
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from editthinker.data.records import TrajectoryRow
from editthinker.data.rows import Source
from editthinker.data.stage import Counts
from peers.command import Run
from peers.makers import POOL, calls, lay_out

pytestmark = [pytest.mark.slow, pytest.mark.clock]

WISHES = tuple(f"wish {number}" for number in range(6))
ONE, TWO = ("--editor", "makers:one"), ("--editor", "makers:two")


@pytest.fixture
def wishes(folder: Path) -> Path:
    lay_out(folder, *WISHES)
    return folder


def manifest(folder: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((folder / "pool" / "manifest.json").read_text())
    return told


def rows(folder: Path) -> list[TrajectoryRow]:
    return sorted(Source(TrajectoryRow, (folder / "pool",)).read(Counts()), key=lambda row: row.id)


def test_the_pool_is_divided_and_the_same_command_again_asks_nobody(run: Run, wishes: Path) -> None:
    done = run(*POOL, *ONE, *TWO)
    assert done.returncode == 0, done.stderr
    made = rows(wishes)
    assert [row.id for row in made] == [f"s{number}" for number in range(6)]
    assert Counter((row.editor, row.task) for row in made) == {
        ("scripted", "background"): 2,
        ("two", "style"): 2,
        ("two", "background"): 1,
        ("scripted", "style"): 1,
    }
    assert [turn.instruction for turn in made[0].turns] == ["wish 0", "wish 0, take 2", "wish 0, take 3"]
    assert all(turn.score is None for row in made for turn in row.turns), "the expert scores nothing"
    assert {row.stop for row in made} == {"satisfied"}
    told = manifest(wishes)
    assert [part["samples"] for part in told["runs"]] == [3, 3]
    assert (told["counts"]["read"], told["counts"]["kept"]) == (6, 6)
    assert told["runs"][0]["calls"] == {"editor": 9, "thinker": 9}
    before = calls(wishes)
    assert before == 36
    assert run(*POOL, *ONE, *TWO).returncode == 0
    assert calls(wishes) == before
    assert manifest(wishes) == told


def test_every_editor_may_get_all(run: Run, wishes: Path) -> None:
    done = run(*POOL, *ONE, *TWO, "--per-editor", "all", "--turns", "1", "--limit", "4")
    assert done.returncode == 0, done.stderr
    assert Counter(row.editor for row in rows(wishes)) == {"scripted": 4, "two": 4}
    keys = [row.key for row in rows(wishes)]
    assert len(set(keys)) == 8


def test_one_part_at_a_time(run: Run, wishes: Path) -> None:
    assert run(*POOL, *ONE, *TWO, "--only", "makers:two").returncode == 0
    assert {row.editor for row in rows(wishes)} == {"two"}
    assert manifest(wishes)["counts"]["noted"] == {"not_finished": 3}
    assert run(*POOL, *ONE, *TWO).returncode == 0
    assert (len(rows(wishes)), calls(wishes, "edit")) == (6, 18)


def test_a_dry_run_tells_calls_and_price_of_each_editor(run: Run, wishes: Path) -> None:
    priced = ("--editor", "makers:Polyglot", "--turns", "2")
    done = run(*POOL, *priced, *ONE, "--dry-run", "--json")
    assert done.returncode == 0, done.stderr
    plans = json.loads(done.stdout)["editors"]
    assert [plan["most_editor_calls"] for plan in plans.values()] == [6, 6]
    first, second = plans.values()
    assert first["most_cost"] == pytest.approx(0.06)
    assert second["most_cost"] is None
    said = run(*POOL, *priced, *TWO, "--dry-run").stdout
    assert b"together: unknown" in said
    assert calls(wishes) == 0
    assert not (wishes / "pool").exists()


def test_the_limit_of_cost_is_that_of_all_editors(run: Run, wishes: Path) -> None:
    done = run(*POOL, *ONE, *TWO, "--max-cost", "1.2", "--concurrency", "1")
    assert done.returncode == 3, done.stderr
    spent = sum(part.get("cost", 0) for part in manifest(wishes)["runs"])
    assert 0.9 < spent < 1.45
    done = run(*POOL, *ONE, *TWO, "--max-cost", "1.2", "--concurrency", "1")
    assert done.returncode == 3
    assert sum(part.get("cost", 0) for part in manifest(wishes)["runs"]) == pytest.approx(spent, abs=0.12)
    assert run(*POOL, *ONE, *TWO).returncode == 0
    assert calls(wishes, "edit") == 18


def test_what_fails_is_told_apart_and_left_out_later(run: Run, folder: Path) -> None:
    lay_out(folder, "wish", "impossible", "forbidden", "puzzling", "gone", "broken", "wish")
    (folder / "photos" / "p4.png").unlink()
    (folder / "photos" / "p5.png").write_bytes(b"\x89PNG no image")
    done = run(*POOL, *ONE, "--retries", "0")
    assert done.returncode == 3
    for told in (
        b"s1: failed (editor)",
        b"s2: refused (editor)",
        b"s3: failed (thinker)",
        b"s5: failed (inp",
    ):
        assert told in done.stderr, done.stderr
    counts = manifest(folder)["counts"]
    assert (counts["read"], counts["kept"]) == (7, 2)
    assert counts["dropped"] == {"failed": 2, "refused": 1, "unusable": 2}
    assert any("the GPU is gone" in example for example in counts["examples"]["failed"])
    assert run("data", "score", "pool", "--judge", "makers:judge").returncode == 0
    assert calls(folder, "score") == 6
    assert run("data", "filter", "pool", "--out", "kept", "--single", "keep").returncode == 0
    kept = json.loads((folder / "kept" / "manifest.json").read_text())["counts"]
    assert (kept["kept"], kept["dropped"]) == (2, {"failed": 3})


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("samples.jsonl", *ONE), b"say who the expert is"),
        (("samples.jsonl", *ONE, "--thinker", "none"), b"say who the expert is"),
        (("samples.jsonl", *ONE, "--count", "5", "--thinker", "makers:expert"), b"--count and --photos"),
        (("samples.jsonl", *ONE, *ONE, "--thinker", "makers:expert"), b"the same editor is named twice"),
        (("samples.jsonl", *ONE, "--only", "x", "--thinker", "makers:expert"), b"--only takes one of"),
        (("samples.jsonl", *ONE, "--tag", "x", "--thinker", "makers:expert"), b"--tag takes NAME=VALUE"),
        (("samples.jsonl", *ONE, "--per-editor", "x", "--thinker", "makers:expert"), b"known: split, all"),
        (("darkroom", "--photos", "absent"), b"absent is not a folder of photographs"),
        (("gone.jsonl", *ONE, "--thinker", "makers:expert"), b"there are no samples at gone.jsonl"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    run: Run, wishes: Path, words: tuple[str, ...], sentence: bytes
) -> None:
    done = run("data", "generate", *words, "--images", "photos", "--out", "pool")
    assert done.returncode == 2, done.stderr
    assert sentence in done.stderr
    assert done.stderr.count(b"\n") == 1
    assert calls(wishes) == 0


def test_another_division_is_refused_by_name(run: Run, wishes: Path) -> None:
    assert run(*POOL, *ONE, *TWO).returncode == 0
    for changed in (ONE, (*ONE, *TWO, "--per-editor", "all")):
        done = run(*POOL, *changed)
        assert done.returncode == 2
        assert b"was begun with " in done.stderr
    assert calls(wishes) == 36


def begin(*words: str, until: int, folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-W", "error", "-m", "editthinker.cli", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ)
    deadline = time.monotonic() + 30
    while calls(folder) < until and time.monotonic() < deadline:
        time.sleep(0.02)
    return process


def test_killed_at_any_time_it_goes_on_and_ends_as_if_nothing_had_been(run: Run, wishes: Path) -> None:
    slow = (*POOL, "--editor", "makers:slow", *TWO, "--concurrency", "2")
    kills = 0
    for until in (4, 9, 14):
        process = begin(*slow, until=until, folder=wishes)
        kills += process.poll() is None
        process.kill()
        process.communicate()
    assert kills == 3
    done = run(*slow)
    assert done.returncode == 0, done.stderr
    assert calls(wishes) <= 36 + 2 * kills, "only what was under way is asked again"
    made = rows(wishes)
    (wishes / "pool").rename(wishes / "killed")
    assert run(*slow).returncode == 0
    assert [row.key for row in made] == [row.key for row in rows(wishes)]


def test_a_full_disk_is_one_sentence_and_the_same_command_goes_on(run: Run, wishes: Path) -> None:
    """No file may grow beyond 40 kB: soon writing fails, as it does on a full disk."""
    program = (
        "import resource, sys; from editthinker.cli import main;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000));"
        "sys.exit(main(sys.argv[1:]))"
    )
    words = [sys.executable, "-c", program, *POOL, *ONE, "--concurrency", "1"]
    done = subprocess.run(words, capture_output=True, timeout=60, env=os.environ)
    assert done.returncode == 2, done.stderr
    assert b"error: cannot write the run pool/makers_one" in done.stderr
    assert b"Traceback" not in done.stderr
    done = run(*POOL, *ONE)
    assert done.returncode == 0, done.stderr
    assert len(rows(wishes)) == 6
    assert calls(wishes, "edit") <= 19, "one edit could not be kept"


def test_an_interrupt_ends_all_parts(run: Run, wishes: Path) -> None:
    slow = (*POOL, "--editor", "makers:slow", *TWO, "--concurrency", "1")
    process = begin(*slow, until=4, folder=wishes)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=20)
    assert process.returncode == 130, stderr
    assert b"resume: editthinker data generate samples.jsonl" in stderr
    assert not list((wishes / "pool").glob("makers_two*"))
    assert manifest(wishes)["counts"]["noted"]["not_finished"] >= 4
    assert run(*slow).returncode == 0
    assert calls(wishes) == 36


def test_what_is_exported_is_what_was_asked(run: Run, wishes: Path) -> None:
    """Letter for letter the prompt of the loop, with what it is told of an editor that is not as usual."""
    assert run(*POOL, "--editor", "makers:Polyglot").returncode == 0
    asked = {
        (name, sent): text
        for name, sent, text in map(ast.literal_eval, (wishes / "asked.txt").read_text().splitlines())
    }
    assert any("English or Chinese" in text and "be brief" in text for text in asked.values())
    assert run("data", "score", "pool", "--judge", "makers:judge").returncode == 0
    for stage in (
        ("filter", "pool", "--out", "kept", "--single", "keep"),
        ("unroll", "kept", "--out", "steps", "--last", "keep"),
        ("export", "steps", "--out", "sft"),
    ):
        done = run("data", *stage)
        assert done.returncode == 0, done.stderr
    steps = [json.loads(line) for line in (wishes / "steps" / "steps.jsonl").read_text().splitlines()]
    made = json.loads((wishes / "sft" / "sft_train.json").read_text())
    assert len(steps) == len(made) > 0
    for step, record in zip(steps, made, strict=True):
        assert record["messages"][0]["content"] == asked[step["id"], step["sent"]]
    done = run("data", "export", "steps", "--style", "history", "--out", "other")
    assert done.returncode == 2
    assert b"turns before" in done.stderr
