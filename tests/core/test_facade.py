"""`import editthinker` and `editthinker.edit`: light, synchronous, the same everywhere."""

from __future__ import annotations

import asyncio
import io
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import editthinker
from editthinker.core.errors import InputError, UnknownName
from editthinker.runs import RunFolder
from editthinker.testing import ScriptedEditor, ScriptedThinker, photograph


def edit(image: Any = None, instruction: str = "warmer", **settings: Any) -> editthinker.Trajectory:
    settings = {"editor": ScriptedEditor(), "thinker": ScriptedThinker(), **settings}
    return editthinker.edit(photograph() if image is None else image, instruction, **settings)


def test_the_example_of_the_readme(tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    photograph().save(photo)
    result = edit(photo, "make it look like an old photograph")
    result.image.save(tmp_path / "out.png")
    assert (tmp_path / "out.png").stat().st_size > 0
    critique = result.turns[0].critique
    assert critique
    assert critique.score.overall == pytest.approx(5.0)
    assert result.stop.reason == "turn_limit"


def test_an_image_may_be_a_path_bytes_pillow_or_numpy(tmp_path: Path) -> None:
    photo = photograph()
    photo.save(tmp_path / "photo.png")
    stream = io.BytesIO()
    photo.pixels.save(stream, "PNG")
    forms = [
        tmp_path / "photo.png",
        str(tmp_path / "photo.png"),
        stream.getvalue(),
        photo.pixels,
        np.asarray(photo.pixels),
    ]
    results = {edit(form).image.sha256 for form in [photo, *forms]}
    assert len(results) == 1


def test_settings_arrive() -> None:
    editor = ScriptedEditor()
    result = edit(editor=editor, turns=9, max_editor_calls=2, seed=7)
    assert [request.seed for request in editor.requests] == [7, 8]
    assert result.stop.reason == "call_limit"
    assert edit(thinker=ScriptedThinker((6, 6)), threshold=6).stop.reason == "satisfied"
    assert edit(strategy="best-of-n", turns=2).strategy == "best-of-n"
    assert edit(editor=ScriptedEditor(seconds=30), max_seconds=0.05).stop.reason == "time_limit"


def test_a_run_folder_keeps_everything(tmp_path: Path) -> None:
    run = tmp_path / "run"
    result = edit(editor=ScriptedEditor(None, editthinker.EditThinkerError("down")), run=run)
    with RunFolder.open(run) as folder:
        (record,) = folder.trajectories()
        assert record.failure
        assert record.failure.message == "down"
        assert record.chosen == result.chosen == 1
        assert folder.picture(record.turns[0].image).sha256 == result.image.sha256
        assert folder.record.config["editor"] == "scripted"
    assert (run / "report.html").is_file()
    editor = ScriptedEditor()
    with pytest.raises(editthinker.EditThinkerError, match="not empty"):
        edit(editor=editor, run=run)
    assert editor.requests == []


def test_bad_input_makes_no_run_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        edit(instruction="", run=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_names_are_resolved() -> None:
    result = edit(editor="editthinker.testing:ScriptedEditor", thinker="none")
    assert result.strategy == "single"
    assert result.delivered
    with pytest.raises(UnknownName, match="darkroom"):
        edit(editor="darkrom")


@pytest.mark.parametrize(
    "wrong", [{"instruction": " "}, {"turns": 0}, {"threshold": -1}, {"max_seconds": -1}]
)
def test_bad_input_is_one_clear_error(wrong: dict[str, Any]) -> None:
    editor = ScriptedEditor()
    with pytest.raises(InputError):
        edit(**{"editor": editor, **wrong})
    assert editor.requests == []


async def test_it_works_inside_a_running_event_loop() -> None:
    before = threading.active_count()
    result = edit(editor=ScriptedEditor(seconds=0.01))
    assert result.chosen == 1
    assert threading.active_count() == before


async def test_an_interrupt_inside_a_running_loop_cancels_the_call() -> None:
    editor = ScriptedEditor(seconds=2)
    timer = threading.Timer(0.2, signal.pthread_kill, [threading.main_thread().ident, signal.SIGINT])
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            edit(editor=editor)
    finally:
        timer.join()
        signal.signal(signal.SIGINT, previous)
    assert editor.cancelled == 1


def test_importing_costs_nothing() -> None:
    code = (
        "import time; t = time.perf_counter(); import editthinker; t = time.perf_counter() - t\n"
        "import sys; heavy = {'pydantic', 'PIL', 'numpy', 'asyncio', 'cv2', 'torch'} & set(sys.modules)\n"
        "assert not heavy, heavy\nassert t < 0.15, t\nassert 'edit' in dir(editthinker)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_editing_needs_no_pydantic() -> None:
    code = "import sys, editthinker; editthinker.edit; assert 'pydantic' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_is_there_and_nothing_else() -> None:
    for name in editthinker.__all__:
        assert getattr(editthinker, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'edti'"):
        _ = editthinker.edti


def test_a_failing_model_is_on_the_result_not_raised() -> None:
    result = edit(editor=ScriptedEditor(editthinker.EditThinkerError("no")))
    assert result.failure
    assert not result.delivered
    assert asyncio.run(asyncio.sleep(0, "the loop is gone")) == "the loop is gone"
