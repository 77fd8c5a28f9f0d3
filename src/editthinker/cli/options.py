"""The options of the verbs, each described once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Seed = Annotated[int, typer.Option(min=0, help="Same seed, photo and words: same result.")]
Turns = Annotated[int, typer.Option(min=1, max=100, help="At most this many turns.")]
Strategy = Annotated[
    str,
    typer.Option(help="think-while-edit, single, best-of-n, think-before-edit or think-before-and-while."),
]
EditorName = Annotated[
    str, typer.Option(metavar="NAME", help="See 'editthinker models'; or pkg.module:factory.")
]
ThinkerName = Annotated[
    str, typer.Option(metavar="NAME", help="Likewise; 'none' delivers the first edit unseen.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, nothing else.")]

Out = Annotated[
    str | None,
    typer.Option(
        "--out",
        "-o",
        metavar="OUT",
        help="Result: .png, .jpg, .webp, ...; '-' is PNG on stdout. "
        "Without it: photo.edited.png beside the photo.",
        show_default=False,
    ),
]
Threshold = Annotated[
    float, typer.Option(min=0, help="Satisfied when semantic and quality both reach this; above 10: never.")
]
MaxSeconds = Annotated[float | None, typer.Option(min=0, metavar="S", help="Stop after S seconds.")]
MaxEditorCalls = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Call the editor at most N times.")
]
Run = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="New folder for the record; without it, one below $EDITTHINKER_RUNS.",
        show_default=False,
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress; errors only.")]
Force = Annotated[bool, typer.Option("--force", "-f", help="Replace the result if it is there already.")]
