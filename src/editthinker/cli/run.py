"""`editthinker run`: the words of the command line. What they set in motion is in `batch`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from editthinker.cli import options
from editthinker.cli.options import HOW, WHAT, WHEN, WHERE, WHO, taking


def _option(group: str, name: str, text: str, *more: str, **settings: Any) -> Any:
    return typer.Option(name, *more, help=text, rich_help_panel=group, show_envvar=False, **settings)


@dataclass(frozen=True, kw_only=True)
class BatchOrder:
    """What was said of a run."""

    samples: Annotated[
        Path,
        typer.Argument(
            metavar="SAMPLES",
            help=".jsonl, .json, .csv, .parquet, a saved dataset, or a folder of photos with instructions.",
            show_default=False,
        ),
    ]

    run: Annotated[
        Path,
        _option(WHERE, "--run", "Folder of the run; one that is there already is taken up.", metavar="DIR"),
    ]
    out: Annotated[
        Path | None,
        _option(WHERE, "--out", "Put delivered images here too, named by their ids.", "-o", metavar="DIR"),
    ] = None
    json: options.Json = False
    quiet: options.Quiet = False

    editors: Annotated[
        list[str] | None,
        _option(WHO, "--editor", "As of 'edit'; several servers share the work: repeat it.", metavar="NAME"),
    ] = None
    thinkers: Annotated[
        list[str] | None,
        _option(WHO, "--thinker", "As of 'edit', or 'none'; may be repeated too.", metavar="NAME"),
    ] = None
    judges: Annotated[
        list[str] | None,
        _option(
            WHO, "--judge", "Scores every image in the thinker's place; may be repeated.", metavar="NAME"
        ),
    ] = None
    compare: options.ComparerName = None
    also: options.AlsoNames = None
    prompt: options.PromptFile = None

    turns: options.Turns = 5
    threshold: options.Threshold = 8.0
    semantic: options.Semantic = None
    quality: options.Quality = None
    plateau: Annotated[
        int | None,
        _option(WHEN, "--plateau", "End a sample after N turns without a better score.", min=1, metavar="N"),
    ] = None
    retries: Annotated[
        int,
        _option(WHEN, "--retries", "Repeat a call that failed in passing up to N times.", min=0, metavar="N"),
    ] = 6
    run_cost: Annotated[
        float | None,
        _option(WHEN, "--max-cost", "End the run after so many US dollars.", min=0, metavar="USD"),
    ] = None
    run_seconds: Annotated[
        float | None, _option(WHEN, "--max-seconds", "End this start after S seconds.", min=0, metavar="S")
    ] = None
    run_editor_calls: Annotated[
        int | None,
        _option(WHEN, "--max-editor-calls", "End the run after N calls of editors.", min=1, metavar="N"),
    ] = None
    patience_seconds: Annotated[
        float,
        _option(WHEN, "--patience", "Wait this long for servers that are all down.", min=0, metavar="S"),
    ] = 600.0
    fail_fast: Annotated[
        bool, _option(WHEN, "--fail-fast", "End the run at the first sample that fails.")
    ] = False

    images: Annotated[
        Path | None,
        _option(WHAT, "--images", "Folder of the images; without it, that of SAMPLES.", metavar="DIR"),
    ] = None
    limit: Annotated[
        int | None, _option(WHAT, "--limit", "Only the first N samples.", min=1, metavar="N")
    ] = None
    retry_failed: Annotated[bool, _option(WHAT, "--retry-failed", "Take up again what failed before.")] = (
        False
    )
    resume: Annotated[bool, _option(WHAT, "--resume", "Insist that the run is there already.")] = False
    paste_back: options.PasteBack = False

    concurrency: Annotated[
        str, _option(HOW, "--concurrency", "Samples at a time, or auto.", metavar="N|auto")
    ] = "auto"
    hedge: Annotated[
        bool,
        _option(
            HOW, "--hedge", "Ask a second server when one takes longer than nearly always; both may be paid."
        ),
    ] = False
    engine: Annotated[
        str,
        _option(
            HOW,
            "--engine",
            "Models that run here: in this process, or on a Ray cluster.",
            metavar="local|ray",
        ),
    ] = "local"
    address: Annotated[
        str,
        _option(
            HOW,
            "--address",
            "Of the Ray cluster; local: a new one; auto: one that is here, else a new one.",
            metavar="HOST:PORT",
        ),
    ] = "auto"
    workers: Annotated[
        str,
        _option(
            HOW,
            "--workers",
            "Of each model: 4, or editor=6,thinker=2; auto: what fits.",
            metavar="N|ROLE=N,...",
        ),
    ] = "auto"
    gpus: Annotated[
        str,
        _option(
            HOW,
            "--gpus",
            "Of each worker: 1, or editor=2,thinker=0.5; auto: as many as fit.",
            metavar="N|ROLE=N,...",
        ),
    ] = "auto"
    strategy: options.Strategy = "think-while-edit"
    policy: options.PolicyName = "refine"
    candidates: options.Candidates = 1
    seed: options.Seed = 0
    stack: options.Stack = False
    dry_run: options.DryRun = False


@taking(BatchOrder)
def run(**said: Any) -> int:
    """Edit many samples at a time; what is interrupted goes on where it stopped.

    \b
    Examples:
      editthinker run samples.jsonl --run runs/first --out edited
      editthinker run meta.json --images photos --run runs/second --turns 5 \\
          --editor service:http://gpu1:8005 --editor service:http://gpu2:8005 \\
          --thinker "vllm:EditThinker-8B?base_url=http://gpu3:8000/v1"
      editthinker run photos/ --run runs/third --max-cost 20 --dry-run
      editthinker run photos/ --run runs/fourth --engine ray --address head:6379

    A sample has an instruction and an image, perhaps an id, mask, box, references and tags; common other
    names are understood. Every call's answer is in the run folder before the next call starts. The same
    command again takes the run up: nothing that finished is asked for again, and what was changed in
    between is refused by name. Ctrl-C once lets calls under way end, twice does not.

    The run folder has heartbeat.json while it runs and summary.json afterwards; 'editthinker show DIR'
    makes a page of it. Exit code 0 means that every sample finished; 3 that some did not.
    """  # noqa: D301 click looks for \b
    from editthinker.cli.batch import play

    return play(BatchOrder(**said))
