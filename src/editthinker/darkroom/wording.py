"""How instructions become tokens, for the editor and the thinker alike.

Quoted strings leave the text before it is tokenised and come back afterwards, so any string can be written on
a photo and no string can pretend to be a program.
"""

from __future__ import annotations

import re

from tokenizers import Tokenizer

PAD, TEXT, PROGRAM = "<pad>", "<text>", "<program>"
SPECIAL = (PAD, TEXT, PROGRAM)

_QUOTED = re.compile(
    r"\"([^\"]*)\"|“([^”]*)”|„([^“”]*)[“”]|«([^»]*)»|(?<!\w)'(.+?)'(?!\w)|(?<!\w)‘(.+?)’(?!\w)", re.DOTALL
)
_MARKUP = re.compile(r"<[^<>\s]{1,40}>")


def token_id(tokenizer: Tokenizer, token: str) -> int:
    """The id of a token that must exist. Raises ValueError for a tokenizer of another model."""
    found: int | None = tokenizer.token_to_id(token)
    if found is None:
        raise ValueError(f"the tokenizer does not know {token}")
    return found


def readable(folded: str) -> bool:
    """Whether at least half of the letters are Latin ones; no other alphabet was ever learned."""
    letters = [c for c in folded if c.isalpha()]
    return bool(letters) and 2 * sum(c.isascii() or "À" <= c <= "ɏ" for c in letters) >= len(letters)


def fold_quotes(instruction: str) -> tuple[str, list[str]]:
    """The instruction with each quoted string replaced by `<text>`, and the strings in order.

    Anything that looks like one of our own tokens is defused first.
    """
    strings: list[str] = []

    def fold(match: re.Match[str]) -> str:
        strings.append(next(group for group in match.groups() if group is not None))
        return "\0"

    folded = _QUOTED.sub(fold, instruction.replace("\0", " "))
    return _MARKUP.sub(lambda m: " " + m.group()[1:-1] + " ", folded).replace("\0", TEXT), strings


def unfold_quotes(text: str, strings: list[str]) -> str:
    """`<text>` replaced by the quoted strings, the last one repeated when there are too few."""
    for string in strings:
        text = text.replace(TEXT, f'"{string}"', 1)
    return text.replace(TEXT, f'"{strings[-1]}"' if strings else '""')
