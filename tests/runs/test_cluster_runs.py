"""Runs on a real Ray cluster of several nodes, all on this machine; workers and nodes are killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import pytest

from editthinker.runs import RunFolder
from editthinker.testing import photograph

pytest.importorskip("ray")
pytestmark = [pytest.mark.slow, pytest.mark.clock]

STANDING = """
import asyncio
import os

import ray
from editthinker.core.types import Thought
from editthinker.testing import ScriptedEditor, ScriptedThinker


def note(*words):
    node = ray.get_runtime_context().get_node_id() if ray.is_initialized() else "here"
    with open("calls.txt", "a") as calls:
        calls.write(" ".join(map(str, (os.getpid(), node, *words))) + "\\n")


class Editor(ScriptedEditor):
    async def edit(self, request):
        which = f"{request.seed}|{request.instruction}".replace(" ", "_")
        note("began", which)
        await asyncio.sleep(self.seconds)
        edited = await super().edit(request)
        note("ended", which)
        return edited


def editor(seconds=0.3):
    made = Editor()
    made.seconds = seconds
    return made


def slow():
    return editor(0.8)


def lasting():
    return editor(4.0)


def thinker():
    return ScriptedThinker()
"""
WISHES = ("make it warmer", "blur it", "black and white", "brighter", "darker", "more contrast")
AT_ONCE = 4
WORK = ("--editor", "standing:editor", "--thinker", "standing:thinker", "--turns", "2", "--concurrency", "4")
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "standing.py").write_text(STANDING)
    (tmp_path / "photos").mkdir()
    for number in range(6):
        photograph(48, 32, seed=number).save(tmp_path / "photos" / f"p{number}.png")
    rows = [
        {"id": f"s{n}", "image": f"p{n % 6}.png", "instruction": f"{WISHES[n % 6]} {n}"} for n in range(16)
    ]
    (tmp_path / "samples.jsonl").write_text("\n".join(map(json.dumps, rows)))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path


class Nodes:
    """A cluster whose nodes come and go."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        self.cluster = Cluster()
        self.cluster.add_node(
            num_cpus=0,
            object_store_memory=80 * 2**20,
            include_dashboard=False,
            _system_config={"health_check_period_ms": 300, "health_check_failure_threshold": 2},
        )

    def add(self, cpus: int) -> Any:
        return self.cluster.add_node(num_cpus=cpus, object_store_memory=80 * 2**20)


@pytest.fixture(scope="module")
def head() -> Iterator[Nodes]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in QUIET.items():
            patch.setenv(name, value)
        made = Nodes()
        yield made
        made.cluster.shutdown()


@pytest.fixture
def nodes(head: Nodes) -> Iterator[Nodes]:
    """Nodes of one test."""
    yield head
    for node in head.cluster.worker_nodes.copy():
        head.cluster.remove_node(node)


