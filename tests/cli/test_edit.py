"""`editthinker edit` as a user meets it: exit codes, files, stdout, stderr. Models are scripted."""

from __future__ import annotations

import io
import json
import os
import pty
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from editthinker.core.images import Picture

Run = Callable[..., subprocess.CompletedProcess[bytes]]
GOOD = ("--editor", "fakes:editor", "--thinker", "fakes:rising")


def listing(folder: Path) -> set[str]:
    """What lies in the folder, the models' module and its cache excepted."""
    return {path.name for path in folder.iterdir()} - {"fakes.py", "__pycache__"}


def sentence(done: subprocess.CompletedProcess[bytes]) -> str:
    """The one line that stderr holds."""
    lines = done.stderr.decode().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def document(done: subprocess.CompletedProcess[bytes]) -> Any:
    return json.loads(done.stdout)


def test_the_best_turn_is_delivered_beside_the_photo(run: Run, folder: Path) -> None:
    done = run("edit", "photo.jpg", "warmer", *GOOD)
    assert done.returncode == 0, done.stderr
    assert done.stdout == b""
    lines = done.stderr.decode().splitlines()
    assert lines[0].startswith("turn 1: semantic 3.0, quality 8.0, overall 4.9 (")
    assert lines[1].endswith(": warmer (again)")
    assert lines[2] == "done: the thinker is satisfied with the result"
    assert lines[3] == "result: photo.edited.png (turn 2 of 2, overall 9.0)"
    assert Path(lines[4].removeprefix("report: ")).is_file()
    assert Picture.open(folder / "photo.edited.png").size == (96, 64)
    assert listing(folder) == {"photo.jpg", "photo.edited.png", "runs"}


def test_json_is_the_whole_of_stdout(run: Run, folder: Path) -> None:
    done = run(
        "edit", "photo.jpg", "暖かく [bold]", *GOOD, "--json", "--quiet", "--run", "here", "-o", "out.webp"
    )
    told = document(done)
    assert done.stderr == b""
    assert (told["outcome"], told["exit_code"], told["result"]) == ("delivered", 0, "out.webp")
    assert told["trajectory"]["chosen"] == 2
    assert told["trajectory"]["turns"][0]["instruction"] == "暖かく [bold]"
    assert (folder / told["run"] / "run.json").is_file()
    assert (folder / told["report"]).is_file()


def test_pipes_carry_nothing_but_the_image(run: Run, folder: Path) -> None:
    done = run("edit", "-", "warmer", *GOOD, "-o", "-", stdin=(folder / "photo.jpg").read_bytes())
    assert done.returncode == 0, done.stderr
    image = Image.open(io.BytesIO(done.stdout))
    assert (image.format, image.size) == ("PNG", (96, 64))
    assert b"result: stdout (turn 2" in done.stderr
    assert listing(folder) == {"photo.jpg", "runs"}


def test_without_a_thinker_the_first_edit_is_delivered(run: Run) -> None:
    done = run("edit", "photo.jpg", "warmer", "--editor", "fakes:editor", "--thinker", "none", "--json", "-q")
    told = document(done)
    assert (done.returncode, told["trajectory"]["strategy"], told["trajectory"]["chosen"]) == (0, "single", 1)


def test_nothing_better_writes_nothing(run: Run, folder: Path) -> None:
    done = run("edit", "photo.jpg", "warmer", "--editor", "fakes:editor", "--thinker", "fakes:poor")
    assert done.returncode == 1
    assert b"no turn is better than the photo itself (the turn limit was reached: 3)" in done.stderr
    assert listing(folder) == {"photo.jpg", "runs"}


def test_a_failed_editor_is_named(run: Run, folder: Path) -> None:
    done = run(
        "edit", "photo.jpg", "warmer", "--editor", "fakes:broken_editor", "--thinker", "fakes:rising", "-q"
    )
    assert done.returncode == 1
    assert b"error: the GPU is gone; nothing was written" in done.stderr
    assert b"Traceback" not in done.stderr
    assert listing(folder) == {"photo.jpg", "runs"}


def test_a_thinker_that_fails_later_does_not_cost_the_first_turn(run: Run, folder: Path) -> None:
    done = run(
        "edit", "photo.jpg", "warmer", "--editor", "fakes:editor", "--thinker", "fakes:failing", "--json"
    )
    told = document(done)
    assert (done.returncode, told["outcome"], told["result"]) == (1, "failed", "photo.edited.png")
    assert b"the thinker is gone; the best turn before that is delivered" in done.stderr
    assert (folder / "photo.edited.png").is_file()


def test_a_refused_instruction_is_bad_input(run: Run, folder: Path) -> None:
    done = run("edit", "photo.jpg", "暖かく", "--editor", "fakes:refusing_editor", "--thinker", "none", "-q")
    assert done.returncode == 2
    assert sentence(done) == "error: English only"
    assert listing(folder) - {"runs"} == {"photo.jpg"}
    assert not list((folder / "runs").glob("*"))


