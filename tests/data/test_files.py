"""Rows on disk: what comes back, what is wrong with a file, and that a stage is there whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from made_rows import lines, save, step, trajectory

from editthinker.core.errors import InputError, StoreError
from editthinker.data import rows
from editthinker.data.filtering import filtered
from editthinker.data.records import StepRow, TrajectoryRow
from editthinker.data.rows import Source, image_files, row_type, write
from editthinker.data.stage import Counts, Stage, begun


def read(
    *paths: Path, row: type[TrajectoryRow] | type[StepRow] = TrajectoryRow
) -> tuple[list[object], Counts]:
    counts = Counts()
    return list(Source(row, paths).read(counts)), counts  # type: ignore[type-var]


def test_a_run_becomes_rows_that_know_where_their_images_are(run: Path, tmp_path: Path) -> None:
    found, counts = read(run)
    assert counts.read == len(found) == 13
    first = next(row for row in found if row.id == "validation-0-0000")
    assert isinstance(first, TrajectoryRow)
    assert (first.editor, first.thinker, first.task) == ("darkroom", "darkroom-expert", "direct")
    for image in image_files(first):
        assert hashlib.sha256(Path(image.path).read_bytes()).hexdigest() == image.sha256
    failed = next(row for row in found if row.id == "validation-0-0012")
    assert isinstance(failed, TrajectoryRow)
    assert failed.failure == "the GPU is gone"
    again, _ = read(save(tmp_path / "deep" / "rows.jsonl", found))  # type: ignore[arg-type]
    assert again == found


def test_rows_move_with_the_tree_they_are_in(tmp_path: Path) -> None:
    image = tmp_path / "old" / "images" / "a.png"
    row = step("s", 5, source=str(image))
    save(tmp_path / "old" / "data" / "steps.jsonl", [row])
    (tmp_path / "old").rename(tmp_path / "new")
    (found,), _ = read(tmp_path / "new" / "data" / "steps.jsonl", row=StepRow)
    assert isinstance(found, StepRow)
    assert found.images[0].path == (tmp_path / "new" / "images" / "a.png").as_posix()


def test_broken_lines_are_counted_and_named(tmp_path: Path) -> None:
    path = save(tmp_path / "rows.jsonl", [trajectory(3, 5)])
    whole = path.read_bytes()
    deep = b"[" * 100_000
    foreign = json.dumps(json.loads(whole) | {"surprise": 1}).encode()
    path.write_bytes(b"\n".join([b"{", whole, b"", deep, foreign, b"\xff\xfe", b"[1]", b"null", whole]))
    found, counts = read(path)
    assert len(found) == 2
    assert counts.read == 8
    assert counts.dropped == {"malformed": 6}
    assert counts.examples["malformed"][0] == "rows.jsonl line 1: it is not valid JSON"
    assert any("surprise" in example for example in counts.examples["malformed"])


def test_an_endless_line_is_not_read_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "MAX_LINE", 3000)
    path = save(tmp_path / "rows.jsonl", [trajectory(3, 5)])
    path.write_bytes(b"[" + b" " * 10_000 + b"]\n" + path.read_bytes())
    found, counts = read(path)
    assert len(found) == 1
    assert counts.dropped == {"malformed": 1}
    assert Source(TrajectoryRow, (path,)).inputs == []


def test_the_wrong_kind_of_rows_says_which_verb_makes_the_right_one(run: Path, tmp_path: Path) -> None:
    steps = save(tmp_path / "steps.jsonl", [step("s", 5)])
    with pytest.raises(InputError, match=r"'step', this stage takes 'trajectory': 'editthinker data filter'"):
        read(steps)
    with pytest.raises(InputError, match="is a run; this stage takes steps"):
        read(run, row=StepRow)
    assert row_type([steps]) is StepRow
    assert row_type([run]) is TrajectoryRow


def test_places_that_hold_no_rows(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is nothing at"):
        read(tmp_path / "absent")
    with pytest.raises(InputError, match="holds: none"):
        read(tmp_path)
    save(tmp_path / "rl.jsonl", [trajectory(1)])
    save(tmp_path / "sft.jsonl", [trajectory(1)])
    with pytest.raises(InputError, match=r"rl.jsonl, sft.jsonl"):
        read(tmp_path)


def test_input_that_changes_between_two_readings_is_noticed(tmp_path: Path) -> None:
    path = save(tmp_path / "rows.jsonl", [trajectory(1)])
    source = Source(TrajectoryRow, (path,))
    list(source.again())
    save(path, [trajectory(1), trajectory(2)])
    with pytest.raises(InputError, match="changed while"):
        list(source.again())


# --- stages ---


def filter_into(out: Path, *inputs: Path) -> Stage:
    source = Source(TrajectoryRow, inputs)
    with begun("filter", out, {"single": "keep"}) as stage:
        write(stage, "trajectories.jsonl", filtered(source.read(stage.counts), stage.counts, single="keep"))
        stage.inputs = source.inputs
    return stage


def test_the_manifest_tells_what_came_in_and_what_became_of_it(run: Path, tmp_path: Path) -> None:
    filter_into(tmp_path / "out", run)
    told = json.loads((tmp_path / "out" / "manifest.json").read_bytes())
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "manifest.json",
        "trajectories.jsonl",
    ]
    counts = told["counts"]
    assert counts["read"] == 13 == counts["kept"] + sum(counts["dropped"].values())
    assert counts["dropped"]["failed"] == 1
    written = (tmp_path / "out" / "trajectories.jsonl").read_bytes()
    entry = told["files"]["trajectories.jsonl"]
    assert entry == {
        "sha256": hashlib.sha256(written).hexdigest(),
        "rows": counts["kept"],
        "bytes": len(written),
    }
    assert told["parameters"] == {"single": "keep"}
    second = filter_into(tmp_path / "second", tmp_path / "out" / "trajectories.jsonl")
    assert second.inputs == [{"name": "trajectories.jsonl", "sha256": entry["sha256"]}]


def test_the_same_input_gives_the_same_bytes(run: Path, tmp_path: Path) -> None:
    made = [filter_into(tmp_path / name, run).out for name in ("a", "b")]
    for name in ("manifest.json", "trajectories.jsonl"):
        assert len({(folder / name).read_bytes() for folder in made}) == 1


def test_nothing_is_replaced_and_nothing_half_is_left(tmp_path: Path) -> None:
    path = save(tmp_path / "rows.jsonl", [trajectory(1)])
    out = tmp_path / "out"
    with pytest.raises(KeyError), begun("x", out, {}) as stage:
        stage.files.pop("what was never written")
    with pytest.raises(InputError, match="none of 1 rows is left \\(1 missing_image; t\\)"):
        filter_into(out, path)
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(InputError, match="not a single row"):
        filter_into(out, tmp_path / "empty.jsonl")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["empty.jsonl", "rows.jsonl"]
    out.mkdir()
    (out / "mine.txt").touch()
    with pytest.raises(InputError, match="exists already"):
        filter_into(out, path)
    assert (out / "mine.txt").exists()


KILLED = """
import sys, time
from pathlib import Path
from editthinker.data.stage import begun
with begun("x", Path(sys.argv[1]), {}) as stage, stage.file("rows.jsonl") as file:
    file.write(b"{}")
    print("writing", flush=True)
    time.sleep(60)
