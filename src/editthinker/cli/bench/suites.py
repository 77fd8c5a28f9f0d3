"""`editthinker bench imgedit|uge|gedit|rise|kris|uniredit|import`: the words of the command line.

What they set in motion is in `work`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from editthinker.cli import options
from editthinker.cli.options import HOW, WHAT, WHEN, WHERE, WHO, taking


def _option(group: str, name: str, text: str, *more: str, **settings: Any) -> Any:
    return typer.Option(name, *more, help=text, rich_help_panel=group, show_envvar=False, **settings)


RulesName = Annotated[
    Literal["strict", "official", "paper", "all"],
    _option(
        HOW,
        "--rules",
        "strict counts what is missing as lowest, official as the authors' code, paper as EditThinker.",
    ),
]
Markdown = Annotated[bool, _option(WHERE, "--markdown", "Print the tables as Markdown.")]
Preservation = Annotated[
    bool,
    _option(
        HOW, "--preservation/--no-preservation", "What the edits left as it was, measured on the pixels."
    ),
]
Data = Annotated[
    Path | None,
    _option(
        WHAT,
        "--data",
        "The benchmark's data, as its authors publish it.",
        metavar="DIR",
    ),
]
Prompts = Annotated[
    str,
    _option(
        WHAT,
        "--prompts",
        "Checkout of the authors' code, for the judge prompts; 'ours' asks in our words. Without: --data.",
        metavar="DIR|ours",
    ),
]
JudgeNames = Annotated[
    list[str] | None,
    _option(
        WHO,
        "--judge",
        "Chat model that marks the images: chat:MODEL, perhaps ?base_url=URL; several addresses of one judge"
        " share the work: repeat it.",
        metavar="NAME",
    ),
]
Folder = Annotated[
    Path | None,
    _option(
        WHERE,
        "--run",
        "Folder of the run; one that is there already is taken up. Without it, one of the benchmark's name"
        " below $EDITTHINKER_RUNS.",
        metavar="DIR",
    ),
]
Language = Annotated[Literal["en", "cn"], _option(WHAT, "--language", "Of GEdit's instructions.")]
Subset = Annotated[
    Literal["full", "intersection"], _option(WHAT, "--subset", "All of GEdit, or its intersection subset.")
]


@dataclass(frozen=True, kw_only=True)
class JudgeOrder:
    """What was said of judging; the part that runs and imports share.

    Data, prompts, judge and run may stand in a configuration file instead, under `[bench.NAME]`.
    """

    data: Data = None
    judge: JudgeNames = None
    run: Folder = None
    prompts: Prompts = ""
    rules: RulesName = "strict"
    json: options.Json = False
    markdown: Markdown = False
    preservation: Preservation = True
    quiet: options.Quiet = False
    limit: Annotated[
        int | None, _option(WHAT, "--limit", "Only the first N samples.", min=1, metavar="N")
    ] = None
    judge_concurrency: Annotated[
        str,
        _option(
            HOW,
            "--judge-concurrency",
            "Questions to the judge at a time, at most; auto: as many as it can take.",
            metavar="N|auto",
        ),
    ] = "auto"
    reasks: Annotated[
        int,
        _option(
            HOW,
            "--reasks",
            "Ask the judge again up to N times if its reply cannot be read.",
            min=0,
            metavar="N",
        ),
    ] = 2
    retries: Annotated[
        int,
        _option(WHEN, "--retries", "Repeat a call that failed in passing up to N times.", min=0, metavar="N"),
    ] = 6
    max_cost: Annotated[
        float | None,
        _option(
            WHEN, "--max-cost", "End after so many US dollars, the judge's included.", min=0, metavar="USD"
        ),
    ] = None
    patience_seconds: Annotated[
        float,
        _option(WHEN, "--patience", "Wait this long for servers that are all down.", min=0, metavar="S"),
    ] = 600.0
    dry_run: options.DryRun = False


@dataclass(frozen=True, kw_only=True)
class SuiteOrder(JudgeOrder):
    """What was said of a benchmark that is run and judged."""

    editors: Annotated[
        list[str] | None,
        _option(WHO, "--editor", "As of 'edit'; several servers share the work: repeat it.", metavar="NAME"),
    ] = None
    thinkers: Annotated[
        list[str] | None,
        _option(WHO, "--thinker", "As of 'edit', or 'none'; may be repeated too.", metavar="NAME"),
    ] = None
    turns: options.Turns = 5
    threshold: options.Threshold = 8.0
    strategy: options.Strategy = "think-while-edit"
    candidates: options.Candidates = 1
    seed: options.Seed = 0
    concurrency: Annotated[
        str, _option(HOW, "--concurrency", "Samples at a time, or auto.", metavar="N|auto")
    ] = "auto"
    retry_failed: Annotated[bool, _option(WHAT, "--retry-failed", "Take up again what failed before.")] = (
        False
    )
    every_turn: Annotated[
        bool,
        _option(
            HOW, "--every-turn", "Judge the images of all turns: for curves, and the best turn there was."
        ),
    ] = False


@dataclass(frozen=True, kw_only=True)
class GEditOrder(SuiteOrder):
    """The same of GEdit-Bench."""

    language: Language = "en"
    subset: Subset = "full"


@dataclass(frozen=True, kw_only=True)
class ImportOrder(JudgeOrder):
    """What was said of results that others made."""

    results: Annotated[Path, typer.Argument(metavar="DIR", help="The results folder.", show_default=False)]
    suite: Annotated[
        Literal["imgedit", "uge", "gedit", "rise", "kris", "uniredit"],
        _option(WHAT, "--format", "Whose layout the folder has."),
    ]
    language: Language = "en"
    subset: Subset = "full"


def _carried_out(suite: str, order: SuiteOrder) -> int:
    from editthinker.cli.bench.work import play

    own = {one.name for one in fields(order)} - {one.name for one in fields(SuiteOrder)}
    return play(suite, {name: getattr(order, name) for name in sorted(own)}, order)


@taking(SuiteOrder)
def imgedit(**said: Any) -> int:
    r"""Run and judge ImgEdit's basic suite: marks of 1-5, the mean over nine types of edit.

    \b
    Examples:
      editthinker bench imgedit --data ImgEdit/Benchmark --run runs/imgedit --judge chat:gpt-4o
      editthinker bench imgedit --data ImgEdit --run runs/a --judge chat:gpt-4o --dry-run
      editthinker bench score runs/imgedit --rules all

    The same command again takes it up where it stopped: no edit, no thought and no judgement is paid for
    twice. 'bench score' makes tables under other rules from the same answers.
    """
    return _carried_out("imgedit", SuiteOrder(**said))


@taking(SuiteOrder)
def uge(**said: Any) -> int:
    """Run and judge ImgEdit's UGE suite: understanding and grounding, one mark of 1-5."""
    return _carried_out("uge", SuiteOrder(**said))


