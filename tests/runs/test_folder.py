"""A run folder keeps what an episode did, exactly, and gives it back."""

from __future__ import annotations

import hashlib
import io
import json
import re
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from editthinker.core.errors import EditorError, InputError, StoreError
from editthinker.core.images import Picture
from editthinker.core.records import TrajectoryRecord
from editthinker.core.types import Sample, StopReason
from editthinker.runs import RunFolder, report
from editthinker.runs.folder import CONFIG, UNFINISHED
from editthinker.runs.ledger import NAME
from editthinker.testing.behaviour import photograph
from editthinker.testing.scripted import ScriptedEditor, ScriptedThinker, tinted

Play = Callable[..., TrajectoryRecord]

HOSTILE_IDS = [
    *("../..", "../../../../escaped", "/etc/passwd", "..\\..\\x", "C:\\x", "\\\\host\\share", "~/x", "."),
    *("..", "", " ", "a/b", "a\\b", "a\0b", "%2e%2e%2f", "..%2f", "con", "NUL", "aux.png", "COM1"),
    *("x" * 300, "ü" * 300, "same", "SAME", "a:b", "a*b?", "<script>", "'; DROP TABLE samples;--", "$(id)"),
    *("`id`", "\u202egnp.exe", "\x1b[31m", "\r\n", "-rf", ".hidden", "x.", "x ", "\udcff", "\ufeff", "a|b"),
    *("....//....//x", "file:///etc/passwd"),
]


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_trajectory_comes_back_equal(run: RunFolder, play: Play) -> None:
    record = play(run, thinker=ScriptedThinker((3, 8), (9, 9)))
    assert [turn.index for turn in record.turns] == [1, 2]
    assert [call.role for call in record.calls] == ["editor", "thinker"] * 2
    assert record.chosen == 2
    run.close()
    with RunFolder.open(run.path) as again:
        assert list(again.trajectories()) == [record]
        assert again.counts() == (1, 1)
        assert again.record.config["editor"] == "scripted"


def test_images_are_stored_once_under_their_content(run: RunFolder, play: Play) -> None:
    record = play(run)
    refs = {ref.sha256: ref for ref in (*record.sample.images, *(turn.image for turn in record.turns))}
    assert len(refs) == 4
    play(run, Sample((photograph(),), "make it warmer", id="the same again"))
    assert files(run.path / "images") == {f"{sha[:2]}/{sha}.png" for sha in refs}
    for ref in refs.values():
        data = run.image_path(ref).read_bytes()
        assert hashlib.sha256(data).hexdigest() == ref.sha256
        assert len(data) == ref.size
        assert run.picture(ref).size == (ref.width, ref.height) == (96, 64)


def test_the_pixels_survive(run: RunFolder, play: Play) -> None:
    source = photograph()
    record = play(run, Sample((source,), "warmer"))
    assert run.picture(record.sample.images[0]).sha256 == source.sha256


def test_an_editors_own_bytes_are_stored_as_they_came(run: RunFolder, play: Play) -> None:
    jpeg = io.BytesIO()
    photograph(seed=1).pixels.save(jpeg, "JPEG", quality=70)
    record = play(run, editor=ScriptedEditor(Picture.decode(jpeg.getvalue(), "answer")), turns=1)
    ref = record.turns[0].image
    assert ref.media_type == "image/jpeg"
    assert run.image_path(ref).suffix == ".jpg"
    assert run.image_path(ref).read_bytes() == jpeg.getvalue()


def test_bytes_that_are_no_image_are_not_believed(run: RunFolder, play: Play) -> None:
    liar = replace(photograph(seed=1), encoded=b"#!/bin/sh\n", media_type="image/../../x")
    ref = play(run, editor=ScriptedEditor(liar), turns=1).turns[0].image
    assert ref.media_type == "image/png"
    assert run.image_path(ref).read_bytes().startswith(b"\x89PNG")


def test_failed_calls_and_the_failure_are_kept(run: RunFolder, play: Play) -> None:
    record = play(run, editor=ScriptedEditor(None, EditorError("out of paint")))
    assert [call.outcome for call in record.calls] == ["ok", "ok", "EditorError"]
    assert record.failure is not None
    assert record.failure.blame == "editor"
    assert [*run.trajectories()] == [record]


