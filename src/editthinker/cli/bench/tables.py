"""Tables of benchmarks as text, Markdown or JSON: each number with what it counts and leaves out."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from editthinker.benchmarks.compare import Comparison, as_json, best_of, compare, curve
from editthinker.benchmarks.intervals import Estimate
from editthinker.benchmarks.scoring import Scoring
from editthinker.benchmarks.table import RULES, STATES, Rules, Table
from editthinker.cli.terminal import inert

Rows = Sequence[Sequence[str]]
MOST_FIGURES = 6


def print_scores(
    place: Path, rules: str, *, judge: str = "", json_wanted: bool = False, markdown: bool = False
) -> None:
    """Print the tables of a run. Raises `InputError` or `StoreError`."""
    scoring = Scoring.of(place, judge)
    wanted = _rules(rules)
    if json_wanted:
        print(json.dumps({"schema_version": 1, "run": str(place), **_document(scoring, wanted)}, indent=2))
        return
    for number, one in enumerate(wanted):
        print("\n" * bool(number) + "\n".join(map(_line, _table(scoring.table(one), scoring, markdown))))
        for line in _turns(scoring, one):
            print(_line(line))


def print_comparison(
    first: Path, second: Path, rules: str, *, judge: str = "", json_wanted: bool, markdown: bool
) -> None:
    """Print the paired differences of two runs. Raises `InputError` or `StoreError`."""
    one, other = Scoring.of(first, judge), Scoring.of(second, judge)
    made = {name: compare(one.table(name), other.table(name)) for name in _rules(rules)}
    if json_wanted:
        sides = {"first": str(first), "second": str(second)}
        tables = [
            {**as_json(found), "curves": {"first": _curve(one, name), "second": _curve(other, name)}}
            for name, found in made.items()
        ]
        print(json.dumps({"schema_version": 1, **sides, "comparisons": tables}, indent=2))
        return
    for number, (name, found) in enumerate(made.items()):
        print("\n" * bool(number) + "\n".join(map(_line, _comparison(found, markdown))))
        for label, side in (("first", one), ("second", other)):
            for line in _turns(side, name):
                print(_line(f"{label}: {line}"))


def _rules(rules: str) -> tuple[Rules, ...]:
    return tuple(name for name in RULES if rules in ("all", name))


def _document(scoring: Scoring, rules: Iterable[Rules]) -> dict[str, Any]:
    return {
        "benchmark": scoring.about.benchmark,
        "options": dict(scoring.about.options),
        "judge": scoring.judge,
        "samples": len(scoring.cases),
        "of": scoring.about.cases,
        "prompts": {
            "origin": scoring.about.origin or "ours",
            "sha256": scoring.about.prompts,
            "differences": list(scoring.about.differences),
        },
        "tables": [{**scoring.table(one).as_json(), **_curve(scoring, one)} for one in rules],
    }


def _curve(scoring: Scoring, rules: Rules) -> dict[str, Any]:
    """The headline turn by turn, and that of the best turn; nothing if not every turn was judged."""
    tables = scoring.turns(rules)
    if not tables:
        return {}
    points = [point.as_json() for point in curve(tables)]
    return {"turns": points, "best_turn": best_of(tables).value.as_json()}


def _table(table: Table, scoring: Scoring, markdown: bool) -> Iterator[str]:
    line, figure = table.headline
    yield f"{table.benchmark}, {table.rules} rules: {figure} of {line}: {_value(table.value)}"
    figures = list(dict.fromkeys(name for row in table.lines for name in row.figures))[:MOST_FIGURES]
    rows = [("line", "n", *figures, *STATES[1:])]
    for row in table.lines:
        values = [_value(row.figures[name]) if name in row.figures else "" for name in figures]
        rows.append((row.name, str(row.n), *values, *(str(getattr(row, state)) for state in STATES[1:])))
    yield from _columns(rows, markdown)
    yield f"judge: {table.judge or 'gave no reply'} (asked as {scoring.judge})"
    calls = [f"{number:.2f} of the {role}" for role, number in table.per_sample.items()]
    yield f"calls per sample: {', '.join(calls)}"
    yield "[..]: 95 % bootstrap intervals; missing, unparsed, refused, unanswered: samples without a score"
    if not table.comparable:
        yield "NOT COMPARABLE with published figures"
    yield from (f"note: {flag}" for flag in table.flags)


def _turns(scoring: Scoring, rules: Rules) -> Iterator[str]:
    tables = scoring.turns(rules)
    for turn, point in enumerate(curve(tables), 1):
        yield f"turn {turn}: {tables[0].headline[1]} {_value(point)}"
    if tables:
        yield f"best turn of each sample, chosen by the judge itself: {_value(best_of(tables).value)}"


def _comparison(found: Comparison, markdown: bool) -> Iterator[str]:
    line, figure = found.headline
    yield f"{found.benchmark}, {found.rules} rules: second minus first"
    rows = [("line", "figure", "first", "second", "difference", "n", "better", "worse", "sure")]
    for one in found.differences:
        if one.figure == figure or one.line == line:
            counts = (str(one.difference.n), str(one.better), str(one.worse), "yes" if one.sure else "no")
            values = (f"{one.first.mean:.3f}", f"{one.second.mean:.3f}", _value(one.difference))
            rows.append((one.line, one.figure, *values, *counts))
    yield from _columns(rows, markdown)
    yield "sure: the 95 % interval of the paired difference leaves out zero"
    yield from (f"note: {flag}" for flag in found.flags)


def _value(value: Estimate) -> str:
    if not math.isfinite(value.mean):
        return "-"
    return f"{value.mean:.3f} [{value.low:.3f}, {value.high:.3f}]"


def _columns(rows: Rows, markdown: bool) -> Iterator[str]:
    """The first row is the head; its first column is text, the others are numbers."""
    if markdown:
        yield f"| {' | '.join(rows[0])} |"
        yield f"|{'---|' * len(rows[0])}"
        yield from (f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows[1:])
        return
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells)


def _line(text: str) -> str:
    """Inert, with its columns as they are."""
    return "".join(inert(char) if not char.isspace() else " " for char in text)
