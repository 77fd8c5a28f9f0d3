"""Records of somebody's benchmark, checked before anything is done with them, and put into a judge's prompt.

In: what a JSON file held, a prompt with places. Out: records that have what is needed, a text; or an
`InputError` that says which record lacks what.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from editthinker.benchmarks.suite import duplicates
from editthinker.core.errors import InputError
from editthinker.core.files import shown

_NAME = re.compile(r"[^\W_][\w .#()+-]*")


def checked(content: Any, fields: Sequence[str], where: Path) -> list[dict[str, Any]]:
    """The records of a list, or of an object of records. Raises `InputError` for one without `fields`."""
    if isinstance(content, dict):
        content = list(content.values())
    if not isinstance(content, list) or not content:
        raise InputError(f"{shown(str(where))} holds no list of records")
    for number, record in enumerate(content, 1):
        lacking = [name for name in fields if not isinstance(record, dict) or record.get(name) in (None, "")]
        if lacking:
            raise InputError(f"record {number} of {shown(str(where))} has no {' and no '.join(lacking)}")
    return content


def no_duplicates(names: Sequence[str], where: Path) -> None:
    """Raises `InputError` naming ids that stand more than once."""
    if found := list(duplicates(names)):
        listed = ", ".join(shown(name[:60]) for name in found[:5])
        raise InputError(f"{shown(str(where))} has {len(found)} ids more than once: {listed}")


def given(record: Mapping[str, Any], name: str) -> bool:
    """Whether a field stands in a record, whatever its value (JSON written by pandas has NaN for nothing)."""
    value = record.get(name)
    return value is not None and value == value


def plain(*names: Any) -> bool:
    """Whether categories and ids can be parts of a path below a folder: nothing leads out of it."""
    return all(_NAME.fullmatch(str(name)) and not str(name).endswith((".", " ")) for name in names)


def filled(template: str, values: Mapping[str, str]) -> str:
    """What `str.format` makes of an official prompt; a place that is not among `values` stays as it is.

    What is put in is not looked at again.
    """

    def put(found: re.Match[str]) -> str:
        text = found.group()
        return text[0] if text in ("{{", "}}") else values.get(text[1:-1], text)

    return re.sub(r"\{\{|\}\}|\{\w+\}", put, template)
