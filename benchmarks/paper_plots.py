"""Plots of the paper in miniature as SVG files that stand alone, in light and dark.

In: series, or bars with intervals. Out: files. The curves are drawn by the comparison page's own code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from editthinker.benchmarks.comparison import plot
from editthinker.benchmarks.intervals import Estimate
from editthinker.runs.markup import Html, element, joined

COLOURS = {
    "none": ("#7a7a7a", "#9a9a9a"),
    "untrained": ("#8a6d3b", "#c9a96a"),
    "sft": ("#3f6c9c", "#7fb0e6"),
    "sft-rl": ("#c23b1e", "#ff6a47"),
    "expert": ("#3d7a4a", "#7cc48b"),
    "best-of-n": ("#7a7a7a", "#9a9a9a"),
}
ROW = 22
LABEL, END, TOP = 250, 640, 30


def estimated(value: Mapping[str, Any]) -> Estimate:
    """An estimate that was written as JSON."""
    mean, low, high = (float(value[key]) for key in ("mean", "low", "high"))
    return Estimate(mean, low, high, int(value["n"]))


def write_curves(
    file: Path,
    series: Mapping[str, Sequence[tuple[float, Mapping[str, Any] | None]]],
    names: Mapping[str, str],
    across: str,
) -> bool:
    """Curves by the class of their colour, with their names. False when there is nothing to draw."""
    drawn = [
        plot.Series(names[kind], kind, [(x, estimated(value)) for x, value in points if value])
        for kind, points in series.items()
        if any(value for _, value in points)
    ]
    if not drawn:
        return False
    chart = plot.chart(drawn, across, "success %")
    inside = chart[chart.index(">") + 1 : -len("</svg>")]
    legend = [
        element(
            "g",
            element("rect", x=8 + 150 * place, y=4, width=14, height=4, fill="currentColor"),
            element("text", one.name, x=28 + 150 * place, y=11),
            class_=one.colour,
        )
        for place, one in enumerate(drawn)
    ]
    body = joined(*legend, element("g", Html(inside), transform=f"translate(0 {ROW})"))
    _write(file, body, plot.WIDTH, plot.HEIGHT + ROW, f"success over {across}")
    return True


def write_bars(file: Path, bars: Sequence[tuple[str, str, Mapping[str, Any] | None]]) -> bool:
    """A row for each (label, class of the colour, estimate in percent) with its interval, from 0 to 100."""
    if not any(value for _, _, value in bars):
        return False

    def at(percent: float) -> float:
        return round(LABEL + (END - LABEL) * percent / 100, 1)

    height = TOP + ROW * len(bars) + 8
    parts = []
    for tick in range(0, 101, 20):
        x = at(tick)
        parts += [
            element("line", x1=x, x2=x, y1=TOP - 8, y2=height - 6, class_="grid"),
            element("text", tick, x=x, y=16, text_anchor="middle"),
        ]
    for place, (label, kind, value) in enumerate(bars):
        y = TOP + ROW * place + 8
        parts.append(element("text", label, x=LABEL - 12, y=y + 4, text_anchor="end"))
        if not value:
            parts.append(element("text", "not trained", x=LABEL + 6, y=y + 4, class_="empty"))
            continue
        parts.append(
            element(
                "g",
                element(
                    "rect",
                    x=LABEL,
                    y=y - 5,
                    width=round(at(value["mean"]) - LABEL, 1),
                    height=10,
                    class_="bar",
                ),
                element("line", x1=at(value["low"]), x2=at(value["high"]), y1=y, y2=y, class_="whisker"),
                element("text", f"{value['mean']:.1f}", x=END + 10, y=y + 4),
                class_=kind,
            )
        )
    _write(file, joined(*parts), END + 60, height, "success in percent")
    return True


def _write(file: Path, body: Html, width: int, height: int, label: str) -> None:
    light, dark = (
        " ".join(f".{name}{{color:{pair[which]}}}" for name, pair in COLOURS.items()) for which in (0, 1)
    )
    style = (
        "text{fill:#666;font:12px system-ui,sans-serif} .grid,.axis{stroke:#999} .grid{opacity:.3}"
        " .band{fill:currentColor;opacity:.14} .curve{fill:none;stroke:currentColor;stroke-width:2.5}"
        " .dot{fill:currentColor} .bar{fill:currentColor;opacity:.35}"
        " .whisker{stroke:currentColor;stroke-width:3}"
        f" .empty{{font-style:italic}} {light}"
        f" @media (prefers-color-scheme:dark){{text{{fill:#aaa}} {dark}}}"
    )
    svg = element(
        "svg",
        element("style", Html(style)),
        body,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width} {height}",
        width=width,
        height=height,
        role="img",
        aria_label=label,
    )
    file.write_text(svg + "\n", encoding="utf-8")
