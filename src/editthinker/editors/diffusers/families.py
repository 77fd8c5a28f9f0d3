"""What is known of each editing pipeline: the table behind the adapter.

A `Family` says how a pipeline class takes images, which of its guidance arguments acts, at which sizes it
works and what its model's own card recommends. A class without a row is described by its call signature.
Sources: the call signatures and code of diffusers 0.42, and the card each row names.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from editthinker.core.errors import InputError

MEGAPIXEL = 1024 * 1024
IMAGE_ARGUMENTS = ("image", "images", "input_images")


@dataclass(frozen=True, slots=True)
class Family:
    """Facts about one pipeline class; a preset of None leaves the value to the pipeline."""

    pipeline: str
    """Name of the class, as in `_class_name` of `model_index.json`."""
    card: str = ""
    """Where presets come from."""
    when: Mapping[str, Any] = field(default_factory=dict)
    """Values in `model_index.json` that tell variants of one class apart."""
    refusal: str = ""
    """Why it cannot serve here, if it cannot; continues "this model"."""

    image: str = "image"
    """The argument that takes the images."""
    nested: bool = False
    """Whether that argument is a list (prompts) of lists (images)."""
    max_images: int = 1
    inpainting: str = ""
    """The class that takes a mask beside the same weights."""

    steps: int | None = None
    guidance: str | None = "guidance_scale"
    """The argument whose value guides by the words; None: guidance is distilled into the weights."""
    guidance_preset: float | None = None
    image_guidance: str | None = None
    """The argument that holds on to the source."""
    image_guidance_preset: float | None = None
    negative: Literal["", "always", "with true_cfg_scale"] = ""
    """When a negative prompt acts."""
    negative_preset: str | None = None
    """Where guidance acts only beside a negative prompt, that prompt."""

    sized: bool = True
    """Whether it takes height and width; otherwise the result has the size of the input."""
    fixed: bool = False
    """Whether it always works at `pixels`, whatever it is given."""
    pixels: int = MEGAPIXEL
    """Width x height it works at best."""
    grows: bool = True
    """Whether smaller sources are enlarged to `pixels`: trained at that size only."""
    patch: int = 2
    """Latent pixels a side must be a multiple of."""
    longest: float = 3.0
    """Largest ratio of the sides it works at; longer pictures are padded."""
    also: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments every call gets."""
    idle: tuple[str, ...] = ()
    """Arguments it takes and makes nothing of."""

    together: Literal["", "listed", "grouped"] = ""
    """How several requests share a call: images as a list beside the prompts ("listed"); or each prompt
    would see all images, unless the adapter groups them ("grouped"); "" not at all."""
    needs_torchvision: bool = False
    """Whether its processor cannot be loaded without torchvision."""
    seeded: bool = True
    """Whether all its noise comes from the generator it is given."""

    languages: tuple[str, ...] = ("en",)
    hint: str = ""
    words: int | None = None
    """Words of an instruction it reads (its token limit, at 1.3 tokens a word); more are cut."""


_KONTEXT_HINT = "name the thing to change and the change, then what must stay the same; quote text to write"
_QWEN_HINT = "short imperative sentences that name the object; quote text to write"
_LLM_HINT = "one plain sentence for each edit; quote text to write"

_KLEIN = Family(
    "Flux2KleinPipeline",
    "https://huggingface.co/black-forest-labs/FLUX.2-klein-base-4B",
    max_images=4,
    inpainting="Flux2KleinInpaintPipeline",
    steps=50,
    guidance_preset=4.0,
    grows=False,
    together="grouped",
    hint=_LLM_HINT,
    words=390,
)
_QWEN = Family(
    "QwenImageEditPipeline",
    "https://huggingface.co/Qwen/Qwen-Image-Edit",
    inpainting="QwenImageEditInpaintPipeline",
    steps=50,
    guidance="true_cfg_scale",
    guidance_preset=4.0,
    negative="always",
    negative_preset=" ",
    idle=("max_sequence_length",),
    together="listed",
    needs_torchvision=True,
    languages=("en", "zh"),
    hint=_QWEN_HINT,
    words=780,
)
_PIX2PIX = Family(
    "StableDiffusionInstructPix2PixPipeline",
    "https://huggingface.co/timbrooks/instruct-pix2pix",
    steps=100,
    guidance_preset=7.5,
    image_guidance="image_guidance_scale",
    image_guidance_preset=1.5,
    negative="always",
    sized=False,
    pixels=512 * 512,
    patch=8,
    together="listed",
    hint="one short imperative clause, such as 'turn the sky into a sunset'",
    words=55,
)

