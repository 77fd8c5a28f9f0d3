"""The options of the verbs, each described once; those of `edit` are the fields of `Order`.

An option of `Order` with a variable (EDITTHINKER_TURNS) can also stand in a configuration file. The command
line wins over the variable, that over the files, those over the default written here.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer
from typer.core import TyperCommand

WHAT, WHO, HOW = "What is edited", "Who works", "How"
WHEN, WHERE = "When to stop", "Where it goes"


def _option(group: str, name: str, text: str, *more: str, variable: str = "", **settings: Any) -> Any:
    """An option of `edit`; `variable` is the end of its environment variable, "" when it has none."""
    return typer.Option(
        name,
        *more,
        help=text,
        rich_help_panel=group,
        envvar=f"EDITTHINKER_{variable}" if variable else None,
        show_envvar=False,
        **settings,
    )


def _chosen(group: str, name: str, text: str, **settings: Any) -> Any:
    """An option that a variable and the configuration files may set."""
    variable = name.partition("/")[0].strip("-").replace("-", "_").upper()
    return _option(group, name, text, variable=variable, **settings)


def _take_preset(context: typer.Context, name: str | None) -> str | None:
    """Lay a preset over the defaults of the files, before any other option is read."""
    config = context.find_root().obj
    if isinstance(config, Exception):
        raise config
    if name is None or config is None:
        return name
    if name not in config.presets:
        from editthinker.core.errors import UnknownName

        raise UnknownName("preset", name, list(config.presets))
    chosen = {key: value for key, (value, _) in config.presets[name].items()}
    context.default_map = {**(context.default_map or {}), **chosen}
    return name


Seed = Annotated[int, _chosen(HOW, "--seed", "Same seed, photo and words: same result.", min=0, metavar="N")]
Turns = Annotated[int, _chosen(WHEN, "--turns", "At most this many turns.", min=1, max=100, metavar="N")]
Strategy = Annotated[
    str,
    _chosen(
        HOW,
        "--strategy",
        "think-while-edit, plan-and-edit, single, best-of-n, think-before-edit or think-before-and-while.",
        metavar="NAME",
    ),
]
EditorName = Annotated[
    str,
    _chosen(WHO, "--editor", "See 'editthinker models'; or pkg.module:factory.", metavar="NAME"),
]
ThinkerName = Annotated[
    str,
    _chosen(WHO, "--thinker", "Looks at the result; 'none' delivers the first edit unseen.", metavar="NAME"),
]
JudgeName = Annotated[
    str | None,
    _chosen(WHO, "--judge", "Scores every image in the thinker's place.", metavar="NAME"),
]
ComparerName = Annotated[
    str | None,
    _chosen(WHO, "--compare", "Judge of two images; it picks what is delivered.", metavar="NAME"),
]
AlsoNames = Annotated[
    list[str] | None,
    _chosen(WHO, "--also", "Further editor for --policy adaptive; may be repeated.", metavar="NAME"),
]
PromptFile = Annotated[
    Path | None,
    _option(WHO, "--prompt", "The thinker's own prompt, as a template file.", metavar="FILE"),
]
Threshold = Annotated[
    float,
    _chosen(
        WHEN,
        "--threshold",
        "Satisfied when semantic and quality both reach this; above 10: never.",
        min=0,
        metavar="0-10",
    ),
]
Semantic = Annotated[
    float | None,
    _chosen(WHEN, "--semantic", "Threshold of the semantic score alone.", min=0, metavar="0-10"),
]
Quality = Annotated[
    float | None,
    _chosen(WHEN, "--quality", "Threshold of the quality score alone.", min=0, metavar="0-10"),
]
Retries = Annotated[
    int,
    _chosen(WHEN, "--retries", "Repeat a call that failed in passing up to N times.", min=0, metavar="N"),
]
PasteBack = Annotated[
    bool,
    _chosen(WHAT, "--paste-back/--no-paste-back", "Keep the photo's own pixels where nothing was to change."),
]
PolicyName = Annotated[
    str,
    _chosen(
        HOW,
        "--policy",
        "What follows a turn: refine, or adaptive (another seed, another editor, back).",
        metavar="NAME",
    ),
]
Candidates = Annotated[
    int,
    _chosen(HOW, "--candidates", "Images per turn; the best is kept.", min=1, max=16, metavar="N"),
]
Stack = Annotated[
    bool, _chosen(HOW, "--stack/--no-stack", "Edit the last accepted image instead of the photo.")
]
DryRun = Annotated[
    bool, _option(HOW, "--dry-run", "Say what would be called and what it may cost; call nothing.")
]
Json = Annotated[bool, _option(WHERE, "--json", "Print one JSON document on stdout, nothing else.")]
Quiet = Annotated[bool, _option(WHERE, "--quiet", "No progress; errors only.", "-q")]
Force = Annotated[bool, _option(WHERE, "--force", "Replace the result if it is there already.", "-f")]


@dataclass(frozen=True, kw_only=True)
class Order:
    """What was said of one edit: by the command line, variables, configuration files, or nobody."""

    image: Annotated[
        str, typer.Argument(metavar="IMAGE", help="The photo; '-' reads it from stdin.", show_default=False)
    ]
    instruction: Annotated[
        str, typer.Argument(metavar="INSTRUCTION", help="What to do to it, in words.", show_default=False)
    ]

    out: Annotated[
        str | None,
        _option(
            WHERE,
            "--out",
            "Result: .png, .jpg, .webp, ...; '-' is PNG on stdout. "
            "Without it: photo.edited.png beside the photo.",
            "-o",
            metavar="OUT",
        ),
    ] = None
    force: Force = False
    run: Annotated[
        Path | None,
        _option(
            WHERE,
            "--run",
            "New folder for the record; without it, one below $EDITTHINKER_RUNS.",
            metavar="DIR",
        ),
    ] = None
    json: Json = False
    quiet: Quiet = False

    editor: EditorName = "darkroom"
    thinker: ThinkerName = "darkroom"
    judge: JudgeName = None
    compare: ComparerName = None
    also: AlsoNames = None
    prompt: PromptFile = None

    turns: Turns = 3
    threshold: Threshold = 8.0
    max_cost: Annotated[
        float | None, _chosen(WHEN, "--max-cost", "Stop after so many US dollars.", min=0, metavar="USD")
    ] = None
    max_seconds: Annotated[
        float | None, _chosen(WHEN, "--max-seconds", "Stop after S seconds.", min=0, metavar="S")
    ] = None
    max_editor_calls: Annotated[
        int | None,
        _chosen(WHEN, "--max-editor-calls", "Call editors at most N times.", min=1, metavar="N"),
    ] = None
    max_thinker_calls: Annotated[
        int | None,
        _chosen(WHEN, "--max-thinker-calls", "Call the thinker at most N times.", min=0, metavar="N"),
    ] = None
    patience: Annotated[
        int | None,
        _chosen(WHEN, "--patience", "Stop after N turns without a better score.", min=1, metavar="N"),
    ] = None
    semantic: Semantic = None
    quality: Quality = None
    retries: Retries = 2

    reference: Annotated[
        list[str] | None,
        _option(WHAT, "--reference", "Further input image; may be repeated.", metavar="FILE"),
    ] = None
    mask: Annotated[
        str | None,
        _option(WHAT, "--mask", "Image of the photo's size, white where the edit belongs.", metavar="FILE"),
    ] = None
    box: Annotated[
        str | None,
        _option(
            WHAT, "--box", "The same as a box: left,top,width,height in pixels or percent.", metavar="X,Y,W,H"
        ),
    ] = None
    paste_back: PasteBack = False

    strategy: Strategy = "think-while-edit"
    policy: PolicyName = "refine"
    candidates: Candidates = 1
    seed: Seed = 0
    stack: Stack = False
    plan: Annotated[
        Path | None,
        _option(HOW, "--plan", "Steps to take: one a line, or JSON or TOML with 'steps'.", metavar="FILE"),
    ] = None
    plan_only: Annotated[
        bool, _option(HOW, "--plan-only", "Print the thinker's steps, one a line, and edit nothing.")
    ] = False
    dry_run: DryRun = False
    preset: Annotated[
        str | None,
        _chosen(
            HOW,
            "--preset",
            "A table of [presets] in a configuration file.",
            metavar="NAME",
            is_eager=True,
            callback=_take_preset,
        ),
    ] = None


def taking(fields: type[Any]) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Gives a verb the fields of a dataclass as its options."""

    def give(verb: Callable[..., int]) -> Callable[..., int]:
        hints = get_type_hints(fields, include_extras=True)
        signature = inspect.signature(fields)
        parameters = [
            parameter.replace(annotation=hints[name]) for name, parameter in signature.parameters.items()
        ]
        verb.__signature__ = signature.replace(parameters=parameters, return_annotation=int)  # type: ignore[attr-defined]
        verb.__annotations__ = hints
        return verb

    return give


class Grouped(TyperCommand):
    """A command whose help shows its options in groups, in the order in which they were written."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write one section for each group."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            if record := param.get_help_record(ctx):
                usual = "Arguments" if param.param_type_name == "argument" else "Other"
                groups.setdefault(getattr(param, "rich_help_panel", None) or usual, []).append(record)
        for title, rows in groups.items():
            with formatter.section(title):
                formatter.write_dl(rows)
