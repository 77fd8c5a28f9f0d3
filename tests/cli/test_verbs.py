"""The other verbs, and what all of them share: help, version, completion, speed, pages that cannot rot."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

import editthinker
from editthinker.cli import main
from editthinker.cli.manual import manual
from editthinker.core.images import Picture

Run = Callable[..., subprocess.CompletedProcess[bytes]]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def finished(run: Run, folder: Path) -> Path:
    """The folder of a finished run."""
    models = ("--editor", "fakes:editor", "--thinker", "fakes:hostile")
    assert run("edit", "photo.jpg", "warmer \x1b[2J", *models, "--run", "r", "-q").returncode == 0
    return folder / "r"


def test_show_tells_the_story(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(finished)]) == 0
    out = capsys.readouterr().out
    assert "1 of 1 samples finished" in out
    assert "turn 1 (delivered): semantic 9.0, quality 9.0, overall 9.0: warmer" in out
    assert "stopped: the thinker is satisfied" in out
    assert not {"\x1b", "\x07", "\u202e"} & set(out)
    assert Picture.open(re.search(r"\S+\.png", out)[0]).size == (96, 64)  # type: ignore[index]


def test_show_as_json(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(finished), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["config"]["editor"] == "fakes:editor"
    assert told["trajectories"][0]["chosen"] == 1


def test_show_writes_the_report_and_keeps_what_is_there(
    finished: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["show", str(finished), "--html", str(folder / "out.html")]
    assert main(arguments) == 0
    assert (folder / "out.html").stat().st_size
    assert main(arguments) == 2
    assert "exists already" in capsys.readouterr().err
    assert main([*arguments, "--force"]) == 0


def test_show_of_no_run_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(tmp_path)]) == 2
    assert capsys.readouterr().err.endswith("is no run folder: it has no run.json\n")


def test_models_lists_every_role(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    table = capsys.readouterr().out.splitlines()
    assert table[0].split() == ["ROLE", "NAME", "AVAILABLE", "NEEDS", "WHAT"]
    assert main(["models", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["models"]
    assert {row["role"] for row in rows} == {"editor", "thinker", "judge"}
    assert len(rows) == len(table) - 1


def test_models_survives_a_reader_that_leaves(program: list[str]) -> None:
    with subprocess.Popen([*program, "models"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""


def test_bench_prints_every_group(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models = ["--editor", "fakes:editor", "--thinker", "darkroom-expert"]
    assert main(["bench", "darkroom", "--n", "4", "--turns", "2", *models, "--json", "b.json"]) == 0
    out, err = capsys.readouterr()
    assert [line.split()[0] for line in out.splitlines()[2:]] == [
        "all",
        "direct",
        "compound",
        "preserve",
        "reasoning",
    ]
    assert err.splitlines()[-1] == "4 of 4 cases"
    assert len(json.loads((folder / "b.json").read_text("utf-8"))["rows"]) == 4


def test_version_is_said_once_everywhere(capsys: pytest.CaptureFixture[str]) -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"editthinker {declared}\n"
    assert editthinker.__version__ == declared
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert declared == "0.1.0" or declared in headings


def test_without_arguments_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    out, err = capsys.readouterr()
    assert "Examples:" in out + err


def test_manual_is_current() -> None:
    assert (ROOT / "docs" / "cli.md").read_text("utf-8") == manual(), "run 'make docs'"


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(word in text for word in ("Examples:", "Exit codes:", "130", "EDITTHINKER_DEBUG"))


@pytest.mark.clock
def test_help_is_fast() -> None:
    """The goal is 0.3 s; the best of five, since another program may hold the processor."""

    def seconds() -> float:
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-m", "editthinker.cli", "--help"], check=True, capture_output=True)
        return time.perf_counter() - begun

    assert min(seconds() for _ in range(5)) < 0.3


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_offers_the_verbs(shell: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_EDITTHINKER_COMPLETE", f"complete_{shell}")
    monkeypatch.setenv("COMP_WORDS", "editthinker mo")
    monkeypatch.setenv("COMP_CWORD", "1")
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", "editthinker mo")
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
    done = run()
    assert b"models" in done.stdout, done


def test_the_editor_of_the_contributing_guide_works(run: Run, folder: Path) -> None:
    guide = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    code = re.search(r"```python\n(# mirror\.py\n.*?)```", guide, re.DOTALL)
    command = re.search(r"^editthinker (edit .*--editor mirror:Mirror.*)$", guide, re.MULTILINE)
    assert code
    assert command
    (folder / "mirror.py").write_text(code[1], "utf-8")
    arguments = [word.strip('"') for word in re.findall(r'"[^"]*"|\S+', command[1])]
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    left = Picture.open(folder / "photo.jpg").array()
    assert (Picture.open(folder / "photo.edited.png").array() == left[:, ::-1]).all()
