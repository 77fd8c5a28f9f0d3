"""Wordings of a single operation.

A wording is a template with slots: `{x}` what is edited, `{d}` `{D}` `{n}` how much (before an adjective, at
the end of a clause, before a noun), `{c}` `{k}` colours, `{p}` a place. A slot of medium strength is empty.
"""

from __future__ import annotations

import random
import re
import tomllib
from functools import cache
from importlib import resources

from editthinker.darkroom.program import Operation


def _read(split: str) -> dict[str, tuple[str, ...]]:
    text = resources.files(__package__).joinpath("wordings.toml").read_text(encoding="utf-8")
    return {name: tuple(row[split]) for name, row in tomllib.loads(text).items()}


WORDINGS, MORE, HELD_OUT = _read("train"), _read("more"), _read("held_out")
"""Wordings by row; those of `HELD_OUT` are used by the test split only."""
APART = 10
"""Every so many of the further wordings is kept for the split "fresh"."""
SPOKEN_PLAINLY = ("train", "validation", "more")
"""Splits in which people often take the plainest words there are."""


@cache
def of_split(
    split: str, train: tuple[str, ...], more: tuple[str, ...], held_out: tuple[str, ...]
) -> tuple[str, ...]:
    """What a split may say.

    "train" and "validation" take the first list, "more" the second too, but for every tenth, which "fresh"
    has for itself: words that no model learns from and that may be looked at. "test" takes the third.
    """
    if split == "more":
        return train + tuple(words for number, words in enumerate(more) if number % APART)
    return {"fresh": more[::APART], "test": held_out}.get(split, train)


WHOLE = ("it", "the photo", "the picture", "the image", "this photo", "this picture", "everything")
WHERE: dict[str, tuple[str, ...]] = {
    "top": ("the top half", "the upper half", "the top", "the upper part"),
    "bottom": ("the bottom half", "the lower half", "the bottom", "the lower part"),
    "left": ("the left half", "the left side", "the left part"),
    "right": ("the right half", "the right side", "the right part"),
    "centre": ("the centre", "the middle", "the central part"),
    "subject": ("the subject", "the main subject", "the foreground"),
    "background": ("the background", "everything behind the subject", "the backdrop"),
}
for _colour in ("red", "orange", "yellow", "green", "blue", "purple", "pink"):
    WHERE[_colour] = (f"the {_colour} parts", f"the {_colour} areas", f"everything {_colour}")

DEGREES: dict[str, dict[str, tuple[str, ...]]] = {
    "d": {
        "light": ("slightly", "a little", "a bit", "a touch", "somewhat"),
        "strong": ("much", "a lot", "far", "considerably"),
    },
    "D": {
        "light": ("slightly", "a little", "a bit", "gently", "a touch"),
        "strong": ("strongly", "a lot", "heavily", "dramatically"),
    },
    "n": {
        "light": ("light", "slight", "subtle", "a little"),
        "strong": ("strong", "heavy", "a lot of", "lots of"),
    },
}
COUNTABLE = frozenset({"tint", "cast", "filter", "tone", "vignette", "frame", "border", "faded", "soft"})
ADJECTIVES = frozenset({"light", "slight", "subtle", "strong", "heavy", "white", "black", "soft"}).union(
    ("red", "orange", "yellow", "green", "blue", "purple", "pink", "warmer", "cooler")
)
BEFORE_ARTICLE = frozenset({"add", "put", "give", "it", "with", "apply", "picture", "photo", "image"}).union(
    ("lay", "half", "part", "side", "top", "bottom", "centre", "middle", "subject", "foreground"),
    ("background", "backdrop", "everything", "parts", "areas"),
)


def slots(operation: Operation, rng: random.Random | None) -> dict[str, str]:
    """What fills the slots of a wording; without a generator the plainest choice."""

    def pick(options: tuple[str, ...]) -> str:
        return options[0] if rng is None else rng.choice(options)

    first, _, second = operation.value.replace("@", ">").partition(">")
    place = second if operation.kind == "sticker" else first
    filled = {
        "x": pick(WHOLE) if operation.region == "all" else pick(WHERE[operation.region]),
        "c": first,
        "k": second,
        "p": place.replace("-", " "),
        "q": "<text>",
    }
    for slot, degrees in DEGREES.items():
        filled[slot] = pick(degrees[operation.strength]) if operation.strength in degrees else ""
    return filled


def key(operation: Operation) -> str:
    """The row of the tables that words this operation."""
    named = f"{operation.kind} {operation.value}"
    return named if named in WORDINGS else operation.kind


def fill(wording: str, operation: Operation, rng: random.Random | None = None) -> str:
    """A clause: the wording with its slots filled, spaces and articles tidied."""
    clause = wording.format(**slots(operation, rng))
    clause = re.sub(r"\s+", " ", clause).strip()
    return _articles(clause)


def _articles(clause: str) -> str:
    """Put "a" before a countable noun without one: "add blue tint" -> "add a blue tint"."""
    words = clause.split(" ")
    noun = max((place for place, word in enumerate(words) if word in COUNTABLE), default=0)
    start = noun
    while start and words[start - 1] in ADJECTIVES:
        start -= 1
    if start and words[start - 1] in BEFORE_ARTICLE:
        words.insert(start, "an" if words[start][0] in "aeiou" else "a")
    return " ".join(words)


def plain(operation: Operation) -> str:
    """The plainest words for an operation, those an editor meets most often."""
    return fill(WORDINGS[key(operation)][0], operation)


def plainer(operation: Operation) -> str:
    """A second plain wording, for when the first one did not work."""
    return fill(WORDINGS[key(operation)][1], operation)


def wordings(split: str, operation: Operation) -> tuple[str, ...]:
    """The wordings a split may use."""
    row = key(operation)
    return of_split(split, WORDINGS[row], MORE[row], HELD_OUT[row])
