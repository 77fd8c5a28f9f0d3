"""The verbs, gathered. Only signatures are loaded here; a verb's work is imported when it runs."""

from __future__ import annotations

from typing import Annotated

import typer

from editthinker.cli import bench, edit, models, show

HELP = """Edit a photo in words; a second model looks at the result, says what is wrong, and asks again.

The image of the best turn is delivered, never merely the last one.

\b
Examples:
  editthinker edit photo.jpg "make it look like an old photograph"
  editthinker edit photo.jpg "warmer, and blur the background" -o warm.png --turns 5
  cat photo.jpg | editthinker edit - "black and white" -o - > grey.png
  editthinker show runs/20250131-120000-a1b2c3

\b
Exit codes:
  0    an edited image is delivered
  1    nothing better than the source was found, or a model failed
  2    the input or the command line cannot be used; nothing was done
  130  interrupted; what was finished is kept in the run folder

EDITTHINKER_DEBUG=1 shows the traceback of an error.
"""

app = typer.Typer(
    name="editthinker",
    help=HELP,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
app.command("edit")(edit.edit)
app.command("show")(show.show)
app.command("models")(models.models)
bench_app = typer.Typer(help="Measure the loop on a benchmark.", no_args_is_help=True, rich_markup_mode=None)
bench_app.command("darkroom")(bench.darkroom)
app.add_typer(bench_app, name="bench")


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"editthinker {version('editthinker')}")
        raise typer.Exit


@app.callback()
def root(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Hold the options that belong to no verb."""
