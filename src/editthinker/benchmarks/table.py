"""Figures of a benchmark: one line for all samples and one per category, with what could not be counted.

In: cases with their values and how each stands. Out: a `Table` with 95 % intervals, which also keeps every
sample's values, so that two tables can be compared sample by sample.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

from editthinker.benchmarks.intervals import Estimate, estimate

Rules = Literal["strict", "official", "paper"]
RULES: tuple[Rules, ...] = ("strict", "official", "paper")

State = Literal["scored", "missing", "unparsed", "refused", "unanswered"]
"""missing: no edited image; unparsed: no usable reply; refused: the judge declined; unanswered: no reply."""
STATES: tuple[State, ...] = ("scored", "missing", "unparsed", "refused", "unanswered")

Over = Literal["samples", "categories"]
"""What a line's mean runs over: its samples, or the means of its categories (macro)."""


@dataclass(frozen=True, slots=True)
class Scored:
    """One case in a table."""

    case: str
    category: str
    state: State
    lines: tuple[str, ...]
    """Names of the lines it stands in."""
    values: Mapping[str, float] = field(default_factory=dict)
    """Figure -> value on the scale that is printed; a figure that is not here has none for this case."""
    weight: float = 1.0
    """How much it counts where a mean runs over samples."""


class Figures(Mapping[str, Estimate]):
    """The figures of a line. Each is counted when it is first asked for: of most tables only one ever is."""

    def __init__(self, names: Sequence[str], count: Callable[[str], Estimate]) -> None:
        self._names, self._count = names, count
        self._counted: dict[str, Estimate] = {}

    def __getitem__(self, name: str) -> Estimate:
        if name not in self._counted:
            if name not in self._names:
                raise KeyError(name)
            self._counted[name] = self._count(name)
        return self._counted[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a table."""

    name: str
    over: Over
    figures: Mapping[str, Estimate]
    """The printed value, its 95 % interval, and how many samples are in it."""
    n: int
    """Samples that belong here, counted or not."""
    missing: int = 0
    unparsed: int = 0
    refused: int = 0
    unanswered: int = 0


@dataclass(frozen=True, slots=True)
class Table:
    """The figures of one configuration under one set of rules."""

    benchmark: str
    rules: Rules
    headline: tuple[str, str]
    """Line and figure that are quoted when only one number is."""
    lines: tuple[Line, ...]
    scored: tuple[Scored, ...]
    flags: tuple[str, ...] = ()
    """What a reader must know: crashes and guesses of the official code, prompts that differ, ..."""
    comparable: bool = True
    """Whether it may stand beside published figures; false with our own prompts, see `stamped`."""
    judge: str = ""
    """Models that gave the replies."""
    per_sample: Mapping[str, float] = field(default_factory=dict)
    """Editor, thinker and judge calls per sample, as far as known; filled by who ran it."""

    def line(self, name: str) -> Line | None:
        """The line of this name."""
        return next((line for line in self.lines if line.name == name), None)

    @property
    def value(self) -> Estimate:
        """The headline figure."""
        line = self.line(self.headline[0])
        return line.figures[self.headline[1]] if line else estimate(())

    def as_json(self) -> dict[str, Any]:
        """Everything as JSON values; what is not a number is null."""
        return {
            "benchmark": self.benchmark,
            "rules": self.rules,
            "headline": {"line": self.headline[0], "figure": self.headline[1], **self.value.as_json()},
            "comparable": self.comparable,
            "judge": self.judge,
            "per_sample": dict(self.per_sample),
            "flags": list(self.flags),
            "lines": [
                {
                    "name": line.name,
                    "over": line.over,
                    "n": line.n,
                    **{state: getattr(line, state) for state in STATES[1:]},
                    "figures": {name: figure.as_json() for name, figure in line.figures.items()},
                }
                for line in self.lines
            ],
            "samples": [
                {"case": one.case, "category": one.category, "state": one.state, **one.values}
                for one in self.scored
            ],
        }


def tabulate(
    scored: Sequence[Scored],
    layout: Sequence[tuple[str, Over]],
    figures: Sequence[str],
    exact: Mapping[tuple[str, str], float] | None = None,
) -> tuple[Line, ...]:
    """The lines of a layout (name, what its mean runs over), each with every figure.

    `exact` gives the printed value of (line, figure) where it is no plain mean (rounded on the way, NaN).
    """
    belonging = members_of(scored, [name for name, _ in layout])
    lines = []
    for name, over in layout:
        members = belonging[name]
        means = {figure: mean for (line, figure), mean in (exact or {}).items() if line == name}
        states = [one.state for one in members]
        counts = {state: states.count(state) for state in STATES[1:]}
        made = Figures(figures, partial(_figure, members, over, means))
        lines.append(Line(name, over, made, len(members), **counts))
    return tuple(lines)


def members_of(scored: Iterable[Scored], lines: Iterable[str]) -> dict[str, list[Scored]]:
    """The cases of each of these lines."""
    members: dict[str, list[Scored]] = {name: [] for name in lines}
    for one in scored:
        for name in members.keys() & one.lines:
            members[name].append(one)
    return members


def _figure(members: Sequence[Scored], over: Over, means: Mapping[str, float], figure: str) -> Estimate:
    """One figure; a given mean stands in place of its own."""
    value = figure_of(members, figure, over)
    return replace(value, mean=means.get(figure, value.mean))


def figure_of(members: Sequence[Scored], figure: str, over: Over) -> Estimate:
    """Mean and interval of one figure over the cases that have it."""
    having = [one for one in members if figure in one.values]
    values = [one.values[figure] for one in having]
    if over == "categories":
        return estimate(values, groups=[one.category for one in having])
    weights = [one.weight for one in having]
    return estimate(values, weights=None if set(weights) <= {1.0} else weights)
