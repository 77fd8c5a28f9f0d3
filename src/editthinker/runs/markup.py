"""HTML that is safe by construction: every `str` is data and is made inert; only `Html` goes in as it is."""

from __future__ import annotations

import difflib
import html
import re
import unicodedata
from collections.abc import Iterator

LIMIT = 4000
"""Characters of one text that are shown."""

_COMPARABLE = 90_000
"""Words of one text times words of the other; comparing repetitive texts takes cubic time."""

_VOID = frozenset({"img", "input", "meta"})
_REORDERING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
"""Bidirectional controls, which could make text read differently from what it is."""

_CJK = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"
_WORD = re.compile(rf"\s+|[{_CJK}]|[^\W{_CJK}]+|[^\w\s]")


class Html(str):
    """Markup made here; anything else that is a `str` came from outside."""

    __slots__ = ()


Child = Html | str | int | None


def element(name: str, /, *children: Child, **attributes: str | float | bool | None) -> Html:
    """`element("p", "a < b", class_="note")`; attributes that are None or False are left out."""
    opened = name + "".join(
        f" {key.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{_escaped(str(value))}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    return Html(f"<{opened}>" if name in _VOID else f"<{opened}>{joined(*children)}</{name}>")


def joined(*children: Child) -> Html:
    """The children one after the other, text escaped."""
    return Html(
        "".join(
            child if isinstance(child, Html) else text(str(child)) for child in children if child is not None
        )
    )


def text(words: str, limit: int = LIMIT) -> Html:
    """Words from outside: shortened, nothing in them acts, and what is hidden in them is shown."""
    shown = _escaped(inert(words[:limit]))
    rest = len(words) - limit
    return Html(f"{shown}<i class=cut>… {rest:,} more characters</i>" if rest > 0 else shown)


def inert(words: str) -> str:
    """The same words with every control and reordering character made visible."""
    return "".join(_visible(char) for char in words.replace("\r\n", "\n"))


def changed_words(before: str, after: str, limit: int = LIMIT) -> Html:
    """`after`, with what it adds to `before` in <ins> and what it drops in <del>; plain if both are long."""
    old, new = _WORD.findall(before[:limit]), _WORD.findall(after[:limit])
    if len(old) * len(new) > _COMPARABLE:
        return text(after, limit)
    parts: list[Html] = []
    for dropped, added, kept in _changes(old, new):
        parts += [element("del", dropped)] if dropped.strip() else []
        parts += [element("ins", added) if added.strip() else text(added), text(kept)]
    return joined(*parts, text(after[limit:], 0) if len(after) > limit else None)


def _changes(old: list[str], new: list[str]) -> Iterator[tuple[str, str, str]]:
    """(dropped, added, then kept); changes with only a space between them are one, for the reader's sake."""
    dropped = added = ""
    for tag, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        kept = "".join(new[c:d])
        if tag == "equal" and (kept.strip() or not (dropped or added)):
            yield dropped, added, kept
            dropped = added = ""
        else:
            dropped, added = dropped + "".join(old[a:b]), added + kept
    yield dropped, added, ""


def _escaped(words: str) -> str:
    return html.escape(words, quote=True)


def _visible(char: str) -> str:
    if char in "\n\t" or (char.isascii() and char.isprintable()):
        return char
    if char in _REORDERING or unicodedata.category(char) in ("Cc", "Cs"):
        return f"⟨U+{ord(char):04X}⟩"
    return char
