"""Judge prompts, read at run time from where their authors put them, and compared with what they should be.

In: a checkout or data folder, and sha256 sums known for one commit. Out: `Prompts`: the texts, where they
came from, every difference, and what could not be compared. Python files are parsed, never imported or
executed. Nobody's prompts are kept here; without a checkout a benchmark asks in our own words (`OURS`), and
its table is not comparable.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from editthinker.benchmarks.reading import found_in, json_of, text_of
from editthinker.benchmarks.table import Table
from editthinker.core.errors import InputError
from editthinker.core.files import shown


@dataclass(frozen=True, slots=True)
class Prompts:
    """Judge prompts by name."""

    texts: Mapping[str, str]
    origin: str
    """The file they were read from; empty for our own."""
    differences: tuple[str, ...] = ()
    """Names whose text is not the known one; one clause each."""
    unverified: tuple[str, ...] = ()
    """What could not be compared, because nothing is known of it; one clause each."""
    source: str = ""
    """Whose texts they were compared with: repository and commit."""

    @property
    def state(self) -> Literal["verified", "not verified", "different", "ours"]:
        """How far they are the authors': word for word, by where they were read only, or not."""
        if not self.origin:
            return "ours"
        return "different" if self.differences else "not verified" if self.unverified else "verified"

    @property
    def sha256(self) -> str:
        """Of names and texts, for the record of a run."""
        return hashlib.sha256(json.dumps(dict(sorted(self.texts.items()))).encode()).hexdigest()


def ours(texts: Mapping[str, str]) -> Prompts:
    """Our own prompts."""
    return Prompts(dict(texts), "")


def sha256_of(text: str) -> str:
    """Of a prompt as UTF-8."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def stamped(table: Table, prompts: Prompts) -> Table:
    """The table, saying which prompts its replies answer."""
    state = prompts.state
    if state == "ours":
        words: tuple[str, ...] = ("judged with our own prompts: not comparable with published figures",)
    else:
        words = tuple(f"judge prompts: {difference}" for difference in prompts.differences)
        words += tuple(f"judge prompts not verified: {unknown}" for unknown in prompts.unverified)
        words += (f"judge prompts: as in {prompts.source}",) * (state == "verified")
    comparable = table.comparable and state in ("verified", "not verified")
    return replace(table, comparable=comparable, flags=(*words, *table.flags))


def from_json(path: Path) -> dict[str, str]:
    """The strings of a JSON object. Raises `InputError`."""
    content = json_of(path)
    if not isinstance(content, dict):
        raise InputError(f"cannot read the judge prompts {shown(str(path))}: it holds no JSON object")
    return {str(name): text for name, text in content.items() if isinstance(text, str)}


def from_python(path: Path) -> dict[str, str]:
    """The string constants that a Python file assigns at its top level. Raises `InputError`.

    Literals, their concatenation with `+`, adjacent literals, `.strip()` of one, and names assigned before
    are understood; anything else is left out, nothing is executed.
    """
    try:
        tree = ast.parse(text_of(path))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise InputError(f"cannot read the judge prompts {shown(str(path))}: it is no valid Python") from None
    found: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            targets, value = node.targets, node.value
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            targets, value = [node.target], node.value
        else:
            continue
        text = _constant(value, found)
        for target in targets:
            if isinstance(target, ast.Name) and text is not None:
                found[target.id] = text
    return found


def _constant(node: ast.expr, known: Mapping[str, str]) -> str | None:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.Name(id=name):
            return known.get(name)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            first, second = _constant(left, known), _constant(right, known)
            return None if first is None or second is None else first + second
        case ast.Call(func=ast.Attribute(value=inner, attr="strip"), args=[], keywords=[]):
            whole = _constant(inner, known)
            return None if whole is None else whole.strip()
    return None


def compared(
    texts: Mapping[str, str],
    origin: Path,
    known: Mapping[str, str],
    source: str,
    probes: Mapping[str, Any] | None = None,
) -> Prompts:
    """The prompts of a file held against `known` (name -> sha256) of `source`.

    With `probes` (name -> text) it is their sums that are compared.
    """
    differences, unknown = [], []
    for name, text in texts.items():
        if name not in known:
            unknown.append(f"no sha256 is known for {name!r}")
        elif sha256_of((probes or texts).get(name, text)) != known[name]:
            differences.append(f"{name!r} differs from {source}")
    return Prompts(dict(texts), str(origin), tuple(differences), tuple(unknown), source)


def unverified(texts: Mapping[str, str], origin: Path, whose: str) -> Prompts:
    """Prompts of a file of which no version is known."""
    words = f"read from {shown(str(origin))}; no sha256 is known for the prompts of {whose}"
    return Prompts(dict(texts), str(origin), unverified=(words,))


def chosen(texts: Mapping[str, str], names: Iterable[str], origin: Path) -> dict[str, str]:
    """Just these prompts. Raises `InputError` naming those that are not there."""
    names = tuple(names)
    if lacking := [name for name in names if name not in texts]:
        raise InputError(f"{shown(str(origin))} lacks the judge prompts {', '.join(lacking)}")
    return {name: texts[name] for name in names}


def located(checkout: Path, *places: str) -> Path:
    """The file of prompts: the first of these relative paths that exists, or `checkout` itself.

    Raises `InputError`.
    """
    return found_in(checkout, places, "a checkout with judge prompts")
