"""A folder with a photo and a module of scripted models, as the current folder of one command."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from editthinker.testing import photograph

FAKES = """
from editthinker.core.errors import EditorError, Refused, ThinkerError
from editthinker.testing import ScriptedEditor, ScriptedThinker


def editor():
    return ScriptedEditor()


def broken_editor():
    return ScriptedEditor(EditorError("the GPU is gone"))


def refusing_editor():
    return ScriptedEditor(Refused("English only"))


def slow_editor():
    return ScriptedEditor(seconds=1.0)


def rising():
    return ScriptedThinker((3, 8), (9, 9))


def poor():
    return ScriptedThinker((1, 8), (1, 8), (1, 8))


def failing():
    return ScriptedThinker((5, 8), ThinkerError("the thinker is gone"))


def hostile():
    from editthinker.core.types import Critique, Score

    words = "\\x1b]0;owned\\x07[bold]loud[/bold]\\u202e"
    return ScriptedThinker(Critique(Score(9, 9), words, words))
"""

Run = Callable[..., subprocess.CompletedProcess[bytes]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: `photo.jpg`, `fakes.py`, and runs that go to `runs/`."""
    photograph(96, 64).save(tmp_path / "photo.jpg")
    (tmp_path / "fakes.py").write_text(FAKES, "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("EDITTHINKER_RUNS", str(tmp_path / "runs"))
    monkeypatch.delenv("EDITTHINKER_DEBUG", raising=False)
    return tmp_path


@pytest.fixture
def program(folder: Path) -> list[str]:
    """The command line of the program, as a separate process would be given it."""
    return [sys.executable, "-W", "error", "-m", "editthinker.cli"]


@pytest.fixture
def run(program: list[str], folder: Path) -> Run:
    """Run the program as a user's shell would: `run("edit", "photo.jpg", ...)`."""

    def run(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [*program, *arguments], input=stdin, capture_output=True, timeout=60, env=os.environ
        )

    return run
