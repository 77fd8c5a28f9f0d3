"""What `bench score` and `bench compare` stand on: a judged run folder, or a report of the darkroom bench.

In: a path. Out: a `Measured`, which makes tables and asks nobody. Both kinds are used alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from editthinker.benchmarks.course import Course, Point
from editthinker.benchmarks.darkroom_table import FILE, Reported
from editthinker.benchmarks.judged import About
from editthinker.benchmarks.scoring import Scoring
from editthinker.benchmarks.suite import Case
from editthinker.benchmarks.table import Rules, Table


class Measured(Protocol):
    """One configuration on one benchmark, judged."""

    @property
    def judge(self) -> str:
        """As it was asked for."""
        ...

    @property
    def about(self) -> About:
        """Which benchmark, which options, which prompts."""
        ...

    @property
    def cases(self) -> Sequence[Case]:
        """In the order of the data, without their images."""
        ...

    @property
    def courses(self) -> Mapping[str, Course]:
        """Case to how its turns went, where every turn was judged."""
        ...

    def table(self, rules: Rules) -> Table:
        """Of what was delivered."""
        ...

    def turns(self, rules: Rules) -> list[Table]:
        """Of the images of every turn; empty if they were not judged."""
        ...

    def points(self, rules: Rules) -> list[Point]:
        """What would have been delivered after each number of turns; empty if they were not judged."""
        ...


def measured(place: Path, judge: str = "") -> Measured:
    """What lies there. Raises `InputError` or `StoreError`."""
    report = place if place.is_file() else place / FILE
    return Reported.of(report) if report.is_file() else Scoring.of(place, judge)


def described(one: Measured) -> dict[str, Any]:
    """What was measured, as JSON values."""
    about = one.about
    return {
        "benchmark": about.benchmark,
        "options": dict(about.options),
        "judge": one.judge,
        "samples": len(one.cases),
        "of": about.cases,
        "prompts": {
            "origin": about.origin or "ours",
            "sha256": about.prompts,
            "differences": list(about.differences),
        },
    }
