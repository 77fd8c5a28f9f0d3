"""Where a named model works, and its name for a machine that has none of the user's files. Nothing is built.

In: a role and a name. Out: whether its work is done in the process that builds it, whether it wants a GPU for
that, and the name written out. An ensemble is where its members are.
"""

from __future__ import annotations

from editthinker.config import Config, load
from editthinker.core import names
from editthinker.core.errors import InputError
from editthinker.core.types import Role
from editthinker.resolve import _import, _settings_class, understood


def runs_here(role: Role, name: str, config: Config | None = None) -> bool:
    """Whether the process that builds it does its work; else it is called over a network, or is a person."""
    from editthinker.wire.connection import Connection

    config = load() if config is None else config
    if members := _members(role, name, config):
        return any(runs_here(role, member, config) for member in members)
    meaning = understood(role, name, config)
    model = meaning.model
    if model.attended or not model.target:
        return False
    if model.name == model.target:  # a dotted path: a stranger's module is loaded where it works
        return True
    try:
        settings = _settings_class(_import(model.target))
    except ImportError:  # a plugin that needs what only the other machines have
        return True
    if settings is None or not issubclass(settings, Connection):
        return True
    return "base_url" not in meaning.given and model.may_run_here


def wants_gpu(role: Role, name: str, config: Config | None = None) -> bool:
    """Whether it is built on torch, as far as that is known without loading it."""
    config = load() if config is None else config
    if members := _members(role, name, config):
        return any(wants_gpu(role, member, config) for member in members)
    model = understood(role, name, config).model
    return "torch" in model.requires or model.may_run_here


def spelled_out(role: Role, name: str, config: Config | None = None) -> str:
    """The name as it means the same everywhere. Raises `InputError` for a key that stands in it."""
    config = load() if config is None else config
    if members := _members(role, name, config):
        return names.VOTE + "|".join(spelled_out(role, member, config) for member in members)
    meaning = understood(role, name, config)
    for key, value in meaning.given.items():
        if names.is_literal_secret(key, value):
            raise InputError(f"{meaning.label} has its key in {key!r}; other machines get env:NAME only")
    return meaning.spelled


def _members(role: Role, name: str, config: Config) -> list[str]:
    meaning = understood(role, name, config)
    return [member.strip() for member in meaning.what.split("|")] if meaning.model.is_vote else []
