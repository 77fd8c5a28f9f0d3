"""Configuration files found, read, checked, and laid over each other.

A project file that is not trusted may choose numbers and names; it may not say what a name means
(docs/decisions/0005). So what is in it that defines a model is refused until the user trusts the file.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from editthinker.config.trust import is_trusted
from editthinker.core import names
from editthinker.core.errors import ImageError, InputError
from editthinker.core.files import open_regular, shown

if TYPE_CHECKING:
    from editthinker.config.tables import Content, Preset
    from editthinker.core.types import Role

PROJECT = "editthinker.toml"
MODEL_DEFAULTS = ("editor", "thinker", "judge", "compare", "also")
_ROLES: tuple[Role, ...] = ("editor", "thinker", "judge")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_MOST_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Named:
    """A model the user gave a name: `[editors.kontext]`."""

    role: Role
    name: str
    use: str
    """What it stands for, such as "diffusers:black-forest-labs/FLUX.1-Kontext-dev"."""
    settings: Mapping[str, Any]
    """Flat: `a.b` is key b of table a."""
    file: Path


@dataclass(frozen=True, slots=True)
class Config:
    """Everything the files say; where two say the same, the project's."""

    files: tuple[Path, ...] = ()
    """Those that are there, the project's first."""
    defaults: Mapping[str, tuple[Any, Path]] = field(default_factory=dict)
    """Option of `edit`, with underscores, to its value and the file that says so."""
    presets: Mapping[str, Mapping[str, tuple[Any, Path]]] = field(default_factory=dict)
    models: Mapping[tuple[Role, str], Named] = field(default_factory=dict)
    prices: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Model id to settings of its adapter: `price`, or `price_in` and `price_out`; US dollars."""
    bench: Mapping[str, Mapping[str, tuple[Any, Path]]] = field(default_factory=dict)
    """Benchmark to `data`, `prompts`, `run` (paths that hold anywhere) and `judge` (a list)."""

    def over(self, other: Config) -> Config:
        """Its tables on top of another's; a model or a preset is replaced whole, never mixed."""
        return Config(
            (*self.files, *other.files),
            {**other.defaults, **self.defaults},
            {**other.presets, **self.presets},
            {**other.models, **self.models},
            {**other.prices, **self.prices},
            {
                name: {**other.bench.get(name, {}), **self.bench.get(name, {})}
                for name in (*self.bench, *other.bench)
            },
        )


def load(folder: Path | None = None) -> Config:
    """What the files say for work in `folder` (None: the current one). Raises `InputError`."""
    config = Config()
    if os.path.exists(user := user_file()):  # noqa: PTH110 - a folder that may not be read holds no file
        config = _read(user)
    if project := project_file(folder):
        config = _read(project, trusting=False).over(config)
    return config


def user_file() -> Path:
    """Where the user's file is, or would be."""
    base = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")  # noqa: PTH111 - never raises
    return Path(base) / "editthinker" / "config.toml"


def project_file(folder: Path | None = None) -> Path | None:
    """The nearest `editthinker.toml` from `folder` (None: the current one) upwards."""
    try:
        start = (folder or Path.cwd()).resolve()
    except OSError:  # the current folder was removed
        return None
    places = (place / PROJECT for place in (start, *start.parents))
    return next((place for place in places if os.path.exists(place)), None)  # noqa: PTH110 - as above


def read_bytes(path: Path) -> bytes:
    """The content of a configuration file. Raises `InputError`."""
    try:
        with open_regular(path, _MOST_BYTES) as stream:
            return stream.read()
    except ImageError as error:
        raise InputError(f"cannot read {shown(str(path))}: {error}") from None
    except OSError as error:
        raise InputError(f"cannot read {shown(str(path))}: {error.strerror}") from None


def checked(path: Path, content: bytes) -> tuple[Config, str]:
    """What a file says, and the first thing in it that defines a model ("" when none does)."""
    label = shown(str(path))
    try:
        table = tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise InputError(f"{label} is not UTF-8 text") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(f"{label} is no valid TOML: {str(error)[:200]}") from None
    from editthinker.config import tables

    body = tables.Content.read(label, table)
    defaults = _defaults(tables.Defaults, f"{label}, [defaults]", body.defaults, path)
    presets = {
        name: _defaults(tables.Preset, f"{label}, [presets.{name}]", body.presets[name], path)
        for name in body.presets
    }
    models = {(named.role, named.name): named for named in _models(label, body, path)}
    prices = {model: _price(label, model, price) for model, price in body.prices.items()}
    bench = {name: _bench(f"{label}, [bench.{name}]", given, path) for name, given in body.bench.items()}
    return Config((path,), defaults, presets, models, prices, bench), _definition(body)


