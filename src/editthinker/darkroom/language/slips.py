"""How typing goes wrong, and which English is typed: spelling variants, capitals, typos."""

from __future__ import annotations

import random
import re

AMERICAN = {
    "colour": "color",
    "centre": "center",
    "grey": "gray",
    "posterise": "posterize",
    "unrecognisable": "unrecognizable",
    "anonymise": "anonymize",
    "sombre": "somber",
    "theatre": "theater",
}
_QUOTED = re.compile(r"(<text>|[\"“'][^\"”']*[\"”'])")


def american(text: str) -> str:
    """American spelling."""
    for british, us in AMERICAN.items():
        text = text.replace(british, us)
    return text


def typo(rng: random.Random, word: str) -> str:
    """One slip inside a word: a letter lost, doubled, swapped or hit beside its key."""
    place = rng.randrange(1, len(word))
    kind = rng.randrange(4)
    if kind == 0:
        return word[:place] + word[place + 1 :]
    if kind == 1:
        return word[:place] + word[place] + word[place:]
    if kind == 2 and place + 1 < len(word):
        return word[:place] + word[place + 1] + word[place] + word[place + 2 :]
    return word[:place] + rng.choice("aeioutnrs") + word[place + 1 :]


def slip(rng: random.Random, text: str, *, typos: float = 0.12) -> str:
    """The text as typed: a spelling variant, perhaps a capital, in a share of `typos` one or two slips."""
    if rng.random() < 0.5:
        text = american(text)
    if rng.random() < typos:
        parts = _QUOTED.split(text)
        for _ in range(rng.choice((1, 1, 2))):
            place = rng.randrange(0, len(parts), 2)
            words = parts[place].split(" ")
            long = [i for i, word in enumerate(words) if len(word) > 4 and word.isalpha()]
            if long:
                index = rng.choice(long)
                words[index] = typo(rng, words[index])
            parts[place] = " ".join(words)
        text = "".join(parts)
    if rng.random() < 0.4:
        text = text[:1].upper() + text[1:]
    return text


FILLERS = (
    "well",
    "so",
    "also",
    "really",
    "maybe",
    "kindly",
    "again",
    "though",
    "right",
    "here",
    "today",
    "then",
)


MORE_FILLERS = (
    *FILLERS,
    "um",
    "ehm",
    "like",
    "actually",
    "basically",
    "perhaps",
    "simply",
    "quickly",
    "honestly",
    "ideally",
    "anyway",
    "now",
    "too",
    "tonight",
    "quite",
    "somehow",
    "or so",
    "you see",
    "i guess",
    "btw",
)
"""With those that only a reader of the split "more" meets."""


def stumble(rng: random.Random, text: str, *, share: float = 0.25, fillers: tuple[str, ...] = FILLERS) -> str:
    """In a `share` of texts a filler is thrown in or a short word is swallowed: people are not templates."""
    if rng.random() >= share:
        return text
    words = text.split(" ")
    if rng.random() < 0.6:
        words.insert(rng.randrange(len(words) + 1), rng.choice(fillers))
    else:
        short = [
            i for i, word in enumerate(words) if word in ("the", "a", "an", "it", "to", "of", "and", "in")
        ]
        if short:
            words.pop(rng.choice(short))
    return " ".join(words)
