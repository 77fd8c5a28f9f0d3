"""`editthinker data check | export | import`: what comes in from outside, and what goes out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from editthinker.cli import options
from editthinker.cli.terminal import inert, say

if TYPE_CHECKING:
    from editthinker.data.checking import Benchmarks
    from editthinker.data.stage import Stage

Input = Annotated[
    list[Path],
    typer.Argument(metavar="INPUT...", help="A stage's folder or a file of rows.", show_default=False),
]
Out = Annotated[
    Path, typer.Option("--out", "-o", metavar="DIR", help="New folder for the rows.", show_default=False)
]
Prints = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Remember what images look like here, for the next time."),
]
Allow = Annotated[
    list[str] | None,
    typer.Option("--allow", metavar="LICENCE", help="Mix this licence all the same; may be repeated."),
]


def check(
    inputs: Input,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="New folder for the clean rows.")
    ] = None,
    against: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="Images of a benchmark; may be repeated."),
    ] = None,
    edited: Annotated[bool, typer.Option("--edited", help="Look at edited images too.")] = False,
    radius: Annotated[
        int, typer.Option(min=0, max=16, metavar="BITS", help="Prints that near are one picture.")
    ] = 8,
    prints: Prints = None,
    allow: Allow = None,
    json: options.Json = False,
) -> None:
    """Find copies, images of benchmarks and licences that must not be mixed; with --out, keep the clean rows.

    \b
    Exit code without --out: 0 when everything is clean, 1 when something is not.
    """  # noqa: D301 click looks for \b
    from contextlib import nullcontext

    from editthinker.data import rows
    from editthinker.data.album import Album
    from editthinker.data.checking import clean
    from editthinker.data.licences import Origins
    from editthinker.data.stage import Stage, begun

    benchmarks = _benchmarks(against or [])
    source: rows.Source[Any] = rows.Source(rows.row_type(inputs), tuple(inputs))
    asked = {"radius": radius, "edited": edited, "allow": sorted(allow or [])}
    asked["against"] = [folder.name for folder in against or []]
    origins = Origins()
    making = begun("check", out, asked) if out else nullcontext(Stage("check", Path(), Path(), asked))
    with Album(prints) as album, making as stage:
        found = clean(
            source.read(stage.counts),
            source.again,
            stage.counts,
            benchmarks=benchmarks,
            edited=edited,
            radius=radius,
            album=album,
        )
        watched = origins.watched(found)
        if out:
            rows.write(stage, f"{'steps' if source.kind == 'step' else 'trajectories'}.jsonl", watched)
        else:
            stage.counts.kept = sum(1 for _ in watched)
        stage.inputs = source.inputs
        stage.found["origins"] = origins.as_json()
        if out:
            origins.check(allow or [])
    told(stage, json=json)
    if not out:
        origins.check(allow or [])
        raise typer.Exit(1 if stage.counts.dropped else 0)


def _benchmarks(folders: list[Path]) -> Benchmarks | None:
    """What the images in these folders look like; None without any."""
    from editthinker.data.checking import Benchmarks

    if not folders:
        return None
    benchmarks = Benchmarks()
    for folder in folders:
        benchmarks.add(folder)
    for sentence in benchmarks.skipped:
        say(f"skipped: {sentence}")
    return benchmarks


def export(
    inputs: Input,
    out: Out,
    form: Annotated[
        str, typer.Option("--format", metavar="llamafactory|easyr1|trl|parquet")
    ] = "llamafactory",
    style: Annotated[str, typer.Option(metavar="STYLE", help="How the thinker is asked.")] = "grammar",
    prompt: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A template in place of ours, such as EditThinker's.")
    ] = None,
    relative: Annotated[
        bool, typer.Option("--relative/--absolute", help="Paths of images, as seen from DIR.")
    ] = False,
    allow: Allow = None,
    json: options.Json = False,
) -> None:
    """Write steps as LLaMA-Factory, EasyR1, TRL or any reader of Parquet takes them."""
    from editthinker.core.errors import UnknownName
    from editthinker.data.exporting import FORMATS, relative_to
    from editthinker.data.licences import Origins
    from editthinker.data.records import StepRow
    from editthinker.data.rows import Source
    from editthinker.data.stage import begun
    from editthinker.training.lessons import asking

    if form not in FORMATS:
        raise UnknownName("format", form, list(FORMATS))
    asked = {"format": form, "style": style, "prompt": prompt and prompt.name, "relative": relative}
    source, origins = Source(StepRow, tuple(inputs)), Origins()
    ask = asking(style, prompt)
    with begun("export", out, asked | {"allow": sorted(allow or [])}) as stage:
        place = relative_to(out.resolve()) if relative else str
        FORMATS[form](origins.watched(source.read(stage.counts)), stage, ask, place)
        stage.inputs = source.inputs
        stage.found["origins"] = origins.as_json()
        origins.check(allow or [])
    told(stage, json=json)


def import_(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="sft_train.json, rl_train.jsonl, or a result folder.", show_default=False
        ),
    ],
    out: Out,
    images: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the images; default: the file's own.")
    ] = None,
    strip: Annotated[
        str, typer.Option(metavar="TEXT", help="To take off the beginning of image paths.")
    ] = "",
    prompt: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="For sft_train.json: prompt_template.txt of the official repository."
        ),
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="For every row, such as licence=CC-BY-4.0; may be repeated."),
    ] = None,
    json: options.Json = False,
) -> None:
    """Read ThinkEdit's published files, or the folder of results that the official script wrote."""
    from editthinker.core.errors import InputError
    from editthinker.data import importing, rows
    from editthinker.data.stage import begun

    tags = dict(text.partition("=")[::2] for text in tag or [])
    if any("=" not in text for text in tag or []):
        raise InputError("--tag takes NAME=VALUE, as in --tag licence=CC-BY-4.0")
    if not file.exists():
        raise InputError(f"there is nothing at {file}")
    found = importing.Images(images or file.parent, strip)
    with begun("import", out, {"strip": strip, "tags": tags}) as stage:
        counts = stage.counts
        if file.is_dir():
            rows.write(stage, "trajectories.jsonl", importing.trajectories_of_results(file, counts, tags))
        elif file.suffix == ".json":
            if prompt is None:
                raise InputError("say with --prompt where the official prompt_template.txt is")
            template = importing.Template(prompt.read_text("utf-8-sig"))
            rows.write(stage, "steps.jsonl", importing.steps_of_sft(file, found, template, counts, tags))
        else:
            rows.write(stage, "steps.jsonl", importing.steps_of_rl(file, found, counts, tags))
        stage.inputs = [{"name": file.name, "sha256": importing.digest(file)}]
    told(stage, json=json)


def told(stage: Stage, *, json: bool) -> None:
    """What became of the rows, for a person, or the manifest for a program."""
    from json import dumps

    if json:
        print(dumps(stage.manifest(), indent=2))
        return
    counts = stage.counts
    print(f"{counts.kept} rows of {counts.read} read")
    for reason, number in counts.dropped.most_common():
        print(inert(f"  dropped, {reason}: {number}   such as {counts.examples[reason][0]}"))
    for name, number in sorted(counts.noted.items()):
        print(inert(f"  {name}: {number}"))
    for name, value in sorted(counts.facts.items()):
        print(inert(f"  {name}: {value:g}"))
    for origin in stage.found.get("origins", []):
        print(inert(f"  {origin['rows']} rows: licence {origin['licence']}, from {origin['provenance']}"))
    if stage.files:
        print(f"written: {stage.out}")
