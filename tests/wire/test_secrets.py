"""Keys by reference: found where they are said to be, refused when given outright, never shown."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.errors import KeyringError

from editthinker.core.errors import InputError, MissingExtra
from editthinker.wire import secrets
from editthinker.wire.secrets import NONE, Secret

KEY = "sk-0123456789abcdef"


class Drawer(KeyringBackend):
    priority = 1  # type: ignore[assignment]
    broken = False

    def get_password(self, service: str, username: str) -> str | None:
        if self.broken:
            raise KeyringError("locked")
        return KEY if (service, username) == ("openai", "me") else None

    def set_password(self, service: str, username: str, password: str) -> None:
        raise NotImplementedError


@pytest.fixture
def drawer() -> Iterator[Drawer]:
    before, drawer = keyring.get_keyring(), Drawer()
    keyring.set_keyring(drawer)
    yield drawer
    keyring.set_keyring(before)


def test_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", f" {KEY}\n")
    assert secrets.read("env:SOME_KEY") == Secret(KEY, "env:SOME_KEY")


def test_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{KEY}\n", "utf-8")
    assert secrets.read(f"file:{tmp_path / 'key'}").value == KEY


def test_from_a_file_in_ones_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "key").write_text(KEY, "utf-8")
    assert secrets.read("file:~/key").value == KEY


@pytest.mark.usefixtures("drawer")
def test_from_the_keyring() -> None:
    assert secrets.read("keyring:openai/me").value == KEY
    with pytest.raises(InputError, match="no key at 'keyring:openai/you'"):
        secrets.read("keyring:openai/you")


def test_a_keyring_that_is_locked(drawer: Drawer) -> None:
    drawer.broken = True
    with pytest.raises(InputError, match="keyring cannot be read: locked"):
        secrets.read("keyring:openai/me")


def test_without_the_keyring_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(MissingExtra, match=r"editthinker\[keyring\]"):
        secrets.read("keyring:openai/me")


def test_the_usual_variables_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FIRST", "SECOND"):
        monkeypatch.delenv(name, raising=False)
    assert secrets.read("", usual=("FIRST", "SECOND")) is NONE
    monkeypatch.setenv("SECOND", KEY)
    assert secrets.read("", usual=("FIRST", "SECOND")) == Secret(KEY, "env:SECOND")
    monkeypatch.setenv("FIRST", "  ")
    assert secrets.read("", usual=("FIRST", "SECOND")).origin == "env:SECOND", "blank is not set"
    monkeypatch.setenv("FIRST", "other-key")
    assert secrets.read("", usual=("FIRST", "SECOND")).value == "other-key"


def test_a_key_given_outright_is_refused_and_not_repeated() -> None:
    with pytest.raises(InputError, match="by reference") as caught:
        secrets.read(KEY)
    assert KEY not in str(caught.value)


def test_references_that_lead_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOT_SET", raising=False)
    (tmp_path / "empty").write_text(" \n", "utf-8")
    (tmp_path / "picture").write_bytes(b"\xff\xfe\x00\x80")
    for reference, words in (
        ("env:NOT_SET", "no key at 'env:NOT_SET'"),
        (f"file:{tmp_path / 'empty'}", "no key at"),
        (f"file:{tmp_path / 'missing'}", "cannot read the key file.*No such file"),
        (f"file:{tmp_path / 'picture'}", "it is not text"),
        (f"file:{tmp_path}", "cannot read the key file"),
    ):
        with pytest.raises(InputError, match=words):
            secrets.read(reference)


def test_a_secret_never_shows_itself() -> None:
    secret = Secret(KEY, "env:SOME_KEY")
    for shown in (repr(secret), str(secret), f"{secret}", f"{[secret]}"):
        assert KEY not in shown
        assert "env:SOME_KEY" in shown
    assert secret
    assert not NONE


def test_a_secret_is_hidden_in_what_others_say() -> None:
    assert Secret(KEY, "").hidden_in(f"Incorrect key {KEY}, got {KEY}") == "Incorrect key ***, got ***"
    assert Secret("key", "").hidden_in("the key is wrong") == "the key is wrong", "a word is no secret"
