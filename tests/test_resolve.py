"""Names become objects; anything else becomes one clear sentence."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from editthinker import resolve
from editthinker.core.contracts import EditorInfo
from editthinker.core.errors import EditorError, InputError, MissingExtra, UnknownName
from editthinker.core.types import Edited, EditRequest


class Still:
    """An editor that changes nothing."""

    info = EditorInfo(name="still")

    async def edit(self, request: EditRequest) -> Edited:
        return Edited(request.images[0])


still = Still()


def broken() -> Still:
    raise ZeroDivisionError("no weights")


def refusing() -> Still:
    raise EditorError("the key is not valid")


HERE = __name__


@pytest.mark.parametrize("target", ["Still", "still"])
def test_dotted_path_gives_the_object_of_a_factory_or_the_object_itself(target: str) -> None:
    assert isinstance(resolve.resolve_editor(f"{HERE}:{target}"), Still)


def test_none_is_no_thinker() -> None:
    assert resolve.resolve_thinker("none") is None


@pytest.mark.parametrize("role", ["editor", "thinker", "judge"])
def test_unknown_name_lists_what_exists(role: str) -> None:
    with pytest.raises(UnknownName, match=f"unknown {role} 'nope'; known: darkroom"):
        getattr(resolve, f"resolve_{role}")("nope")


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("no.such.module:x", "No module named 'no'"),
        (f"{HERE}:absent", "has no attribute 'absent'"),
        (f"{HERE}:broken", "ZeroDivisionError: no weights"),
        (f"{HERE}:EditorInfo", "cannot be loaded"),
        (f"{HERE}:Path", "is no editor"),
        (":x", "cannot be loaded"),
        ("os:", "cannot be loaded"),
    ],
)
def test_bad_path_is_one_sentence(target: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        resolve.resolve_editor(target)


def test_a_factory_s_own_error_keeps_its_blame() -> None:
    with pytest.raises(EditorError, match="the key is not valid"):
        resolve.resolve_editor(f"{HERE}:refusing")


def test_a_thinker_is_no_editor() -> None:
    with pytest.raises(InputError, match="which is no thinker"):
        resolve.resolve_thinker(f"{HERE}:Still")


def test_missing_extra_prints_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    model = resolve.Model(
        "editor", "big", "a big one", "os:getcwd", requires=("no_such_module",), extra="diffusers"
    )
    monkeypatch.setattr(resolve, "BUILTIN", (*resolve.BUILTIN, model))
    assert not model.available
    assert "pip install 'editthinker[diffusers]'" in model.needs
    with pytest.raises(MissingExtra, match=r"pip install 'editthinker\[diffusers\]'"):
        resolve.resolve_editor("big")


def test_entry_points_of_other_packages_are_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "stranger-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n", "utf-8")
    points = f"[editthinker.editors]\nstill = {HERE}:Still\ndarkroom = {HERE}:broken\n"
    (info / "entry_points.txt").write_text(points, "utf-8")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    assert isinstance(resolve.resolve_editor("still"), Still)
    rows = {(model.role, model.name): model for model in resolve.known_models()}
    assert rows["editor", "still"].what == "from stranger"
    assert rows["editor", "darkroom"].target.startswith("editthinker.")
