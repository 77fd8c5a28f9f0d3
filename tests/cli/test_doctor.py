"""`editthinker doctor`: what it says, what it exits with, what it finds installed."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from editthinker.cli import installed, main

Run = Callable[..., subprocess.CompletedProcess[bytes]]

PATIENTS = """
from editthinker.core.contracts import EditorInfo
from editthinker.core.types import Judged, Score
from editthinker.testing import ScriptedEditor, ScriptedThinker


def unpriced():
    editor = ScriptedEditor()
    editor.info = EditorInfo("unpriced", price=None)
    return editor


def dear():
    editor = ScriptedEditor(cost=0.04)
    editor.info = EditorInfo("dear", price=0.04)
    return editor


def blind():
    return ScriptedThinker(*[(7, 7)] * 9)


class Fair:
    name = "fair"

    async def score(self, sample, edited):
        return Judged(Score(9 if edited.array().mean() < sample.source.array().mean() else 1, 9))
"""


@pytest.fixture(autouse=True)
def patients(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "patients.py").write_text(PATIENTS, "utf-8")
    for name in installed.KEYS:
        monkeypatch.delenv(name, raising=False)


def test_the_embedded_pair_is_usable(run: Run) -> None:
    done = run("doctor", "--quick")
    out = done.stdout.decode()
    assert done.returncode == 0, done
    assert done.stderr == b""
    assert "requests at most: editor 1, thinker 1; they cost about nothing" in out
    assert out.splitlines()[-1].startswith("usable (")
    assert "FAIL" not in out


def test_every_question_is_asked(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed, "_gpus", lambda: ["Some GPU, 24 GiB"])  # torch takes seconds to load
    assert main(["doctor", "--judge", "patients:Fair"]) == 0
    out = capsys.readouterr().out
    rows = [line.split()[0] for line in out.splitlines()]
    assert (rows.count("editor"), rows.count("thinker"), rows.count("judge")) == (11, 6, 4)
    assert "GPU: Some GPU, 24 GiB" in out


def test_an_editor_that_fails_makes_the_pair_unusable(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--quick", "--editor", "fakes:broken_editor"]) == 1
    out = capsys.readouterr().out
    assert "editor   answers              FAIL  the GPU is gone" in out
    assert out.splitlines()[-1].startswith("not usable (editor: answers; ")


def test_a_blind_thinker_makes_the_pair_unusable(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json", "--thinker", "patients:blind"]) == 1
    told = json.loads(capsys.readouterr().out)
    failed = [finding["question"] for finding in told["findings"] if finding["verdict"] == "fail"]
    assert failed == ["tells good from bad", "order of images"]
    assert told["usable"] is False


def test_the_cost_is_said_first(capsys: pytest.CaptureFixture[str]) -> None:
    main(["doctor", "--quick", "--editor", "patients:unpriced", "--thinker", "none"])
    assert "cost about nothing and what the editor costs, which is not known" in capsys.readouterr().out
    main(["doctor", "--json", "--editor", "patients:dear", "--thinker", "none"])
    out, err = capsys.readouterr()
    assert "editor 5; they cost about $0.20" in err
    assert sum(finding["cost"] for finding in json.loads(out)["findings"]) <= 0.20 + 1e-9


def test_somebody_who_thinks_in_person_is_not_examined(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--quick", "--thinker", "human"]) == 0
    assert "the thinker is you" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [("--editor", "nobody"), ("--thinker", "nobody"), ("--judge", "nobody"), ("--bogus",)]
)
def test_bad_names_cost_nothing(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1


def test_extras_say_how_they_are_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    declared = [
        "pillow>=12.0",
        "pytest>=8; extra == 'dev'",
        "pillow>=12; extra == 'here'",
        "no-such-package>=1; extra == 'gone'",
    ]
    monkeypatch.setattr(installed.metadata, "requires", lambda _: declared)
    facts = installed.installed(devices=False)
    assert list(facts["packages"]) == ["pillow"]
    assert facts["extras"]["here"]["installed"] is True
    assert facts["extras"].keys() == {"here", "gone"}
    lines = installed.lines(facts)
    assert "extra gone: no no-such-package; pip install 'editthinker[gone]'" in lines
    assert any(line.startswith("extra here: pillow ") for line in lines)


def test_keys_are_named_and_never_shown(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    for arguments in (("--quick",), ("--quick", "--json")):
        done = run("doctor", *arguments)
        assert b"OPENAI_API_KEY" in done.stdout
        assert b"very-secret" not in done.stdout + done.stderr


def test_torch_is_not_loaded_by_a_quick_look(program: list[str]) -> None:
    script = "cli.main(['doctor', '--quick']); assert 'torch' not in sys.modules"
    code = f"import sys, editthinker.cli as cli; {script}"
    done = subprocess.run([program[0], "-c", code], capture_output=True, env=os.environ)
    assert done.returncode == 0, done.stderr
