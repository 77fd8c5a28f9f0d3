"""The verbs, gathered. Only signatures are loaded here; a verb's work is imported when it runs."""

from __future__ import annotations

from typing import Annotated

import typer

from editthinker.cli import (
    config,
    data,
    doctor,
    edit,
    models,
    options,
    run,
    serve_editor,
    show,
    train,
)
from editthinker.cli.bench import darkroom, results, suites

HELP = """Edit a photo in words; a second model looks at the result, says what is wrong, and asks again.

The image of the best turn is delivered, never merely the last one.

\b
Examples:
  editthinker edit photo.jpg "make it look like an old photograph"
  editthinker edit photo.jpg "warmer, and blur the background" -o warm.png --turns 5
  cat photo.jpg | editthinker edit - "black and white" -o - > grey.png
  editthinker show runs/20250131-120000-a1b2c3
  editthinker models openai
  editthinker config show

\b
Exit codes:
  0    an edited image is delivered
  1    nothing better than the source was found, or a model failed
  2    the input or the command line cannot be used; nothing was done
  3    of many samples some failed, were refused, or are not finished
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
app.command("edit", cls=options.Grouped)(edit.edit)
app.command("run", cls=options.Grouped)(run.run)
app.command("show")(show.show)
app.command("models")(models.models)
app.command("doctor")(doctor.doctor)
app.command("serve-editor")(serve_editor.serve_editor)
config_app = typer.Typer(
    help="Show, begin or trust configuration files.", no_args_is_help=True, rich_markup_mode=None
)
config_app.command("show")(config.show)
config_app.command("init")(config.init)
config_app.command("trust")(config.trust)
app.add_typer(config_app, name="config")
bench_app = typer.Typer(help="Measure the loop on a benchmark.", no_args_is_help=True, rich_markup_mode=None)
bench_app.command("darkroom")(darkroom.darkroom)
for suite in (
    suites.imgedit,
    suites.uge,
    suites.gedit,
    suites.rise,
    suites.kris,
    suites.uniredit,
):
    bench_app.command(suite.__name__, cls=options.Grouped)(suite)
bench_app.command("import", cls=options.Grouped)(suites.import_)
bench_app.command("score")(results.score)
bench_app.command("export")(results.export)
bench_app.command("compare")(results.compare)
app.add_typer(bench_app, name="bench")
app.add_typer(data.app, name="data")
app.add_typer(train.app, name="train")


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"editthinker {version('editthinker')}")
        raise typer.Exit


CONFIGURED = ("edit", "doctor", "run")
"""Verbs whose options the configuration files may set; `config show` reads them as `edit` does."""


@app.callback()
def root(
    context: typer.Context,
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Hold the options that belong to no verb; hand the configuration to those verbs that have one."""
    if context.invoked_subcommand not in (*CONFIGURED, "config"):
        return
    from editthinker.config import load
    from editthinker.core.errors import InputError

    try:
        context.obj = load()
    except InputError as error:  # told by the verb: its --help must work all the same
        context.obj = error
        return
    defaults = {key: value for key, (value, _) in context.obj.defaults.items()}
    context.default_map = dict.fromkeys(CONFIGURED, defaults)
