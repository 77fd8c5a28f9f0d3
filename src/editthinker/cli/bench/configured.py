"""What `[bench.NAME]` in the configuration files says of a benchmark, where the command line does not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from editthinker.benchmarks.known import SUITES
from editthinker.config import Config, load
from editthinker.core.errors import InputError, UnknownName

Said = Mapping[str, tuple[Any, Path]]


def known(config: Config) -> Mapping[str, Said]:
    """The tables of `[bench]`. Raises `UnknownName` for one of a benchmark that does not exist."""
    for name in config.bench:
        if name not in SUITES:
            raise UnknownName("benchmark", name, list(SUITES))
    return config.bench


def usual(suite: str, key: str) -> Any:
    """What the files say; None when they do not. Raises `InputError` for what is wrong with them."""
    return known(load()).get(suite, {}).get(key, (None, None))[0]


def folder(suite: str, key: str, said: Path | None, what: str) -> Path:
    """The folder that was said, here or in a file. Raises `InputError` when nobody says one."""
    given = said or usual(suite, key)
    if given is None:
        raise InputError(
            f'say --{key} DIR, {what}; or write {key} = "DIR" under [bench.{suite}] in editthinker.toml'
        )
    return Path(given)


def judges(suite: str, said: list[str] | None) -> list[str]:
    """Who judges. Raises `InputError` when nobody says it."""
    given: list[str] | None = said or usual(suite, "judge")
    if not given:
        raise InputError(
            "say --judge NAME, the chat model that marks the images, such as chat:gpt-4o; or write"
            f' judge = "NAME" under [bench.{suite}] in editthinker.toml'
        )
    return given
