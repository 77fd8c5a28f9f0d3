"""What can be set on a named model, as a typed table that teaches: unknown keys are refused, never ignored.

In: the words behind `?` in a name ("steps=28&guidance=2.5") or a table of a configuration file. Out: a
frozen `Settings`, or an `InputError` that names the key, says what it may be, and guesses what was meant.
Each adapter subclasses `Settings`; field descriptions are shown by `editthinker models NAME`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from editthinker.core import names
from editthinker.core.errors import InputError


def _typed(table: dict[str, Any]) -> dict[str, Any]:
    """Numbers, truth values and tables that came as text, as in a name, become what they say."""
    return {key: _value(value) if isinstance(value, str) else value for key, value in table.items()}


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return {"True": True, "False": False, "None": None}.get(text, text)


Extra = Annotated[dict[str, Any], AfterValidator(_typed)]
"""Fields that are passed on as they are, `extra.NAME=value`, for what an adapter does not know."""


class Settings(BaseModel):
    """Frozen and strict about unknown keys; text becomes the type of its field."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())

    @classmethod
    def read(cls, label: str, given: Mapping[str, Any]) -> Self:
        """Settings from a flat table; `a.b` is key b of table a. Raises `InputError` naming `label`."""
        try:
            return cls.model_validate(nested(given))
        except ValidationError as error:
            raise InputError(f"{label}: {complaint(cls, error)}") from None


def nested(given: Mapping[str, Any]) -> dict[str, Any]:
    """A flat table with the keys `a.b` as key b of a table a."""
    table: dict[str, Any] = {}
    for key, value in given.items():
        outer, dot, inner = key.partition(".")
        if dot and isinstance(table.setdefault(outer, {}), dict):
            table[outer][inner] = value
        else:
            table[key] = value
    return table


def complaint(settings: type[Settings], error: ValidationError) -> str:
    """What is wrong with a table: the key, what it may be, the nearest one if it is unknown."""
    first = error.errors(include_url=False)[0]
    key = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        *tables, last = map(str, first["loc"])
        for table in tables:
            settings = settings.model_fields[table].annotation  # type: ignore[assignment] # a table of tables
        known = list(settings.model_fields)
        meant = [".".join([*tables, name]) for name in get_close_matches(last, known, 1)]
        guess = f"did you mean {meant[0]!r}? " if meant else ""
        return f"it has no setting {key!r}; {guess}it has {', '.join(known) or 'none at all'}"
    reason = str(first.get("ctx", {}).get("error") or first["msg"])
    reason = reason[:1].lower() + reason[1:]
    if not key:  # it is about several keys, and names them
        return reason
    got = str(names.hidden_setting(key, str(first["input"])))
    return f"setting {key!r}: {reason}, got {got[:80]!r}"
