"""What was to be reached on the darkroom, against what was measured.

In: the results of experiments, as `paper.py` writes them. Out: a `Goal` each, and a sentence for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ENOUGH = 500
"""Samples a cell must have for its figure to count."""


@dataclass(frozen=True, slots=True)
class Goal:
    """A bar and the figure that has to reach it."""

    what: str
    bar: float
    unit: str
    found: Mapping[str, Any] | None
    """Mean, interval, n; None when it was not measured."""
    split: str = ""
    above: bool = False
    """Whether the whole interval must lie above the bar, not only the mean."""

    @property
    def reached(self) -> float | None:
        """What has to reach the bar."""
        return None if self.found is None else float(self.found["low" if self.above else "mean"])

    @property
    def met(self) -> bool:
        """Whether it is, on enough held-out samples."""
        return self.counts and self.reached is not None and self._enough(self.reached)

    @property
    def counts(self) -> bool:
        """Whether the figure is from enough held-out samples."""
        return self.found is not None and self.split == "test" and self.found["n"] >= ENOUGH

    def _enough(self, value: float) -> bool:
        return value > self.bar if self.above else value >= self.bar


def goals(results: Mapping[str, Any]) -> list[Goal]:
    """Every goal, measured or not."""

    def found(experiment: str, *path: str) -> tuple[Any, str]:
        value: Any = results.get(experiment, {}).get("figures")
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value, results.get(experiment, {}).get("split", "")

    def goal(what: str, bar: float, unit: str, *where: str) -> Goal:
        value, split = found(*where)
        return Goal(what, bar, unit, value, split)

    def at_equal_calls(editor: str) -> Goal:
        points, split = found("best-of-n", editor, "points")
        value = points[4]["difference"] if points else None
        what = f"refining (5 turns) beats best-of-n at equal editor calls, {editor} editor"
        return Goal(what, 0.0, "points", value, split, above=True)

    way, by_turn_2 = ("stages", "way_to_expert"), ("turns", "base", "sft-rl", "by_turn_2")
    return [
        goal("SFT+RL beats SFT, base editor", 3.0, "points", "stages", "gain", "base"),
        goal("SFT+RL beats SFT, mean of the three editors", 3.0, "points", "stages", "gain", "mean"),
        goal("SFT+RL on the way from single to expert, base editor", 60.0, "%", *way, "base"),
        goal("SFT+RL on the way from single to expert, three editors", 60.0, "%", *way, "mean"),
        goal("five-turn gain that is there by turn 2, base editor", 80.0, "%", *by_turn_2),
        at_equal_calls("base"),
        at_equal_calls("large"),
    ]


def told(goal: Goal) -> str:
    """One line: the figure, its interval, and whether it is met or by how much not."""
    bar = f"{'> ' if goal.above else '>= '}{goal.bar:g} {goal.unit}"
    if goal.found is None or goal.reached is None:
        return f"{goal.what} ({bar}): not measured"
    value = goal.found
    figure = f"{value['mean']:.1f} [{value['low']:.1f}, {value['high']:.1f}], n = {value['n']}"
    if goal.met:
        verdict = "met"
    elif goal._enough(goal.reached):
        verdict = f"would be met, but this is {goal.split}, n = {value['n']}"
    else:
        short = goal.bar - goal.reached
        of = "the interval's lower end is " if goal.above else ""
        verdict = f"not met: {of}{short:.1f} {goal.unit} short"
    return f"{goal.what} ({bar}): {figure}: {verdict}"
