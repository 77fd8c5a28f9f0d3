"""How many workers each model gets, and what each of them may use; arithmetic only.

In: what was asked for, which models want a GPU, what the cluster has. Out: a `Share` for each model. Of GPUs
each worker gets a whole one, as long as there are enough. Workers without one share the CPUs but one, which
the driver needs: there are as many of each model as there are CPUs, each with its part of one, because a CPU
that belonged to one model would idle whenever that model is not the one that is waited for.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from editthinker.core.errors import InputError
from editthinker.core.types import Role

ROLES: tuple[Role, ...] = get_args(Role)


@dataclass(frozen=True, slots=True)
class Node:
    """A machine of the cluster."""

    cpus: float
    gpus: float = 0.0


@dataclass(frozen=True, slots=True)
class Share:
    """Of one model."""

    workers: int
    cpus: float
    """Of each worker, as Ray counts them."""
    gpus: float = 0.0
    threads: int = 1
    """That its numerical libraries may use."""

    @property
    def told(self) -> str:
        """What one worker needs, for a person."""
        return f"{self.gpus:g} GPU" if self.gpus else f"{self.cpus:g} CPU"


@dataclass(frozen=True, slots=True)
class Asked:
    """What was said of workers: `auto`, a number for every role, or `ROLE=N,...`, the rest auto."""

    workers: Mapping[Role, int]
    gpus: Mapping[Role, float]

    @classmethod
    def read(cls, workers: str = "auto", gpus: str = "auto") -> Asked:
        """From the command line. Raises `InputError`."""
        counts = _numbers("--workers", workers)
        for number in counts.values():
            if number != int(number) or number < 1:
                raise InputError(f"--workers takes whole numbers of at least 1, not {number:g}")
        return cls({role: int(number) for role, number in counts.items()}, _numbers("--gpus", gpus))

    def tickets(self, roles: Sequence[Role]) -> int | None:
        """CPUs that a cluster of our own must say it has for what was asked; None: what it has will do."""
        wanted = 1 + sum(self.workers.get(role, 0) for role in roles)
        return wanted if wanted > (os.cpu_count() or 1) else None


def _numbers(option: str, text: str) -> dict[Role, float]:
    if text.strip() == "auto":
        return {}
    said = text if "=" in text else ",".join(f"{role}={text}" for role in ROLES)
    found: dict[Role, float] = {}
    for part in said.split(","):
        role, _, number = part.strip().partition("=")
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        if role not in ROLES or not 0 <= value < math.inf:
            raise InputError(
                f"{option} takes auto, a number, or ROLE=NUMBER,... such as editor=4; not {text!r}"
            )
        found[role] = value
    return found


def shares(models: Sequence[tuple[Role, bool]], asked: Asked, nodes: Sequence[Node]) -> list[Share]:
    """A share for each model, told by its role and whether it wants a GPU, in the same order."""
    gpus, cpus = sum(node.gpus for node in nodes), sum(node.cpus for node in nodes)
    wanted = [asked.gpus.get(role, 1.0 if wants and gpus else 0.0) for role, wants in models]
    on_gpus = [place for place, number in enumerate(wanted) if number]
    on_cpus = [place for place, number in enumerate(wanted) if not number]
    found: dict[int, Share] = {}
    for order, place in enumerate(on_gpus):
        role, each = models[place][0], wanted[place]
        if gpus < len(on_gpus):  # too few for a whole one each
            mine = gpus / len(on_gpus)
            each = each if role in asked.gpus else _floored(mine)
        else:
            mine = gpus // len(on_gpus) + (order < gpus % len(on_gpus))
        count = asked.workers.get(role) or max(1, int(mine / each + 1e-9))
        found[place] = Share(count, 0.0, each, max(1, int(cpus / max(gpus, 1) * each)))
    free = max(1, int(cpus) - 1)
    for place in on_cpus:
        role, heavy = models[place]
        number = asked.workers.get(role)
        each = 1.0 if number else _floored(1 / len(on_cpus))
        if number is None and heavy:  # one for each machine: several would fill its memory
            threads = max(1, int(free / len(nodes) / len(on_cpus)))
            found[place] = Share(len(nodes), each, 0.0, threads)
        else:
            found[place] = Share(number or free, each)
    return [found[place] for place in range(len(models))]


def _floored(number: float) -> float:
    """To what Ray counts in."""
    return math.floor(number * 10_000) / 10_000
