"""What reaches a terminal: one inert line at a time.

Text from users and models is data. It could hold escape sequences that recolour, rename or clear the terminal
or bidirectional controls that make it read differently from what it is; `inert` leaves none of them.
"""

from __future__ import annotations

import sys
import unicodedata

_HIDDEN = frozenset({"Cc", "Cs", "Co", "Cn"})
"""Unicode categories never shown: control, lone surrogate, private, unassigned."""

_REORDERING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")


def inert(text: str, limit: int = 2000) -> str:
    """`text` as one line that cannot act on a terminal; cut after `limit` characters."""
    cut = text[:limit] + ("…" if len(text) > limit else "")
    spaced = "".join(" " if char.isspace() else char for char in cut)
    return "".join(
        char for char in spaced if unicodedata.category(char) not in _HIDDEN and char not in _REORDERING
    )


def say(sentence: str) -> None:
    """One line for a person, on stderr: stdout belongs to results."""
    print(inert(sentence), file=sys.stderr, flush=True)
