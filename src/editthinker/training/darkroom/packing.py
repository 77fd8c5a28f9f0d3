"""Trained models into the package: ONNX files, tokenizers and the manifest that names and hashes them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from editthinker.training.darkroom import export

WEIGHTS = Path(__file__).parents[2] / "darkroom" / "weights"


def pack(checkpoints: Path, weights: Path = WEIGHTS) -> None:
    """Export both models into `weights` and write `MANIFEST.toml` anew."""
    weights.mkdir(exist_ok=True)
    editor, thinker = checkpoints / "editor", checkpoints / "thinker"
    export.export_decoder(export.load_editor(editor / "model"), weights / "editor.onnx")
    model = export.load_thinker(thinker / "model")
    export.export_decoder(model, weights / "thinker.decoder.onnx")
    export.export_vision(model, weights / "thinker.vision.onnx")
    for name, folder in (("editor", editor), ("thinker", thinker)):
        (weights / f"{name}.tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes())
    (weights / "MANIFEST.toml").write_text(_manifest(weights, checkpoints), encoding="utf-8")


def _manifest(weights: Path, checkpoints: Path) -> str:
    lines = [
        "# Written by `python -m editthinker.training.darkroom export`; checked whenever weights are loaded.",
        "",
    ]
    for model in ("editor", "thinker"):
        log = (checkpoints / model / "log.jsonl").read_text().splitlines()
        last = json.loads(log[-1])
        lines += [
            f"[{model}]",
            'licence = "Apache-2.0"',
            f'recipe = "editthinker.training.darkroom.{model}.Recipe"',
            'data = "generated language; training-photos/ (licences in its manifest); procedural scenes"',
            f"steps = {last['step']}",
            f"seconds = {last['seconds']}",
            f"final_training_loss = {last['loss']}",
            'measured = "not yet: run benchmarks/darkroom_table.py"',
            "",
        ]
        for file in sorted(weights.glob(f"{model}.*")):
            data = file.read_bytes()
            lines += [
                f"[[{model}.files]]",
                f'name = "{file.name}"',
                f"size = {len(data)}",
                f'sha256 = "{hashlib.sha256(data).hexdigest()}"',
                "",
            ]
    return "\n".join(lines)
