"""Pairs of images as the page shows them."""

from __future__ import annotations

from collections.abc import Sequence

from editthinker.benchmarks.against import Against, Side
from editthinker.benchmarks.comparison.gallery import Pair, View
from editthinker.benchmarks.comparison.words import name, number
from editthinker.runs.markup import Child, Html, element, text
from editthinker.runs.pieces import image


def pairs_of(title: str, pairs: Sequence[Pair], shown: Against) -> Html | None:
    if not pairs:
        return None
    return element("section", element("h2", title), *(_pair(one, shown) for one in pairs), class_="gallery")


def _pair(one: Pair, shown: Against) -> Html:
    kind = "up" if one.gain > 0 else "down"
    images = (
        [element("figure", image(one.source, "source"), element("figcaption", "source"))]
        if one.source
        else []
    )
    if one.source or any(view.image for view in one.views):
        images += [
            _view(view, side, place)
            for place, (view, side) in enumerate(zip(one.views, (shown.first, shown.second), strict=True))
        ]
    first, second = (number(view.value) for view in one.views)
    return element(
        "article",
        element(
            "p",
            element("span", f"{one.gain:+.2f}", class_=f"gain {kind}"),
            element("span", text(one.instruction, 400), class_="words", dir="auto"),
        ),
        element("p", f"{one.category} · {one.case} · {first} and {second}", class_="note"),
        element("div", *images, class_="trio") if images else None,
        class_="pair",
    )


def _view(view: View, side: Side, place: int) -> Html:
    turn = "the source, given back" if view.turn == 0 else f"turn {view.turn}" if view.turn else view.state
    said = element("span", text(view.words, 300), class_="told", dir="auto") if (view.turn or 0) > 1 else None
    caption: list[Child] = [name(side, place), " ", element("b", number(view.value)), f" · {turn}", said]
    return element("figure", image(view.image, side.name), element("figcaption", *caption))