@taking(GEditOrder)
def gedit(**said: Any) -> int:
    """Run and judge GEdit-Bench: semantic and quality marks of 0-10, the mean over eleven tasks."""
    return _carried_out("gedit", GEditOrder(**said))


@taking(SuiteOrder)
def rise(**said: Any) -> int:
    """Run and judge RISEBench: the share of edits that need reasoning and got full marks."""
    return _carried_out("rise", SuiteOrder(**said))


@taking(SuiteOrder)
def kris(**said: Any) -> int:
    """Run and judge KRIS-Bench: edits that need knowledge, in percent of full marks."""
    return _carried_out("kris", SuiteOrder(**said))


@taking(SuiteOrder)
def uniredit(**said: Any) -> int:
    """Run and judge UniREditBench: reasoning about photos and games, in percent of full marks."""
    return _carried_out("uniredit", SuiteOrder(**said))


@taking(ImportOrder)
def import_(**said: Any) -> int:
    r"""Judge edited images that others made; they stay where they are.

    \b
    Example:
      editthinker bench import results/gedit --format gedit --data GEdit-Bench \\
          --prompts Step1X-Edit --judge chat:gpt-4.1 --run runs/theirs
    """
    from editthinker.cli.bench.work import take_in

    order = ImportOrder(**said)
    gedits = order.suite == "gedit"
    return take_in(order, {"language": order.language, "subset": order.subset} if gedits else {})
