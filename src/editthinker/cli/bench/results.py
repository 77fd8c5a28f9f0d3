"""`editthinker bench score|compare`: tables of what was judged before; nobody is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from editthinker.cli import options
from editthinker.cli.bench.suites import Data, Markdown, Preservation, RulesName

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
    preservation: Preservation = True,
) -> None:
    r"""Print the tables of a judged run, under any rules, from the stored answers.

    RUN may also be a report that 'bench darkroom --json' wrote.

    \b
    Example:
      editthinker bench score runs/imgedit --rules all
    """
    from editthinker.cli.bench.tables import print_scores

    print_scores(run, rules, judge=judge, json_wanted=json, markdown=markdown, preservation=preservation)


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run of a benchmark.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="A new folder for the results.")],
    data: Data = None,
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
    from editthinker.cli.bench.configured import folder as folder_of
    from editthinker.cli.terminal import say
    from editthinker.core.errors import InputError
    from editthinker.core.files import shown
    from editthinker.runs.folder import RunFolder

    with RunFolder.open(run) as folder:
        config = folder.record.config
        if config.get("verb") != "bench":
            raise InputError(f"{shown(str(run))} is no run of a benchmark")
        benchmark = benchmark_named(config["benchmark"], config["options"])
        cases = benchmark.load(folder_of(benchmark.name, "data", data, "the benchmark's data"))
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
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a page with curves and images.", show_default=False),
    ] = None,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Compare what has another judge, other prompts, other data.")
    ] = False,
    preservation: Preservation = True,
) -> None:
    r"""Compare two judged runs sample by sample: how much better the second is, where, and how sure that is.

    Runs judged with --every-turn are also compared turn by turn and at equal editor calls: the dearer one is
    ended earlier. RUN_A and RUN_B may also be reports that 'bench darkroom --json' wrote.

    \b
    Examples:
      editthinker bench compare runs/single runs/think
      editthinker bench compare runs/best-of-5 runs/think --html comparison.html
    """
    from editthinker.cli.bench.comparing import print_comparison
    from editthinker.cli.places import check_writable

    if html:
        check_writable(html.resolve().parent)
    print_comparison(
        (first, second),
        rules,
        judge=judge,
        json_wanted=json,
        markdown=markdown,
        html=html,
        anyway=anyway,
        preservation=preservation,
    )
