"""Trained models into the package: ONNX files, tokenizers and the manifest that names and hashes them."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from editthinker.darkroom.weights import THINKER
from editthinker.training.darkroom import export
from editthinker.training.session import RECIPE

WEIGHTS = Path(__file__).parents[2] / "darkroom" / "weights"
EDITORS = {"small": "editor-small", "base": "editor", "large": "editor-large"}
"""What the folder and the files of an editor are called, by its size in `editor.SIZES`."""
STAGES = ("words", "looks", "sft", "grpo")
"""The folders of the thinker's trainings, each begun with the one before."""
SHIPS = "sft"
"""The one of them that is shipped: reinforcement gains nothing over it (docs/results.md)."""
LOG = "log.jsonl"
TRAININGS = "trainings.json"
"""What a thinker went through, in a folder that no training wrote."""
DATA = "generated language; training-photos/ (licences in its manifest); procedural scenes"


def pack(checkpoints: Path, weights: Path = WEIGHTS, *, models: Sequence[str], stage: str = SHIPS) -> None:
    """Export these models into `weights` and write their part of `MANIFEST.toml`; the rest of it stays.

    `stage`: the training whose result is the thinker.
    """
    weights.mkdir(exist_ok=True)
    manifest = weights / "MANIFEST.toml"
    shipped = tomllib.loads(manifest.read_text(encoding="utf-8")) if manifest.exists() else {}
    for name in models:
        if name == "thinker":
            export_thinker(checkpoints / stage, weights)
            shipped[name] = _entry(name, weights, {"trainings": lineage(checkpoints / stage)})
            continue
        folder = checkpoints / name
        export.export_decoder(export.load_editor(folder / "model"), weights / f"{name}.onnx")
        (weights / f"{name}.tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes())
        shipped[name] = _entry(name, weights, course(folder / LOG))
    manifest.write_text(_written(shipped), encoding="utf-8")


def export_thinker(folder: Path, into: Path) -> None:
    """The three files of a thinker that the training room wrote."""
    into.mkdir(exist_ok=True)
    thinker = export.load_thinker(folder)
    vision, decoder, tokenizer = (into / file for file in THINKER)
    export.export_decoder(thinker, decoder)
    export.export_vision(thinker, vision)
    tokenizer.write_bytes((folder / "tokenizer.json").read_bytes())


def lineage(folder: Path) -> list[str]:
    """What a thinker went through, the first training first: each was begun with the one before.

    `folder` is that of a training, or one of its checkpoints.
    """
    training = next((one for one in (folder, *folder.parents) if (one / RECIPE).is_file()), None)
    if training is None:
        known = folder / TRAININGS
        return json.loads(known.read_text(encoding="utf-8")) if known.is_file() else [f"begun with {folder}"]
    asked = tomllib.loads((training / RECIPE).read_text(encoding="utf-8"))
    found = course(training / "training" / LOG)
    if folder != training:
        found["steps"] = int(folder.name.rpartition("-")[2])
    facts = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in found.items())
    return [*lineage(Path(asked["model"]["base"])), f"{asked['name']}: {facts}"]


def course(log: Path) -> dict[str, Any]:
    """Steps, seconds and the last loss of a training, from its log; every interrupted part counts."""
    seconds, last = [0.0], {}
    for line in log.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        if "loss" in entry:
            last = entry
            seconds[-1] = entry["seconds"]
        else:  # a process began
            seconds.append(0.0)
    return {
        "steps": last["step"],
        "seconds": round(sum(seconds), 1),
        "final_training_loss": round(last["loss"], 4),
    }


def _entry(name: str, weights: Path, learned: Mapping[str, Any]) -> dict[str, Any]:
    files = []
    for file in sorted(weights.glob(f"{name}.*")):
        data = file.read_bytes()
        files.append({"name": file.name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()})
    size = next((size for size, editor in EDITORS.items() if editor == name), None)
    recipe = f"editthinker.training.darkroom.editor.SIZES.{size}" if size else "recipes/darkroom"
    return {
        "licence": "Apache-2.0",
        "recipe": recipe,
        "data": "generated language" if size else DATA,
        **learned,
        "measured": f"not yet: run benchmarks/{'paper.py main' if size else 'darkroom_table.py'}",
        "files": files,
    }


def _written(shipped: Mapping[str, Mapping[str, Any]]) -> str:
    lines = [
        "# Written by `python -m editthinker.training.darkroom export`; checked whenever weights are loaded.",
        "",
    ]
    for name, entry in sorted(shipped.items()):
        facts = {key: value for key, value in entry.items() if key != "files"}
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in facts.items()), ""]
        for file in entry["files"]:
            lines += [f"[[{name}.files]]", *(f"{key} = {json.dumps(value)}" for key, value in file.items())]
            lines.append("")
    return "\n".join(lines)
