"""What a training is, as a file that can be read, compared and repeated.

In: a TOML file and `key=value` from the command line, which win. Out: a frozen `SftRecipe` or `GrpoRecipe`;
unknown keys are refused with the nearest known one. Defaults are the paper's (section 5.1) or, where it is
silent, the released configuration's. `recipes/` has some.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from editthinker.core.errors import InputError
from editthinker.core.files import cause, shown
from editthinker.core.settings import Extra, Settings, complaint, nested

MAX_BYTES = 2**20
"""Of a recipe."""


Paths = Annotated[
    tuple[Path, ...], BeforeValidator(lambda said: [said] if isinstance(said, str | Path) else said)
]
Names = Annotated[tuple[str, ...], BeforeValidator(lambda said: [said] if isinstance(said, str) else said)]


class Model(Settings):
    """`[model]`: what is trained, and which part of it."""

    base: str = Field(description="folder, repository on the Hub, or darkroom:SIZE for one made from nothing")
    revision: str = Field("", description="branch, tag or commit of the repository")
    freeze_vision: bool = Field(True, description="leave the vision tower and its projector as they are")
    lora: int = Field(0, ge=0, description="rank of LoRA adapters; 0 trains every weight")
    lora_alpha: int | None = Field(None, ge=1, description="scale of the adapters; None: twice the rank")
    lora_targets: str = Field("", description="expression of the layers that get one; '': the language model")
    quantise: Literal["none", "nf4"] = Field("none", description="nf4 with lora is QLoRA")
    dtype: Literal["auto", "float32", "bfloat16", "mixed"] = Field(
        "auto", description="mixed: kept in float32, computed with in bfloat16; auto: mixed on a GPU"
    )
    attn: str = Field("", description="attention: sdpa, flash_attention_2, ...; '' lets the model choose")
    pixels: int = Field(1024 * 1024, ge=1024, description="images are shrunk to this many pixels")
    style: Literal["grammar", "history", "checklist", "json"] = Field(
        "grammar", description="how it is asked"
    )
    prompt: Path | None = Field(None, description="file with the text to ask with")


class Data(Settings):
    """`[data]`: steps, as `editthinker data` writes them."""

    train: Paths = Field((), description="files or folders of steps to learn from")
    held_out: Paths = Field((), description="steps nothing is learned from, for evaluation")
    limit: int | None = Field(None, ge=1, description="only the first N steps")
    held_out_limit: int = Field(256, ge=1, description="only the first N held-out steps")
    max_tokens: int = Field(16_384, ge=64, description="steps that are longer are left out, never cut")
    workers: int = Field(1, ge=0, description="processes that prepare batches")


class Optimiser(Settings):
    """`[optimiser]`: how weights move."""

    learning_rate: float = Field(2e-5, gt=0)
    schedule: Literal["cosine", "linear", "constant"] = Field("cosine", description="after the warm-up")
    warmup: float = Field(0.1, ge=0, lt=1, description="share of the steps over which the rate rises")
    weight_decay: float = Field(1e-6, ge=0)
    betas: tuple[float, float] = (0.9, 0.999)
    max_norm: float = Field(1.0, gt=0, description="of the gradient")
    epochs: float = Field(1.0, gt=0, description="passes over the data")
    steps: int | None = Field(None, ge=1, description="optimiser steps; wins over epochs")
    batch: int = Field(32, ge=1, description="rows of one optimiser step, over all devices")
    at_once: int = Field(2, ge=1, description="rows a device works at together; the rest is accumulated")
    save_memory: bool = Field(True, description="compute activations twice instead of keeping them")
    seed: int = Field(0, ge=0)


class Saving(Settings):
    """`[saving]`: when a checkpoint is written and what is told."""

    every: int = Field(1000, ge=1, description="optimiser steps between checkpoints")
    keep: int = Field(2, ge=1, description="checkpoints that stay")
    evaluate_every: int | None = Field(None, ge=1, description="None: only at the end")
    tell_every: int = Field(10, ge=1, description="steps between lines of the log")
    report_to: tuple[Literal["tensorboard", "trackio", "wandb"], ...] = ("tensorboard",)


class Reward(Settings):
    """`[reward]`: weights of the terms (paper equations 3 to 5; it gives no values, these are the release's).

    Everything is gated by the format; a failed edit or judgement is taken out of its group.
    """

    form: float = Field(0.5, ge=0, description="the reply keeps to the grammar")
    critic: float = Field(0.1, ge=0, description="its scores are near the judge's (equation 3)")
    gain: float = Field(0.3, ge=0, description="the next image is better in semantic (equation 4)")
    gain_quality: float = Field(0.1, ge=0, description="the next image is better in quality")
    turn_cost: float = Field(0.0, ge=0, description="taken off for asking for another edit")
    preservation: float = Field(0.0, ge=0, description="what should stay as it is does")
    rule: Literal["paper", "official"] = Field(
        "paper", description="official: the released formula, faults included, for comparison only"
    )


class Rollouts(Settings):
    """`[rollouts]`: what is tried for every prompt."""

    group: int = Field(8, ge=2, description="replies to one prompt, compared with each other")
    prompts: int = Field(16, ge=1, description="prompts of one step, over all devices")
    max_tokens: int = Field(4096, ge=16, description="longest reply")
    temperature: float = Field(1.0, gt=0)
    top_p: float = Field(1.0, gt=0, le=1)
    kl: float = Field(1e-3, ge=0, description="weight of the distance to the first model; 0 keeps no copy")
    loss: Literal["grpo", "dr_grpo", "dapo", "bnpo"] = "grpo"
    updates: int = Field(1, ge=1, description="optimiser passes over the same rollouts")
    vllm: Literal["off", "colocate", "server"] = Field("off", description="who writes the replies")
    vllm_url: str = Field("", description="of `trl vllm-serve`, for server")


class World(Settings):
    """`[world]`: who edits and who judges while the thinker learns."""

    editor: Names = Field(description="names, as --editor takes them; several share the work")
    judge: Names = Field(description="names, as --judge takes them")
    seed: int = Field(0, ge=0, description="of the edits")
    deadline: float = Field(300.0, gt=0, description="seconds a step waits for its last image and score")
    patience: float = Field(3600.0, ge=0, description="seconds to wait for servers that are all down")
    at_least: float = Field(0.5, gt=0, le=1, description="share of rollouts with a reward a step must have")


class _Recipe(Settings):
    """What both have."""

    name: str = Field("", description="what the result is called; '': the recipe's file name")
    out: Path | None = Field(None, description="folder of the result; None: trained/NAME")
    model: Model
    data: Data = Data.model_validate({})
    optimiser: Optimiser = Optimiser.model_validate({})
    saving: Saving = Saving.model_validate({})
    trl: Extra = Field(default_factory=dict, description="handed to TRL's configuration as it is")

    @model_validator(mode="after")
    def _fits(self) -> _Recipe:
        if self.model.quantise != "none" and not self.model.lora:
            raise ValueError(
                "model.quantise needs model.lora: quantised weights cannot be trained themselves"
            )
        if self.optimiser.batch % self.optimiser.at_once:
            raise ValueError("optimiser.batch must be a multiple of optimiser.at_once")
        return self


class SftRecipe(_Recipe):
    """The cold start: imitate the expert (paper section 3.3.1)."""


class GrpoRecipe(_Recipe):
    """Reinforcement: learn what this editor can do (paper section 3.3.2)."""

    optimiser: Optimiser = Optimiser.model_validate(
        {"learning_rate": 2e-6, "weight_decay": 1e-2, "warmup": 0.0, "batch": 128}
    )
    reward: Reward = Reward.model_validate({})
    rollouts: Rollouts = Rollouts.model_validate({})
    world: World

    @model_validator(mode="after")
    def _groups(self) -> GrpoRecipe:
        if self.rollouts.vllm == "server" and not self.rollouts.vllm_url:
            raise ValueError("rollouts.vllm = 'server' needs rollouts.vllm_url")
        return self


Recipe = SftRecipe | GrpoRecipe
KINDS: Mapping[str, type[Recipe]] = {"sft": SftRecipe, "grpo": GrpoRecipe}


FREE = (
    "name", "out", "saving", "model.base", "model.prompt", "data.train", "data.held_out",
    "data.held_out_limit", "data.workers", "optimiser.save_memory", "world.deadline", "world.patience",
)  # fmt: skip
"""Keys that may change when a training is taken up: they do not change what is learned, or (base, prompt,
train) their content is compared instead of their name."""


def read(kind: Literal["sft", "grpo"], file: Path, said: Sequence[str] = ()) -> Recipe:
    """The recipe in a file, with `key=value` in place of what it says. Raises `InputError`.

    Paths in the file are relative to it, those on the command line to the current folder.
    """
    label = f"the recipe {shown(str(file))}"
    try:
        with file.open("rb") as stream:
            table = tomllib.loads(stream.read(MAX_BYTES).decode("utf-8-sig"))
    except (OSError, ValueError) as error:
        why = cause(error) if isinstance(error, OSError) else str(error)
        raise InputError(f"cannot read {label}: {why}") from None
    _place(table, file.parent)
    for key, value in nested(dict(map(_pair, said))).items():
        both = isinstance(value, dict) and isinstance(table.get(key), dict)
        table[key] = {**table[key], **value} if both else value
    made = KINDS[kind]
    try:
        recipe = made.model_validate(table)
    except ValidationError as error:
        other = next(name for name in KINDS if name != kind)
        first = error.errors(include_url=False)[0]
        unknown = first["type"] == "extra_forbidden" and len(first["loc"]) == 1
        if unknown and str(first["loc"][0]) in KINDS[other].model_fields:
            raise InputError(
                f"{label} has a table [{first['loc'][0]}]: it is one for 'train {other}'"
            ) from None
        raise InputError(f"{label}: {complaint(made, error)}") from None
    return recipe.model_copy(update={"name": recipe.name or file.stem})


def written(recipe: Recipe, *, places: bool = True) -> str:
    """The recipe as a file that `read` reads, everything said, paths absolute.

    Without `places`, for others to read: of files and folders only the names.
    """
    table = recipe.model_dump(mode="json", exclude_none=True)

    def said(path: str) -> str:
        return str(Path(path).absolute()) if places else Path(path).name

    for section, key in PATHS:
        found = table.get(section, {}) if section else table
        if isinstance(value := found.get(key), list):
            found[key] = [said(path) for path in value]
        elif value:
            found[key] = said(value)
    if Path(recipe.model.base).is_dir():
        table["model"]["base"] = said(recipe.model.base)
    plain = {key: value for key, value in table.items() if not isinstance(value, dict)}
    lines = [f"{key} = {_toml(value)}" for key, value in plain.items()]
    for key in (key for key in table if key not in plain):
        lines += ["", f"[{key}]", *(f"{inner} = {_toml(value)}" for inner, value in table[key].items())]
    return "\n".join([*lines, ""])


def binding(recipe: Recipe) -> dict[str, Any]:
    """What must be as it was when a training is taken up: `a.b` to its value."""
    flat: dict[str, Any] = {}
    for key, value in recipe.model_dump(mode="json").items():
        flat |= (
            {f"{key}.{inner}": one for inner, one in value.items()}
            if isinstance(value, dict)
            else {key: value}
        )
    return {
        key: value for key, value in flat.items() if key not in FREE and key.partition(".")[0] not in FREE
    }


PATHS = (("", "out"), ("model", "prompt"), ("data", "train"), ("data", "held_out"))


def _place(table: dict[str, Any], folder: Path) -> None:
    """Put the folder in front of relative paths; of the base only if it is a folder there."""
    for section, key in PATHS:
        found = table.get(section, {}) if section else table
        if not isinstance(found, dict):
            continue
        if isinstance(value := found.get(key), str):
            found[key] = folder / value
        elif isinstance(value, list):
            found[key] = [folder / one if isinstance(one, str) else one for one in value]
    model = table.get("model")
    base = model.get("base") if isinstance(model, dict) else None
    if isinstance(base, str) and base and (folder / base).is_dir():
        model["base"] = str(folder / base)  # type: ignore[index]


def _pair(text: str) -> tuple[str, Any]:
    """What `key=value` says; lists as in JSON, `null` for nothing."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise InputError(
            f"after the recipe come changes to it as key=value, such as model.lora=16, not {text!r}"
        )
    if value == "null" or value.startswith("["):
        try:
            return key.strip(), json.loads(value)
        except ValueError:
            raise InputError(f'{key} takes a list as ["a", "b"], not {value!r}') from None
    return key.strip(), value


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
