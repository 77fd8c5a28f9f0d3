"""`editthinker models`: what can be named, how it is written, and what can be set on it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from editthinker.cli import main
from editthinker.resolve import BUILTIN


def test_names_are_shown_as_they_are_written(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    assert main(["models"]) == 0
    out = capsys.readouterr().out
    assert [model.shown for model in BUILTIN if model.shown not in out] == []
    assert "pip install 'editthinker[gemini]'" in out


def test_ones_own_names_come_first(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    home = folder / ".config" / "editthinker"
    home.mkdir(parents=True)
    table = '[editors.hosted]\nuse = "openai:gpt-image-2"\nquality = "high"\nkey = "env:MY_KEY"\n'
    (home / "config.toml").write_text(table, "utf-8")
    assert main(["models"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[:2] == ["editor", "hosted"]
    assert main(["models", "hosted?size=auto"]) == 0
    lines = capsys.readouterr().out.splitlines()
    shown = {line.split()[0]: line.split()[1] for line in lines[2:]}
    assert (shown["quality"], shown["size"], shown["key"]) == ("high", "auto", "env:MY_KEY")


def test_settings_of_every_role_that_has_the_name(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    assert main(["models", "openai"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("editor openai: ")
    assert "\n\nthinker openai: " in out
    assert "base_url" in out
    assert main(["models", "vllm", "--json"]) == 0
    (table,) = json.loads(capsys.readouterr().out)["models"]
    rows = {row["setting"]: row for row in table["settings"]}
    assert rows["base_url"]["value"] == "http://127.0.0.1:8000/v1"
    assert all(row["what"] for row in rows.values())


def test_a_plain_name_has_no_settings(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    assert main(["models", "darkroom"]) == 0
    assert capsys.readouterr().out.count("It has no settings.") == 3


def test_an_unknown_name_is_guessed(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    assert main(["models", "opnai"]) == 2
    assert "did you mean 'openai:MODEL'?" in capsys.readouterr().err


def test_a_literal_key_is_not_repeated(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    assert main(["models", "openai:m?key=sk-very-secret"]) == 0
    assert "sk-very" not in capsys.readouterr().out


def test_a_dotted_path_may_have_settings_too(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    assert main(["models", "editthinker.editors.openai:OpenAIEditor"]) == 0
    assert "quality" in capsys.readouterr().out
    assert main(["models", "no.such:thing"]) == 2
    assert "No module named 'no'" in capsys.readouterr().err
