"""The command line: one verb per file, words in, files and exit codes out.

Comes in: argv, an image (file or stdin). Goes out: an edited image, a run folder, sentences on stderr,
documents on stdout, an exit code. It knows no model and no file of a run; it asks `resolve` and `runs`.
A verb's file imports nothing heavy at its top, so that `--help` and completion answer at once.
To add a verb: a file with one function, and one line in `app.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; never raises."""
    import typer

    from editthinker.cli.app import app
    from editthinker.cli.exits import explain

    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(
                errors="replace"
            )  # a terminal that cannot show a character must not end the work
    command = typer.main.get_command(app)
    try:
        outcome = command.main(
            args=arguments and list(arguments), prog_name="editthinker", standalone_mode=False
        )
    except SystemExit as stop:
        return int(stop.code or 0)
    except BaseException as error:  # noqa: BLE001 the last one to hear of it turns any error into a sentence
        return int(explain(error))
    return int(outcome or 0)
