"""`editthinker data generate`: a pool of samples x editors x an expert thinker, one run for each editor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from editthinker.cli import options
from editthinker.cli.exits import Exit
from editthinker.cli.options import WHAT, WHERE, WHO, taking
from editthinker.cli.run import BatchOrder
from editthinker.cli.terminal import inert, say

if TYPE_CHECKING:
    from editthinker.runs.samples import Entry

DARKROOM = "darkroom"
USUAL_COUNT = 1000
WAYS = ("split", "all")


def _option(group: str, name: str, text: str, *more: str, **settings: Any) -> Any:
    return typer.Option(name, *more, help=text, rich_help_panel=group, **settings)


@dataclass(frozen=True, kw_only=True)
class GenerateOrder(BatchOrder):
    """What was said of a generation: that of a run, without what would give no chain of critiques."""

    samples: Annotated[
        Path,
        typer.Argument(
            metavar="SAMPLES",
            help="As of 'run'; or darkroom, which draws samples over the training photographs.",
            show_default=False,
        ),
    ]
    run: Annotated[
        Path,
        _option(
            WHERE,
            "--out",
            "Folder of the trajectories; one that is there already is taken up.",
            "-o",
            metavar="DIR",
        ),
    ]
    editors: Annotated[
        list[str] | None,
        _option(WHO, "--editor", "Repeat it for several; servers of one share work: A|B.", metavar="NAME"),
    ] = None
    thinkers: Annotated[
        list[str] | None,
        _option(WHO, "--thinker", "The expert, as expert:MODEL; several share work.", metavar="NAME"),
    ] = None
    per_editor: Annotated[
        str,
        _option(WHAT, "--per-editor", "Divide the pool, or give all of it to each.", metavar="split|all"),
    ] = "split"
    only: Annotated[
        str | None,
        _option(WHO, "--only", "Work on the part of this editor; others elsewhere.", metavar="NAME"),
    ] = None
    tags: Annotated[
        list[str] | None,
        _option(
            WHAT,
            "--tag",
            "For every sample, such as licence=CC-BY-4.0; may be repeated.",
            metavar="NAME=VALUE",
        ),
    ] = None
    count: Annotated[
        int,
        _option(WHAT, "--count", "Samples that the darkroom draws.", min=1, metavar="N"),
    ] = USUAL_COUNT
    photos: Annotated[
        Path | None,
        _option(WHAT, "--photos", "Folder that the darkroom draws over.", metavar="DIR"),
    ] = None
    out: Path | None = field(default=None, init=False)
    compare: options.ComparerName = field(default=None, init=False)
    also: options.AlsoNames = field(default=None, init=False)
    strategy: options.Strategy = field(default="think-while-edit", init=False)
    policy: options.PolicyName = field(default="refine", init=False)
    candidates: options.Candidates = field(default=1, init=False)
    stack: options.Stack = field(default=False, init=False)

    @property
    def draws(self) -> bool:
        """Whether the darkroom draws the samples."""
        return str(self.samples) == DARKROOM


@taking(GenerateOrder)
def generate(**said: Any) -> int:
    """Make trajectories: every sample edited and refined, with an expert who says why and when to stop.

    \b
    Examples:
      editthinker data generate samples.jsonl --out pool --thinker expert:gpt-4.1 \\
          --editor service:http://gpu1:8005 --editor "service:http://gpu2:8005|service:http://gpu3:8005"
      editthinker data generate samples.jsonl --out pool --editor openai:gpt-image-2 \\
          --thinker expert:gpt-4.1 --per-editor all --max-cost 50 --dry-run
      editthinker data generate darkroom --count 200 --out pool

    DIR gets a run folder for each editor, as 'run' makes it, and manifest.json. The same command again goes
    on where it stopped. 'data score', 'data filter' and the other stages take DIR. The expert gives no
    score: 'data score' does. Editors are worked on one after the other; with --only each from a terminal or
    machine of its own. Exit codes are those of 'run'.
    """  # noqa: D301 click looks for \b
    return play(GenerateOrder(**said))


@dataclass(frozen=True, kw_only=True)
class Part:
    """What one editor does."""

    editor: str
    members: list[str]
    folder: Path
    entries: Sequence[Entry]


def play(order: GenerateOrder) -> Exit:
    """Every part, one after the other. Raises as `batch.play` does."""
    from editthinker.cli import batch

    order, parts, digest = _parts(order)
    if order.dry_run:
        return _foresee(order, parts)
    binds = {
        "verb": "data generate",
        "pool": str(order.samples) if order.draws else order.samples.name,
        "editors": [part.folder.name for part in parts],
        "per_editor": order.per_editor,
    }
    ended = Exit.DELIVERED
    for part in parts:
        if order.only in (None, part.editor) and part.entries:
            if not order.quiet:
                say(f"{part.folder.name}: {len(part.entries)} samples")
            cost = _left(order, part, parts)
            own = replace(order, editors=part.members, run=part.folder, run_cost=cost, json=False)
            ended = max(ended, batch.play(own, part.entries, binds))
            _manifest(order, parts, digest)
        if ended is Exit.INTERRUPTED:
            break
    if order.json:
        print((order.run / "manifest.json").read_text("utf-8"), end="")
    return ended


def _parts(order: GenerateOrder) -> tuple[GenerateOrder, list[Part], str]:
    """The order as it is meant, the parts of the editors, and the pool's sha256. Raises `InputError`."""
    from editthinker.cli.batch import named
    from editthinker.core import names
    from editthinker.core.errors import InputError, UnknownName
    from editthinker.data import pool
    from editthinker.runs.samples import safe

    if order.per_editor not in WAYS:
        raise UnknownName("way to share the pool", order.per_editor, list(WAYS))
    if order.draws:
        order = replace(order, thinkers=order.thinkers or ["darkroom-expert"])
        order = replace(order, editors=order.editors or [DARKROOM])
    elif order.photos or order.count != USUAL_COUNT:
        raise InputError("--count and --photos say what the darkroom draws; they go with 'generate darkroom'")
    called = named(order)
    if not called["thinker"] or not order.thinkers:
        raise InputError("say who the expert is: --thinker expert:MODEL")
    if order.only not in (None, *called["editor"]):
        raise InputError(f"--only takes one of the editors named, not {order.only!r}")
    entries = _entries(order)
    editors = called["editor"]
    shares = pool.divided(entries, len(editors)) if order.per_editor == "split" else [entries] * len(editors)
    folders = [order.run / safe(names.recorded(name)) for name in editors]
    if len(set(folders)) < len(folders):
        raise InputError("the same editor is named twice")
    members = [[one.strip() for one in name.split("|")] for name in editors]
    parts = [
        Part(editor=name, members=group, folder=folder, entries=share)
        for name, group, folder, share in zip(editors, members, folders, shares, strict=True)
    ]
    return order, parts, pool.digest(entries)