@contextmanager
def started(*words: str) -> Iterator[subprocess.Popen[str]]:
    command = [
        sys.executable,
        "-m",
        "editthinker.cli",
        "run",
        "samples.jsonl",
        "--images",
        "photos",
        "--run",
        "r",
    ]
    with (
        Path("stderr.txt").open("a") as told,
        subprocess.Popen(
            [*command, *words], stdout=subprocess.PIPE, stderr=told, text=True, start_new_session=True
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def ran(*words: str, code: int = 0) -> str:
    with started(*words) as process:
        output = process.communicate(timeout=90)[0]
    assert process.returncode == code, Path("stderr.txt").read_text()
    return output


def until(condition: Callable[[], object], what: str, seconds: float = 90.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what}: {Path('stderr.txt').read_text()}"
        time.sleep(0.02)


def calls() -> list[list[str]]:
    path = Path("calls.txt")
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def told() -> str:
    return Path("stderr.txt").read_text()


def results(run: str) -> dict[str, Any]:
    """What a run came to, as far as it does not say who worked."""
    with RunFolder.open(Path(run)) as opened:
        return {
            record.sample.id: (
                record.chosen,
                record.stop.reason,
                [(turn.instruction, turn.seed, turn.image.sha256, turn.critique) for turn in record.turns],
            )
            for record in opened.trajectories()
        }


def endpoints(run: str) -> set[str]:
    """Where calls were made, those of turns and those that failed."""
    with RunFolder.open(Path(run)) as opened:
        records = list(opened.trajectories())
    calls = (call.notes.get("endpoint") for record in records for call in record.calls)
    turns = (turn.notes.get("endpoint") for record in records for turn in record.turns)
    return {str(name) for name in (*calls, *turns) if name}


def check_nothing_twice(lost: Callable[[str, str], bool]) -> None:
    """Every edit was made, and none again but what `lost` (pid, node) had in hand: a few, not a share."""
    hands: dict[str, list[tuple[str, str]]] = {}
    for pid, node, event, which in calls():
        if event == "began":
            hands.setdefault(which, []).append((pid, node))
    assert len(hands) == 32
    repeated = [hand for several in hands.values() for hand in several[:-1]]
    assert 0 < len(repeated) <= AT_ONCE
    assert all(lost(*hand) for hand in repeated)


def test_the_engine_makes_no_difference_and_may_change_in_mid_run(folder: Path, nodes: Nodes) -> None:
    import shutil

    nodes.add(3)
    where = ("--engine", "ray", "--address", nodes.cluster.address)
    words = ("--turns", "2", "--seed", "4", "--threshold", "9.9")
    ran(*words, "--limit", "6")
    local = results("r")
    shutil.move("r", "local")
    ran(*words, "--limit", "3", *where)
    assert endpoints("r")
    assert endpoints("r") <= {"darkroom@1", "darkroom@2"}  # the second may come when all is done
    ran(*words, "--limit", "5")  # taken up here
    assert "3 of them ended before" in told()
    ran(*words, "--limit", "6", *where)  # and there again
    assert results("r") == local
    assert len(local) == 6


def test_a_killed_worker_costs_its_calls_in_flight(folder: Path, nodes: Nodes) -> None:
    nodes.add(4)
    words = ("--editor", "standing:slow", *WORK[2:], "--engine", "ray", "--address", nodes.cluster.address)
    with started(*words, "--workers", "editor=2,thinker=1") as run:
        until(lambda: len(calls()) > 12, "no calls")
        pid = calls()[-1][0]
        os.kill(int(pid), signal.SIGKILL)
        killed = time.monotonic()
        until(lambda: len({worker for worker, *_ in calls()}) == 3, "no new worker")
        assert time.monotonic() - killed < 10
        assert run.wait(60) == 0, told()
    check_nothing_twice(lambda worker, _: worker == pid)
    assert [name for name in endpoints("r") if name.startswith("standing:slow@") and " on " in name]


def test_a_lost_node_costs_its_calls_in_flight_and_the_run_waits_for_another(
    folder: Path, nodes: Nodes
) -> None:
    one, other = nodes.add(1), nodes.add(1)
    with started(*WORK, "--engine", "ray", "--address", nodes.cluster.address, "--workers", "1") as run:
        until(lambda: len(calls()) > 12, "no calls")
        place = calls()[-1][1]
        gone = one if one.node_id == place else other
        nodes.cluster.remove_node(gone, allow_graceful=False)
        until(lambda: "no editor answers at present" in told(), "no word of it")
        before = len(calls())
        time.sleep(0.5)
        assert len(calls()) == before
        assert run.poll() is None
        nodes.add(1)
        until(lambda: "answers again after" in told(), "it did not go on")
        assert run.wait(60) == 0, told()
    check_nothing_twice(lambda _, node: node == place)


def test_more_workers_join_when_the_cluster_grows_and_none_outlives_the_driver(
    folder: Path, nodes: Nodes
) -> None:
    nodes.add(2)
    with started(
        "--editor", "standing:lasting", *WORK[2:], "--engine", "ray", "--address", nodes.cluster.address
    ) as run:
        until(calls, "no calls")
        nodes.add(2)
        until(lambda: len({worker for worker, *_ in calls()}) > 1, "nobody joined")
        workers = {int(worker) for worker, *_ in calls()}
        run.kill()
        run.wait()
        until(lambda: not any(map(psutil.pid_exists, workers)), "a worker outlived the driver")


def test_control_c_on_a_cluster_of_our_own(folder: Path) -> None:
    with started(*WORK, "--engine", "ray", "--workers", "1", "--address", "local") as run:
        until(lambda: len(calls()) > 8, "no calls")
        rays = psutil.Process(run.pid).children(recursive=True)
        assert {process.name() for process in rays} >= {"raylet", "gcs_server"}
        os.killpg(run.pid, signal.SIGINT)
        asked = time.monotonic()
        assert run.wait(30) == 130, told()
        assert time.monotonic() - asked < 8
    assert "resume:" in told()
    assert "Traceback" not in told()
    until(lambda: not any(process.is_running() for process in rays), "Ray is still there")
    ended = [which for *_, event, which in calls() if event == "ended"]
    assert run.stdout is not None
    ran(*WORK)  # goes on without Ray
    assert Counter(which for *_, event, which in calls() if event == "ended").most_common(1)[0][1] == 1
    assert len(ended) < 32
    assert len(results("r")) == 16


@contextmanager
def node_of_its_own(ready: Path, *words: str) -> Iterator[None]:
    """`ray start`, as somebody types it on a machine; `ready` is there when it is up."""
    ray = Path(sys.executable).with_name("ray")
    small = ("--num-cpus", "1", "--object-store-memory", str(80 * 2**20), "--disable-usage-stats", "--block")
    with (
        ready.open("w") as log,
        subprocess.Popen([ray, "start", *words, *small], stdout=log, stderr=subprocess.STDOUT) as typed,
    ):
        node = psutil.Process(typed.pid)
        assert any("Ray runtime started" in ready.read_text() or time.sleep(0.2) for _ in range(200))
        try:
            yield
        finally:
            for process in [node, *node.children(recursive=True)]:
                process.kill()


def test_a_cluster_that_ray_start_made_is_found_and_shown_its_token(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with TemporaryDirectory(prefix="r", dir="/tmp") as short:  # the path of a socket has 107 bytes at most
        monkeypatch.setenv("HOME", short)  # where Ray puts the token
        monkeypatch.setenv("RAY_TMPDIR", short)
        monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
        head = ("--head", "--port", "0", "--include-dashboard=false")
        Path(short, ".ray").mkdir()
        Path(short, ".ray", "auth_token").write_text("c" * 64)
        with ExitStack() as nodes:
            nodes.enter_context(node_of_its_own(Path("head.txt"), *head))
            address = Path(short, "ray", "ray_current_cluster").read_text()
            with monkeypatch.context() as patch:
                patch.setenv("RAY_AUTH_MODE", "token")
                nodes.enter_context(node_of_its_own(Path("node.txt"), "--address", address))
            ran("--turns", "2", "--limit", "6", "--engine", "ray", "--workers", "1")
    assert endpoints("r") == {"darkroom@1"}
    assert len(results("r")) == 6


def test_what_cannot_be_is_refused_in_a_sentence(folder: Path, nodes: Nodes) -> None:
    nodes.add(2)
    where = ("--engine", "ray", "--address", nodes.cluster.address)
    ran(*WORK, *where, "--gpus", "editor=1", "--patience", "1", code=2)
    assert "no machine of this Ray cluster has room for a worker of editor 'standing:editor'" in told()
    assert "which needs 1 GPU: the cluster has 2 machines with 2 CPUs and no GPU together" in told()
    ran("--editor", "standing:nobody", *where, code=2)
    assert "AttributeError" in told()
    assert "standing:nobody" in told()
    ran(*WORK, "--engine", "ray", "--address", "127.0.0.1:1", "--dry-run")  # asks nobody
    ran(*WORK, "--workers", "2", code=2)
    assert not Path("r").exists()
