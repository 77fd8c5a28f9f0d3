"""Taking a wish apart: plain words, such as the thinker writes, split where one operation ends.

In: an instruction in the plain words of `language.phrases`, its quoted strings folded. Out: one clause for
each operation, or nothing when a part of it is no such clause. Knows no pixels and no model.
"""

from __future__ import annotations

from functools import cache

from editthinker.darkroom.language import phrases
from editthinker.darkroom.program import KINDS, Operation
from editthinker.darkroom.wording import TEXT, unfold_quotes

JOINER = ", "
"""What `language.sentences.plain` puts between clauses."""


def clauses(words: str, strings: list[str]) -> tuple[str, ...]:
    """The clauses of an instruction in plain words, each with its quoted strings; () when it is not such."""
    parts, left = words.strip().rstrip(".").split(JOINER), list(strings)
    if not _plain().issuperset(parts):
        return ()
    found = []
    for part in parts:
        own = left[: part.count(TEXT)] or strings[-1:]
        del left[: part.count(TEXT)]
        found.append(unfold_quotes(part, own))
    return tuple(found)


@cache
def _plain() -> frozenset[str]:
    """Every operation in its two plain wordings; none has a comma in it."""
    operations = [
        Operation(kind, value, region, strength)
        for kind, table in KINDS.items()
        for value in table.values
        for region in table.regions
        for strength in table.strengths
    ]
    return frozenset(say(operation) for operation in operations for say in (phrases.plain, phrases.plainer))
