"""The report's page around its trajectories: masthead, index, configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from editthinker.runs.chapter import Chapter, article, outcome
from editthinker.runs.folder import RunRecord
from editthinker.runs.markup import Html, element, inert, joined, text
from editthinker.runs.pieces import bar, facts, image

MOST_UNUSABLE = 200
"""Inputs that could not be used and are told one by one."""


def title(chapters: Sequence[Chapter]) -> str:
    if len(chapters) == 1:
        return f"{inert(chapters[0].record.sample.instruction[:80])} · editthinker"
    return f"{len(chapters)} edits · editthinker"


def proportions(chapter: Chapter) -> str:
    """The one style rule that depends on the data: a style attribute would need a weaker policy."""
    ref = chapter.source.ref
    return f"#{chapter.anchor}{{--ratio:{ref.width / ref.height:.4f}}}\n"


def body(
    chapters: Sequence[Chapter], name: str, run: RunRecord, begun: int, unusable: Mapping[str, str]
) -> Html:
    return joined(
        _masthead(name, run),
        element(
            "main",
            _index(chapters, begun) if len(chapters) != 1 else None,
            _unusable(unusable) if unusable else None,
            *(article(chapter) for chapter in chapters),
            _configuration(run),
        ),
        element("footer", f"Made by editthinker {run.package_version}. This page is complete in itself."),
    )


def _masthead(name: str, run: RunRecord) -> Html:
    return element(
        "header",
        element("span", "edit", element("b", "thinker"), class_="wordmark"),
        element("span", name, class_="run"),
        element("time", f"{run.created:%d %B %Y, %H:%M} UTC", datetime=run.created.isoformat()),
        class_="masthead",
    )


def _index(chapters: Sequence[Chapter], begun: int) -> Html:
    more = (
        f"the first {len(chapters)} of {begun:,} are shown; summary.json tells of all"
        if begun > len(chapters)
        else None
    )
    delivered = sum(chapter.record.chosen is not None for chapter in chapters)
    return element(
        "nav",
        element("h1", f"{len(chapters)} edits, {delivered} delivered"),
        element("p", more, class_="note") if more else None,
        element("ol", *(element("li", _index_entry(chapter)) for chapter in chapters)),
        class_="index",
        aria_label="All edits",
    )


def _unusable(problems: Mapping[str, str]) -> Html:
    """Inputs that never became a sample."""
    told = list(problems.items())[:MOST_UNUSABLE]
    more = f"and {len(problems) - len(told):,} more" if len(problems) > len(told) else None
    return element(
        "details",
        element(
            "summary", f"{len(problems):,} {'input' if len(problems) == 1 else 'inputs'} could not be used"
        ),
        element("ul", *(element("li", text(f"{name}: {problem}", 300)) for name, problem in told)),
        element("p", more, class_="note") if more else None,
    )


def _index_entry(chapter: Chapter) -> Html:
    turn = chapter.shown
    preview = chapter.preview(turn) if turn else chapter.source
    score = turn.score if turn else None
    return element(
        "a",
        image(preview.small, ""),
        element("span", text(chapter.record.sample.instruction, 160), class_="words", dir="auto"),
        element("span", outcome(chapter.record), class_="outcome"),
        bar(score.overall) if score else None,
        href=f"#{chapter.anchor}",
    )


def _configuration(run: RunRecord) -> Html | None:
    if not run.config:
        return None
    return element("details", element("summary", "Configuration"), facts(run.config), class_="configuration")
