"""Small drawings for a page: curves with interval bands, and bars of paired differences, as inline SVG.

In: estimates. Out: `Html` without style attributes or scripts; colours are the page's, by class.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from editthinker.benchmarks.intervals import Estimate
from editthinker.runs.markup import Html, element

WIDTH: Final = 560
HEIGHT: Final = 330
LEFT, RIGHT, TOP, BOTTOM = 54, 16, 18, 46
BAR: Final = 220
TICKS: Final = 5
_STEPS: Final = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True, slots=True)
class Series:
    """One curve: x and an estimate for each point, from left to right."""

    name: str
    colour: str
    """Class of the page's style."""
    points: Sequence[tuple[float, Estimate]]
    bound: Estimate | None = None
    """What no point can pass; a dotted line."""


def chart(series: Sequence[Series], across: str, up: str) -> Html:
    """Curves with their 95 % bands; `across` and `up` name the axes."""
    drawn = [one for one in series if any(_finite(value) for _, value in one.points)]
    xs = [x for one in drawn for x, _ in one.points] or [0.0, 1.0]
    values = [value for one in drawn for _, value in one.points if _finite(value)]
    bounds = [one.bound.mean for one in drawn if one.bound and math.isfinite(one.bound.mean)]
    ys = [edge for value in values for edge in (value.low, value.high)] + bounds or [0.0, 1.0]
    frame = _Frame(_padded(0.0 if min(xs) > 0 else min(xs), max(xs), 0.06), _padded(min(ys), max(ys), 0.08))
    return element(
        "svg",
        *frame.axes(across, up),
        *(_curve(one, frame) for one in drawn),
        class_="chart",
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_label=f"{up} over {across}",
    )


def difference(value: Estimate, most: float) -> Html | None:
    """An interval around zero, on a scale that ends at `most` on both sides."""
    if not _finite(value):
        return None
    half, centre = BAR / 2 - 4, BAR / 2

    def at(number: float) -> float:
        return centre + half * max(-1.0, min(1.0, number / most if most else 0.0))

    kind = "up" if value.low > 0 else "down" if value.high < 0 else "even"
    return element(
        "svg",
        element("line", x1=centre, x2=centre, y1=0, y2=18, class_="zero"),
        _line(at(value.low), 9, at(value.high), 9, f"whisker {kind}"),
        element("circle", cx=_round(at(value.mean)), cy=9, r=4, class_=f"dot {kind}"),
        class_="forest",
        viewBox=f"0 0 {BAR} 18",
        aria_hidden="true",
    )


def shares(better: int, ties: int, worse: int) -> Html:
    """Wins, ties and losses as one bar."""
    whole, parts, at = max(1, better + ties + worse), [], 0.0
    for count, kind in ((better, "up"), (ties, "even"), (worse, "down")):
        width = 120 * count / whole
        parts.append(
            element("rect", x=_round(at), y=0, width=_round(width), height=10, class_=f"share {kind}")
        )
        at += width
    return element(
        "svg",
        *parts,
        class_="shares",
        viewBox="0 0 120 10",
        preserveAspectRatio="none",
        aria_hidden="true",
    )


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where values lie in the drawing."""

    x: tuple[float, float]
    y: tuple[float, float]

    def across(self, value: float) -> float:
        low, high = self.x
        return LEFT + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    def up(self, value: float) -> float:
        low, high = self.y
        return HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    def axes(self, across: str, up: str) -> list[Html]:
        """Grid, ticks and names."""
        bottom, parts = HEIGHT - BOTTOM, []
        for tick in _ticks(*self.y):
            y = self.up(tick)
            parts += [_line(LEFT, y, WIDTH - RIGHT, y, "grid"), _text(LEFT - 8, y + 4, f"{tick:g}", "end")]
        for tick in _ticks(*self.x):
            parts.append(_text(self.across(tick), bottom + 18, f"{tick:g}", "middle"))
        parts.append(_line(LEFT, bottom, WIDTH - RIGHT, bottom, "axis"))
        middle = (LEFT + WIDTH - RIGHT) / 2
        return [*parts, _text(middle, HEIGHT - 8, across, "middle"), _text(LEFT, TOP - 6, up, "start")]


def _curve(one: Series, frame: _Frame) -> Html:
    points = [(x, value) for x, value in one.points if _finite(value)]
    upper = [(frame.across(x), frame.up(value.high)) for x, value in points]
    lower = [(frame.across(x), frame.up(value.low)) for x, value in points]
    middle = [(frame.across(x), frame.up(value.mean)) for x, value in points]
    if len(points) > 1:
        band = element("polygon", points=_path([*upper, *reversed(lower)]), class_="band")
        line = element("polyline", points=_path(middle), class_="curve")
    else:
        band, line = _line(*upper[0], *lower[0], "whisker"), Html("")
    bound = None
    if one.bound and math.isfinite(one.bound.mean):
        y = frame.up(one.bound.mean)
        bound = _line(LEFT, y, WIDTH - RIGHT, y, "bound")
    dots = (
        element(
            "circle",
            element("title", _told(one.name, x, value)),
            cx=_round(a),
            cy=_round(b),
            r=4,
            class_="dot",
        )
        for (x, value), (a, b) in zip(points, middle, strict=True)
    )
    return element("g", band, bound, line, *dots, class_=one.colour)


def _told(name: str, x: float, value: Estimate) -> str:
    return f"{name}: {value.mean:.3f} [{value.low:.3f}, {value.high:.3f}] at {x:.2f}"


def _finite(value: Estimate) -> bool:
    return math.isfinite(value.low + value.mean + value.high)


def _padded(low: float, high: float, share: float) -> tuple[float, float]:
    room = (high - low or abs(high) or 1.0) * share
    return low - (room if low else 0), high + room


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers in a range, about five."""
    raw = (high - low) / TICKS
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(step * power for step in _STEPS if step * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(number * step, 10) for number in range(first, math.floor(high / step + 1e-9) + 1)]


def _path(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Html:
    places = {"x1": _round(x1), "y1": _round(y1), "x2": _round(x2), "y2": _round(y2)}
    return element("line", class_=kind, **places)


def _text(x: float, y: float, words: str, anchor: str) -> Html:
    return element("text", words, x=_round(x), y=_round(y), text_anchor=anchor)


def _round(value: float) -> float:
    return round(value, 1)
