"""The tables and curves of a comparison's page, from the paired differences to the small print.

In: an `Against`. Out: `Html`, a section each.
"""

from __future__ import annotations

from collections.abc import Sequence

from editthinker.benchmarks import kept
from editthinker.benchmarks.against import Against, Budget, Side, by_calls
from editthinker.benchmarks.compare import Comparison, Difference
from editthinker.benchmarks.comparison import plot
from editthinker.benchmarks.comparison.words import COLOURS, interval, kind_of, name, number
from editthinker.runs.markup import Html, element, joined, text

GOOD = "better / ties / worse"

# --- where ---


def where(comparison: Comparison, shown: Against) -> Html:
    line, figure = comparison.headline
    lines = [one for one in comparison.differences if one.figure == figure]
    others = [one for one in comparison.differences if one.line == line and one.figure != figure]
    return element(
        "section",
        element("h2", "Where"),
        _table(lines, figure, shown, by="line"),
        joined(element("h3", f"Other figures of {line}"), _table(others, "figure", shown, by="figure"))
        if others
        else None,
        element(
            "p",
            "Bars: the paired difference with its 95 % bootstrap interval; the line is zero.",
            class_="note",
        ),
    )


def _table(rows: Sequence[Difference], head: str, shown: Against, *, by: str, good: str = GOOD) -> Html:
    """`by`: what tells the rows apart; with another word than `GOOD` for more, nothing is coloured."""
    scales: dict[str, float] = {}
    for row in rows:
        edges = [abs(edge) for edge in (row.difference.low, row.difference.high) if edge == edge]
        scale = row.figure if by == "figure" else ""
        scales[scale] = max([scales.get(scale, 0.0), *edges])
    return element(
        "div",
        element(
            "table",
            element(
                "thead",
                element(
                    "tr",
                    element("th", head),
                    element("th", name(shown.first, 0), class_="figure"),
                    element("th", name(shown.second, 1), class_="figure"),
                    element("th", "difference", class_="figure"),
                    element("th"),
                    element("th", "n", class_="figure"),
                    element("th", good),
                ),
            ),
            element("tbody", *(_row(row, scales[row.figure if by == "figure" else ""], by) for row in rows)),
        ),
        class_="wide" if good == GOOD else "wide colourless",
    )


def _row(row: Difference, most: float, by: str) -> Html:
    return element(
        "tr",
        element("td", row.line if by == "line" else row.figure),
        element("td", number(row.first.mean), class_="figure"),
        element("td", number(row.second.mean), class_="figure"),
        element(
            "td", f"{row.difference.mean:+.3f} {interval(row.difference)}", class_=f"figure {kind_of(row)}"
        ),
        element("td", plot.difference(row.difference, most), class_="bars"),
        element("td", row.difference.n, class_="figure"),
        element(
            "td",
            plot.shares(row.better, row.ties, row.worse),
            element("span", f"{row.better} / {row.ties} / {row.worse}", class_="figure"),
            class_="counts",
        ),
    )


# --- at what price ---


def price(shown: Against) -> Html:
    sides, figure = (shown.first, shown.second), shown.comparison.headline[1]
    over_calls = [
        plot.Series(side.name, colour, by_calls(side), side.best)
        for side, colour in zip(sides, COLOURS, strict=True)
    ]
    over_turns = [
        plot.Series(side.name, colour, [(point.turns, point.table.value) for point in side.points], side.best)
        for side, colour in zip(sides, COLOURS, strict=True)
    ]
    drawn = (
        [_figure(over_calls, "editor calls per sample", figure)] if any(s.points for s in over_calls) else []
    )
    drawn += [_figure(over_turns, "turns", figure)] if any(s.points for s in over_turns) else []
    return element(
        "section",
        element("h2", "At what price"),
        element("div", *drawn, class_="charts") if drawn else None,
        element(
            "p",
            "What would have been delivered, had every sample ended after so many turns. Bands: 95 %."
            " Dotted: the best turn of each sample by the judge itself; no choice among these"
            " turns reaches more.",
            class_="note",
        )
        if any(side.points for side in sides)
        else element("p", "Not every turn was judged (--every-turn), so there are no curves.", class_="note"),
        element("h3", "At equal editor calls"),
        element("p", shown.budget),
        element("ul", *(element("li", _budget(one)) for one in shown.budgets), class_="budgets")
        if shown.budgets
        else None,
        *(_chosen(side, place) for place, side in enumerate(sides)),
    )


def _figure(series: Sequence[plot.Series], across: str, up: str) -> Html:
    names = (element("li", one.name, class_=one.colour) for one in series)
    return element("figure", element("ul", *names, class_="legend"), plot.chart(series, across, up))


def _budget(one: Budget) -> Html:
    line, figure = one.comparison.headline
    gain = one.comparison.of(line, figure)
    turns = "1 turn" if one.turns == 1 else f"{one.turns} turns"
    told = f"{gain.difference.mean:+.3f} {interval(gain.difference)}" if gain else "unknown"
    return joined(
        f"{one.dearer} ended after {turns} ({one.calls[0]:.2f} against {one.calls[1]:.2f} calls): ",
        element("span", told, class_=f"figure {kind_of(gain) if gain else ''}"),
    )


def _chosen(side: Side, place: int) -> Html | None:
    if not side.chosen:
        return None
    counts = (
        f"{'source' if turn == 0 else f'turn {turn}'}: {number:,}" for turn, number in side.chosen.items()
    )
    return element("p", name(side, place), " delivered ", ", ".join(counts), class_="note")


# --- further tables ---


def other_rules(found: Sequence[Against]) -> Html | None:
    if not found:
        return None
    gains = [(one, one.comparison.of(*one.comparison.headline)) for one in found]
    told = (
        element("li", f"{one.comparison.rules}: ", _gained(gain, one.comparison))
        for one, gain in gains
        if gain
    )
    return element("section", element("h2", "Under other rules"), element("ul", *told))


def _gained(gain: Difference, comparison: Comparison) -> Html:
    words = f"{gain.difference.mean:+.3f} {interval(gain.difference)}"
    line, figure = comparison.headline
    return joined(f"{figure} of {line} ", element("span", words, class_=f"figure {kind_of(gain)}"))


def pixels(pixels: Comparison, shown: Against) -> Html:
    line, _ = pixels.headline
    rows = [one for one in pixels.differences if one.line == line]
    return element(
        "section",
        element("h2", "What was left as it was"),
        element("p", kept.MEANINGS, class_="note"),
        _table(rows, line, shown, by="figure", good="higher / alike / lower"),
        element("ul", *(element("li", text(flag, 600)) for flag in pixels.flags), class_="notes"),
    )
