"""What can be set on a local pipeline, and whether a family takes it; refused by name, never ignored."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from editthinker.core.errors import InputError
from editthinker.core.settings import Extra, Settings
from editthinker.editors.diffusers.families import Family


class DiffusersSettings(Settings):
    """Settings of `diffusers:REPO_OR_PATH`; what is left unset comes from the model's card."""

    steps: int | None = Field(None, ge=1, le=1000, description="denoising steps")
    guidance: float | None = Field(
        None, ge=0, description="how strongly the words guide (1 or less: not at all)"
    )
    image_guidance: float | None = Field(None, ge=0, description="how strongly the source is held on to")
    negative_prompt: str | None = Field(None, description="what the picture should not be like")
    pixels: int | None = Field(
        None, ge=64 * 64, le=2**26, description="width x height the model works at, such as 1048576"
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="of the weights (auto: bfloat16 on a GPU, float32 on a CPU)"
    )
    device: str = Field(
        "auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$", description="auto, cuda, cuda:1, mps or cpu"
    )
    offload: Literal["none", "model", "sequential"] = Field(
        "none", description="keep weights in main memory while they are idle; saves GPU memory, costs time"
    )
    quantise: Literal["none", "int8", "nf4"] = Field(
        "none", description="smaller weights, by bitsandbytes (a half or a quarter of the memory)"
    )
    compile: bool = Field(False, description="compile the denoiser; slow first edit, faster ones after")
    lora: str = Field("", description="LoRA files, folders or repositories, as PATH[:WEIGHT],PATH[:WEIGHT]")
    batch: int = Field(
        1,
        ge=1,
        le=64,
        description="requests that may share one call of the model; rounding then depends on who shares it",
    )
    vae_tiling: bool = Field(False, description="decode in tiles; saves memory at large sizes")
    revision: str = Field("", description="branch, tag or commit of the repository")
    pipeline: str = Field(
        "", description="class to load it with instead of its own: a name in diffusers, or pkg.module:Class"
    )
    extra: Extra = Field(
        default_factory=dict,
        description="further arguments of the pipeline's call, such as extra.strength=0.8",
    )

    @field_validator("lora")
    @classmethod
    def _readable(cls, value: str) -> str:
        adapters(value)
        return value


def adapters(lora: str) -> list[tuple[str, float]]:
    """The LoRAs of a setting, each with its weight (1 unless said otherwise). Raises `ValueError`."""
    found = []
    for part in filter(None, map(str.strip, lora.split(","))):
        path, colon, weight = part.rpartition(":")
        try:
            found.append((path, float(weight)) if colon else (part, 1.0))
        except ValueError:
            found.append((part, 1.0))  # a colon of the path's own
    if any(not path for path, _ in found):
        raise ValueError("must be PATH or PATH:WEIGHT, separated by commas")
    return found


def check(label: str, settings: DiffusersSettings, family: Family) -> None:
    """Raises `InputError` naming the first setting that `family` does not take, or that would not act."""
    takes = {
        "guidance": family.guidance is not None,
        "image_guidance": family.image_guidance is not None,
        "negative_prompt": bool(family.negative),
        "pixels": not family.fixed,
    }
    if family.refusal:
        raise InputError(f"{label}: this model {family.refusal}")
    for name, taken in takes.items():
        if not taken and getattr(settings, name) is not None:
            others = ", ".join(other for other, ok in takes.items() if ok)
            raise InputError(
                f"{label}: {family.pipeline} has no use for {name!r}; it takes {others or 'none'}"
            )
    if settings.batch > 1 and not family.together:
        raise InputError(f"{label}: {family.pipeline} edits one request at a time; leave out 'batch'")
    _check_guidance(label, settings, family)


def _check_guidance(label: str, settings: DiffusersSettings, family: Family) -> None:
    """Guidance that other values switch off in silence."""
    guidance = family.guidance_preset if settings.guidance is None else settings.guidance
    if family.negative == "with true_cfg_scale" and (settings.negative_prompt is None) == (
        _true_guidance(settings) > 1
    ):
        raise InputError(
            f"{label}: on {family.pipeline} 'negative_prompt' acts only with extra.true_cfg_scale above 1, "
            "and that only with 'negative_prompt'; give both or neither"
        )
    if family.negative == "always" and settings.negative_prompt is not None and _off(guidance):
        raise InputError(f"{label}: 'negative_prompt' does not act while guidance is 1 or less")
    image_guidance = settings.image_guidance
    if image_guidance is not None and family.image_guidance == "image_guidance_scale":
        if image_guidance < 1:
            raise InputError(f"{label}: 'image_guidance' below 1 switches all guidance off; give 1 or more")
        if _off(guidance):
            raise InputError(f"{label}: 'image_guidance' does not act while guidance is 1 or less")


def _off(guidance: float | None) -> bool:
    return guidance is not None and guidance <= 1


def _true_guidance(settings: DiffusersSettings) -> float:
    value = settings.extra.get("true_cfg_scale", 1)
    return value if isinstance(value, int | float) else 1
