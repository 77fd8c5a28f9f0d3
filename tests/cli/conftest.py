"""A folder with a photo and a module of scripted models, as the current folder of one command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from editthinker.testing import photograph
from peers.command import Run

FAKES = """
from PIL import Image

from editthinker.core import settings
from editthinker.core.contracts import EditorInfo
from editthinker.core.images import Picture
from editthinker.core.types import Critique, Edited, Judged, Plan, Preference, Score, Thought
from editthinker.core.errors import EditorError, Refused, ThinkerError
from editthinker.testing import ScriptedEditor, ScriptedThinker


def editor():
    return ScriptedEditor()


def broken_editor():
    return ScriptedEditor(EditorError("the GPU is gone"))


def refusing_editor():
    return ScriptedEditor(Refused("English only"))


def second_editor():
    return ScriptedEditor(name="second")


def costly_editor():
    return ScriptedEditor(cost=0.25)


def masked_editor():
    return Masked("masked")


def plain_editor():
    return Masked("plain", mask=False)


def slow_editor():
    return ScriptedEditor(seconds=1.0)


def rising():
    return ScriptedThinker((3, 8), (9, 9))


def poor():
    return ScriptedThinker((1, 8), (1, 8), (1, 8))


def hopeless():
    return ScriptedThinker(Critique(Score(1, 9), "no dog", "remove the dog", impossible="there is no dog"))


def flat():
    return ScriptedThinker((5, 8), (5, 8), (5, 8), (5, 8))


class Masked:
    # Paints what it is told to: the mask red, and in the corner how many images it got.

    def __init__(self, name, mask=True):
        self.info = EditorInfo(name, max_images=3, mask=mask, price=0.0)

    async def edit(self, request):
        pixels = Image.new("RGB", request.images[0].size, "blue")
        if request.mask:
            pixels.paste("red", mask=request.mask.pixels.convert("L"))
        pixels.putpixel((0, 0), (len(request.images), 0, 0))
        return Edited(Picture(pixels))


class Still:
    # Gives the photo back as it is.

    info = EditorInfo("still")

    async def edit(self, request):
        return Edited(request.images[0])


class Judge:
    # Scores all alike, and prefers the first.

    name = "fair"

    async def score(self, sample, edited):
        return Judged(Score(9, 9))

    async def prefer(self, sample, first, second):
        return Preference(-1)


class Planner:
    # Takes instructions apart at "and"; satisfied with everything. Its template is a setting.

    class Settings(settings.Settings):
        prompt: str = ""
        temperature: float = 0

    def __init__(self, what, settings, name=""):
        self.name, self.settings = name, settings

    async def think(self, view):
        return Thought(Critique(Score(9, 9), self.settings.prompt, view.instruction))

    async def plan(self, sample, editor):
        return Plan(tuple(sample.instruction.split(" and ")), "taken apart")


def failing():
    return ScriptedThinker((5, 8), ThinkerError("the thinker is gone"))


def hostile():
    words = "\\x1b]0;owned\\x07[bold]loud[/bold]\\u202e"
    return ScriptedThinker(Critique(Score(9, 9), words, words))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: `photo.jpg`, `fakes.py`, and runs that go to `runs/`."""
    photograph(96, 64).save(tmp_path / "photo.jpg")
    (tmp_path / "fakes.py").write_text(FAKES, "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("EDITTHINKER_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / ".config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / ".state"))
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
