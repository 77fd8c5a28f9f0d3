"""Names in, objects out: the only place that knows what "darkroom" or "openai:gpt-image-2" is.

A name is one of
- a name of a configuration file (`[editors.kontext]`), which stands for one of the others with settings,
- a name in `builtin.BUILTIN` ("darkroom", "none"),
- a scheme of that table and what it names: "openai:gpt-image-2",
- an entry point in the group `editthinker.editors`, `.thinkers` or `.judges` of any installed package,
- a dotted path `pkg.module:factory`, where `factory()` returns the object (or is the object),
and behind any of them settings: "kontext?steps=20&guidance=3"; what is said there wins.

Nothing is imported before it is asked for, so that naming a model costs only that model's imports.
To add a built-in: one row in `builtin.BUILTIN`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

from editthinker.config import Config, load
from editthinker.core import names
from editthinker.core.errors import EditThinkerError, InputError, MissingExtra, UnknownName
from editthinker.resolve.builtin import BUILTIN, Model, installed

if TYPE_CHECKING:
    from editthinker.core.contracts import Comparer, Editor, Judge, Thinker
    from editthinker.core.settings import Settings
    from editthinker.core.types import Role


__all__ = [
    "BUILTIN",
    "DOTTED_PATH",
    "Meaning",
    "Model",
    "is_dotted",
    "known_models",
    "resolve_asker",
    "resolve_comparer",
    "resolve_editor",
    "resolve_judge",
    "resolve_thinker",
    "settings_of",
    "understood",
]

_LACKS = {
    "Comparer": "which cannot compare two images",
    "Asker": "which answers no questions of benchmarks; chat:MODEL does",
}
DOTTED_PATH = "any 'pkg.module:factory'"


@runtime_checkable
class Asker(Protocol):
    """A judge for somebody else's questions, such as `judges.asking.ChatJudge`; benchmarks ask it."""

    async def answer(self, request: Any, /, *, complaint_of_last: str = "") -> Any:
        """One reply."""
        ...


@dataclass(frozen=True, slots=True)
class Meaning:
    """A name taken apart."""

    model: Model
    what: str
    """What is written behind the colon."""
    given: Mapping[str, Any]
    """Settings, flat: those of the name over those of the configuration file."""
    name: str
    """What messages and records call it: without settings, and so without secrets."""
    where: str = ""
    """The configuration file that says so."""

    @property
    def label(self) -> str:
        """`editor 'kontext' (/home/me/.config/editthinker/config.toml)`."""
        return f"{self.model.role} {self.name!r}" + (f" ({self.where})" if self.where else "")

    @property
    def spelled(self) -> str:
        """The same for somebody who has no such configuration file; no secret is in it."""
        full = f"{self.model.name}:{self.what}" if self.what else self.model.name
        return names.put_together(full, self.given)


def resolve_editor(name: str, config: Config | None = None) -> Editor:
    """Build the editor called `name`; without `config` the files of the current folder count.

    Raises `UnknownName`, `MissingExtra` or `InputError`.
    """
    from editthinker.core.contracts import Editor

    return cast(Editor, _resolve("editor", name, Editor, config))


def resolve_thinker(name: str, config: Config | None = None) -> Thinker | None:
    """Build the thinker called `name`; None for "none". Raises as `resolve_editor` does."""
    from editthinker.core.contracts import Thinker

    return None if name == "none" else _resolve("thinker", name, Thinker, config)


def resolve_judge(name: str, config: Config | None = None) -> Judge:
    """Build the judge called `name`. Raises as `resolve_editor` does."""
    from editthinker.core.contracts import Judge

    return cast(Judge, _resolve("judge", name, Judge, config))


def resolve_comparer(name: str, config: Config | None = None) -> Comparer:
    """Build the judge called `name` that compares two images. Raises as `resolve_editor` does."""
    from editthinker.core.contracts import Comparer

    return cast(Comparer, _resolve("judge", name, Comparer, config))


def resolve_asker(name: str, config: Config | None = None) -> Any:
    """Build the judge called `name` that answers others' questions (`answer`). Raises as `resolve_editor`."""
    return _resolve("judge", name, Asker, config)


def known_models(config: Config | None = None) -> tuple[Model, ...]:
    """Everything that can be named: the user's own names first, then built-in ones; nothing is loaded."""
    config = load() if config is None else config
    plugins = (model for role in ("editor", "thinker", "judge") for model in _plugins(role))
    own = (
        replace(understood(role, name, config).model, name=name, form="", what=f"{named.use} ({named.file})")
        for (role, name), named in config.models.items()
    )
    return (*own, *BUILTIN, *plugins)


def settings_of(model: Model) -> type[Settings] | None:
    """What can be set on it; None for plain names. Loads its module. Raises `MissingExtra`."""
    _check_installed(model, model.name)
    return _settings_class(_import(model.target)) if model.target else None


