"""Errors between processes. Those of another one may not even be loadable here; a `Fault` always is.

In: what a model raised. Out: the same error on the other side: class, sentence, and every field of ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from editthinker.core import errors
from editthinker.core.errors import EditThinkerError

FIELDS = tuple(name for name in EditThinkerError.__annotations__ if name != "blame")
"""What our errors carry beside their sentence."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What went wrong, as plain values."""

    kind: str
    """Name of the class."""
    message: str
    ours: bool
    """Whether the class is one of `core.errors`; else the model broke."""
    fields: Mapping[str, Any]

    @classmethod
    def of(cls, error: Exception) -> Fault:
        """Of an error that was raised here."""
        if not isinstance(error, EditThinkerError):
            return cls(type(error).__name__, str(error), ours=False, fields={})
        known = next(kind for kind in type(error).__mro__ if kind.__module__ == errors.__name__)
        fields = {name: getattr(error, name) for name in FIELDS}
        return cls(known.__name__, str(error), ours=True, fields=fields)

    def error(self) -> Exception:
        """The error again."""
        if not self.ours:
            broke: type[Exception] = type(self.kind, (Exception,), {})
            return broke(self.message)
        kind: type[EditThinkerError] = getattr(errors, self.kind)
        error = kind.__new__(kind, self.message)
        error.args = (self.message,)  # not by its __init__: some make their sentence themselves
        error.__dict__.update(self.fields)
        return error
