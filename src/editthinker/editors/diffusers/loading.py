"""From a name to a pipeline in memory, or one sentence that says why not.

In: what a folder or repository says of itself, and the settings. Out: a `Loaded` pipeline on its device. What
can be refused by the small `model_index.json` is refused before gigabytes are read.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from editthinker.core.errors import EditorError, EditThinkerError, InputError
from editthinker.editors.diffusers.families import Family, described, known
from editthinker.editors.diffusers.index import first_line, index_of, is_folder, refuse_absent
from editthinker.editors.diffusers.memory import is_shortage, shortage
from editthinker.editors.diffusers.settings import DiffusersSettings, adapters, check

OURS = frozenset(
    {
        "prompt",
        "generator",
        "output_type",
        "return_dict",
        "num_images_per_prompt",
        "latents",
        "kwargs",
        "mask_image",
    }
)
"""Arguments of a call that the adapter gives itself."""
INSTEAD = {
    "num_inference_steps": "steps",
    "guidance_scale": "guidance",
    "image_guidance_scale": "image_guidance",
    "img_guidance_scale": "image_guidance",
    "negative_prompt": "negative_prompt",
    "height": "pixels",
    "width": "pixels",
    "max_area": "pixels",
}
"""Arguments of a call that have a setting of their own, which checks that they act."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A pipeline ready to be called."""

    pipe: Any
    family: Family
    takes: frozenset[str]
    """The arguments of its call."""
    device: str

    @property
    def multiple(self) -> int:
        """Pixels that the sides of its pictures must be multiples of."""
        return int(getattr(self.pipe, "vae_scale_factor", 8)) * self.family.patch


def load(label: str, what: str, settings: DiffusersSettings) -> Loaded:
    """The pipeline on its device. Raises `InputError` or `EditorError` with one sentence."""
    index = index_of(what, settings.revision)
    name = settings.pipeline or str(index.get("_class_name"))
    if family := known(name.rpartition(":")[2], index):
        check(label, settings, family)
    made_by = _class(label, what, name)
    family = family or described(made_by.__name__, made_by.__call__)
    check(label, settings, family)
    takes = _arguments(made_by)
    if settings.steps is not None and "num_inference_steps" not in takes:
        raise InputError(f"{label}: {family.pipeline} takes no number of steps; leave out 'steps'")
    _check_extra(label, settings.extra, family, takes)
    device = _device(label, settings)
    try:
        pipe = made_by.from_pretrained(_location(what), **_reading(label, settings, index, device))
        _prepare(label, pipe, settings, device)
    except EditThinkerError:
        raise
    except Exception as error:  # whatever a strange folder makes foreign code raise belongs into one sentence
        raise _explained(label, what, family, settings, device, error) from error
    return Loaded(pipe, family, takes, device)


def masking(loaded: Loaded, settings: DiffusersSettings) -> Loaded:
    """The sibling pipeline that paints within a mask, made of the same weights in memory."""
    import diffusers

    made_by = getattr(diffusers, loaded.family.inpainting)
    pipe = made_by.from_pipe(loaded.pipe)
    _place_on(pipe, settings, loaded.device)
    return replace(loaded, pipe=pipe, takes=_arguments(made_by))


def _arguments(made_by: Any) -> frozenset[str]:
    return frozenset(inspect.signature(made_by.__call__).parameters) - {"self"}


def _class(label: str, what: str, name: str) -> Any:
    import diffusers

    module, colon, attribute = name.partition(":")
    try:
        found = getattr(import_module(module), attribute) if colon else getattr(diffusers, name, None)
    except (ImportError, AttributeError) as error:
        raise InputError(f"{label}: setting 'pipeline': {name!r} cannot be imported: {error}") from error
    if found is None:
        refuse_absent(label, name)
        raise InputError(
            f"{label}: diffusers {diffusers.__version__} has no {name}; update diffusers, or name the class "
            "with pipeline=pkg.module:Class"
        )
    if not (isinstance(found, type) and issubclass(found, diffusers.DiffusionPipeline)):
        raise InputError(f"{label}: {name} is no pipeline of diffusers")
    return found


def _check_extra(label: str, extra: Mapping[str, Any], family: Family, takes: frozenset[str]) -> None:
    instead = {**INSTEAD, str(family.guidance): "guidance"}
    free = sorted(takes - OURS - instead.keys() - {family.image, *family.idle})
    for key in extra:
        if key in instead:
            raise InputError(f"{label}: 'extra.{key}' has a setting of its own: {instead[key]!r}")
        if key not in free:
            meant = get_close_matches(key, free, 1)
            guess = f"did you mean 'extra.{meant[0]}'? " if meant else ""
            raise InputError(
                f"{label}: {family.pipeline} takes no 'extra.{key}'; {guess}it takes {', '.join(free)}"
            )


