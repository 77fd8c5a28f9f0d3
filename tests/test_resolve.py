"""Names become objects; anything else becomes one clear sentence."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

from editthinker import resolve
from editthinker.config import Config, Named
from editthinker.core import names
from editthinker.core.contracts import EditorInfo, View
from editthinker.core.errors import EditorError, InputError, MissingExtra, UnknownName
from editthinker.core.settings import Settings
from editthinker.core.types import Critique, Edited, EditRequest, Score, Thought
from editthinker.thinkers.ensemble import EnsembleThinker


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


def test_a_plain_name_may_have_a_colon() -> None:
    for name in ("darkroom", "darkroom:small", "darkroom:large"):
        assert resolve.resolve_editor(name).info.name == name
    with pytest.raises(UnknownName, match="darkroom:small"):
        resolve.resolve_editor("darkroom:tiny")


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


class Tunable:
    """An editor with settings, made as every adapter is."""

    class Settings(Settings):
        steps: int = Field(4, gt=0, description="how many")
        style: str = ""
        price: float | None = None

    def __init__(self, what: str, settings: Settings, *, name: str = "") -> None:
        self.what, self.settings = what, settings
        self.info = EditorInfo(name=name)

    async def edit(self, request: EditRequest) -> Edited:
        return Edited(request.images[0])


class Quiet:
    """A thinker."""

    name = "quiet"

    async def think(self, view: View) -> Thought:
        return Thought(Critique(Score(5, 5), "", view.instruction))


def config(**models: Named) -> Config:
    return Config(
        models={(named.role, named.name): named for named in models.values()}, prices={"M": {"price": 2.0}}
    )


def named(use: str, role: Any = "editor", **settings: Any) -> Named:
    return Named(role, "mine", use, settings, Path("/etc/my.toml"))


def tunable(name: str, config: Config | None = None) -> Tunable:
    editor = resolve.resolve_editor(name, config)
    assert isinstance(editor, Tunable)
    return editor


def test_settings_stand_behind_the_name() -> None:
    editor = tunable(f"{HERE}:Tunable?steps=7&style=a%26b")
    assert (editor.settings.steps, editor.settings.style) == (7, "a&b")  # type: ignore[attr-defined]
    assert editor.info.name == f"{HERE}:Tunable"


def test_the_name_wins_over_the_table_and_that_over_what_it_uses() -> None:
    own = config(mine=named(f"{HERE}:Tunable?steps=1&style=plain", steps=2))
    assert tunable("mine", own).settings.model_dump() == {"steps": 2, "style": "plain", "price": None}
    assert tunable("mine?steps=3", own).settings.steps == 3  # type: ignore[attr-defined]
    assert tunable("mine", own).info.name == "mine"


def test_a_wrong_setting_names_the_file_and_guesses() -> None:
    with pytest.raises(
        InputError, match=r"editor 'mine' \(/etc/my.toml\): it has no setting 'stepps'; did you mean 'steps'"
    ):
        resolve.resolve_editor("mine", config(mine=named(f"{HERE}:Tunable", stepps=2)))


def test_a_name_of_ones_own_may_stand_before_a_built_in_one() -> None:
    own = Named("editor", "darkroom", f"{HERE}:Still", {}, Path("/etc/my.toml"))
    assert isinstance(resolve.resolve_editor("darkroom", config(own=own)), Still)


def test_the_user_s_price_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    row = resolve.Model("editor", "tunable", "", f"{HERE}:Tunable", form="MODEL", presets={"style": "preset"})
    monkeypatch.setattr(resolve, "BUILTIN", (*resolve.BUILTIN, row))
    assert tunable("tunable:org/M", config()).settings.model_dump() == {
        "steps": 4,
        "style": "preset",
        "price": 2.0,
    }
    assert tunable("tunable:M?price=1&style=x", config()).settings.model_dump() == {
        "steps": 4,
        "style": "x",
        "price": 1.0,
    }
    assert tunable("tunable:N", config()).settings.price is None  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "guess"), [("darkrom", "darkroom"), ("opneai:gpt", "openai:MODEL"), ("mines", "mine")]
)
def test_an_unknown_name_is_guessed(name: str, guess: str) -> None:
    with pytest.raises(UnknownName, match=f"did you mean '{guess}'"):
        resolve.resolve_editor(name, config(mine=named("darkroom")))


def test_a_scheme_of_another_role_is_no_dotted_path() -> None:
    with pytest.raises(UnknownName, match=r"unknown judge 'openai:gpt'; known: darkroom, .*rubric:MODEL"):
        resolve.resolve_judge("openai:gpt")


def test_several_thinkers_vote() -> None:
    own = config(mine=named(f"{HERE}:Quiet", role="thinker"))
    ensemble = resolve.resolve_thinker(f"ensemble:mine|{HERE}:Quiet", own)
    assert isinstance(ensemble, EnsembleThinker)
    assert [member.name for member in ensemble.members] == ["quiet", "quiet"]
    panel = Config(models={**own.models, ("thinker", "panel"): named("ensemble:mine|mine", role="thinker")})
    assert resolve.resolve_thinker("panel", panel).name == "panel"  # type: ignore[union-attr]


def test_members_keep_their_settings() -> None:
    members = (
        "chat:a?base_url=http://127.0.0.1:1/v1&temperature=0|chat:b?base_url=http://127.0.0.1:1/v1&seed=3"
    )
    ensemble = resolve.resolve_thinker(f"ensemble:{members}", config())
    assert isinstance(ensemble, EnsembleThinker)
    assert [member.name for member in ensemble.members] == ["chat:a", "chat:b"]


@pytest.mark.parametrize(
    "name",
    [
        "ensemble:none|darkroom",
        "ensemble:darkroom|",
        "ensemble:ensemble:darkroom|darkroom",
        "ensemble:panel|darkroom",
    ],
)
def test_who_cannot_vote(name: str) -> None:
    panel = Named("thinker", "panel", "ensemble:panel|darkroom", {}, Path("/etc/my.toml"))
    with pytest.raises(InputError, match="cannot be one of several that vote"):
        resolve.resolve_thinker(name, config(panel=panel))


@pytest.mark.parametrize(
    ("name", "spelled"),
    [
        ("mine?steps=3", "openai:m?base_url=http://h/v1&steps=3&key=env:K"),
        ("openai:m?key=sk-123456789", "openai:m?key=***"),
        ("openai:m?extra.api_key=sk-123456789&key=file:~/k", "openai:m?extra.api_key=***&key=file:~/k"),
        ("service:http://me:sk-123456789@host/edit", "service:http://***@host/edit"),
        ("openai:m?base_url=http://h/v1?token=sk-1234567", "openai:m?base_url=http://h/v1%3Ftoken%3D***"),
        ("darkroom", "darkroom"),
    ],
)
def test_a_name_is_written_down_in_full_and_without_secrets(name: str, spelled: str) -> None:
    own = config(mine=named("openai:m?base_url=http://h/v1", steps=4, key="env:K"))
    assert resolve.understood("editor", name, own).spelled == spelled
    assert names.recorded(resolve.understood("editor", name, own).spelled) == spelled


def test_what_is_known_includes_ones_own_names() -> None:
    rows = resolve.known_models(config(mine=named("openai:m?base_url=http://h/v1")))
    assert (rows[0].shown, rows[0].what) == ("mine", "openai:m?base_url=http://h/v1 (/etc/my.toml)")


@pytest.mark.parametrize(
    "model",
    [row for row in resolve.BUILTIN if row.form and not row.is_vote],
    ids=lambda m: f"{m.role} {m.name}",
)
def test_every_scheme_leads_to_a_class_whose_settings_are_described(model: resolve.Model) -> None:
    if not model.available:
        pytest.skip(model.needs)
    settings = resolve.settings_of(model)
    assert settings
    assert [key for key, field in settings.model_fields.items() if not field.description] == []
    assert set(model.presets) <= set(settings.model_fields)


@pytest.mark.parametrize("url", ["ftp://me:sk-123456789@host", "http://me:sk-123456789@host/v1"])
def test_a_password_in_a_setting_is_not_repeated(url: str) -> None:
    with pytest.raises(InputError, match="setting 'base_url'") as caught:
        resolve.resolve_editor(f"openai:m?base_url={url}", config())
    assert "sk-" not in str(caught.value)
