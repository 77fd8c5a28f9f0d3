"""`editthinker data score`: into runs and rows, by one judge or several, interrupted, killed, failing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from editthinker.data.records import StepRow, TrajectoryRow
from editthinker.data.rows import Source
from editthinker.data.stage import Counts
from editthinker.runs import RunFolder
from peers.command import Run
from peers.makers import POOL, calls, lay_out

pytestmark = [pytest.mark.slow, pytest.mark.clock]

SCORE = ("data", "score", "pool", "--judge")


@pytest.fixture
def pool(run: Run, folder: Path) -> Path:
    """Four trajectories of three turns."""
    lay_out(folder, *(f"wish {number}" for number in range(4)))
    done = run(*POOL, "--editor", "makers:one")
    assert done.returncode == 0, done.stderr
    return folder


def judged(folder: Path) -> Counter[bool]:
    rows = Source(TrajectoryRow, (folder / "pool",)).read(Counts())
    return Counter(turn.judged is not None for row in rows for turn in row.turns)


def test_scores_go_into_the_ledger_and_are_asked_for_once(run: Run, pool: Path) -> None:
    done = run(*SCORE, "makers:judge", "--dry-run", "--json")
    assert json.loads(done.stdout) == {"schema_version": 1, "judge_calls": 12, "cost": 0.24, "spent": 0}
    assert calls(pool, "score") == 0
    assert judged(pool) == {False: 12}
    done = run(*SCORE, "makers:judge")
    assert done.returncode == 0, done.stderr
    assert (judged(pool), calls(pool, "score")) == ({True: 12}, 12)
    assert b"12 images scored\ncost:   $0.2400" in done.stderr
    assert run(*SCORE, "makers:judge").returncode == 0
    assert calls(pool, "score") == 12
    told = json.loads((pool / "pool" / "scored.json").read_text())
    assert (told["counts"]["read"], told["counts"]["noted"]) == (12, {"scored_before": 12})
    assert run(*SCORE, "makers:judge", "--again").returncode == 0
    assert calls(pool, "score") == 24
    with RunFolder.open(next((pool / "pool").glob("makers_one*"))) as kept:
        calls_made, cost = kept.spent()["judge"]
    assert calls_made == 24
    assert cost == pytest.approx(0.48)


def test_a_scored_run_still_goes_on(run: Run, pool: Path) -> None:
    """Later calls stand behind those of the trajectory; the same command asks nobody again."""
    assert run(*SCORE, "makers:judge").returncode == 0
    before = calls(pool)
    done = run(*POOL, "--editor", "makers:one", "--retry-failed")
    assert done.returncode == 0, done.stderr
    assert calls(pool) == before
    assert judged(pool) == {True: 12}


def test_several_judges_share_the_work(run: Run, pool: Path) -> None:
    done = run(*SCORE, "makers:slow_judge", "--judge", "makers:second_judge")
    assert done.returncode == 0, done.stderr
    lines = Counter(
        line.split()[1] for line in (pool / "calls.txt").read_text().splitlines() if "score" in line
    )
    assert lines.total() == 12
    assert set(lines) == {"judge", "second"}


def test_a_judge_that_fails_for_some(run: Run, folder: Path) -> None:
    lay_out(folder, "wish", "unclear", "wish")
    assert run(*POOL, "--editor", "makers:one").returncode == 0
    done = run(*SCORE, "makers:judge", "--retries", "0", "--json")
    assert done.returncode == 3
    told = json.loads(done.stdout)
    assert (told["scored"], len(told["failed"])) == (6, 3)
    assert {one["blame"] for one in told["failed"]} == {"judge"}
    assert b"s1 turn 1: failed (judge): cannot say" in done.stderr
    assert judged(folder) == {True: 6, False: 3}
    assert json.loads((folder / "pool" / "scored.json").read_text())["counts"]["dropped"] == {
        "not_scored_judge": 3
    }
    before = calls(folder, "score")
    assert run(*SCORE, "makers:judge", "--retries", "0").returncode == 3
    assert calls(folder, "score") == before + 3
    assert run("data", "filter", "pool", "--out", "kept", "--single", "keep").returncode == 0
    assert json.loads((folder / "kept" / "manifest.json").read_text())["counts"]["dropped"] == {"unscored": 1}


def test_a_judge_that_is_down_ends_it_and_nothing_is_guessed(run: Run, folder: Path) -> None:
    lay_out(folder, *(f"wish {number}" for number in range(12)))
    assert run(*POOL, "--editor", "makers:one").returncode == 0
    done = run(*SCORE, "makers:down", "--retries", "0", "--concurrency", "1")
    assert done.returncode == 3
    assert b"stopped: the last 25 images could not be scored: does not answer" in done.stderr
    assert b"resume: editthinker data score pool" in done.stderr
    assert (judged(folder), calls(folder, "score")) == ({False: 36}, 25)


def test_an_image_that_is_gone_costs_its_own_score_only(run: Run, pool: Path) -> None:
    (row, *_) = Source(TrajectoryRow, (pool / "pool",)).read(Counts())
    Path(row.turns[1].image.path).write_bytes(b"no image")
    done = run(*SCORE, "makers:judge")
    assert done.returncode == 3
    assert f"{row.id} turn 2: failed (input)".encode() in done.stderr
    assert judged(pool) == {True: 11, False: 1}


def test_the_limit_of_cost_counts_every_start(run: Run, pool: Path) -> None:
    done = run(*SCORE, "makers:judge", "--max-cost", "0.1")
    assert done.returncode == 3
    assert b"stopped: the limit of cost was reached" in done.stderr
    assert calls(pool, "score") == 5
    assert run(*SCORE, "makers:judge", "--max-cost", "0.1").returncode == 3
    assert calls(pool, "score") == 5
    assert run(*SCORE, "makers:judge", "--max-cost", "0.24").returncode == 0
    assert calls(pool, "score") == 12


def begin(*words: str, folder: Path, until: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-W", "error", "-m", "editthinker.cli", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ)
    deadline = time.monotonic() + 30
    while calls(folder, "score") < until and time.monotonic() < deadline:
        time.sleep(0.01)
    return process


def test_killed_it_loses_only_what_was_under_way(run: Run, pool: Path) -> None:
    slow = (*SCORE, "makers:slow_judge", "--concurrency", "2")
    process = begin(*slow, folder=pool, until=6)
    process.kill()
    process.communicate()
    kept = judged(pool)[True]
    assert 4 <= kept < 12
    assert run(*slow).returncode == 0
    assert judged(pool) == {True: 12}
    assert calls(pool, "score") <= 14


def test_an_interrupt_waits_for_what_is_under_way(run: Run, pool: Path) -> None:
    slow = (*SCORE, "makers:slow_judge", "--concurrency", "2")
    process = begin(*slow, folder=pool, until=5)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=20)
    assert process.returncode == 130, stderr
    assert b"resume: editthinker data score pool" in stderr
    assert judged(pool)[True] == calls(pool, "score") < 12
    assert run(*slow).returncode == 0
    assert calls(pool, "score") == 12


def rl_rows(folder: Path, count: int) -> None:
    lay_out(folder, *(f"wish {number}" for number in range(count)))
    rows = [
        {
            "origin_prompt": f"wish {number}",
            "rewritten_prompt": f"wish {number}, please",
            "origin_image_path": f"p{number}.png",
            "edited_image_path": f"p{(number + 1) % count}.png",
        }
        for number in range(count)
    ]
    (folder / "rl.jsonl").write_text("\n".join(map(json.dumps, rows)))


def test_imported_rows_get_scores_and_an_interrupted_scoring_goes_on(run: Run, folder: Path) -> None:
    rl_rows(folder, 8)
    done = run("data", "import", "rl.jsonl", "--images", "photos", "--out", "in", "--tag", "licence=CC0-1.0")
    assert done.returncode == 0, done.stderr
    score = ("data", "score", "in", "--judge", "makers:slow_judge", "--out", "scored", "--concurrency", "2")
    process = begin(*score, folder=folder, until=4)
    process.kill()
    process.communicate()
    assert not (folder / "scored").exists()
    done = run(*score)
    assert done.returncode == 0, done.stderr
    assert calls(folder, "score") <= 10
    rows = list(Source(StepRow, (folder / "scored",)).read(Counts()))
    assert [row.score is not None for row in rows] == [True] * 8
    assert not list(folder.glob(".scored*")), "the scores are in the rows now"
    assert run("data", "balance", "scored", "--out", "even").returncode == 0
    assert run("data", "score", "scored", "--judge", "makers:judge", "--out", "twice").returncode == 0
    assert calls(folder, "score") <= 10
    assert run(*score).returncode == 2


def test_a_full_disk_is_one_sentence_and_what_was_kept_stays(run: Run, pool: Path) -> None:
    """No file may grow beyond 40 kB: soon writing fails, as it does on a full disk."""
    program = (
        "import resource, sys; from editthinker.cli import main;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000));"
        "sys.exit(main(sys.argv[1:]))"
    )
    words = [sys.executable, "-c", program, *SCORE, "makers:judge", "--concurrency", "1"]
    done = subprocess.run(words, capture_output=True, timeout=60, env=os.environ)
    assert done.returncode == 2, done.stderr
    assert b"error: cannot write the run pool/makers_one" in done.stderr
    assert b"Traceback" not in done.stderr
    assert 0 < judged(pool)[True] < 12
    done = run(*SCORE, "makers:judge")
    assert done.returncode == 0, done.stderr
    assert judged(pool) == {True: 12}
    assert calls(pool, "score") <= 13, "one score could not be kept"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("pool",), b"say who scores"),
        (("pool", "--judge", "makers:judge", "--out", "x"), b"--out is for rows"),
        (("pool", "steps.jsonl", "--judge", "makers:judge"), b"cannot be scored together"),
        (("steps.jsonl", "--judge", "makers:judge"), b"say with --out"),
        (("pool", "--judge", "makers:judge", "--judge", "makers:judge"), b"named twice"),
        (("pool", "--judge", "makers:nobody"), b"nobody"),
    ],
)
def test_what_is_wrong_is_one_sentence(run: Run, pool: Path, words: tuple[str, ...], sentence: bytes) -> None:
    (pool / "steps.jsonl").write_text("")
    done = run("data", "score", *words)
    assert done.returncode == 2, done.stderr
    assert sentence in done.stderr
    assert done.stderr.count(b"\n") == 1