"""


def test_a_stage_that_was_killed_is_begun_anew_and_one_that_runs_is_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(out)], stdout=subprocess.PIPE, env=os.environ
    ) as process:
        assert process.stdout
        process.stdout.readline()
        with pytest.raises(StoreError, match="another process is writing"), begun("x", out, {}):
            pass
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not out.exists()
    with begun("x", out, {}) as stage:
        stage.counts.read = stage.counts.kept = 1
    assert [path.name for path in out.iterdir()] == ["manifest.json"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_full_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="no space left"), begun("x", tmp_path / "out", {}) as stage:
        stage.counts.read = stage.counts.kept = 1
    assert list(tmp_path.iterdir()) == []


def test_lines_are_ascii_and_say_their_kind(tmp_path: Path) -> None:
    path = save(tmp_path / "rows.jsonl", [step("s", 5, instruction="wärmer \u202e \ud800")])
    assert path.read_bytes().isascii()
    assert lines(path)[0]["kind"] == "step"
    assert lines(path)[0]["schema_version"] == 2


GROWTH = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from made_rows import save, trajectory
from editthinker.cli import main
folder, count = Path(sys.argv[1]), int(sys.argv[2])
photos = [str(p) for p in sorted(folder.parent.glob("photo*.png"))]
save(folder / "rows.jsonl", (
    trajectory(n % 7, 5 + n % 5, name=str(n), source=photos[n % len(photos)],
               turns=tuple(t.model_copy(update={"image": t.image.model_copy(update={"path": photos[0]})})
                           for t in trajectory(n % 7, 5 + n % 5, name=str(n)).turns))
    for n in range(count)))
# what every run needs, once: libraries, caches
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
def verb(*words):
    assert main(["data", *words]) == 0, words
verb("filter", str(folder / "rows.jsonl"), "--out", str(folder / "kept"))
verb("split", str(folder / "kept"), "--out", str(folder / "sides"))
verb("unroll", str(folder / "kept"), "--out", str(folder / "steps"))
verb("balance", str(folder / "steps"), "--total", str(count // 2), "--out", str(folder / "even"))
verb("check", str(folder / "even"), "--out", str(folder / "clean"), "--against", str(folder.parent / "bench"))
verb("export", str(folder / "clean"), "--format", "llamafactory", "--out", str(folder / "sft"))
verb("stats", str(folder / "steps"))
print("PEAK", peak())
"""


