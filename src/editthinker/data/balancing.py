"""As many steps of every task type and score level as there may be (paper section 4; figure 3).

In: steps, twice. Out: the same, in their order, with at most `per_cell` of every cell: a cell is a task type
and a score level, the overall score rounded to 0..10. With `total` the greatest such number is found for
which no more than `total` steps stay; with neither, a cell may hold what the cells hold on average. Which
steps of a full cell stay is drawn by hashing their names with the seed, so it does not depend on their order.
Held in memory: 8 bytes a step.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from editthinker.core.errors import InputError
from editthinker.data.records import StepRow
from editthinker.data.stage import Counts

Cell = tuple[str, int]


def cell_of(step: StepRow) -> Cell | None:
    """Task type and score level; None for a step without a score."""
    return (step.task, level(step.score.overall)) if step.score else None


def level(score: float) -> int:
    """0..10, halves up."""
    return int(score + 0.5)


def balanced(
    first: Iterator[StepRow],
    again: Callable[[], Iterator[StepRow]],
    counts: Counts,
    *,
    per_cell: int | None = None,
    total: int | None = None,
    seed: int = 0,
) -> Iterator[StepRow]:
    """The steps that stay. Raises `InputError` when both `per_cell` and `total` are given."""
    if per_cell is not None and total is not None:
        raise InputError("say either how many steps a cell may hold, or how many there may be in all")
    draws: dict[Cell, array[int]] = {}
    for step in first:
        if cell := cell_of(step):
            draws.setdefault(cell, array("Q")).append(_draw(step, seed))
    sizes = [len(drawn) for drawn in draws.values()]
    limit = -(-sum(sizes) // max(1, len(sizes))) if per_cell is None else per_cell
    limit = limit if total is None else fair_limit(sizes, total)
    counts.facts |= {"cells": len(draws), "per_cell": limit}
    last = {cell: _threshold(drawn, limit) for cell, drawn in draws.items()}
    draws.clear()
    given: Counter[Cell] = Counter()
    for step in again():
        cell = cell_of(step)
        if cell is None:
            counts.drop("unscored", step.own)
        elif _draw(step, seed) <= last[cell] and given[cell] < limit:
            given[cell] += 1
            yield step
        else:
            counts.drop("surplus", f"{step.task}, level {cell[1]}")


def fair_limit(sizes: Sequence[int], total: int) -> int:
    """The greatest c with sum(min(size, c)) <= total."""
    low, high = 0, max(sizes, default=0)
    while low < high:
        middle = (low + high + 1) // 2
        if sum(min(size, middle) for size in sizes) <= total:
            low = middle
        else:
            high = middle - 1
    return low


def _draw(step: StepRow, seed: int) -> int:
    digest = hashlib.blake2b(f"{seed}:{step.own}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def _threshold(drawn: array[int], limit: int) -> int:
    """The greatest draw that stays; -1 when none does."""
    import numpy as np

    if limit <= 0:
        return -1
    values = np.frombuffer(drawn, dtype=np.uint64)
    return int(np.partition(values, limit - 1)[limit - 1]) if limit < len(values) else int(values.max())
