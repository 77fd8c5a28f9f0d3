"""A run that was begun otherwise: what differs is named, nobody is called, nothing is mixed."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from editthinker.testing import photograph

pytestmark = pytest.mark.slow

MODELS = """
from editthinker.core.settings import Settings
from editthinker.testing import ScriptedEditor, ScriptedThinker


class Counting(ScriptedEditor):
    async def edit(self, request):
        with open("calls.txt", "a") as calls:
            calls.write("edit\\n")
        return await super().edit(request)


def one():
    return Counting()


def other():
    return Counting()


def thinker():
    return ScriptedThinker()


class Planner(ScriptedThinker):
    class Settings(Settings):
        prompt: str = ""

    def __init__(self, what, settings, *, name=""):
        super().__init__()
"""
WORDS = ("--images", "photos", "--run", "r", "--editor", "models:one", "--thinker", "models:Planner")
BEGIN = ("run", "samples.jsonl", *WORDS, "--prompt", "prompt.txt", "--turns", "2", "--seed", "3")
Change = Callable[[Path], object]


def with_(**other: object) -> Change:
    """The first sample with another field."""

    def change(folder: Path) -> None:
        row = json.loads((folder / "samples.jsonl").read_text())
        (folder / "samples.jsonl").write_text(json.dumps(row | other))

    return change


def option(name: str, value: str) -> tuple[str, ...]:
    """The command with another value."""
    words = list(BEGIN)
    if name in words:
        words[words.index(name) + 1] = value
    else:
        words += [name, value]
    return tuple(words)


def photo(folder: Path) -> None:
    photograph(48, 32, seed=9).save(folder / "photos" / "p0.png", overwrite=True)


def prompt(folder: Path) -> None:
    (folder / "prompt.txt").write_text("other words: {original_instruction}")


@pytest.mark.parametrize(
    ("change", "command", "named"),
    [
        pytest.param(prompt, BEGIN, "files", id="prompt"),
        pytest.param(None, option("--editor", "models:other"), "editor", id="editor"),
        pytest.param(None, option("--thinker", "models:thinker"), "thinker", id="thinker"),
        pytest.param(None, option("--turns", "3"), "turns", id="turns"),
        pytest.param(None, option("--seed", "4"), "seed", id="seed"),
        pytest.param(None, option("--strategy", "single"), "strategy", id="strategy"),
        pytest.param(None, option("--candidates", "2"), "candidates", id="candidates"),
        pytest.param(None, option("--threshold", "9"), "semantic", id="threshold"),
        pytest.param(photo, BEGIN, "the file p0.png has changed", id="photo"),
        pytest.param(with_(instruction="colder"), BEGIN, "its instruction was", id="instruction"),
        pytest.param(with_(image="p1.png"), BEGIN, "its images was", id="image"),
        pytest.param(with_(box=[0, 0, 9, 9]), BEGIN, "its box was", id="box"),
        pytest.param(with_(tags={"kind": "new"}), BEGIN, "its tags was", id="tags"),
    ],
)
def test_what_was_changed_is_named_and_nothing_is_mixed(
    begun: Path, tmp_path: Path, change: Change | None, command: tuple[str, ...], named: str
) -> None:
    folder = shutil.copytree(begun, tmp_path / "begun", copy_function=shutil.copy2)
    if change:
        change(folder)
    before = stored(folder)
    done = run(folder, *command)
    assert done.returncode == 2, done.stderr
    assert named in done.stderr
    assert stored(folder) == before


def test_what_was_not_changed_goes_on(begun: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(begun, tmp_path / "begun", copy_function=shutil.copy2)
    done = run(folder, *BEGIN, "--resume", "--concurrency", "3", "--out", "edited")
    assert done.returncode == 0, done.stderr
    assert (folder / "calls.txt").read_bytes() == (begun / "calls.txt").read_bytes()


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run."""
    folder = tmp_path_factory.mktemp("begun")
    (folder / "models.py").write_text(MODELS)
    (folder / "prompt.txt").write_text("{original_instruction}")
    (folder / "photos").mkdir()
    for number in range(2):
        photograph(48, 32, seed=number).save(folder / "photos" / f"p{number}.png")
    row = {"id": "a", "image": "p0.png", "instruction": "warmer"}
    (folder / "samples.jsonl").write_text(json.dumps(row))
    done = run(folder, *BEGIN)
    assert done.returncode == 0, done.stderr
    return folder


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-m", "editthinker.cli", *words)
    home = {"XDG_CONFIG_HOME": str(folder), "PYTHONPATH": str(folder)}
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **home},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def stored(folder: Path) -> dict[str, Any]:
    """What is kept of the run, and who was called."""
    kept: dict[str, Any] = {
        str(path): path.read_bytes() for path in (folder / "r").rglob("*") if path.suffix in (".png", ".json")
    }
    with closing(sqlite3.connect(folder / "r" / "ledger.sqlite")) as ledger:
        kept["ledger"] = list(ledger.iterdump())
    kept["calls"] = (folder / "calls.txt").read_bytes()
    return kept
