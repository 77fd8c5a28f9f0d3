"""`editthinker edit`: the words of the command line. What they set in motion is in `session`."""

from __future__ import annotations

from typing import Annotated

import typer

from editthinker.cli import options


def edit(
    image: Annotated[
        str, typer.Argument(metavar="IMAGE", help="The photo; '-' reads it from stdin.", show_default=False)
    ],
    instruction: Annotated[
        str, typer.Argument(metavar="INSTRUCTION", help="What to do to it, in words.", show_default=False)
    ],
    out: options.Out = None,
    editor: options.EditorName = "darkroom",
    thinker: options.ThinkerName = "darkroom",
    strategy: options.Strategy = "think-while-edit",
    turns: options.Turns = 3,
    seed: options.Seed = 0,
    threshold: options.Threshold = 8.0,
    max_seconds: options.MaxSeconds = None,
    max_editor_calls: options.MaxEditorCalls = None,
    run: options.Run = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    force: options.Force = False,
) -> int:
    """Edit one photo: edit, critique, refine, repeat; deliver the best turn.

    \b
    Examples:
      editthinker edit photo.jpg "make it look like an old photograph"
      editthinker edit photo.jpg "warmer" -o warm.jpg --turns 5 --max-seconds 20
      cat photo.jpg | editthinker edit - "black and white" -o - > grey.png
      editthinker edit photo.jpg "sepia" --json --quiet | jq .trajectory.chosen

    Every turn, its scores and the thinker's words are kept in the run folder; report.html there shows them.
    With --json one document goes to stdout once the work is done; when the input cannot be used (exit code 2)
    there is no document, only the sentence on stderr.
    """  # noqa: D301 click looks for \b
    from editthinker.cli.session import Order, deliver

    order = Order(
        image=image,
        instruction=instruction,
        out=out,
        editor=editor,
        thinker=thinker,
        strategy=strategy,
        turns=turns,
        seed=seed,
        threshold=threshold,
        max_seconds=max_seconds,
        max_editor_calls=max_editor_calls,
        run=run,
        json=json,
        quiet=quiet,
        force=force,
    )
    return deliver(order)