def test_a_reader_sees_a_run_that_is_being_written(run: RunFolder, play: Play) -> None:
    play(run)
    with RunFolder.open(run.path) as reader:
        assert reader.counts() == (1, 1)
        play(run, Sample((photograph(seed=1),), "colder"))
        assert [t.sample.instruction for t in reader.trajectories()] == ["make it warmer", "colder"]


async def test_an_unfinished_sample_shows_the_turns_it_has(run: RunFolder) -> None:
    from editthinker.core.episode import Episode

    sample = Sample((photograph(),), "make it warmer")
    episode = Episode(sample, ScriptedEditor(), ScriptedThinker(), listener=run.recorder(sample))
    turns = aiter(episode)
    await anext(turns)
    with RunFolder.open(run.path) as reader:
        (seen,) = reader.trajectories()
        assert reader.counts() == (1, 0)
        assert [turn.index for turn in reader.finished_turns(sample)] == [1]
    assert seen.stop == UNFINISHED
    assert len(seen.turns) == 1
    assert len(seen.calls) == 2
    await episode.aclose()


async def test_an_edit_is_kept_before_it_is_judged(run: RunFolder) -> None:
    from editthinker.core.events import EditFinished, EditStarted
    from editthinker.core.types import Call, Edited

    sample = Sample((photograph(),), "warmer")
    recorder = run.recorder(sample)
    start = EditStarted(1, "warmer", 0)
    await recorder(start)
    call = Call("editor", "scripted", 1, 0.0, 0.1, "ok")
    await recorder(EditFinished(call, Edited(photograph(seed=2)), start))
    with RunFolder.open(run.path) as reader:
        (seen,) = reader.trajectories()
        assert seen.turns[0].critique is None
        assert reader.finished_turns(sample) == ()


async def test_a_cancelled_sample_counts_as_unfinished_and_can_go_on(run: RunFolder, play: Play) -> None:
    from editthinker.core.episode import Episode

    sample = Sample((photograph(),), "make it warmer")
    recorder = run.recorder(sample)
    episode = Episode(sample, ScriptedEditor(), ScriptedThinker(), listener=recorder)
    await anext(aiter(episode))
    await episode.aclose()
    assert recorder.finish(episode.trajectory).stop.reason is StopReason.CANCELLED
    assert not run.is_finished(sample)
    assert len(run.finished_turns(sample)) == 1


def test_a_second_attempt_keeps_the_calls_of_the_first(run: RunFolder, play: Play) -> None:
    sample = Sample((photograph(),), "make it warmer")
    play(run, sample, editor=ScriptedEditor(EditorError("no")))
    record = play(run, sample, turns=2)
    (stored,) = run.trajectories()
    assert stored.turns == record.turns
    assert [call.outcome for call in stored.calls] == ["EditorError", *["ok"] * 4]
    assert run.is_finished(sample)


def test_sample_ids_are_never_paths(tmp_path: Path, play: Play) -> None:
    folder = tmp_path / "deep" / "run"
    photo = photograph(16, 16)
    with RunFolder.create(folder, {"strategy": "single"}) as run:
        for name in HOSTILE_IDS:
            play(run, Sample((photo,), "warmer", id=name, tags={name: name}), turns=1)
    with RunFolder.open(folder) as run:
        assert [record.sample.id for record in run.trajectories()] == HOSTILE_IDS
        report.write_html(run)
    assert {path.split("/")[0] for path in files(tmp_path)} == {"deep"}
    images = {path for path in files(folder) if path.startswith("images/")}
    assert files(folder) - images == {CONFIG, NAME, "run.lock", "report.html"}
    assert all(re.fullmatch(r"images/[0-9a-f]{2}/[0-9a-f]{64}\.png", path) for path in images)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    reasoning=st.text(st.characters(codec=None), max_size=200), notes=st.dictionaries(st.text(), st.text())
)
def test_any_words_survive(run: RunFolder, play: Play, reasoning: str, notes: dict[str, str]) -> None:
    from editthinker.core.types import Critique, Score

    critique = Critique(Score(9, 9), reasoning, "again", reply=reasoning)
    sample = Sample((photograph(16, 16),), "warmer", id=str(run.counts()[0]), tags=notes)
    play(run, sample, thinker=ScriptedThinker(critique))
    *_, last = run.trajectories()
    assert last.turns[0].critique is not None
    assert last.turns[0].critique.reasoning == reasoning
    assert last.sample.tags == notes


