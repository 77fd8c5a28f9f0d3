"""What stands around and between the clauses of a wish: joiners, frames, chatter, words about the rest.

In: a random generator, clauses or a text, a split (`phrases.of_split`). Out: a text. The words themselves are
in `framing.toml`.
"""

from __future__ import annotations

import random
import tomllib
from importlib import resources

from editthinker.darkroom.language import phrases
from editthinker.darkroom.language.phrases import of_split

_TABLES = tomllib.loads(resources.files(__package__).joinpath("framing.toml").read_text(encoding="utf-8"))


def _words(table: str, column: str) -> tuple[str, ...]:
    return tuple(_TABLES[table].get(column) or _TABLES[table]["train"])


FRAMES, MORE_FRAMES, HELD_OUT_FRAMES = (_words("frames", split) for split in ("train", "more", "held_out"))
REST, MORE_REST, HELD_OUT_REST = (_words("rest", split) for split in ("train", "more", "held_out"))
ASKS_FOR_A_VERB = _words("frames", "before_a_verb")
CHATTER, TWICE = 0.3, 0.2
"""Shares of wishes of the split "more" that have chatter beside them, and that have two frames."""
_EVERYDAY, _ONSETS, _RHYMES = (_TABLES["chatter"][kind].split() for kind in ("everyday", "onsets", "rhymes"))


def said(rng: random.Random, table: str, split: str) -> str:
    """One of the words of a table that a split may use."""
    return rng.choice(of_split(split, *(_words(table, column) for column in ("train", "more", "held_out"))))


def join(rng: random.Random, clauses: list[str], split: str) -> str:
    """Clauses one after the other."""
    text = clauses[0]
    for clause in clauses[1:]:
        text = said(rng, "joiners", split).format(text, clause)
    return text


def framed(rng: random.Random, text: str, split: str) -> str:
    """The wish in a polite frame; "can you" only before a verb. In the split "more" also beside chatter."""
    if split == "more" and rng.random() < TWICE:
        text = _framed(rng, text, split)
    text = _framed(rng, text, split)
    if split == "more" and rng.random() < CHATTER:
        return f"{chatter(rng)} {text}" if rng.random() < 0.7 else f"{text}. {chatter(rng)}"
    return text


def chatter(rng: random.Random) -> str:
    """Two to eight words that ask for nothing, some of them unheard: what is not known is to be read over."""
    words = [rng.choice(_EVERYDAY) if rng.random() < 0.7 else _unheard(rng) for _ in range(rng.randint(2, 8))]
    return " ".join(words) + rng.choice((".", ".", ":", ",", "!", " -", ";"))


def _unheard(rng: random.Random) -> str:
    """A word that nobody knows."""
    return "".join(rng.choice(_ONSETS) + rng.choice(_RHYMES) for _ in range(rng.choice((2, 2, 3))))


def _framed(rng: random.Random, text: str, split: str) -> str:
    frames = of_split(split, FRAMES, MORE_FRAMES, HELD_OUT_FRAMES)
    if text.split(" ", 1)[0] not in _VERBS:
        frames = tuple(frame for frame in frames if not frame.startswith(ASKS_FOR_A_VERB))
    return rng.choice(frames).format(text)


def rest(rng: random.Random, split: str) -> str:
    """That nothing else may change."""
    return said(rng, "rest", split)


def excepting(rng: random.Random, clause: str, kept: str, split: str) -> str:
    """A wish for everything but what is kept."""
    return said(rng, "except", split).format(clause, kept)


_VERBS = frozenset(
    w.split(" ", 1)[0] for rows in (phrases.WORDINGS, phrases.HELD_OUT) for row in rows.values() for w in row
) - {"{x}", "the", "i", "there", "everything"} | {"protect", "hide", "anonymise"}
