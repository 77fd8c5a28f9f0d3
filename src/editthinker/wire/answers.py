"""One JSON object out of a model's words: found, read once, checked against the fields that were asked for.

In: a reply. Out: the object, or `Unreadable` with a sentence that can be sent back to the model. Tolerant
where the meaning is certain (a fence, words around the object), strict where it is not (no object, two
different ones, a key twice, a reply cut off).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn, Self

from pydantic import BaseModel, ConfigDict, ValidationError

MAX_STARTS = 200
"""Opening braces of a reply that are tried."""


_IDLE = frozenset({"title", "default", "description"})
"""Keys of a schema that say nothing about the form of a reply."""


class Unreadable(ValueError):
    """The reply holds no such object; the message says what to write instead."""


class Answer(BaseModel):
    """Base of what a model is asked for as JSON. Fields with a default may be missing from a reply."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, str_strip_whitespace=True)

    @classmethod
    def read(cls, text: str) -> Self:
        """The answer in a reply. Raises `Unreadable`."""
        try:
            data = json_object(text).items()
            return cls.model_validate({key: value for key, value in data if value is not None})
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field, said = ".".join(map(str, first["loc"])), str(first["input"])[:40]
            found = "is missing" if first["type"] == "missing" else f"cannot be {said!r}: {first['msg']}"
            raise Unreadable(f'"{field}" {found}; write one JSON object with {cls.fields()}') from None

    @classmethod
    def fields(cls) -> str:
        """The names of the fields, for a sentence."""
        return ", ".join(f'"{name}"' for name in cls.model_fields)

    @classmethod
    def schema(cls) -> dict[str, Any]:  # type: ignore[override]
        """JSON schema for guided decoding; as OpenAI's strict mode asks, every field is required."""
        schema = cls.model_json_schema()
        strict: dict[str, Any] = _strict(schema, schema.pop("$defs", {}))
        return strict


def json_object(text: str) -> dict[str, Any]:
    """The one JSON object in a reply, keys as they came. Raises `Unreadable`."""
    if not text.lstrip().startswith("{"):
        text = text.rpartition("</think>")[2]  # reasoning models think aloud, of JSON too
    found: list[dict[str, Any]] = []
    decoder = json.JSONDecoder(object_pairs_hook=_without_doubles, parse_constant=_no_constant)
    place, torn = text.find("{"), False
    for _ in range(MAX_STARTS):
        if place < 0:
            break
        try:
            value, end = decoder.raw_decode(text, place)
            found += [value] if value not in found else []
        except (ValueError, RecursionError) as error:
            torn = torn or getattr(error, "pos", 0) >= len(text.rstrip()) - 1
            end = place + 1
        place = text.find("{", end)
    if torn and not found:
        raise Unreadable("the JSON object is not closed; the reply seems cut off, answer more briefly")
    if len(found) != 1:
        raise Unreadable(f"the reply holds {len(found) or 'no'} JSON objects; write exactly one")
    return found[0]


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) != len(pairs):
        raise ValueError("a key comes twice")
    return data


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _strict(node: Any, shared: Mapping[str, Any]) -> Any:
    """Without titles, defaults and references; every property required."""
    if isinstance(node, list):
        return [_strict(item, shared) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _strict(shared[node["$ref"].rpartition("/")[2]], shared)
    plain = {key: _strict(value, shared) for key, value in node.items() if key not in _IDLE}
    if plain.get("type") == "object":
        properties = node.get("properties", {})
        plain["properties"] = {name: _strict(value, shared) for name, value in properties.items()}
        plain |= {"required": list(properties), "additionalProperties": False}
    return plain