def _device(label: str, settings: DiffusersSettings) -> str:
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    device = settings.device
    if device == "auto":
        device = next(kind for kind, is_there in there.items() if is_there)
    kind, _, number = device.partition(":")
    if not there[kind] or (number and int(number) >= torch.cuda.device_count()):
        raise InputError(
            f"{label}: this machine (or this build of torch) has no device {device!r}; leave out 'device'"
        )
    if settings.quantise != "none" and kind != "cuda":
        raise InputError(f"{label}: 'quantise' needs an NVIDIA GPU, and there is none; leave it out")
    if settings.offload != "none" and kind == "cpu":
        raise InputError(f"{label}: 'offload' moves idle weights off a GPU, and there is none; leave it out")
    return device


def _location(what: str) -> str:
    return str(Path(what).expanduser()) if is_folder(what) else what


def _reading(
    label: str, settings: DiffusersSettings, index: Mapping[str, Any], device: str
) -> dict[str, Any]:
    import torch

    automatic = "float32" if device == "cpu" else "bfloat16"
    dtype = getattr(torch, automatic if settings.dtype == "auto" else settings.dtype)
    reading: dict[str, Any] = {"dtype": dtype}
    if settings.revision:
        reading["revision"] = settings.revision
    if settings.quantise != "none":
        if find_spec("bitsandbytes") is None:
            raise InputError(f"{label}: 'quantise' needs bitsandbytes: pip install bitsandbytes")
        from diffusers import PipelineQuantizationConfig

        four = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": dtype}
        reading["quantization_config"] = PipelineQuantizationConfig(
            quant_backend="bitsandbytes_4bit" if settings.quantise == "nf4" else "bitsandbytes_8bit",
            quant_kwargs=four if settings.quantise == "nf4" else {"load_in_8bit": True},
            components_to_quantize=[
                key for key in index if key.startswith(("transformer", "unet", "text_encoder"))
            ],
        )
    return reading


def _prepare(label: str, pipe: Any, settings: DiffusersSettings, device: str) -> None:
    """Everything between reading the weights and the first call."""
    _add_loras(label, pipe, settings)
    if settings.vae_tiling:
        if not hasattr(getattr(pipe, "vae", None), "enable_tiling"):
            raise InputError(f"{label}: {type(pipe).__name__} cannot decode in tiles; leave out 'vae_tiling'")
        pipe.vae.enable_tiling()
    _place_on(pipe, settings, device)
    if settings.compile:
        denoiser = getattr(pipe, "transformer", None) or getattr(pipe, "unet", None)
        if denoiser is None:
            raise InputError(
                f"{label}: {type(pipe).__name__} has no denoiser to compile; leave out 'compile'"
            )
        if getattr(denoiser, "_repeated_blocks", None):
            denoiser.compile_repeated_blocks()
        else:
            denoiser.compile()


def _place_on(pipe: Any, settings: DiffusersSettings, device: str) -> None:
    if settings.offload == "model":
        pipe.enable_model_cpu_offload(device=device)
    elif settings.offload == "sequential":
        pipe.enable_sequential_cpu_offload(device=device)
    else:
        pipe.to(device)


def _add_loras(label: str, pipe: Any, settings: DiffusersSettings) -> None:
    wanted = adapters(settings.lora)
    if not wanted:
        return
    if not hasattr(pipe, "load_lora_weights"):
        raise InputError(f"{label}: {type(pipe).__name__} takes no LoRA; leave out 'lora'")
    names = [f"lora{number}" for number, _ in enumerate(wanted)]
    for name, (path, _) in zip(names, wanted, strict=True):
        try:
            pipe.load_lora_weights(
                str(Path(path).expanduser()) if is_folder(path) else path, adapter_name=name
            )
        except Exception as error:  # loaders raise whatever the file makes them raise
            raise InputError(f"{label}: LoRA {path!r} cannot be loaded: {first_line(error)}") from error
        if not any(name in held for held in pipe.get_list_adapters().values()):
            # diffusers only logs a warning when no key of the file belongs to the model
            raise InputError(f"{label}: LoRA {path!r} is for another model: none of its weights fits")
    pipe.set_adapters(names, [weight for _, weight in wanted])


def _explained(
    label: str, what: str, family: Family, settings: DiffusersSettings, device: str, error: Exception
) -> EditThinkerError:
    if is_shortage(error):
        return EditorError(f"{label} {shortage(settings, device)}")
    if family.needs_torchvision and find_spec("torchvision") is None:
        return InputError(
            f"{label} needs torchvision for the processor of {family.pipeline}: pip install torchvision "
            "(the build that belongs to your torch)"
        )
    if isinstance(error, ImportError):
        return InputError(f"{label} needs a package that is not installed: {first_line(error)}")
    return EditorError(f"{label} cannot be loaded from {what}: {type(error).__name__}: {first_line(error)}")