FAMILIES: tuple[Family, ...] = (
    Family(
        "FluxKontextPipeline",
        "https://huggingface.co/black-forest-labs/FLUX.1-Kontext-dev",
        inpainting="FluxKontextInpaintPipeline",
        steps=28,
        guidance_preset=2.5,
        negative="with true_cfg_scale",
        longest=2.34,  # the longest of the resolutions it was trained at is 1568x672
        also={"_auto_resize": False},  # the canvas has the right size already; snapping would squeeze it
        together="listed",
        hint=_KONTEXT_HINT,
        words=390,
    ),
    Family(
        "Flux2Pipeline",
        "https://huggingface.co/black-forest-labs/FLUX.2-dev",
        max_images=8,
        steps=50,
        guidance_preset=4.0,
        grows=False,
        together="grouped",
        hint=_LLM_HINT,
        words=390,
    ),
    Family(
        "Flux2KleinPipeline",
        "https://huggingface.co/black-forest-labs/FLUX.2-klein-4B",
        when={"is_distilled": True},
        max_images=4,
        inpainting="Flux2KleinInpaintPipeline",
        steps=4,
        guidance=None,
        also={"guidance_scale": 1.0},  # more only earns a warning
        grows=False,
        together="grouped",
        hint=_LLM_HINT,
        words=390,
    ),
    _KLEIN,
    Family(
        "Flux2KleinKVPipeline",
        "https://huggingface.co/black-forest-labs/FLUX.2-klein-9b-kv",
        max_images=4,
        steps=4,
        guidance=None,
        grows=False,
        hint=_LLM_HINT,
        words=390,
    ),
    _QWEN,
    Family(
        "QwenImageEditPlusPipeline",
        "https://huggingface.co/Qwen/Qwen-Image-Edit-2511",
        max_images=3,
        steps=40,
        guidance="true_cfg_scale",
        guidance_preset=4.0,
        negative="always",
        negative_preset=" ",
        idle=("max_sequence_length",),
        needs_torchvision=True,
        languages=("en", "zh"),
        hint=_QWEN_HINT,
        words=780,
    ),
    Family(
        "LongCatImageEditPipeline",
        "https://huggingface.co/meituan-longcat/LongCat-Image-Edit",
        steps=50,
        guidance_preset=4.5,
        negative="always",
        sized=False,
        fixed=True,
        needs_torchvision=True,
        languages=("en", "zh"),
        hint=_LLM_HINT,
        words=300,
    ),
    Family(
        "OmniGenPipeline",
        "https://huggingface.co/Shitao/OmniGen-v1-diffusers",
        image="input_images",
        nested=True,
        max_images=3,
        steps=50,
        guidance_preset=2.0,
        image_guidance="img_guidance_scale",
        image_guidance_preset=1.6,
        needs_torchvision=True,
        hint="one plain sentence; say what stays as it is",
    ),
    Family(
        "JoyImageEditPipeline",
        "https://huggingface.co/jdopensource/JoyAI-Image-Edit-Diffusers",
        steps=40,
        guidance_preset=4.0,
        negative="always",
        needs_torchvision=True,
        seeded=False,  # it samples the source's latents from the global generator
        languages=("en", "zh"),
        hint=_LLM_HINT,
    ),
    Family(
        "JoyImageEditPlusPipeline",
        "https://huggingface.co/jdopensource/JoyAI-Image-Edit-Plus-Diffusers",
        image="images",
        nested=True,
        max_images=4,
        steps=30,
        guidance_preset=4.0,
        negative="always",
        needs_torchvision=True,
        seeded=False,
        languages=("en", "zh"),
        hint=_LLM_HINT,
    ),
    Family(
        "BriaFiboEditPipeline",
        "https://huggingface.co/briaai/Fibo-Edit-1.5-base",
        refusal="reads JSON written by Bria's prompt-to-JSON model, not sentences; use another one",
    ),
    _PIX2PIX,
    Family(
        "StableDiffusionXLInstructPix2PixPipeline",
        "https://huggingface.co/diffusers/sdxl-instructpix2pix-768",
        steps=30,
        guidance_preset=3.0,
        image_guidance="image_guidance_scale",
        image_guidance_preset=1.5,
        negative="always",
        pixels=768 * 768,
        patch=8,
        hint=_PIX2PIX.hint,
        words=55,
    ),
)

ELSEWHERE: Mapping[str, str] = {
    "OmniGen2": "diffusers has no OmniGen2; serve it with vLLM-Omni and use "
    "'openai:OmniGen2/OmniGen2?base_url=...', or with the paper's editing service and use 'service:URL'",
    "Step1X": "diffusers has no Step1X-Edit; serve it and use 'openai:MODEL?base_url=...' or a dotted path",
    "BAGEL": "diffusers has no BAGEL; serve it with vLLM-Omni and use 'openai:MODEL?base_url=...'",
    "HiDream": "diffusers has no HiDream-E1; serve it and use 'openai:MODEL?base_url=...' or a dotted path",
}
"""Editing models that people look for here and that diffusers does not have."""


def known(pipeline: str, index: Mapping[str, Any]) -> Family | None:
    """The row for a class and its `model_index.json`."""
    for family in FAMILIES:
        if family.pipeline == pipeline and all(index.get(key) == value for key, value in family.when.items()):
            return family
    return None


def by_repository(repository: str) -> Family | None:
    """The row whose card is that of `repository`, for what can be said before anything is downloaded."""
    return next((family for family in FAMILIES if family.card.endswith(f"/{repository}")), None)


def described(pipeline: str, call: Callable[..., Any]) -> Family:
    """A family from the call signature of a class without a row. Raises `InputError` when it cannot edit."""
    takes = inspect.signature(call).parameters
    image = next((name for name in IMAGE_ARGUMENTS if name in takes), None)
    if image is None or "prompt" not in takes:
        missing = "image" if image is None else "instruction"
        raise InputError(f"this model cannot edit: its pipeline {pipeline} takes no {missing}")
    true_guidance = "true_cfg_scale" in takes and takes["true_cfg_scale"].default not in (None, 1, 1.0)
    negative: Literal["always", "with true_cfg_scale"] = "always"
    if "true_cfg_scale" in takes and not true_guidance:
        negative = "with true_cfg_scale"
    return Family(
        pipeline,
        image=image,
        inpainting=pipeline if "mask_image" in takes else "",
        guidance="true_cfg_scale"
        if true_guidance
        else "guidance_scale"
        if "guidance_scale" in takes
        else None,
        image_guidance=next((name for name in takes if name.endswith("_guidance_scale")), None),
        negative=negative if "negative_prompt" in takes else "",
        negative_preset=" " if true_guidance and "negative_prompt" in takes else None,
        sized={"height", "width"} <= takes.keys(),
        grows=False,
        patch=8,
        languages=(),
    )