def _read(path: Path, *, trusting: bool = True) -> Config:
    content = read_bytes(path)
    config, definition = checked(path, content)
    if definition and not trusting and not is_trusted(path, content):
        raise InputError(
            f"{shown(str(path))} defines models ({definition}) and is not trusted as it is now: "
            "read it, then run 'editthinker config trust'"
        )
    return config


def _definition(body: Content) -> str:
    """What decides which code runs, where photos and keys go, or what a budget is worth."""
    for table in ("editors", "thinkers", "judges", "prices"):
        if rows := getattr(body, table):
            return f"[{table}.{next(iter(rows))}]"
    for choices in (body.defaults, *body.presets.values(), *body.bench.values()):
        for key in MODEL_DEFAULTS:
            given = choices.get(key) or []
            for name in [given] if isinstance(given, str) else given:
                if not _NAME.fullmatch(name):
                    return f"{key} = {name[:80]!r}" if "?" not in name else key
    return ""


def _defaults(
    kind: type[Preset], label: str, given: Mapping[str, Any], path: Path
) -> dict[str, tuple[Any, Path]]:
    for key in MODEL_DEFAULTS:
        for name in [given.get(key)] if not isinstance(given.get(key), list) else given[key]:
            _check_keys(f"{label}, {key}", name)
    settings = kind.read(label, given)
    return {key: (value, path) for key, value in settings.model_dump(exclude_none=True).items()}


def _bench(label: str, given: Mapping[str, Any], path: Path) -> dict[str, tuple[Any, Path]]:
    from editthinker.config.tables import Bench

    said = Bench.read(label, given).model_dump(exclude_none=True)
    if isinstance(said.get("judge"), str):
        said["judge"] = [said["judge"]]
    for name in said.get("judge", ()):
        _check_keys(f"{label}, judge", name)
    for key in {"data", "prompts", "run"} & said.keys():
        if (key, said[key]) != ("prompts", "ours"):
            said[key] = os.path.join(path.parent, os.path.expanduser(said[key]))  # noqa: PTH111, PTH118 - never raises
    return {key: (value, path) for key, value in said.items()}


def _models(label: str, body: Content, path: Path) -> Iterator[Named]:
    for role in _ROLES:
        for name, table in getattr(body, f"{role}s").items():
            here = f"{label}, [{role}s.{name}]"
            if not _NAME.fullmatch(name):
                raise InputError(f"{here}: a name is made of letters, digits, '_', '-' and '.'")
            use, settings = table.get("use"), {key: table[key] for key in table if key != "use"}
            if not isinstance(use, str) or not use:
                raise InputError(f'{here} must say what it stands for, as in: use = "openai:gpt-image-2"')
            flat = dict(_flat(settings))
            _check_keys(here, use, flat)
            yield Named(role, name, use, flat, path)


def _flat(table: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


def _check_keys(label: str, use: object, settings: Mapping[str, Any] | None = None) -> None:
    """Refuse a key that is written out, without repeating it."""
    try:
        given = names.taken_apart(use)[1] if isinstance(use, str) else {}
    except InputError as error:
        raise InputError(f"{label}: {error}") from None
    for key, value in [*given.items(), *(settings or {}).items()]:
        if names.is_literal_secret(key, value):
            raise InputError(
                f"{label}, {key!r}: a key is given by reference, so that nobody else can read it: "
                "env:NAME, file:PATH or keyring:SERVICE/USER"
            )
    if isinstance(use, str) and names.hidden(use) != use:
        raise InputError(f"{label}: a name must not hold a password or a key; use the setting 'key'")


def _price(label: str, model: str, given: object) -> dict[str, float]:
    from editthinker.config.tables import Price

    table = given if isinstance(given, dict) else {"price": given}
    price = Price.read(f"{label}, [prices], {model!r}", table)
    return price.model_dump(exclude_none=True)
