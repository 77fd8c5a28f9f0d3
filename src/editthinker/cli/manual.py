"""The reference of the command line as Markdown, made of `--help`: `python -m editthinker.cli.manual`."""

from __future__ import annotations

from typing import Any

import typer

from editthinker.cli.app import app

HEADER = """# The command line

Made by `make docs` from `--help`; a test fails when it is out of date.
"""


def manual() -> str:
    """Every command's help, in the order in which the program lists them."""
    return HEADER + "".join(_sections(typer.main.get_command(app), "editthinker", None))


def _sections(command: Any, name: str, parent: Any) -> list[str]:
    context = type(command).context_class(command, info_name=name, parent=parent, **_NARROW)
    title = context.command_path
    children = getattr(command, "commands", {})
    below = [part for child, verb in children.items() for part in _sections(verb, child, context)]
    return [f"\n## {title}\n\n```text\n{command.get_help(context).rstrip()}\n```\n", *below]


_NARROW = {"terminal_width": 100, "max_content_width": 100, "help_option_names": ["-h", "--help"]}
"""The page must not depend on the width of the terminal that made it."""


if __name__ == "__main__":
    print(manual(), end="")