@pytest.mark.slow
def test_twenty_thousand_trajectories_need_the_memory_of_one_thousand(tmp_path: Path) -> None:
    from editthinker.testing import photograph

    for number in range(40):
        photograph(64, 48, seed=number).save(tmp_path / f"photo{number}.png")
    (tmp_path / "bench").mkdir()
    photograph(64, 48, seed=99).save(tmp_path / "bench" / "b.png")
    peaks = {}
    for count in (1_000, 20_000):
        folder = tmp_path / f"of{count}"
        here = str(Path(__file__).parent)
        done = subprocess.run(
            [sys.executable, "-c", GROWTH, str(folder), str(count), here], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        peaks[count] = float(done.stdout.rpartition("PEAK")[2])
    growth = peaks[20_000] - peaks[1_000]
    assert growth < 10, peaks  # MiB, for 19 000 more: some 100 bytes a row where a stage compares rows


MANY = """
import json, resource, sqlite3, sys
from pathlib import Path
from editthinker.cli import main
folder, count = Path(sys.argv[1]), int(sys.argv[2])
db = sqlite3.connect(folder / "ledger.sqlite")
((sample, started, end, finished),) = db.execute(
    "SELECT s.record, started, e.record, e.finished "
    "FROM samples s JOIN trajectories e ON sample = number LIMIT 1")
turns = db.execute("SELECT turn, record FROM turns WHERE sample = 1").fetchall()
with db:
    for n in range(1000, 1000 + count):
        text = json.dumps(json.loads(sample) | {"id": f"copy {n}"})
        db.execute("INSERT INTO samples (number, key, record, started) VALUES (?, ?, ?, ?)",
                   (n, str(n), text, started))
        db.executemany("INSERT INTO turns VALUES (?, ?, ?, 1)", [(n, *turn) for turn in turns])
        db.execute("INSERT INTO trajectories VALUES (?, ?, ?)", (n, end, finished))
db.close()
assert main(["data", "filter", str(folder), "--out", str(folder.parent / "kept")]) == 0
print("PEAK", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


@pytest.mark.slow
def test_a_run_of_twenty_thousand_is_read_in_the_memory_of_one_thousand(run: Path, tmp_path: Path) -> None:
    peaks = {}
    for count in (1_000, 20_000):
        folder = tmp_path / f"of{count}"
        shutil.copytree(run, folder / "run")
        done = subprocess.run(
            [sys.executable, "-c", MANY, str(folder / "run"), str(count)], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        peaks[count] = float(done.stdout.rpartition("PEAK")[2])
    assert peaks[20_000] - peaks[1_000] < 10, peaks
