"""What holds and who said so: flags, then variables, the project's file, the user's, what is built in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from editthinker.cli import main, naming
from editthinker.config.tables import Defaults

Run = Callable[..., subprocess.CompletedProcess[bytes]]
SECRET = "sk-very-secret-0123456789"  # noqa: S105 - a made-up one


@pytest.fixture
def own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own configuration file, not there yet."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "home"))
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
    path = folder / "home" / "editthinker" / "config.toml"
    path.parent.mkdir(parents=True)
    return path


def held(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What `config show --json` says."""
    assert main(["config", "show", "--json"]) == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    return told


def test_every_value_says_where_it_comes_from(
    own: Path, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    own.write_text("[defaults]\nturns = 2\nthreshold = 7\npatience = 4\n", "utf-8")
    project = folder / "editthinker.toml"
    project.write_text("[defaults]\nturns = 5\nthreshold = 6.5\n", "utf-8")
    monkeypatch.setenv("EDITTHINKER_TURNS", "9")
    monkeypatch.setenv("EDITTHINKER_ALSO", "darkroom none")
    values = held(capsys)["values"]
    assert values["turns"] == {"value": 9, "origin": "variable EDITTHINKER_TURNS"}
    assert values["threshold"] == {"value": 6.5, "origin": str(project)}
    assert values["patience"] == {"value": 4, "origin": str(own)}
    assert values["seed"] == {"value": 0, "origin": "built in"}
    assert values["also"] == {"value": ["darkroom", "none"], "origin": "variable EDITTHINKER_ALSO"}


def test_what_can_be_configured_is_what_the_files_may_say(
    own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert set(held(capsys)["values"]) == set(Defaults.model_fields)


def test_an_edit_goes_by_it(own: Path, run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def turns(*flags: str) -> int:
        done = run("edit", "photo.jpg", "warmer", "--json", "-q", "-f", *flags)
        assert done.returncode == 0, done.stderr
        return len(json.loads(done.stdout)["trajectory"]["turns"])

    own.write_text(
        '[defaults]\neditor = "scripted"\nthinker = "test"\nthreshold = 11\nturns = 1\n\n'
        '[editors.scripted]\nuse = "fakes:editor"\n\n[thinkers.test]\nuse = "fakes:rising"\n',
        "utf-8",
    )
    assert turns() == 1
    (folder / "editthinker.toml").write_text("[defaults]\nturns = 2\n", "utf-8")
    assert turns() == 2
    monkeypatch.setenv("EDITTHINKER_TURNS", "3")
    assert turns() == 3
    assert turns("--turns", "4") == 4


def test_a_preset_lies_over_the_defaults_and_below_the_command_line(
    own: Path, capsys: pytest.CaptureFixture[str], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    own.write_text(
        "[defaults]\nturns = 2\nthreshold = 5\n\n[presets.careful]\nturns = 7\ncandidates = 2\n", "utf-8"
    )
    dry = ("edit", "photo.jpg", "warmer", "--dry-run", "--json", "--preset", "careful")
    assert json.loads(run(*dry).stdout)["turns"] == 7
    assert json.loads(run(*dry, "--turns", "4").stdout)["turns"] == 4
    monkeypatch.setenv("EDITTHINKER_PRESET", "careful")
    values = held(capsys)["values"]
    assert values["turns"] == {"value": 7, "origin": f"{own}, preset careful"}
    assert values["threshold"] == {"value": 5, "origin": str(own)}
    assert main(["edit", "photo.jpg", "warmer", "--preset", "carefull"]) == 2
    assert "unknown preset 'carefull'; did you mean 'careful'?" in capsys.readouterr().err


def test_keys_are_shown_by_their_place_only(
    own: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", SECRET)
    monkeypatch.setenv("EDITTHINKER_EDITOR", f"openai:m?key={SECRET}&extra.api_key={SECRET}")
    monkeypatch.setenv("EDITTHINKER_THINKER", f"chat:m?base_url=http://me:{SECRET}@host/v1")
    own.write_text('[judges.strict]\nuse = "rubric:m"\nkey = "env:MY_KEY"\n', "utf-8")
    for form in ([], ["--json"]):
        assert main(["config", "show", *form]) == 0
        out = capsys.readouterr().out
        assert "sk-" not in out
        assert "env:MY_KEY" in out
        assert "openai:m?key=***" in out


def test_a_broken_file_is_told_by_the_verb_and_never_by_its_help(
    own: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "editthinker.toml").write_text("[defaults]\nturn = 2\n", "utf-8")
    assert main(["edit", "--help"]) == 0
    assert "--turns" in capsys.readouterr().out
    assert main(["edit", "photo.jpg", "warmer"]) == 2
    err = capsys.readouterr().err
    assert (
        f"{folder / 'editthinker.toml'}, [defaults]: it has no setting 'turn'; did you mean 'turns'?" in err
    )
    assert len(err.splitlines()) == 1
    assert main(["config", "show"]) == 2


def test_a_wrong_variable_is_named(
    own: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDITTHINKER_TURNS", "many")
    assert main(["edit", "photo.jpg", "warmer"]) == 2
    assert "(in EDITTHINKER_TURNS); see 'editthinker edit --help'" in capsys.readouterr().err
    assert main(["edit", "photo.jpg", "warmer", "--turns", "x"]) == 2
    assert "EDITTHINKER_TURNS" not in capsys.readouterr().err


def test_help_shows_what_holds(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own.write_text("[defaults]\nturns = 42\n", "utf-8")
    assert main(["edit", "--help"]) == 0
    assert "[default: 42;" in capsys.readouterr().out


def test_a_cloned_folder_runs_no_code_until_it_is_trusted(own: Path, folder: Path, run: Run) -> None:
    (folder / "evil.py").write_text(
        "import pathlib; pathlib.Path('owned').touch()\nfrom fakes import editor, rising\n", "utf-8"
    )
    (folder / "editthinker.toml").write_text(
        '[defaults]\nthinker = "evil:rising"\n[editors.darkroom]\nuse = "evil:editor"\n', "utf-8"
    )
    verbs = (
        ("edit", "photo.jpg", "warmer"),
        ("edit", "photo.jpg", "warmer", "--editor", "darkroom", "--thinker", "none"),
        ("config", "show"),
        ("models",),
        ("models", "darkroom"),
    )
    for verb in verbs:
        done = run(*verb)
        assert done.returncode == 2, verb
        assert b"read it, then run 'editthinker config trust'" in done.stderr
    assert not (folder / "owned").exists()
    told = run("config", "trust")
    assert told.returncode == 0
    assert b"[editors.darkroom] evil:editor" in told.stderr
    assert run("edit", "photo.jpg", "warmer", "-q").returncode == 0
    assert (folder / "owned").exists()


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("openai:m", False),
        ("darkroom", False),
        ("typo", False),
        ("fakes:editor", True),
        ("mine", True),
        ("mine?x=1", True),
        ("theirs", False),
    ],
)
def test_modules_of_the_current_folder_count_for_dotted_paths_only(
    name: str, counts: bool, own: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a stray file could stand in for an optional library that a built-in adapter looks for."""
    own.write_text('[editors.mine]\nuse = "fakes:editor"\n[editors.theirs]\nuse = "openai:m"\n', "utf-8")
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry not in ("", str(folder))])
    naming.look_here_too("editor", name)
    assert (sys.path[-1] == str(folder)) is counts


def test_a_starter_file_changes_nothing_until_it_is_edited(
    own: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = held(capsys)["values"]
    assert main(["config", "init"]) == 0
    assert main(["config", "init", "--user"]) == 0
    assert held(capsys)["values"] == before
    assert main(["config", "init"]) == 2
    assert "exists already" in capsys.readouterr().err
    text = own.read_text("utf-8").partition("[defaults]")[2]
    own.write_text("[defaults]" + text.replace("\n# ", "\n"), "utf-8")
    told = held(capsys)
    assert told["values"]["turns"] == {"value": 3, "origin": str(own)}
    assert {row["name"] for row in told["models"]} == {"kontext", "hosted", "editthinker-8b"}


def test_there_is_nothing_to_trust(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "trust"]) == 2
    assert "there is no editthinker.toml here or in a folder above" in capsys.readouterr().err


def test_a_folder_that_is_gone_has_no_project(
    own: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = folder / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    try:
        assert held(capsys)["files"]["project"] is None
    finally:
        os.chdir(folder)
