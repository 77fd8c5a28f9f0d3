"""What was said to be stored is stored: after kill -9, on a full disk, beside a second writer."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import writer

from editthinker.core.episode import Episode
from editthinker.core.errors import StoreError
from editthinker.core.events import EditStarted, ThinkFinished
from editthinker.core.records import TrajectoryRecord
from editthinker.core.types import Call, Critique, Sample, Score
from editthinker.runs import RunFolder, blobs
from editthinker.runs.lock import Lock
from editthinker.testing.behaviour import photograph
from editthinker.testing.scripted import ScriptedEditor, ScriptedThinker

Play = Callable[..., TrajectoryRecord]


@contextmanager
def writing(run: Path, samples: int = 1000) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, writer.__file__, str(run), str(samples)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str], lines: int) -> list[tuple[str, int, int]]:
    assert process.stdout is not None
    facts = [process.stdout.readline().split() for _ in range(lines)]
    return [(verb, int(number), int(turn)) for verb, number, turn in facts]


def check_images(run: RunFolder) -> None:
    """Every image a record names is there, whole."""
    for record in run.trajectories():
        for ref in (*record.sample.images, *(turn.image for turn in record.turns)):
            assert hashlib.sha256(run.image_path(ref).read_bytes()).hexdigest() == ref.sha256


def test_kill_9_loses_nothing_that_was_finished(tmp_path: Path) -> None:
    path, rng = tmp_path / "run", random.Random(0)
    facts: set[tuple[str, int, int]] = set()
    for _ in range(4):
        with writing(path) as process:
            facts.update(said(process, rng.randint(12, 60)))
            time.sleep(rng.uniform(0, 0.02))
            process.send_signal(signal.SIGKILL)
        with RunFolder.open(path) as run:
            check_images(run)
            records = {int(record.sample.id.split()[1]): record for record in run.trajectories()}
        for verb, number, turn in facts:
            if verb in ("edited", "finished"):
                assert turn <= len(records[number].turns)
            if verb == "finished":
                assert records[number].turns[turn - 1].critique is not None
            if verb == "ended":
                assert records[number].chosen is not None
    assert sum(verb == "ended" for verb, _, _ in facts) >= 3
    assert sum(not record.chosen for record in records.values()) <= 1


def test_what_a_killed_writer_left_half_written_is_swept(tmp_path: Path) -> None:
    path = tmp_path / "run"
    with writing(path) as process:
        said(process, 5)
        process.kill()
    leftover = next((path / "images").iterdir()) / ".editthinker-0123456789abcdef.tmp"
    leftover.write_bytes(b"half")
    with RunFolder.open(path):
        assert leftover.exists()
    with RunFolder.open(path, write=True):
        assert not leftover.exists()


@pytest.mark.clock
def test_a_second_process_is_refused_and_told_who_holds_the_run(tmp_path: Path) -> None:
    path = tmp_path / "run"
    with writing(path) as process:
        said(process, 3)
        began = time.monotonic()
        with pytest.raises(StoreError, match=rf"in use by process {process.pid} on .* since \d{{4}}"):
            RunFolder.open(path, write=True)
        with pytest.raises(StoreError, match=f"in use by process {process.pid}"):
            RunFolder.create(path, {})
        assert time.monotonic() - began < 1
        with RunFolder.open(path) as reader:
            assert reader.counts()[0] >= 1
        process.kill()
        process.wait()
        with RunFolder.open(path, write=True):
            pass


def test_the_same_process_is_refused_too(run: RunFolder) -> None:
    with pytest.raises(StoreError, match=f"in use by process {os.getpid()}"):
        RunFolder.open(run.path, write=True)
    run.close()
    with RunFolder.open(run.path, write=True):
        pass


@pytest.fixture
def tiny_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file system of half a megabyte, used to its end, where the machine lets us mount one."""
    monkeypatch.setattr(blobs, "SPARE_BYTES", 0)
    monkeypatch.setattr(blobs, "SPARE_IMAGES", 0)
    place = tmp_path / "disk"
    place.mkdir()
    options = ["-t", "tmpfs", "-o", "size=512k", "tmpfs"]
    if sys.platform != "linux" or subprocess.run(["mount", *options, str(place)], check=False).returncode:
        pytest.skip("mounting is not allowed here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_stops_the_episode_with_one_sentence(tiny_disk: Path, play: Play) -> None:
    with RunFolder.create(tiny_disk / "run", {}) as run:
        play(run, Sample((photograph(32, 32),), "small"))
        editor = ScriptedEditor()
        sample = Sample((photograph(400, 400),), "make it warmer")
        episode = Episode(sample, editor, ScriptedThinker(), listener=run.recorder(sample))
        trajectory = asyncio.run(episode.run())
        assert isinstance(episode.error, StoreError)
        assert re.search("the disk is full$|no space left on device$", str(episode.error))
        assert len(editor.requests) == len(trajectory.calls) < 3
    assert not list(tiny_disk.rglob("*.tmp"))
    with RunFolder.open(tiny_disk / "run") as again:
        check_images(again)
        assert again.counts()[1] == 1


def test_what_a_thinker_said_is_stored_before_the_next_call_starts(run: RunFolder) -> None:
    """Usually with the turn; here no turn is finished before another edit begins."""
    sample = Sample((photograph(),), "make it warmer")
    recorder = run.recorder(sample, key="k")

    async def tell() -> list[int]:
        call = Call("thinker", "scripted", 1, 0.0, 0.1, "ok", question="q")
        await recorder(ThinkFinished(call, Critique(Score(3, 4), "why", "do it again")))
        before = len(run.past("k").answers)
        await recorder(EditStarted(2, "do it again", 7))
        return [before, len(run.past("k").answers)]

    assert asyncio.run(tell()) == [0, 1]


def test_no_call_starts_when_what_it_brings_has_no_room(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first call finds room, the second does not: its answer could not be kept."""
    sample, editor, thinker = Sample((photograph(),), "make it warmer"), ScriptedEditor(), ScriptedThinker()
    monkeypatch.setattr(blobs, "SPARE_IMAGES", 10**12)
    episode = Episode(sample, editor, thinker, listener=run.recorder(sample))
    asyncio.run(episode.run())
    assert isinstance(episode.error, StoreError)
    assert "is nearly full" in str(episode.error)
    assert "make room, then start again" in str(episode.error)
    assert (len(editor.requests), len(thinker.views)) == (1, 0)
    check_images(run)


def test_a_full_disk_leaves_no_half_made_run(tiny_disk: Path) -> None:
    (tiny_disk / "filler").write_bytes(bytes(490 * 1024))
    with pytest.raises(StoreError, match="the disk is full"):
        RunFolder.create(tiny_disk / "run", {})
    assert [path.name for path in tiny_disk.iterdir()] == ["filler"]


def test_when_there_is_space_again_the_run_goes_on(tiny_disk: Path, play: Play) -> None:
    sample = Sample((photograph(200, 200),), "make it warmer")
    with RunFolder.create(tiny_disk / "run", {}) as run:
        filler = tiny_disk / "filler"
        filler.write_bytes(bytes(350 * 1024))
        with pytest.raises(StoreError):
            play(run, sample)
        filler.unlink()
        record = play(run, sample)
        (stored,) = run.trajectories()
        assert stored.turns == record.turns
        assert run.is_finished(sample)
        check_images(run)


def test_a_finished_run_is_readable_where_nothing_can_be_written(
    run: RunFolder, play: Play, tmp_path: Path
) -> None:
    play(run)
    run.close()
    place = tmp_path / "frozen"
    place.mkdir()
    if (
        sys.platform != "linux"
        or subprocess.run(["mount", "--bind", str(run.path), str(place)], check=False).returncode
    ):
        pytest.skip("mounting is not allowed here")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(place)], check=True)
        with RunFolder.open(place) as frozen:
            assert frozen.counts() == (1, 1)
            check_images(frozen)
        with pytest.raises(StoreError, match="read-only file system"):
            RunFolder.open(place, write=True)
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_path_below_a_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match="cannot make a run in"):
        RunFolder.create(tmp_path / "file" / "run", {})
    with pytest.raises(StoreError, match="cannot make a run in"):
        RunFolder.create(tmp_path / "file", {})


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing is forked here")
def test_a_forked_child_does_not_hold_the_run_when_its_parent_is_gone(tmp_path: Path) -> None:
    holds = (
        "import os, sys, time\n"
        "from pathlib import Path\n"
        "from editthinker.runs.lock import Lock\n"
        "lock = Lock(Path(sys.argv[1]))\n"
        "child = os.fork()\n"
        "if not child: time.sleep(60)\n"
        "print(child, flush=True)\n"
        "os._exit(9)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holds, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        try:
            assert parent.wait(10) == 9
            Lock(tmp_path).release()
        finally:
            os.kill(child, signal.SIGKILL)
