"""`editthinker models`: what can be named, and what each needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from editthinker.cli import options
from editthinker.cli.terminal import inert

if TYPE_CHECKING:
    from editthinker.resolve import Model

HEADINGS = ("role", "name", "available", "needs", "what")


def models(json: options.Json = False) -> None:
    """List what can be named as editor, thinker or judge, and what each needs.

    Beyond these names any 'pkg.module:factory' works, and any entry point that an installed package offers in
    the groups editthinker.editors, editthinker.thinkers and editthinker.judges.
    """
    from editthinker.resolve import known_models

    known = known_models()
    print(_document(known) if json else _table(known))


def _document(known: tuple[Model, ...]) -> str:
    from json import dumps

    rows = [{heading: getattr(model, heading) for heading in HEADINGS} for model in known]
    return dumps({"schema_version": 1, "models": rows}, indent=2)


def _table(known: tuple[Model, ...]) -> str:
    """Columns padded to their widest cell."""
    rows = [
        (model.role, inert(model.name), "yes" if model.available else "no", model.needs, inert(model.what))
        for model in known
    ]
    lines = [tuple(heading.upper() for heading in HEADINGS), *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