def test_notes_that_are_no_json_are_one_clear_sentence(run: RunFolder) -> None:
    import asyncio

    from editthinker.core.episode import Episode
    from editthinker.core.types import Edited, EditRequest

    class Careless(ScriptedEditor):
        async def edit(self, request: EditRequest) -> Edited:
            return Edited(tinted(request), notes={"mask": object()})

    sample = Sample((photograph(),), "warmer")
    episode = Episode(sample, Careless(), ScriptedThinker(), listener=run.recorder(sample))
    asyncio.run(episode.run())
    assert isinstance(episode.error, StoreError)
    assert "JSON" in str(episode.error)


def test_without_a_path_a_run_finds_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDITTHINKER_RUNS", str(tmp_path / "here"))
    with RunFolder.create(None, {}) as one, RunFolder.create(None, {}) as two:
        assert one.path.parent == two.path.parent == tmp_path / "here"
        assert one.path != two.path
    monkeypatch.delenv("EDITTHINKER_RUNS")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    with RunFolder.create(None, {}) as run:
        assert run.path.parent == tmp_path / "data" / "editthinker" / "runs"


def test_a_folder_with_anything_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"precious")
    with pytest.raises(InputError, match="is not empty"):
        RunFolder.create(tmp_path, {})
    assert files(tmp_path) == {"photo.jpg"}


def test_a_finished_run_is_not_overwritten(run: RunFolder) -> None:
    run.close()
    with pytest.raises(InputError, match="is not empty"):
        RunFolder.create(run.path, {})


def test_an_empty_folder_will_do(tmp_path: Path) -> None:
    with RunFolder.create(tmp_path, {"a": 1}):
        pass
    with RunFolder.open(tmp_path) as run:
        assert run.record.config == {"a": 1}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"schema_version": "x"}', b"\xff\xfe"])
def test_a_damaged_configuration_is_one_sentence(run: RunFolder, content: bytes) -> None:
    run.close()
    (run.path / CONFIG).write_bytes(content)
    with pytest.raises(StoreError, match=r"damaged run\.json"):
        RunFolder.open(run.path)


def test_what_is_no_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"no run folder: it has no run\.json"):
        RunFolder.open(tmp_path)
    with pytest.raises(StoreError, match="no run folder"):
        RunFolder.open(tmp_path / "missing")
    with pytest.raises(StoreError, match="no run folder"):
        RunFolder.open(Path("a\0b"))


def test_a_newer_configuration_is_refused(run: RunFolder) -> None:
    run.close()
    config = json.loads((run.path / CONFIG).read_text())
    (run.path / CONFIG).write_text(json.dumps({**config, "schema_version": 99, "new": 1}))
    with pytest.raises(StoreError, match="newer editthinker; upgrade"):
        RunFolder.open(run.path)


@pytest.mark.parametrize("write", [False, True])
def test_a_newer_ledger_is_refused(run: RunFolder, write: bool) -> None:
    run.close()
    with sqlite3.connect(run.path / NAME) as db:
        db.execute("INSERT INTO schema_version VALUES (99, 0)")
    db.close()
    with pytest.raises(StoreError, match="newer editthinker"):
        RunFolder.open(run.path, write=write)


def test_a_damaged_ledger_is_one_sentence(run: RunFolder) -> None:
    run.close()
    (run.path / NAME).write_bytes(b"not a database at all" * 100)
    with pytest.raises(StoreError, match="its ledger is damaged"):
        RunFolder.open(run.path)


def test_a_damaged_record_is_one_sentence(run: RunFolder, play: Play) -> None:
    play(run)
    run.close()
    with sqlite3.connect(run.path / NAME) as db:
        db.execute("""UPDATE turns SET record = '{"schema_version": 1}'""")
    db.close()
    with RunFolder.open(run.path) as again, pytest.raises(StoreError, match="damaged or foreign record"):
        list(again.trajectories())


def test_reading_changes_nothing(run: RunFolder, play: Play) -> None:
    play(run)
    run.close()
    before = files(run.path)
    with RunFolder.open(run.path) as reader:
        list(reader.trajectories())
        with pytest.raises(StoreError, match="reading only"):
            reader.recorder(Sample((photograph(),), "x"))
    assert files(run.path) == before
    assert not {f"{NAME}-wal", f"{NAME}-shm"} & before
