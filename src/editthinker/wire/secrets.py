"""Keys by reference: the environment, a file, a keyring. A key itself is never an option, nor printed.

In: `env:NAME`, `file:PATH`, `keyring:SERVICE/USER`, or nothing (then the usual variables). Out: a `Secret`.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from editthinker.core.errors import InputError, MissingExtra

FORMS = "env:NAME, file:PATH or keyring:SERVICE/USER"
_FOR_URLS = str.maketrans("+/", "-_")
_LEAST = 6
"""Characters from which on a key is worth hiding in a message; shorter ones are words."""


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """A key and where it came from; only `value` gives it away."""

    value: str
    origin: str
    """Such as "env:OPENAI_API_KEY"; "" when there is no key."""

    def __repr__(self) -> str:
        return f"Secret({self.origin or 'none'})"

    __str__ = __repr__

    def __bool__(self) -> bool:
        return bool(self.value)

    def hidden_in(self, text: str) -> str:
        """`text` without the key, as it is and in base64."""
        if len(self.value) >= _LEAST:
            coded = base64.b64encode(self.value.encode()).decode().rstrip("=")
            for form in (self.value, coded, coded.translate(_FOR_URLS)):
                text = text.replace(form, "***")
        return text


NONE = Secret("", "")


def read(reference: str, *, usual: Sequence[str] = ()) -> Secret:
    """The key behind a reference; without one, that of the first variable of `usual` that is set.

    Raises `InputError` when the reference leads nowhere, or is a key rather than a reference.
    """
    if not reference:
        found = next((name for name in usual if os.environ.get(name, "").strip()), "")
        return Secret(os.environ[found].strip(), f"env:{found}") if found else NONE
    kind, _, place = reference.partition(":")
    if kind == "env":
        value = os.environ.get(place, "")
    elif kind == "file":
        value = _of_file(place)
    elif kind == "keyring":
        value = _of_keyring(place)
    else:
        raise InputError(f"a key is given by reference, so that nobody else can read it: {FORMS}")
    if not value.strip():
        raise InputError(f"there is no key at {reference!r}")
    return Secret(value.strip(), reference)


def _of_file(place: str) -> str:
    try:
        return Path(place).expanduser().read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise InputError(f"cannot read the key file {place!r}: {reason}") from None


def _of_keyring(place: str) -> str:
    try:
        import keyring
    except ImportError:
        raise MissingExtra("a key from the keyring", "keyring") from None
    service, _, user = place.partition("/")
    try:
        return keyring.get_password(service, user) or ""
    except keyring.errors.KeyringError as error:
        raise InputError(f"the keyring cannot be read: {error}") from None
