"""Names and numbers as the page of a comparison writes them."""

from __future__ import annotations

from editthinker.benchmarks.against import Side
from editthinker.benchmarks.compare import Difference
from editthinker.benchmarks.intervals import Estimate
from editthinker.runs.markup import Html, element, text

COLOURS = ("one", "two")
"""Classes of the first and of the second run."""


def name(side: Side, place: int) -> Html:
    """The run's name in its colour."""
    return element("span", text(side.name, 80), class_=f"name {COLOURS[place]}")


def kind_of(gain: Difference) -> str:
    """Class of a difference: whether it is sure, and which way."""
    return "up" if gain.difference.low > 0 else "down" if gain.difference.high < 0 else "even"


def interval(value: Estimate) -> str:
    return f"[{value.low:.3f}, {value.high:.3f}]" if value.n else ""


def number(value: float | None) -> str:
    return "–" if value is None or value != value else f"{value:.3f}"
