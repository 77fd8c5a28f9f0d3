"""Small things the page shows in many places: a bar, an image, a list of facts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from editthinker.core.records import ScoreRecord
from editthinker.runs.markup import Html, element, joined, text


def facts(values: Mapping[str, Any]) -> Html:
    """Names and JSON values, one per line."""
    return element(
        "dl",
        *(
            joined(element("dt", text(name, 80)), element("dd", _value(value)))
            for name, value in values.items()
        ),
        class_="facts",
    )


def _value(value: Any) -> Html:
    return text(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), 1000)


def image(uri: str, alt: str) -> Html:
    """An image, or a word in its place."""
    if not uri:
        return element("span", "image missing", class_="missing")
    return element("img", src=uri, alt=alt)


def bar(value: float) -> Html:
    """A score, 0..10, as a bar."""
    return element(
        "svg",
        element("rect", width=100, height=4, class_="track"),
        element("rect", width=f"{value * 10:.1f}", height=4, class_=_grade_of(value)),
        class_="bar",
        viewBox="0 0 100 4",
        preserveAspectRatio="none",
        aria_hidden="true",
    )


def grade(score: ScoreRecord | None) -> str:
    """The class that colours an overall score."""
    return _grade_of(score.overall) if score else "unjudged"


def _grade_of(value: float) -> str:
    return "good" if value >= 8 else "fair" if value >= 5 else "poor"


def plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
