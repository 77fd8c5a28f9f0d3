"""The paper in miniature: its experiments on the darkroom, with the exact judge, on samples never trained on.

    python benchmarks/paper.py main                      one experiment: 500 held-out samples for each cell
    python benchmarks/paper.py all --workers 2           all of them; whatever is there is not played again
    python benchmarks/paper.py all --n 40 --split fresh --out /tmp/try --thinker sft-rl=shipped
    python benchmarks/paper.py goals                     what was to be reached, and what was
    python benchmarks/paper.py page                      write docs/results.md and its plots anew

Thinkers lie in `--thinkers` (folders words, sft, grpo, rl-without-critic, rl-without-gain, rl-official,
rl-small, rl-large), as a trained model or its ONNX export; `--thinker NAME=WHERE` names one elsewhere
("shipped": the package's; "words" is called untrained here, "grpo" sft-rl). Of those that are missing only
what was played before is told. Splits: "test" is measured once; for trying there are "validation", and
"fresh", whose wordings no model learned from.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shlex
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import paper_cells as cells
import paper_figures as figures
from paper_goals import ENOUGH, goals, told
from paper_page import write_page

from editthinker.core.errors import StoreError
from editthinker.darkroom import weights
from editthinker.darkroom.language.sentences import GROUPS

OUT = Path("docs/results/paper")
MANIFEST = Path("src/editthinker/darkroom/weights/MANIFEST.toml")
EXPORTED = Path("checkpoints/paper-onnx")
FOLDERS = {"untrained": "words", "sft": "sft", "sft-rl": "grpo"}
"""What the training of the darkroom calls some of the thinkers."""


def folder_of(where: str) -> str:
    """The folder with the ONNX files of a thinker, exported first where they are not there; "" for none."""
    path = Path(where)
    if where == "shipped" or not weights.lacking(path):
        return where
    files = [*sorted(path.glob("*.safetensors")), path / "tokenizer.json"]
    if len(files) < 2 or not files[-1].is_file():
        return ""
    out = EXPORTED / hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]
    if weights.lacking(out):
        from editthinker.training.darkroom import packing

        print(f"exporting {where}", flush=True)
        EXPORTED.mkdir(parents=True, exist_ok=True)
        packing.export_thinker(path, out)
    return str(out)


def thinkers_of(arguments: argparse.Namespace) -> dict[str, str]:
    """Where each trained thinker lies."""
    named = dict(pair.split("=", 1) for pair in arguments.thinker)
    if unknown := named.keys() - set(cells.THINKERS):
        raise SystemExit(f"no thinker is called {', '.join(unknown)}; known: {', '.join(cells.THINKERS)}")
    found = {}
    for name in cells.THINKERS:
        where = folder_of(named.get(name, str(arguments.thinkers / FOLDERS.get(name, name))))
        if where:
            found[name] = where
        elif name in named:
            raise SystemExit(f"{named[name]} holds no thinker")
    return found


def play(names: Sequence[str], arguments: argparse.Namespace, world: cells.World) -> None:
    """Play whatever these experiments lack, all of it together, so that they share what they can."""
    needed = [cell for name in names for cell in figures.EXPERIMENTS[name][1]]
    spent = cells.measure(needed, world, arguments.n, arguments.out / "cells", workers=arguments.workers)
    if spent["seconds"]:
        print(
            f"{spent['seconds']:.0f} CPU s, {spent['seconds'] / spent['turns']:.3f} for each of"
            f" {spent['turns']:.0f} turns: {spent['edits']:.0f} edits and {spent['thoughts']:.0f} critiques"
            f" were made, {spent['spared']:.0f} shared",
            flush=True,
        )


def result(name: str, arguments: argparse.Namespace, world: cells.World) -> dict[str, Any]:
    """An experiment as it is written down."""
    make, needed = figures.EXPERIMENTS[name]
    folder = arguments.out / "cells"
    there = {cell: identity for cell in needed if (identity := world.measured(cell, folder))}

    @cache
    def rows(cell: cells.Cell) -> list[dict[str, Any]]:
        return cells.rows_of(folder, cell, arguments.n) if cell in there else []

    return {
        "experiment": name,
        "command": "python " + shlex.join(["benchmarks/paper.py", name, *arguments.said]),
        "date": datetime.now(UTC).date().isoformat(),
        "split": world.split,
        "seed": world.seed,
        "n": arguments.n,
        "judge": "darkroom (exact)",
        "weights": {cell.name: identity for cell, identity in there.items() if rows(cell)},
        "figures": make(rows),
    }


def record(main_table: dict[str, Any]) -> None:
    """Write into the manifest of the weights what the editors were measured to do alone."""
    lines = MANIFEST.read_text(encoding="utf-8").split("\n")
    for editor, model in cells.EDITORS.items():
        single = main_table["figures"][editor]["none"]
        if not single["all"] or f"[{model}]" not in lines:
            continue
        success = ", ".join(f"{group} {single[group]['mean']:.1f}" for group in ("all", *GROUPS))
        start = lines.index(f"[{model}]")
        place = next(at for at in range(start, len(lines)) if lines[at].startswith("measured = "))
        lines[place] = f'measured = "single, success % of {single["n"]}: {success}"'
    MANIFEST.write_text("\n".join(lines), encoding="utf-8")


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=[*figures.EXPERIMENTS, "all", "goals", "page"])
    parser.add_argument("--n", type=int, default=500)
    parser.add_argument("--split", choices=["test", "validation", "fresh"], default="test")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--thinkers", type=Path, default=Path("checkpoints"))
    parser.add_argument("--thinker", action="append", default=[], metavar="NAME=WHERE")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    arguments.said = sys.argv[2:]
    if arguments.what in figures.EXPERIMENTS or arguments.what == "all":
        world = cells.World(arguments.split, arguments.seed, thinkers_of(arguments))
        arguments.out.mkdir(parents=True, exist_ok=True)
        names = list(figures.EXPERIMENTS) if arguments.what == "all" else [arguments.what]
        try:
            play(names, arguments, world)
        except KeyboardInterrupt:
            print("stopped; the same command goes on from here", file=sys.stderr)
            raise SystemExit(130) from None
        except StoreError as error:
            raise SystemExit(str(error)) from None
        for name in names:
            text = json.dumps(result(name, arguments, world), indent=1) + "\n"
            (arguments.out / f"{name}.json").write_text(text, encoding="utf-8")
    results = {
        name: json.loads((arguments.out / f"{name}.json").read_text(encoding="utf-8"))
        for name in figures.EXPERIMENTS
        if (arguments.out / f"{name}.json").exists()
    }
    table = results.get("main")
    if table and table["split"] == "test" and table["n"] >= ENOUGH and arguments.out == OUT:
        record(table)
    if arguments.what != "goals":
        write_page(results, arguments.out)
    print("\n".join(told(goal) for goal in goals(results)))


if __name__ == "__main__":
    main()
