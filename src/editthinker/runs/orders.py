"""Who works on a run, and how it is done: what is the same for all of its samples."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from editthinker.core.contracts import Comparer, Editor, Judge, Priced, Thinker
from editthinker.core.limits import Limits
from editthinker.core.method import Method
from editthinker.core.types import Role
from editthinker.runs.doors import Budget

SEEDS = 2**31 - 2**20
"""Seeds begin below this; turns and candidates count on from there, and servers take 31 bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crew:
    """Who works, on every sample alike."""

    editor: Editor
    thinker: Thinker | None
    judge: Judge | None = None
    comparer: Comparer | None = None
    alternates: Sequence[Editor] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """How a run is done."""

    method: Method = field(default_factory=Method)
    limits: Limits = field(default_factory=Limits)
    """Of each sample."""
    seed: int = 0
    budget: Budget = field(default_factory=Budget)
    """Of all together."""
    samples: int | None = None
    """In flight at a time; None: as many as keep the models busy."""
    fail_fast: bool = False
    retry_failed: bool = False
    out: Path | None = None
    """Where delivered images go, named by their samples."""


def seed_of(seed: int, name: str) -> int:
    """The seed of a sample: from the run's and its own name, not from when it comes."""
    digest = hashlib.sha256(f"{seed}\n{name}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8]) % SEEDS


def capacities(crew: Crew) -> dict[Role, Callable[[], int]]:
    """How many calls at a time, as far as a model knows (`capacity`, as pools have it)."""
    models: dict[Role, object] = {"editor": crew.editor, "thinker": crew.thinker, "judge": crew.judge}
    return {
        role: partial(getattr, model, "capacity")
        for role, model in models.items()
        if hasattr(model, "capacity")
    }


def prices(crew: Crew) -> dict[Role, float]:
    models: dict[Role, object] = {"thinker": crew.thinker, "judge": crew.judge or crew.comparer}
    known = {role: model.price for role, model in models.items() if isinstance(model, Priced)}
    known["editor"] = crew.editor.info.price
    return {role: price for role, price in known.items() if price}
