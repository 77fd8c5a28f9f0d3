"""Names in, objects out: the only place that knows what "darkroom" is.

A name is one of
- a name in `BUILTIN` below ("darkroom", "none"),
- an entry point in the group `editthinker.editors`, `.thinkers` or `.judges` of any installed package,
- a dotted path `pkg.module:factory`, where `factory()` returns the object (or is the object).

Nothing is imported before it is asked for, so that naming a model costs only that model's imports.
To add a built-in: one row in `BUILTIN`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from editthinker.core.errors import EditThinkerError, InputError, MissingExtra, UnknownName

if TYPE_CHECKING:
    from editthinker.core.contracts import Editor, Judge, Thinker
    from editthinker.core.types import Role


@dataclass(frozen=True, slots=True)
class Model:
    """A name that can be given as editor, thinker or judge."""

    role: Role
    name: str
    what: str
    """One phrase for a person."""
    target: str
    """`pkg.module:factory`; empty for "none", which stands for the absence of a thinker."""
    requires: tuple[str, ...] = ()
    """Top-level modules it imports beyond the core install."""
    extra: str = ""
    """The extra of this package that installs `requires`."""

    @property
    def needs(self) -> str:
        """What must be there before it works, for a person."""
        return f"pip install 'editthinker[{self.extra}]'" if self.extra else "nothing more"

    @property
    def available(self) -> bool:
        """Whether its modules are installed; nothing of it is loaded."""
        modules = (*self.requires, self.target.partition(":")[0]) if self.target else self.requires
        return all(_installed(module) for module in modules)


BUILTIN: tuple[Model, ...] = (
    Model(
        "editor",
        "darkroom",
        "small language-to-program editor for photographs; CPU, offline",
        "editthinker.darkroom.editor:DarkroomEditor.load",
    ),
    Model(
        "thinker",
        "darkroom",
        "small vision-language model that critiques photographs; CPU, offline",
        "editthinker.darkroom.thinker:DarkroomThinker.load",
    ),
    Model(
        "thinker",
        "darkroom-expert",
        "knows the target of darkroom cases; an upper bound for the bench",
        "editthinker.darkroom.thinker:ExpertThinker",
    ),
    Model("thinker", "none", "nobody looks at the result: one edit, delivered as it comes", ""),
    Model(
        "judge",
        "darkroom",
        "exact image-level judge; scores darkroom cases, whose target is known",
        "editthinker.darkroom.judge:DarkroomJudge",
    ),
)

DOTTED_PATH = "any 'pkg.module:factory'"


def resolve_editor(name: str) -> Editor:
    """Build the editor called `name`. Raises `UnknownName`, `MissingExtra` or `InputError`."""
    from editthinker.core.contracts import Editor

    editor: Editor = _resolve("editor", name, Editor)
    return editor


def resolve_thinker(name: str) -> Thinker | None:
    """Build the thinker called `name`; None for "none". Raises as `resolve_editor` does."""
    from editthinker.core.contracts import Thinker

    return None if name == "none" else _resolve("thinker", name, Thinker)


def resolve_judge(name: str) -> Judge:
    """Build the judge called `name`. Raises as `resolve_editor` does."""
    from editthinker.core.contracts import Judge

    judge: Judge = _resolve("judge", name, Judge)
    return judge


def known_models() -> tuple[Model, ...]:
    """Everything that can be named here, built-in first; nothing is loaded."""
    return (*BUILTIN, *(model for role in ("editor", "thinker", "judge") for model in _plugins(role)))


def _resolve(role: Role, name: str, contract: type[Any]) -> Any:
    models = [model for model in known_models() if model.role == role]
    model = next((model for model in models if model.name == name), None)
    if model is None and ":" not in name:
        raise UnknownName(role, name, [*(known.name for known in models), DOTTED_PATH])
    if model is None:
        model = Model(role, name, f"{role} {name!r}", name)
    if model.extra and not all(_installed(module) for module in model.requires):
        raise MissingExtra(f"{role} {name!r}", model.extra)
    return _build(model, contract)


def _build(model: Model, contract: type[Any]) -> Any:
    """Import `model.target`, call it if it is a factory, and check that the contract's verbs are there."""
    label = f"{model.role} {model.name!r}"
    try:
        found = _import(model.target)
        built = found if isinstance(found, contract) and not isinstance(found, type) else found()
    except EditThinkerError:
        raise
    except Exception as error:  # a stranger's module or factory may raise anything
        raise InputError(f"{label} cannot be loaded: {type(error).__name__}: {error}") from error
    if not isinstance(built, contract):
        raise InputError(f"{label} gives a {type(built).__name__}, which is no {model.role}")
    return built


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


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # a parent package is missing
        return False
