"""Names of models as text: taken apart into name and settings, and written down without secrets.

In: "openai:gpt-image-2?quality=high&key=env:IMAGES_KEY". Out: its parts, or the same words fit for a record
or a message: references to keys stay, keys and passwords do not. What a name means is `resolve`'s business.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

from editthinker.core.errors import InputError

REFERENCES = ("env:", "file:", "keyring:")
"""How the place of a key begins."""
VOTE = "ensemble:"
"""Behind it stand whole names, separated by "|", each with settings of its own."""

_SECRET = re.compile(r"(?:^|[._-])(?:api)?(?:key|token|secret|password|authorization)$", re.IGNORECASE)
_NOT_SECRET = frozenset({"tokens_key"})
_PASSWORD = re.compile(r"(?<=://)[^/@\s]+(?=@)")
_GIVEN = re.compile(
    r"([?&;._-](?:api)?(?:key|token|secret|password|authorization|sig|signature)=)(?!env:|file:|keyring:)[^&#|\s]+",
    re.IGNORECASE,
)


def taken_apart(name: str) -> tuple[str, dict[str, str]]:
    """What is called, and the settings behind "?". Raises `InputError`."""
    called, mark, query = name.partition("?")
    if called.startswith(VOTE):
        return name, {}
    try:
        given = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(mark and query))
    except ValueError:
        raise InputError(f"settings of {hidden(called)!r} are written as ?key=value&key=value") from None
    return called, dict(given)


def put_together(called: str, settings: Mapping[str, Any]) -> str:
    """The name with its settings, without secrets."""
    shown = {key: hidden_setting(key, value) for key, value in settings.items()}
    return hidden(called) + (f"?{urlencode(shown, safe=':/,*')}" if shown else "")


def recorded(name: str) -> str:
    """A name as the user typed it, without secrets."""
    try:
        called, given = taken_apart(name)
    except InputError:
        return hidden(name)
    return put_together(called, given) if given else hidden(name)


def hidden(text: str) -> str:
    """Without passwords in URLs, and without keys in queries."""
    return _GIVEN.sub(r"\1***", _PASSWORD.sub("***", text))


def hidden_setting(key: str, value: Any) -> Any:
    """A setting as it may be written down."""
    if is_literal_secret(key, value):
        return "***"
    return hidden(value) if isinstance(value, str) else value


def is_literal_secret(key: str, value: Any) -> bool:
    """Whether a setting holds a key itself rather than a reference to one."""
    if key in _NOT_SECRET or not _SECRET.search(key) or value in ("", None):
        return False
    return not str(value).startswith(REFERENCES)
