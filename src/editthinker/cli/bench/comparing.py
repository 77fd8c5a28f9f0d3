"""`bench compare`: two runs as text, Markdown, JSON, and one HTML page."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from editthinker.benchmarks.against import Against, Budget, Side, against
from editthinker.benchmarks.compare import Comparison, as_json, compare
from editthinker.benchmarks.kept import MEANINGS
from editthinker.benchmarks.measured import Measured, measured
from editthinker.benchmarks.table import STATES, Rules
from editthinker.cli.bench import tables
from editthinker.cli.bench.tables import calls_of, columns, line_of, rules_of, value
from editthinker.cli.terminal import say

HEAD = ("line", "figure", "first", "second", "difference", "n", "better", "ties", "worse", "sure")

PIXELS = tuple({"better": "higher", "worse": "lower"}.get(word, word) for word in HEAD)
"""On pixels more is not always better."""


def print_comparison(
    places: tuple[Path, Path],
    rules: str,
    *,
    judge: str,
    json_wanted: bool,
    markdown: bool,
    html: Path | None,
    anyway: bool,
    preservation: bool,
) -> None:
    """Print the paired differences of two runs. Raises `InputError` or `StoreError`."""
    first, second = (measured(place, judge) for place in places)
    names = _names(places)
    made = {name: against(first, second, name, names, anyway=anyway) for name in rules_of(rules)}
    pixels = _pixels(places, (first, second), names, next(iter(made))) if preservation else None
    if html:
        from editthinker.benchmarks.comparison.page import write_html

        write_html(html, places, (first, second), list(made.values()), pixels)
        say(f"{html} shows it")
    if json_wanted:
        print(json.dumps(_document(places, made, pixels), indent=2))
        return
    for number, found in enumerate(made.values()):
        print("\n" * bool(number) + "\n".join(map(line_of, _lines(found, markdown))))
    if pixels:
        print("\n" + "\n".join(map(line_of, _pixel_lines(pixels, markdown))))


def _names(places: tuple[Path, Path]) -> tuple[str, str]:
    """What the two are called: their own names, or as much of the paths as tells them apart."""
    one, other = (place.stem if place.is_file() else place.resolve().name for place in places)
    return (one, other) if one != other else (str(places[0]), str(places[1]))


def _pixels(
    places: tuple[Path, Path], runs: tuple[Measured, Measured], names: tuple[str, str], rules: Rules
) -> Comparison | None:
    """What was measured on the pixels of both runs, with all that must be said of it."""
    found = [tables.preserved(place, run, rules) for place, run in zip(places, runs, strict=True)]
    first, second = found
    if first is None or second is None:
        return None
    flags = dict.fromkeys(flag for table in (first, second) for flag in table.flags)
    for name, table in zip(names, (first, second), strict=True):
        if missing := sum(one.state == "missing" for one in table.scored):
            flags[f"{name}: {missing} samples have no image, or it was not measured"] = None
    compared = compare(first, second, anyway=True)
    return replace(compared, flags=(*flags, *compared.flags))


def _document(
    places: tuple[Path, Path], made: dict[Rules, Against], pixels: Comparison | None
) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "first": str(places[0]),
        "second": str(places[1]),
        "comparisons": [found.as_json() for found in made.values()],
        "preservation": as_json(pixels) if pixels else None,
    }


def _lines(found: Against, markdown: bool) -> Iterator[str]:
    comparison, sides = found.comparison, (found.first, found.second)
    names = " and ".join(
        f"{side.name} ({place})" for side, place in zip(sides, ("first", "second"), strict=True)
    )
    yield f"{comparison.benchmark}, {comparison.rules} rules: {names}; differences are second minus first"
    yield from (f"NOT COMPARABLE: {clause}" for clause in found.differences)
    yield from _differences(comparison, markdown)
    yield "sure: the 95 % interval of the paired difference leaves out zero"
    for side in sides:
        judge = side.table.judge or "gave no reply"
        states = [
            f"{getattr(line, state)} {state}" for line in side.table.lines[:1] for state in tables.LACKING
        ]
        yield f"{side.name}: calls per sample: {calls_of(side.table)}; judge: {judge}; {', '.join(states)}"
    yield f"equal editor calls: {found.budget}"
    yield from (_budget(one, found) for one in found.budgets)
    yield from (f"note: {flag}" for flag in comparison.flags)
    for side in sides:
        for place, line in enumerate(tables.turns(side, markdown)):
            yield f"{side.name}, turn by turn:" if not place else line


def _lacking(side: Side) -> str:
    """How many samples have no score, and why."""
    states = Counter(one.state for one in side.table.scored)
    return ", ".join(f"{states[state]} {state}" for state in STATES)


def _budget(one: Budget, found: Against) -> str:
    line, figure = one.comparison.headline
    difference = one.comparison.of(line, figure)
    told = value(difference.difference) if difference else "-"
    turns = "1 turn" if one.turns == 1 else f"{one.turns} turns"
    calls = " against ".join(f"{calls:.2f}" for calls in one.calls)
    return f"  {one.dearer} ended after {turns}, {calls} editor calls: {figure} of {line} {told}"


def _differences(comparison: Comparison, markdown: bool, head: tuple[str, ...] = HEAD) -> Iterator[str]:
    line, figure = comparison.headline
    rows: list[tuple[str, ...]] = [head]
    for one in comparison.differences:
        if one.figure == figure or one.line == line:
            counts = (str(number) for number in (one.difference.n, one.better, one.ties, one.worse))
            values = (value(one.first), value(one.second), value(one.difference))
            rows.append((one.line, one.figure, *values, *counts, "yes" if one.sure else "no"))
    yield from columns(rows, markdown)


def _pixel_lines(comparison: Comparison, markdown: bool) -> Iterator[str]:
    yield MEANINGS
    yield from _differences(comparison, markdown, PIXELS)
    yield from (f"note: {flag}" for flag in comparison.flags)
