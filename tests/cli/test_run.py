from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from editthinker.cli.crew import OPTIONS, crew_of
from editthinker.cli.run import BatchOrder
from editthinker.testing import photograph
from editthinker.wire.pooled import PooledEditor
from peers.command import Run

COUNTING = """
import os

from editthinker.core.types import Score
from editthinker.core.errors import EditorError, Refused
from editthinker.testing import ScriptedEditor, ScriptedThinker


class Editor(ScriptedEditor):
    async def edit(self, request):
        with open("calls.txt", "a") as calls:
            calls.write(f"edit {request.instruction}\\n")
        if "impossible" in request.instruction:
            raise EditorError("the GPU is gone")
        if "forbidden" in request.instruction:
            raise Refused("not this")
        return await super().edit(request)


def quick():
    return Editor(cost=0.1)


def slow():
    return Editor(seconds=float(os.environ.get("SLOW", "0.4")))


def locked():
    class Locked(ScriptedEditor):
        async def edit(self, request):
            with open("calls.txt", "a") as calls:
                calls.write("edit\\n")
            raise EditorError("does not accept the key (401)")
    return Locked()


def thinker():
    return ScriptedThinker()
"""


@pytest.fixture
def batch(folder: Path) -> Path:
    """`photos/` with samples.jsonl in the current folder."""
    (folder / "counting.py").write_text(COUNTING)
    (folder / "photos").mkdir()
    for number in range(4):
        photograph(48, 32, seed=number).save(folder / "photos" / f"p{number}.png")
    write(folder, *(f"wish {number}" for number in range(4)))
    return folder


def write(folder: Path, *wishes: str) -> None:
    rows = (
        {"id": f"s{number}", "image": f"p{number % 4}.png", "instruction": wish}
        for number, wish in enumerate(wishes)
    )
    (folder / "samples.jsonl").write_text("\n".join(map(json.dumps, rows)))


def calls(folder: Path) -> int:
    path = folder / "calls.txt"
    return len(path.read_text().splitlines()) if path.exists() else 0


BATCH = ("run", "samples.jsonl", "--images", "photos", "--run", "r", "--thinker", "counting:thinker")
QUICK = (*BATCH, "--editor", "counting:quick", "--turns", "2")


def test_a_run_delivers_and_the_same_command_again_calls_nobody(run: Run, batch: Path) -> None:
    done = run(*QUICK, "--out", "edited")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (batch / "edited").iterdir()) == [f"s{n}.png" for n in range(4)]
    assert b"4 samples: 4 finished (4 delivered)" in done.stderr
    assert b"\x1b" not in done.stderr
    assert calls(batch) == 8
    again = run(*QUICK, "--resume")
    assert again.returncode == 0, again.stderr
    assert calls(batch) == 8
    summary = json.loads((batch / "r" / "summary.json").read_text())
    assert (summary["inputs"], summary["finished"], summary["ended_before"]) == (4, 4, 4)
    assert run("show", "r").returncode == 0


def test_one_json_document(run: Run, batch: Path) -> None:
    done = run(*QUICK, "--json", "--quiet")
    document = json.loads(done.stdout)
    assert (document["finished"], document["calls"]) == (4, {"editor": 8, "thinker": 8})
    assert document["cost"] == pytest.approx(0.8)
    assert done.stderr == b""


def test_some_failed(run: Run, batch: Path) -> None:
    write(batch, "wish", "impossible", "forbidden", "", "wish")
    done = run(*QUICK)
    assert done.returncode == 3
    for told in (b"s1: failed (editor): ", b"s2: refused (editor): ", b"s3: failed (input): it has no instr"):
        assert told in done.stderr, done.stderr
    assert b"5 samples: 2 finished (2 delivered), 2 failed, 1 refused" in done.stderr
    assert b"--retry-failed" in done.stderr


def test_dry_run_calls_and_writes_nothing(run: Run, batch: Path) -> None:
    write(batch, "wish", "wish", "")
    done = run(*QUICK, "--dry-run", "--json")
    plan = json.loads(done.stdout)
    assert (plan["samples"], plan["usable"], plan["most_editor_calls"]) == (3, 2, 4)
    assert list(plan["unusable"]) == ["s2"]
    assert done.returncode == 0
    assert not (batch / "r").exists()
    assert calls(batch) == 0
    assert b"2 of 3 can be used" in run(*QUICK, "--dry-run").stdout


@pytest.mark.parametrize(
    ("more", "key"),
    [(("--turns", "3"), "turns"), (("--seed", "5"), "seed"), (("--threshold", "9"), "semantic")],
)
def test_what_was_changed_is_named(run: Run, batch: Path, more: tuple[str, ...], key: str) -> None:
    assert run(*QUICK, "--limit", "1").returncode == 0
    done = run(*QUICK, *more)
    assert done.returncode == 2
    assert f"was begun with {key} ".encode() in done.stderr
    assert calls(batch) == 2


