"""`editthinker data ...`: the stages from trajectories to training rows, each a folder with a manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from editthinker.cli import data_exchange, data_generate, data_score, options
from editthinker.cli.data_exchange import Input, Out, Prints, told
from editthinker.cli.terminal import inert, say

HELP = """Make training rows of trajectories, stage by stage.

Every stage writes a new folder: rows as JSON lines, and manifest.json with the sha256 of what came in, the
options, and what became of every row. A folder is there whole or not at all.

\b
Examples:
  editthinker data generate samples.jsonl --editor NAME --thinker expert:MODEL --out data/pool
  editthinker data score data/pool --judge rubric:MODEL
  editthinker data filter data/pool --out data/kept
  editthinker data unroll data/kept --out data/steps
  editthinker data balance data/steps --out data/even
  editthinker data split data/even --out data/sides
  editthinker data check data/sides/sft.jsonl --against benchmarks/gedit --out data/clean
  editthinker data export data/clean --out data/sft
"""

app = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode=None)

Runs = Annotated[
    list[Path],
    typer.Argument(metavar="RUN...", help="Run folders, or files of trajectories.", show_default=False),
]
Seed = Annotated[int, typer.Option("--seed", metavar="N", help="Same seed, same rows.")]


@app.command("filter")
def filter_(
    inputs: Runs,
    out: Out,
    single: Annotated[
        str,
        typer.Option(
            metavar="settled|keep|drop",
            help="Trajectories of one turn stay: if that turn was good, always, never.",
        ),
    ] = "settled",
    json: options.Json = False,
) -> None:
    """Keep trajectories whose later turns are as good as the first or better, cut at the best turn.

    Failed, unfinished, unscored and malformed ones are dropped, each for a counted reason.
    """
    from typing import get_args

    from editthinker.core.errors import UnknownName
    from editthinker.data.filtering import Single, filtered
    from editthinker.data.records import TrajectoryRow
    from editthinker.data.rows import Source, write
    from editthinker.data.stage import begun

    if single not in get_args(Single):
        raise UnknownName("way with a single turn", single, list(get_args(Single)))
    source = Source(TrajectoryRow, tuple(inputs))
    with begun("filter", out, {"single": single}) as stage:
        kept = filtered(source.read(stage.counts), stage.counts, single=single)  # type: ignore[arg-type]
        write(stage, "trajectories.jsonl", kept)
        stage.inputs = source.inputs
    told(stage, json=json)


@app.command()
def unroll(
    inputs: Input,
    out: Out,
    last: Annotated[
        str,
        typer.Option(
            metavar="settled|keep|drop",
            help="The last turn gives a step: if nothing was left to try, always, never.",
        ),
    ] = "settled",
    json: options.Json = False,
) -> None:
    """Turn trajectories into steps: images, T_s and T_t-1 in; reasoning, score and T_t out."""
    from typing import get_args

    from editthinker.core.errors import UnknownName
    from editthinker.data.records import TrajectoryRow
    from editthinker.data.rows import Source, write
    from editthinker.data.stage import begun
    from editthinker.data.unrolling import Last, unrolled

    if last not in get_args(Last):
        raise UnknownName("way with the last turn", last, list(get_args(Last)))
    source = Source(TrajectoryRow, tuple(inputs))
    with begun("unroll", out, {"last": last}) as stage:
        steps = unrolled(source.read(stage.counts), stage.counts, last=last)  # type: ignore[arg-type]
        write(stage, "steps.jsonl", steps)
        stage.inputs = source.inputs
    told(stage, json=json)


@app.command()
def balance(
    inputs: Input,
    out: Out,
    per_cell: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="At most N of every task and score level.")
    ] = None,
    total: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="At most N in all, as evenly as there are.")
    ] = None,
    seed: Seed = 0,
    json: options.Json = False,
) -> None:
    """Even out steps over task types and score levels 0..10."""
    from editthinker.data.balancing import balanced
    from editthinker.data.records import StepRow
    from editthinker.data.rows import Source, write
    from editthinker.data.stage import begun

    source = Source(StepRow, tuple(inputs))
    with begun("balance", out, {"per_cell": per_cell, "total": total, "seed": seed}) as stage:
        counts = stage.counts
        steps = balanced(source.read(counts), source.again, counts, per_cell=per_cell, total=total, seed=seed)
        write(stage, "steps.jsonl", steps)
        stage.inputs = source.inputs
    told(stage, json=json)


@app.command()
def split(
    inputs: Input,
    out: Out,
    rl_share: Annotated[
        float, typer.Option(min=0, max=1, metavar="SHARE", help="At most this share of trajectories is RL's.")
    ] = 1 / 7,
    theta: Annotated[
        float | None, typer.Option(min=0, metavar="VARIANCE", help="Instead: RL's vary more than this.")
    ] = None,
    good: Annotated[
        float, typer.Option(min=0, metavar="0-10", help="SFT's if no score is below this.")
    ] = 8.0,
    together: Annotated[
        str,
        typer.Option(
            metavar="follow|drop|ignore", help="Trajectories that disagree with others of their picture."
        ),
    ] = "follow",
    prints: Prints = None,
    json: options.Json = False,
) -> None:
    """Divide trajectories, or their steps: varied scores for RL (rl.jsonl), steady ones for SFT (sft.jsonl).

    Trajectories are never torn apart, and no picture is on both sides.
    """
    from typing import get_args

    from editthinker.core.errors import UnknownName
    from editthinker.data import rows
    from editthinker.data.album import Album
    from editthinker.data.splitting import Together
    from editthinker.data.splitting import split as divide
    from editthinker.data.stage import begun

    if together not in get_args(Together):
        raise UnknownName("way with one picture", together, list(get_args(Together)))
    asked: dict[str, Any] = {"theta": theta, "rl_share": rl_share, "good": good, "together": together}
    source: rows.Source[Any] = rows.Source(rows.row_type(inputs), tuple(inputs))
    with Album(prints) as album, begun("split", out, asked) as stage:
        with stage.file("sft.jsonl") as sft, stage.file("rl.jsonl") as rl:
            read = source.read(stage.counts)
            for side, row in divide(read, source.again, stage.counts, **asked, album=album):
                (rl if side == "rl" else sft).write(rows.written(row, stage.out.resolve()))
                stage.counts.kept += 1
        stage.inputs = source.inputs
    told(stage, json=json)


@app.command()
def stats(
    inputs: Input,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a picture: an .svg file.")] = None,
    json: options.Json = False,
    force: options.Force = False,
) -> None:
    """Count tasks and scores, as figure 3 of the paper does."""
    from json import dumps

    from editthinker.core.files import write_atomically
    from editthinker.data import rows
    from editthinker.data.figures import Figures, svg
    from editthinker.data.stage import Counts

    counts = Counts()
    source: rows.Source[Any] = rows.Source(rows.row_type(inputs), tuple(inputs))
    figures = Figures.of(source.read(counts))
    if plot:
        write_atomically(plot, svg(figures).encode(), overwrite=force)
        say(f"picture: {plot}")
    if json:
        print(dumps(figures.as_json() | {"unreadable": counts.dropped.total()}, indent=2))
        return
    for line in figures.lines():
        print(inert(line))
    if counts.dropped:
        say(f"{counts.dropped.total()} lines could not be read")


app.command("generate", cls=options.Grouped)(data_generate.generate)
app.command("score")(data_score.score)
app.command("check")(data_exchange.check)
app.command("export")(data_exchange.export)
app.command("import")(data_exchange.import_)