def _entries(order: GenerateOrder) -> list[Entry]:
    from editthinker.core.errors import InputError
    from editthinker.data import pool
    from editthinker.runs.samples import read

    tags = dict(text.partition("=")[::2] for text in order.tags or [])
    if any("=" not in text for text in order.tags or []):
        raise InputError("--tag takes NAME=VALUE, as in --tag licence=CC-BY-4.0")
    if order.draws:
        photos = pool.training_photographs(order.photos)
        entries = pool.drawn(order.run, photos, order.count, seed=order.seed, keep=not order.dry_run)
    else:
        entries = read(order.samples, order.images)
    return pool.tagged(entries[: order.limit], tags)


def _left(order: GenerateOrder, part: Part, parts: Sequence[Part]) -> float | None:
    """What this part may cost: the limit is that of all together."""
    if order.run_cost is None:
        return None
    others = [_spent(other.folder) for other in parts if other is not part]
    return max(0.0, order.run_cost - sum(others))


def _spent(folder: Path) -> float:
    from editthinker.runs import RunFolder

    if not (folder / "run.json").is_file():
        return 0.0
    with RunFolder.open(folder) as run:
        return sum(cost for _, cost in run.spent().values())


def _foresee(order: GenerateOrder, parts: Sequence[Part]) -> Exit:
    """Calls and price of every part; nothing is called, nothing is written."""
    from json import dumps

    from editthinker.cli import batch, crew

    plans = {}
    for part in parts:
        own = replace(order, editors=part.members, run=part.folder)
        with crew.working(own, batch.named(own), say) as (workers, _):
            orders = batch.orders_of(own, workers, None)
            plans[part.folder.name] = batch.foreseen(own, part.entries, workers, orders)
    if order.json:
        print(dumps({"schema_version": 1, "editors": plans, "max_cost": order.run_cost}, indent=2))
        return Exit.DELIVERED
    for name, plan in plans.items():
        print(inert(f"{name}: {plan['usable']} of {plan['samples']} samples can be used"))
        for line in batch.told_plan(plan):
            print(inert(f"  {line}"))
    costs = [plan["most_cost"] for plan in plans.values()]
    if len(costs) > 1:
        print(f"together: {'unknown' if None in costs else f'at most ${sum(costs):.2f}'}")
    say("nothing was called")
    return Exit.DELIVERED


def _manifest(order: GenerateOrder, parts: Sequence[Part], digest: str) -> None:
    """What became of the pool so far, beside the runs."""
    from editthinker.data import generating

    name = str(order.samples) if order.draws else order.samples.name
    asked = {
        "samples": name,
        "editors": [part.folder.name for part in parts],
        "per_editor": order.per_editor,
        "turns": order.turns,
        "seed": order.seed,
        "limit": order.limit,
        "tags": sorted(order.tags or []),
    }
    folders = {part.folder: len(part.entries) for part in parts}
    generating.write_manifest(order.run, folders, asked, {"name": name, "sha256": digest})