BAD: dict[str, tuple[tuple[str, ...], str]] = {
    "missing": (("nowhere/photo.jpg", "warmer"), "there is no such file"),
    "folder": ((".", "warmer"), "it is a folder"),
    "no name": (("", "warmer"), "it is a folder"),
    "empty words": (("photo.jpg", "  "), "the instruction is empty"),
    "endless words": (("photo.jpg", "x" * 100_000), "at most 32000 are accepted"),
    "unknown editor": (("photo.jpg", "warmer", "--editor", "nope"), "unknown editor 'nope'; known: darkroom"),
    "unknown thinker": (
        ("photo.jpg", "warmer", "--thinker", "nope"),
        "unknown thinker 'nope'; known: darkroom",
    ),
    "unknown strategy": (("photo.jpg", "warmer", "--strategy", "nope"), "unknown strategy 'nope'"),
    "no thinker": (("photo.jpg", "w", "--strategy", "best-of-n", "--thinker", "none"), "needs a thinker"),
    "no number": (("photo.jpg", "warmer", "--threshold", "nan"), "Invalid value for '--threshold'"),
    "no turns": (("photo.jpg", "warmer", "--turns", "0"), "Invalid value for '--turns'"),
    "no option": (("photo.jpg", "warmer", "--\x1b[31mnope"), "No such option"),
    "no words": (("photo.jpg",), "Missing argument 'INSTRUCTION'"),
    "no such folder": (("photo.jpg", "warmer", "-o", "no/out.png"), "cannot write into"),
    "no known suffix": (("photo.jpg", "warmer", "-o", "out.xyz"), "cannot write .xyz"),
    "two for stdout": (("photo.jpg", "warmer", "-o", "-", "--json"), "both want stdout"),
    "full run folder": (("photo.jpg", "warmer", "--run", "."), "is not empty"),
    "escape in a name": (("\x1b[2J.jpg", "warmer"), "there is no such file"),
}


@pytest.mark.parametrize("arguments", BAD.values(), ids=BAD)
def test_bad_input_is_one_sentence_and_leaves_no_trace(
    arguments: tuple[tuple[str, ...], str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from editthinker.cli import main

    given, expected = arguments
    assert main(["edit", "--editor", "fakes:editor", "--thinker", "fakes:rising", *given]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert expected in err
    assert len(err.splitlines()) == 1
    assert "\x1b" not in err
    assert listing(folder) == {"photo.jpg"}


def test_an_existing_result_is_kept_unless_forced(run: Run, folder: Path) -> None:
    (folder / "photo.edited.png").write_bytes(b"precious")
    refused = run("edit", "photo.jpg", "warmer", *GOOD)
    assert refused.returncode == 2
    assert (
        sentence(refused)
        == "error: photo.edited.png exists already; --force replaces it, -o names another file"
    )
    assert listing(folder) == {"photo.jpg", "photo.edited.png"}
    assert run("edit", "photo.jpg", "warmer", *GOOD, "--force", "-q").returncode == 0
    assert Picture.open(folder / "photo.edited.png").size == (96, 64)


def test_debug_shows_the_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDITTHINKER_DEBUG", "1")
    done = run("edit", "missing.jpg", "warmer")
    assert done.returncode == 2
    assert b"Traceback" in done.stderr


@pytest.mark.clock
def test_ctrl_c_says_what_is_kept(program: list[str], run: Run, folder: Path) -> None:
    arguments = ("edit", "photo.jpg", "warmer", "--editor", "fakes:slow_editor", "--thinker", "fakes:rising")
    with subprocess.Popen([*program, *arguments, "--run", "r"], stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith(b"turn 1:")
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read().decode()
    assert process.returncode == 130
    assert time.monotonic() - begun < 5
    assert "interrupted; the run folder r keeps 1 finished turn; nothing else was written" in rest
    assert "Traceback" not in rest
    assert listing(folder) == {"photo.jpg", "r"}
    assert b"stopped: it was cancelled" in run("show", "r").stdout


def test_a_terminal_sees_bars_and_no_foreign_escapes(program: list[str], folder: Path) -> None:
    ours, theirs = pty.openpty()
    arguments = (
        "edit",
        "photo.jpg",
        "[red]x[/red]\x1b[2J",
        "--editor",
        "fakes:editor",
        "--thinker",
        "fakes:hostile",
    )
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100"}
    with subprocess.Popen([*program, *arguments], stderr=theirs, env=environment) as process:
        os.close(theirs)
        shown = _everything(ours).decode()
    assert process.returncode == 0
    assert "█" in shown
    assert "[red]x[/red]" in shown
    assert "[bold]loud[/bold]" in shown
    assert not [payload for payload in ("\x1b]0;", "\x07", "\u202e", "\x1b[2J") if payload in shown]


def _everything(terminal: int) -> bytes:
    """What comes until the other side closes, which Linux reports as an error."""
    chunks = []
    while True:
        try:
            chunk = os.read(terminal, 65536)
        except OSError:
            chunk = b""
        if not chunk:
            os.close(terminal)
            return b"".join(chunks)
        chunks.append(chunk)
