"""`editthinker models`: what can be named, what each needs, and what can be set on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from editthinker.cli import options
from editthinker.cli.terminal import inert

if TYPE_CHECKING:
    from editthinker.resolve import Meaning, Model

HEADINGS = ("role", "name", "available", "needs", "what")
SETTING_HEADINGS = ("setting", "value", "what")


def models(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="Show what can be set on this one.", show_default=False),
    ] = None,
    json: options.Json = False,
) -> None:
    """List what can be named as editor, thinker or judge, and what each needs; or what can be set on one.

    Settings are written behind the name, as in 'diffusers:REPO?steps=28&guidance=2.5', or in a table of a
    configuration file. Beyond these names any 'pkg.module:factory' works, and any entry point that an
    installed package offers in the groups editthinker.editors, editthinker.thinkers and editthinker.judges.

    \b
    Examples:
      editthinker models
      editthinker models diffusers
      editthinker models "openai:gpt-image-2.5-flare?quality=high"
    """  # noqa: D301 click looks for \b
    from json import dumps

    if name is not None:
        tables = _settings(name)
        print(dumps({"schema_version": 1, "models": tables}, indent=2) if json else _pages(tables))
        return
    from editthinker.resolve import known_models

    known = known_models()
    if json:
        rows = [{heading: _cell(model, heading) for heading in HEADINGS} for model in known]
        print(dumps({"schema_version": 1, "models": rows}, indent=2))
    else:
        cells = [[inert(_shown(_cell(model, heading))) for heading in HEADINGS] for model in known]
        print(_table(HEADINGS, cells))


def _cell(model: Model, heading: str) -> Any:
    return model.shown if heading == "name" else getattr(model, heading)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


def _settings(name: str) -> list[dict[str, Any]]:
    """Of each role that has this name: what it means and every setting with its value."""
    from editthinker import resolve
    from editthinker.config import load
    from editthinker.core.errors import InputError, MissingExtra, UnknownName

    config, found, unknown = load(), [], None
    for role in ("editor", "thinker", "judge"):
        try:
            meaning = resolve.understood(role, name, config, complete=False)
            found.append(_described(meaning, resolve.settings_of(meaning.model)))
        except UnknownName as error:
            unknown = unknown or error
        except MissingExtra as error:
            found.append({"role": role, "name": meaning.name, "what": str(error), "settings": []})
        except (ImportError, AttributeError) as error:
            raise InputError(f"{meaning.label} cannot be loaded: {error}") from error
    if not found and unknown:
        raise unknown
    return found


def _described(meaning: Meaning, settings: Any) -> dict[str, Any]:
    from editthinker.core import names

    given = {**meaning.model.presets, **meaning.given}
    rows = [
        {
            "setting": key,
            "value": names.hidden_setting(key, given.get(key, field.get_default(call_default_factory=True))),
            "what": field.description or "",
        }
        for key, field in (settings.model_fields if settings else {}).items()
    ]
    model = meaning.model
    return {
        "role": model.role,
        "name": meaning.name,
        "what": model.what,
        "means": meaning.spelled,
        "settings": rows,
    }


def _pages(tables: Sequence[dict[str, Any]]) -> str:
    """One block for each role."""
    blocks = []
    for table in tables:
        head = inert(f"{table['role']} {table['name']}: {table['what']}")
        rows = [[inert(_shown(row[heading])) for heading in SETTING_HEADINGS] for row in table["settings"]]
        blocks.append(f"{head}\n{_table(SETTING_HEADINGS, rows) if rows else 'It has no settings.'}")
    return "\n\n".join(blocks)


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns padded to their widest cell."""
    lines = [[heading.upper() for heading in headings], *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
