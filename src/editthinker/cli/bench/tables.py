"""Tables of benchmarks as text, Markdown or JSON: each number with what it counts and leaves out."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from editthinker.benchmarks import kept
from editthinker.benchmarks.against import Side
from editthinker.benchmarks.intervals import Estimate
from editthinker.benchmarks.measured import Measured, described, measured
from editthinker.benchmarks.table import RULES, STATES, Rules, Table
from editthinker.cli.terminal import inert

Rows = Sequence[Sequence[str]]
MOST_FIGURES = 6
LACKING = STATES[1:]


def print_scores(
    place: Path,
    rules: str,
    *,
    judge: str = "",
    json_wanted: bool = False,
    markdown: bool = False,
    preservation: bool = True,
) -> None:
    """Print the tables of a run. Raises `InputError` or `StoreError`."""
    run, wanted = measured(place, judge), rules_of(rules)
    others = {name: preserved(place, run, name) if preservation else None for name in wanted[:1]}
    if json_wanted:
        tables = [_document(run, one) for one in wanted]
        said = {"schema_version": 1, "run": str(place), **described(run), "tables": tables}
        pixels = others[wanted[0]]
        print(json.dumps({**said, "preservation": pixels.as_json() if pixels else None}, indent=2))
        return
    for number, one in enumerate(wanted):
        side = Side.of(str(place), run, run.table(one))
        lines = [
            *_table(side.table, run, markdown),
            *turns(side, markdown),
            *kept_lines(others.get(one), markdown),
        ]
        print("\n" * bool(number) + "\n".join(map(line_of, lines)))


def preserved(place: Path, run: Measured, rules: Rules) -> Table | None:
    """What was measured on the pixels of a run's images, if it was."""
    figures = kept.stored(place) if place.is_dir() else {}
    return kept.table(run.about.benchmark, run.cases, figures, rules)


def rules_of(rules: str) -> tuple[Rules, ...]:
    """One name of rules, or all."""
    return tuple(name for name in RULES if rules in ("all", name))


def _document(run: Measured, rules: Rules) -> dict[str, Any]:
    """A table, with the headline turn by turn where every turn was judged."""
    side = Side.of("", run, run.table(rules))
    told = side.as_json() if side.points else {}
    return {**side.table.as_json(), **{name: told[name] for name in ("turns", "best_turn", "chosen") if told}}


def _table(table: Table, run: Measured, markdown: bool) -> Iterator[str]:
    line, figure = table.headline
    yield f"{table.benchmark}, {table.rules} rules: {figure} of {line}: {value(table.value)}"
    yield from _lines(table, LACKING, markdown)
    yield f"judge: {table.judge or 'gave no reply'} (asked as {run.judge})"
    yield f"calls per sample: {calls_of(table)}"
    yield "[..]: 95 % bootstrap intervals; missing, unparsed, refused, unanswered: samples without a score"
    if not table.comparable:
        yield "NOT COMPARABLE with published figures"
    yield from (f"note: {flag}" for flag in table.flags)


def _lines(table: Table, states: Sequence[str], markdown: bool) -> Iterator[str]:
    figures = list(dict.fromkeys(name for row in table.lines for name in row.figures))[:MOST_FIGURES]
    rows = [("line", "n", *figures, *states)]
    for row in table.lines:
        values = [value(row.figures[name]) if name in row.figures else "" for name in figures]
        rows.append((row.name, str(row.n), *values, *(str(getattr(row, state)) for state in states)))
    yield from columns(rows, markdown)


def calls_of(table: Table) -> str:
    """What a sample cost, in words."""
    calls = [f"{number:.2f} of the {role}" for role, number in table.per_sample.items()]
    return ", ".join(calls) or "not known"


def turns(side: Side, markdown: bool) -> Iterator[str]:
    """What every number of turns would have come to; nothing if not every turn was judged."""
    if not side.points:
        return
    figure = side.table.headline[1]
    yield ""
    rows = [("turns", f"{figure}, delivered", "of the turn's own images", "editor calls", "thinker calls")]
    for point, own in zip(side.points, side.own, strict=True):
        thinker = "-" if point.thinker_calls is None else f"{point.thinker_calls:.2f}"
        calls = f"{point.editor_calls:.2f}", thinker
        rows.append((str(point.turns), value(point.table.value), value(own), *calls))
    yield from columns(rows, markdown)
    if side.best:
        yield f"best turn of each sample, chosen by the judge itself: {value(side.best)}"
    chosen = [f"{'source' if turn == 0 else f'turn {turn}'}: {n}" for turn, n in side.chosen.items()]
    yield f"delivered: {', '.join(chosen)}"
    yield from (f"note: {flag}" for flag in _new_flags(side))


def _new_flags(side: Side) -> list[str]:
    """What is only said of runs that end early."""
    known = set(side.table.flags)
    return list(
        dict.fromkeys(flag for point in side.points for flag in point.table.flags if flag not in known)
    )


def kept_lines(table: Table | None, markdown: bool) -> Iterator[str]:
    """What was measured on the pixels."""
    if table is None:
        return
    yield ""
    yield kept.MEANINGS
    yield from _lines(table, ("missing",), markdown)
    yield from (f"note: {flag}" for flag in table.flags)


def value(one: Estimate) -> str:
    """A figure with its interval."""
    if not math.isfinite(one.mean):
        return "-"
    return f"{one.mean:.3f} [{one.low:.3f}, {one.high:.3f}]"


def columns(rows: Rows, markdown: bool) -> Iterator[str]:
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


def line_of(text: str) -> str:
    """Inert, with its columns as they are."""
    return "".join(inert(char) if not char.isspace() else " " for char in text)
