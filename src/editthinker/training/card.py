"""The model card of what was trained: where it comes from, what it learned from, what was measured, what not.

In: the recipe, the base, the lessons' manifests, figures. Out: README.md with the front matter that the
Hugging Face Hub reads (https://huggingface.co/docs/hub/model-cards).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from editthinker.data.licences import UNKNOWN
from editthinker.training import recipe

MEANING = {
    "loss": "nats per token of the given answers",
    "read": "share of replies that keep to the grammar",
    "whole": "share of replies that came to an end",
    "semantic_error": "mean absolute error of the semantic score, 0 to 10, of readable replies",
    "quality_error": "mean absolute error of the quality score, 0 to 10, of readable replies",
    "satisfied_agreement": "share of steps where reply and data agree whether both scores reach 8",
    "reply_tokens": "tokens of a reply",
}


def written(
    kind: str,
    asked: recipe.Recipe,
    identity: Mapping[str, str],
    steps: Mapping[str, Mapping[str, Any]],
    measured: Mapping[str, Any],
) -> str:
    """The card, as Markdown."""
    base = identity["base"]
    base = Path(base).name if Path(base).is_dir() else base
    way = "imitation (SFT)" if kind == "sft" else "reinforcement with the editor in the loop (GRPO)"
    licences = sorted({origin["licence"] for made in steps.values() for origin in made["origins"]})
    head = {
        "base_model": base,
        "base_model_relation": "adapter" if asked.model.lora else "finetune",
        "library_name": "peft" if asked.model.lora else "transformers",
        "pipeline_tag": "image-text-to-text",
        "license": "other",
        "license_name": "that of the base model, and of the data below",
        "tags": ["editthinker", "image-editing", kind, *(["lora"] if asked.model.lora else [])],
    }
    front = "\n".join(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in head.items())
    place = f"{base}?lora=FOLDER" if asked.model.lora else "FOLDER"
    parts = [
        f"---\n{front}\n---\n\n# {asked.name}\n",
        "A thinker for image editing: it looks at a photo and an edit of it, says what is wrong, scores it,"
        f" and writes the next instruction. Trained from `{base}` by {way} with editthinker"
        f" {_version('editthinker')}, TRL {_version('trl')}, transformers {_version('transformers')}, PyTorch"
        f" {_version('torch')}.\n",
        f'```\neditthinker edit photo.jpg "warmer" --thinker "local:{place}"\n```\n',
        "## Data\n",
        *(_data(side, made) for side, made in steps.items()),
        f"Licences of the rows: {', '.join(licences) or UNKNOWN}. Whoever passes this model on answers for"
        " them.\n",
        "## Measured\n",
        _figures(measured),
        "## Not measured\n",
        _unmeasured(measured),
        "## Recipe\n",
        f"```toml\n{recipe.written(asked, places=False)}```\n",
    ]  # fmt: skip
    return "\n".join(parts)


def _data(side: str, made: Mapping[str, Any]) -> str:
    counts = made["counts"]
    lines = [f"- {side.replace('_', ' ')}: {counts['kept']} steps of {counts['read']} read"]
    lines += [f"  - left out, {reason}: {number}" for reason, number in counts["dropped"].items()]
    lines += [
        f"  - {one['rows']} rows: licence {one['licence']}, from {one['provenance']}"
        for one in made["origins"]
    ]
    lines += [f"  - {one['name']}: sha256 {one['sha256']}" for one in made["inputs"]]
    return "\n".join(lines) + "\n"


def _figures(measured: Mapping[str, Any]) -> str:
    held_out = measured.get("held_out")
    lines = []
    if held_out:
        lines += [
            f"On {held_out['steps']} held-out steps, replies written greedily:\n",
            "| what | figure | meaning |",
            "|---|---|---|",
        ]
        lines += [
            f"| {name} | {held_out[name]} | {words} |"
            for name, words in MEANING.items()
            if held_out.get(name) is not None
        ]
        lines.append("")
    rest = {key: value for key, value in measured.items() if key != "held_out"}
    if rest:
        lines += [f"- {key.replace('_', ' ')}: {json.dumps(value)}" for key, value in rest.items()]
        lines.append("")
    return "\n".join(lines) or "Nothing.\n"


def _unmeasured(measured: Mapping[str, Any]) -> str:
    open_: Sequence[str] = [
        *([] if measured.get("held_out") else ["Held-out steps: none were given."]),
        "Whether edits get better with it: run `editthinker bench` with an editor.",
        "Editors, tasks and languages that are not in the data; the bias of its judge, which is learned too.",
    ]
    return "\n".join(f"- {line}" for line in open_) + "\n"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "(unknown)"
