"""Preservation figures of a run: measured after judging, told of while it lasts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from editthinker.benchmarks import kept
from editthinker.benchmarks.evaluation import Edited
from editthinker.cli.run_progress import LINE_SECONDS
from editthinker.cli.terminal import say

MOST_TOLD = 5


def measure(run: Path, images: Sequence[Edited], *, quiet: bool) -> None:
    """Measure what was delivered and not measured before. Raises `StoreError`."""
    told = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal told
        if not quiet and time.monotonic() - told >= LINE_SECONDS:
            told = time.monotonic()
            say(f"preservation: {done} of {total} images measured; --no-preservation does without")

    made = kept.measure(run, images, done=tell)
    for case, problem in list(made.problems.items())[:MOST_TOLD]:
        say(f"{case}: preservation is not known: {problem}")
