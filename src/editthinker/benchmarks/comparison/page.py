"""The page of a comparison: one HTML file that needs nothing but a browser, and no script to be read.

In: an `Against` for each set of rules (the first is shown in full), the runs and where they lie. Out: the
file. Every text from outside is made inert by `runs.markup`; a policy forbids any request.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from editthinker.benchmarks.against import Against, Side
from editthinker.benchmarks.compare import Comparison, Difference
from editthinker.benchmarks.comparison import sections
from editthinker.benchmarks.comparison.gallery import gallery
from editthinker.benchmarks.comparison.pairs import pairs_of
from editthinker.benchmarks.comparison.words import interval, kind_of, name
from editthinker.benchmarks.measured import Measured
from editthinker.benchmarks.table import STATES
from editthinker.core.files import write_atomically
from editthinker.runs.markup import Html, element, joined, text
from editthinker.runs.pieces import facts


def write_html(
    out: Path,
    places: tuple[Path, Path],
    runs: tuple[Measured, Measured],
    found: Sequence[Against],
    pixels: Comparison | None,
) -> None:
    """Write the page; an older file there is replaced. Raises `InputError` when it cannot be written."""
    shown = found[0]
    pairs = gallery(places, runs, (shown.first.table, shown.second.table))
    body = joined(
        _masthead(shown),
        element(
            "main",
            _verdict(shown, runs),
            sections.where(shown.comparison, shown),
            sections.price(shown),
            sections.other_rules(found[1:]),
            sections.pixels(pixels, shown) if pixels else None,
            pairs_of("Where the second gained most", pairs[0], shown),
            pairs_of("Where it lost most", pairs[1], shown),
            _small_print(shown, runs),
        ),
        element("footer", "Made by editthinker. This page is complete in itself."),
    )
    style = _style()
    policy = (
        f"default-src 'none'; img-src data:; style-src {_hash(style)}; base-uri 'none'; form-action 'none'"
    )
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", f"{shown.second.name} against {shown.first.name} · editthinker"),
        element("style", Html(style)),
    )
    whole = element("html", head, element("body", body), lang="en")
    write_atomically(out, f"<!doctype html>\n{whole}\n".encode("utf-8", "replace"), overwrite=True)


def _masthead(shown: Against) -> Html:
    return element(
        "header",
        element("span", "edit", element("b", "thinker"), class_="wordmark"),
        element("span", f"{shown.comparison.benchmark}, {shown.comparison.rules} rules", class_="run"),
        class_="masthead",
    )


# --- what it comes to ---


def _verdict(shown: Against, runs: tuple[Measured, Measured]) -> Html:
    comparison = shown.comparison
    line, figure = comparison.headline
    gain = comparison.of(line, figure)
    return element(
        "section",
        element("p", "Comparison", class_="eyebrow"),
        element(
            "h1",
            name(shown.second, 1),
            element("span", " against ", class_="versus"),
            name(shown.first, 0),
            class_="title",
        ),
        element("p", _sentence(gain, figure, line), class_="lead"),
        *(element("p", f"Not comparable: {clause}", class_="warning") for clause in shown.differences),
        element(
            "div",
            *(_card(side, place) for place, side in enumerate((shown.first, shown.second))),
            _gain_card(gain, shown) if gain else None,
            class_="cards",
        ),
        class_="verdict-of",
    )


def _sentence(gain: Difference | None, figure: str, line: str) -> str:
    if gain is None or not gain.difference.n:
        return "No sample has this figure in both."
    mean = gain.difference.mean
    how = "higher" if mean > 0 else "lower" if mean < 0 else "different"
    sure = "The interval leaves out zero." if gain.sure else "The interval holds zero: that may be chance."
    return (
        f"{figure} of {line} is {abs(mean):.3f} {how} {interval(gain.difference)}"
        f" over {gain.difference.n:,} paired samples. {sure}"
    )


def _card(side: Side, place: int) -> Html:
    states = Counter(one.state for one in side.table.scored)
    calls = [f"{number:.2f} {role}" for role, number in side.table.per_sample.items()]
    return element(
        "div",
        element("h2", name(side, place)),
        element("p", f"{side.table.value.mean:.3f}", class_="big"),
        element("p", interval(side.table.value), class_="note"),
        element("p", "calls per sample: ", ", ".join(calls) or "not known", class_="note"),
        element("p", ", ".join(f"{states[state]:,} {state}" for state in STATES), class_="note"),
        class_="card",
    )


def _gain_card(gain: Difference, shown: Against) -> Html:
    alone = [len(names) for names in (shown.comparison.only_first, shown.comparison.only_second)]
    return element(
        "div",
        element("h2", "Difference"),
        element("p", f"{gain.difference.mean:+.3f}", class_=f"big {kind_of(gain)}"),
        element("p", interval(gain.difference), class_="note"),
        element("p", f"{gain.better:,} better, {gain.ties:,} ties, {gain.worse:,} worse", class_="note"),
        element("p", f"without a partner: {alone[0]:,} and {alone[1]:,}", class_="note"),
        class_="card",
    )


def _small_print(shown: Against, runs: tuple[Measured, Measured]) -> Html:
    notes = [*shown.comparison.flags]
    for side in (shown.first, shown.second):
        notes += [f"{side.name}: {flag}" for flag in side.table.flags]
    about = runs[0].about
    said = {
        "benchmark": about.benchmark,
        "options": dict(about.options),
        "rules": shown.comparison.rules,
        "prompts": about.origin or "our own",
        **{f"judge of {s.name}": f"{s.table.judge} (as {r.judge})" for s, r in _both(shown, runs)},
    }
    return element(
        "section",
        element("h2", "What to know"),
        element("ul", *(element("li", text(note, 600)) for note in dict.fromkeys(notes)), class_="notes"),
        facts(said),
    )


def _both(shown: Against, runs: tuple[Measured, Measured]) -> list[tuple[Side, Measured]]:
    return list(zip((shown.first, shown.second), runs, strict=True))


def _style() -> str:
    """The style of our reports, and what this page adds."""
    names = (("editthinker.runs", "report.css"), ("editthinker.benchmarks.comparison", "comparison.css"))
    return "\n".join(
        resources.files(room).joinpath("assets", name).read_text(encoding="utf-8") for room, name in names
    )


def _hash(source: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"