def test_a_changed_prompt_file_is_named(run: Run, batch: Path) -> None:
    (batch / "prompt.txt").write_text("{original_instruction}")
    words = ("--thinker", "fakes:Planner", "--prompt", "prompt.txt", "--editor", "counting:quick")
    command = ("run", "samples.jsonl", "--images", "photos", "--run", "r", *words)
    assert run(*command).returncode == 0
    (batch / "prompt.txt").write_text("other {original_instruction}")
    done = run(*command)
    assert done.returncode == 2
    assert b"was begun with files" in done.stderr


def test_limit_concurrency_and_budget(run: Run, batch: Path) -> None:
    assert run(*QUICK, "--limit", "2", "--concurrency", "1").returncode == 0
    assert calls(batch) == 4
    done = run(*QUICK, "--max-editor-calls", "5")
    assert done.returncode == 3
    assert b"the limit of 5 editor calls was reached" in done.stderr
    assert b"resume: editthinker run samples.jsonl" in done.stderr
    assert calls(batch) == 5
    assert run(*QUICK).returncode == 0
    assert calls(batch) == 8


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (("--concurrency", "many"), b"--concurrency takes"),
        (("--editor", "counting:quick"), b"named twice"),
        (("--strategy", "none"), b"unknown strategy"),
        (("--images", "missing"), b"no folder of images"),
        (("--run", "photos"), b"is not empty"),
        (("--run", "new", "--resume"), b"no run at"),
        (("--hedge", "--max-cost", "5"), b"--hedge asks twice at times"),
    ],
)
def test_what_cannot_be_is_refused(run: Run, batch: Path, more: tuple[str, ...], reason: bytes) -> None:
    done = run(*QUICK, *more)
    assert done.returncode == 2
    assert reason in done.stderr
    assert calls(batch) == 0


def test_hedging_is_the_pools_business(tmp_path: Path) -> None:
    order = BatchOrder(samples=tmp_path / "s.jsonl", run=tmp_path / "r", hedge=True)
    crew = crew_of(order, {option: ["darkroom"] if option == "editor" else [] for option in OPTIONS})
    assert isinstance(crew.editor, PooledEditor)
    assert crew.editor.pool.hedge


def test_a_wrong_key_ends_it(run: Run, batch: Path) -> None:
    write(batch, *(f"wish {number}" for number in range(12)))
    done = run(*BATCH, "--editor", "counting:locked")
    assert done.returncode == 3
    assert b"does not accept the key" in done.stderr
    assert calls(batch) <= 5


def begin(batch: Path, *more: str, samples: int = 12) -> subprocess.Popen[bytes]:
    """A run of slow edits, six of them begun."""
    write(batch, *(f"wish {number}" for number in range(samples)))
    command = [
        sys.executable,
        "-W",
        "error",
        "-m",
        "editthinker.cli",
        *BATCH,
        "--editor",
        "counting:slow",
        *more,
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ)
    deadline = time.monotonic() + 30
    while calls(batch) < 6 and time.monotonic() < deadline:
        time.sleep(0.02)
    return process


@pytest.mark.clock
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_drains_and_nothing_is_done_twice(
    run: Run, batch: Path, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    with begin(batch, "--turns", "2", "--concurrency", "4", samples=40) as process:
        assert process.stderr is not None
        before = time.monotonic()
        process.send_signal(number)
        assert any(b"stopping: calls under way may end" in line for line in process.stderr)
        asked = calls(batch)
        stderr = process.stderr.read()
        assert process.wait(timeout=20) == 130
    assert time.monotonic() - before < 5
    assert calls(batch) <= asked + 1
    assert b"resume: editthinker run samples.jsonl" in stderr
    monkeypatch.setenv("SLOW", "0")
    done = run(*BATCH, "--editor", "counting:slow", "--turns", "2", "--concurrency", "4")
    assert done.returncode == 0, done.stderr
    assert calls(batch) == 80, "what was under way was waited for"


@pytest.mark.clock
def test_a_second_interrupt_stops_at_once(run: Run, batch: Path) -> None:
    process = begin(batch, "--turns", "2")
    process.send_signal(signal.SIGINT)
    time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    before = time.monotonic()
    process.communicate(timeout=20)
    assert process.returncode == 130
    assert time.monotonic() - before < 1.0


def test_a_second_process_is_refused_at_once(run: Run, batch: Path) -> None:
    process = begin(batch)
    try:
        before = calls(batch)
        done = run(*BATCH, "--editor", "counting:slow")
        assert done.returncode == 2
        assert f"is in use by process {process.pid}".encode() in done.stderr
        assert before > 0
    finally:
        process.kill()
        process.communicate()
    done = run(*BATCH, "--editor", "counting:slow", "--max-seconds", "0.5")
    assert done.returncode == 3, "the lock of a process that died is nobody's"


def test_help_shows_the_groups(run: Run) -> None:
    told = run("run", "--help").stdout.decode()
    for group in ("Where it goes:", "Who works:", "When to stop:", "What is edited:", "How:"):
        assert group in told
