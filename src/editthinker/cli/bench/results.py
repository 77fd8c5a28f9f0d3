"""`editthinker bench score|compare`: tables of what was judged before; nobody is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from editthinker.cli import options
from editthinker.cli.bench.suites import Markdown, RulesName

Judge = Annotated[
    str,
    typer.Option(
        "--judge", metavar="NAME", help="Which judge's marks, if several were asked. Without: the latest."
    ),
]


def score(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A judged run.", show_default=False)],
    rules: RulesName = "strict",
    judge: Judge = "",
    json: options.Json = False,
    markdown: Markdown = False,
) -> None:
    r"""Print the tables of a judged run, under any rules, from the stored answers.

    \b
    Example:
      editthinker bench score runs/imgedit --rules all
    """
    from editthinker.cli.bench.tables import print_scores

    print_scores(run, rules, judge=judge, json_wanted=json, markdown=markdown)


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run of a benchmark.", show_default=False)],
    data: Annotated[
        Path, typer.Option("--data", metavar="DIR", help="The benchmark's data, as its authors publish it.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="A new folder for the results.")],
) -> None:
    r"""Write the delivered images as the authors' own scorer expects them.

    Where no turn was better than the source, that is the source: it is what was judged too.

    \b
    Example:
      editthinker bench export runs/gedit --data GEdit-Bench --out results/gedit
    """
    from editthinker.benchmarks.evaluation import of_run
    from editthinker.benchmarks.known import benchmark_named
    from editthinker.benchmarks.layout import lay_out
    from editthinker.cli.terminal import say
    from editthinker.core.errors import InputError
    from editthinker.core.files import shown
    from editthinker.runs.folder import RunFolder

    with RunFolder.open(run) as folder:
        config = folder.record.config
        if config.get("verb") != "bench":
            raise InputError(f"{shown(str(run))} is no run of a benchmark")
        benchmark = benchmark_named(config["benchmark"], config["options"])
        cases = benchmark.load(data)
        images = {one.case.id: one.image for one in of_run(folder, cases, every_turn=False)}
        without = lay_out(benchmark, cases, images, out)
    say(f"{len(cases) - len(without)} images in {out}; {len(without)} samples have none")


def compare(
    first: Annotated[Path, typer.Argument(metavar="RUN_A", help="A judged run.", show_default=False)],
    second: Annotated[Path, typer.Argument(metavar="RUN_B", help="Another.", show_default=False)],
    rules: RulesName = "strict",
    judge: Judge = "",
    json: options.Json = False,
    markdown: Markdown = False,
) -> None:
    r"""Compare two judged runs sample by sample: how much better the second is, where, and how sure that is.

    \b
    Example:
      editthinker bench compare runs/single runs/think
    """
    from editthinker.cli.bench.tables import print_comparison

    print_comparison(first, second, rules, judge=judge, json_wanted=json, markdown=markdown)
