"""The texts of prompts, ours and the user's, as templates.

In: the name of a style, or a file. Out: a `Template`. `{name}` is a place when `name` is in `PLACES`; all
other braces are text. `{+name}` in our own texts stands for the file `_name.txt`.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from pathlib import Path

from editthinker.core.errors import InputError
from editthinker.wire.prompting import Template

PLACES = (
    "source",
    "edited",
    "others",
    "instruction",
    "sent",
    "editor",
    "region",
    "start",
    "wording",
    "history",
    "most_steps",
    "original_instruction",
    "rewritten_prompt",
)
OFFICIAL = frozenset({"original_instruction", "rewritten_prompt"})
"""The two placeholders of EditThinker's own template; the words are put in bare, as it was trained."""
MAX_BYTES = 200_000

_INCLUDE = re.compile(r"\{\+(\w+)\}\n?")
_NAME_IN_BRACES = re.compile(r"\{([a-z]+(?:_[a-z]+)*)\}")
_IMAGE = "<image>"


def own(style: str) -> Template:
    """Our own text of a style."""
    return Template.of(_INCLUDE.sub(lambda found: text(f"_{found[1]}"), text(style)), PLACES)


def of_file(path: str) -> Template:
    """A user's file: ours in form, or EditThinker's own template. Raises `InputError`.

    In the latter `<image>` stands for the source photo, then for the edited one.
    """
    words = _read(Path(path).expanduser())
    for name in _NAME_IN_BRACES.findall(words):
        if name not in PLACES and (meant := get_close_matches(name, PLACES, 1, 0.8)):
            raise InputError(f"the prompt {path!r} has {{{name}}}; did you mean {{{meant[0]}}}?")
    if not Template.of(words, PLACES).places & {"instruction", "original_instruction"}:
        raise InputError(
            f"the prompt {path!r} has no place for the user's instruction;"
            " it needs {original_instruction}, as EditThinker's template has, or {instruction}"
        )
    words = words.replace(_IMAGE, "{source}", 1).replace(_IMAGE, "{edited}", 1)
    if _IMAGE in words:
        raise InputError(f"the prompt {path!r} has {_IMAGE} more than twice: source and edited photo are two")
    missing = [f"{{{name}}}" for name in ("source", "edited") if f"{{{name}}}" not in words]
    return Template.of("".join(missing) + words, PLACES)


@cache
def text(name: str) -> str:
    """One of our own text files."""
    return (files("editthinker.thinkers.prompts") / f"{name}.txt").read_text("utf-8")


def _read(path: Path) -> str:
    name = str(path)
    try:
        if not path.exists():
            raise InputError(f"there is no prompt {name!r}")
        if not path.is_file():
            raise InputError(f"the prompt {name!r} is not a file")
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"the prompt {name!r} has more than {MAX_BYTES} bytes; it is no prompt")
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"the prompt {name!r} is not UTF-8 text") from None
    except OSError as error:
        raise InputError(f"cannot read the prompt {name!r}: {error.strerror or error}") from None
