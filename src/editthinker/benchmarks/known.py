"""The benchmarks by name. To add one: a row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from importlib import import_module
from typing import Any, Final, cast

from editthinker.benchmarks.suite import Benchmark
from editthinker.core.errors import UnknownName

SUITES: Final = {
    "imgedit": "ImgEdit",
    "uge": "Uge",
    "gedit": "GEdit",
    "rise": "Rise",
    "kris": "Kris",
    "uniredit": "UniREdit",
}
"""Name, which is also that of its module, and class."""


def benchmark_named(name: str, options: Mapping[str, Any] | None = None) -> Benchmark:
    """The benchmark of this name with these options. Raises `UnknownName`."""
    if name not in SUITES:
        raise UnknownName("benchmark", name, list(SUITES))
    made = getattr(import_module(f"editthinker.benchmarks.{name}"), SUITES[name])
    return cast(Benchmark, made(**(options or {})))


def options_of(benchmark: Benchmark) -> dict[str, Any]:
    """What makes it this one: its fields but those that every benchmark has."""
    made = cast(Any, benchmark)
    return {one.name: getattr(made, one.name) for one in fields(made) if one.name not in ("name", "lowest")}