def understood(role: Role, name: str, config: Config | None = None, *, complete: bool = True) -> Meaning:
    """Take a name apart; nothing is loaded. Raises `UnknownName` or `InputError`.

    `complete=False` lets a bare scheme ("openai") pass, to ask what can be set on it.
    """
    config = load() if config is None else config
    called, given = names.taken_apart(name)
    named = config.models.get((role, called))
    if named is None:
        model, what = _model(role, called, config, complete=complete)
        return Meaning(model, what, given, names.hidden(called))
    used, usual = names.taken_apart(named.use)
    model, what = _model(role, used, Config())
    return Meaning(model, what, {**usual, **named.settings, **given}, called, str(named.file))


def is_dotted(role: Role, name: str, config: Config | None = None) -> bool:
    """Whether a name, or one of several that vote, is a dotted path; it need not lead anywhere."""
    config = load() if config is None else config
    called = names.taken_apart(name)[0]
    if named := config.models.get((role, called)):
        called, config = names.taken_apart(named.use)[0], Config()
    scheme, colon, what = called.partition(":")
    if f"{scheme}:" == names.VOTE:
        return any(is_dotted(role, member.strip(), config) for member in what.split("|"))
    return bool(colon) and scheme not in {model.name for model in BUILTIN}


def _model(role: Role, called: str, config: Config, *, complete: bool = True) -> tuple[Model, str]:
    """The row a name belongs to, and what stands behind its colon."""
    rows = [model for model in (*BUILTIN, *_plugins(role)) if model.role == role]
    whole = any(model.name == called for model in rows)  # such as "darkroom:small"
    scheme, colon, what = (called, "", "") if whole else called.partition(":")
    model = next((model for model in rows if model.name == scheme), None)
    dotted = is_dotted(role, called, Config()) and ("." in scheme or not scheme or installed(scheme))
    if model is None and not dotted:
        own = [name for owner, name in config.models if owner == role]
        raise UnknownName(role, called, [*own, *(known.shown for known in rows), DOTTED_PATH])
    if model is None:
        return Model(role, called, f"{role} {called!r}", called), ""
    if colon and not model.form and any(row.name.startswith(f"{scheme}:") for row in rows):
        raise UnknownName(role, called, [row.shown for row in rows])
    if colon and not model.form:
        raise InputError(f"{role} {model.name!r} takes nothing behind a colon, got {what!r}")
    if model.form and not what and complete:
        raise InputError(f"{role} {called!r} is not complete; write {model.shown}")
    return model, what


def _resolve(role: Role, name: str, contract: type[Any], config: Config | None) -> Any:
    config = load() if config is None else config
    meaning = understood(role, name, config)
    _check_installed(meaning.model, meaning.name)
    try:
        built = _built(meaning, contract, config)
    except EditThinkerError:
        raise
    except Exception as error:  # a stranger's module or factory may raise anything
        raise InputError(f"{meaning.label} cannot be loaded: {type(error).__name__}: {error}") from error
    if not isinstance(built, contract):
        lack = _LACKS.get(contract.__name__, f"which is no {role}")
        raise InputError(f"{meaning.label} gives a {type(built).__name__}, {lack}")
    return built


def _check_installed(model: Model, name: str) -> None:
    if model.extra and not all(installed(module) for module in model.requires):
        raise MissingExtra(f"{model.role} {name!r}", model.extra)


def _built(meaning: Meaning, contract: type[Any], config: Config) -> Any:
    """Import the target; make it with its settings, call it if it is a factory, or take it as it is."""
    model, found = meaning.model, _import(meaning.model.target)
    if model.is_vote:
        return found.of(_members(meaning, contract, config), name=meaning.name)
    if settings := _settings_class(found):
        table = {**model.presets, **_prices(settings, meaning.what, config), **meaning.given}
        return found(meaning.what, settings.read(meaning.label, table), name=meaning.name)
    if meaning.given:
        raise InputError(f"{meaning.label} has no settings, got {next(iter(meaning.given))!r}")
    return found if isinstance(found, contract) and not isinstance(found, type) else found()


def _members(meaning: Meaning, contract: type[Any], config: Config) -> list[Any]:
    members = [name.strip() for name in meaning.what.split("|")]
    for name in members:
        if name in ("", "none") or understood(meaning.model.role, name, config).model.is_vote:
            raise InputError(f"{meaning.label}: {name or 'nothing'!r} cannot be one of several that vote")
    return [_resolve(meaning.model.role, name, contract, config) for name in members]


def _prices(settings: type[Settings], what: str, config: Config) -> dict[str, float]:
    """What the user says this model costs, as settings it has."""
    prices = config.prices.get(what) or config.prices.get(what.rpartition("/")[2]) or {}
    return {key: price for key, price in prices.items() if key in settings.model_fields}


def _settings_class(made_by: Any) -> type[Settings] | None:
    found = getattr(made_by, "Settings", None)
    return found if hasattr(found, "read") else None


def _import(target: str) -> Any:
    module, _, attributes = target.partition(":")
    return reduce(getattr, attributes.split("."), import_module(module))


def _plugins(role: Role) -> Iterator[Model]:
    """What other installed packages offer; a built-in of the same name wins."""
    taken = {model.name for model in BUILTIN if model.role == role}
    points: list[EntryPoint] = sorted(entry_points(group=f"editthinker.{role}s"))
    for point in points:
        if point.name not in taken:
            owner = point.dist.name if point.dist else "an installed package"
            yield Model(role, point.name, f"from {owner}", point.value)
