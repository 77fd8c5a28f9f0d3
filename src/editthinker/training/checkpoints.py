"""A model with what feeds it: loaded to be trained, made small by LoRA, written as a folder others load.

In: `recipe.Model`. Out: `Trainee`; and from a trainer a folder that `local:`, transformers and vLLM load.
Weights that are trained are kept in float32 and computed with in bfloat16 on a GPU (a step of 1e-6 is lost
in bfloat16's 8 bits); frozen ones are bfloat16 there. DeepSpeed keeps its own float32 copies; FSDP wants one
dtype for all.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from editthinker.core.errors import InputError, MissingExtra, ThinkerError
from editthinker.thinkers.local import loading, processor
from editthinker.training.recipe import Model

LANGUAGE = r".*language_model.*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"
"""Layers that get adapters: the language model's, but embeddings and head (arXiv 2305.14314, section 4)."""


MADE = "darkroom:"
"""Before the size of a base that is made from nothing."""
SAMPLED = 64
"""Weights that are looked at to tell one base from another, and numbers of each: all would take minutes."""


@dataclass(frozen=True)
class Trainee:
    """What is trained."""

    model: Any
    processor: Any
    peft: Any
    """A `peft.LoraConfig`, for the trainer to apply; None: every weight that is not frozen is trained."""
    identity: dict[str, str]
    """Which base this is: its name, and the sha256 of its configuration and of a sample of its weights."""
    dtype: Any
    """Of the base's own weights: the result is written in it."""


def load(model: Model, *, for_training: bool = True) -> Trainee:
    """The base with its processor. Raises `InputError` or `ThinkerError`, which name it."""
    label = f"the base {model.base!r}"
    if model.base.startswith(MADE):
        from editthinker.training.darkroom import nets

        net, feeds = nets.made(model.base)
        if for_training:
            freeze(net, model, label)
        return Trainee(net, feeds, adapters(model), _identity(model, net.config, net), net.dtype)
    loading.check(model.base, loading.Settings.read(label, {}), label)
    from transformers import AutoConfig, AutoModelForImageTextToText
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING

    place, hub = where(model)
    with loading.attributed(label, lambda: "; train with lora, or on more devices"):
        config = AutoConfig.from_pretrained(place, **hub)
        if type(config) not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
            raise ThinkerError(
                f"{label} is a {config.model_type} model, which does not answer images with text; "
                "take a vision-language model, such as Qwen/Qwen3-VL-8B-Instruct"
            )
        feeds = processor.load(place, config, **hub)
        options: dict[str, Any] = {"dtype": _loaded_as(model)}
        if model.attn:
            options["attn_implementation"] = model.attn
        if model.quantise == "nf4":
            options |= _nf4(label)
        net, report = AutoModelForImageTextToText.from_pretrained(
            place, config=config, output_loading_info=True, **options, **hub
        )
    if missing := sorted(report["missing_keys"]):
        raise ThinkerError(f"{label} lacks {len(missing)} of its weights ({missing[0]}, ...)")
    if for_training:
        freeze(net, model, label)
    return Trainee(net, feeds, adapters(model), _identity(model, config, net), config.dtype or net.dtype)


def adapters(model: Model) -> Any:
    """The `LoraConfig` a recipe asks for, None without."""
    if not model.lora:
        return None
    try:
        from peft import LoraConfig
    except ImportError:
        raise MissingExtra("LoRA", "train") from None
    return LoraConfig(
        r=model.lora,
        lora_alpha=model.lora_alpha or 2 * model.lora,
        target_modules=model.lora_targets or LANGUAGE,
        task_type="CAUSAL_LM",
    )


def where(model: Model) -> tuple[str, dict[str, Any]]:
    """The base as transformers names it, and how it is fetched."""
    place = str(Path(model.base).expanduser()) if loading.is_folder(model.base) else model.base
    return place, {"revision": model.revision or None, "trust_remote_code": False}


def vision(model: Any) -> Any:
    """The part that sees; None when its name is not known."""
    inner = getattr(model, "model", model)
    return next((part for name in ("visual", "vision_tower") if (part := getattr(inner, name, None))), None)


def freeze(net: Any, model: Model, label: str) -> None:
    """Say what is trained, and in which dtype each weight lies."""
    import torch

    if model.freeze_vision:
        seeing = vision(net)
        if seeing is None:
            raise InputError(f"{label} has no part known to see; set model.freeze_vision = false")
        seeing.requires_grad_(False)
        projector = getattr(net.model, "multi_modal_projector", None)
        if projector is not None:
            projector.requires_grad_(False)
    if not model.lora and model.dtype == "auto" and not _sharded():
        for weight in net.parameters():
            if weight.requires_grad:
                weight.data = weight.data.to(torch.float32)


def _loaded_as(model: Model) -> Any:
    import torch

    if model.dtype in ("float32", "bfloat16"):
        return getattr(torch, model.dtype)
    if model.dtype == "mixed" or not torch.cuda.is_available():
        return torch.float32
    return torch.float32 if _sharded() == "fsdp" and not model.lora else torch.bfloat16


def _sharded() -> str:
    """Who cuts the weights up, as `accelerate launch` says it."""
    if os.environ.get("ACCELERATE_USE_FSDP", "").lower() == "true":
        return "fsdp"
    return "deepspeed" if os.environ.get("ACCELERATE_USE_DEEPSPEED", "").lower() == "true" else ""


def _nf4(label: str) -> dict[str, Any]:
    from importlib.util import find_spec

    import torch
    from transformers import BitsAndBytesConfig

    if find_spec("bitsandbytes") is None or not torch.cuda.is_available():
        raise InputError(
            f"{label}: model.quantise = 'nf4' needs a CUDA GPU and bitsandbytes (pip install bitsandbytes)"
        )
    quantised = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    device = {"": int(os.environ.get("LOCAL_RANK", "0"))}
    return {"quantization_config": quantised, "device_map": device}


def _identity(model: Model, config: Any, net: Any) -> dict[str, str]:
    weights = list(net.named_parameters())
    said = config.to_json_string(use_diff=False) + repr([(name, tuple(one.shape)) for name, one in weights])
    digest = hashlib.sha256(said.encode())
    for _, one in weights[:: max(1, len(weights) // SAMPLED)]:
        digest.update(one.detach().flatten()[:SAMPLED].float().cpu().numpy().tobytes())
    return {
        "base": model.base,
        "architecture": config.model_type,
        "commit": getattr(config, "_commit_hash", None) or "",
        "sha256": digest.hexdigest(),
    }


def save(trainer: Any, folder: Path, dtype: Any) -> None:
    """Write what was trained: the model in the base's dtype or, with LoRA, its adapter; and the processor."""
    unwrapped = trainer.accelerator.unwrap_model(trainer.model)
    alone = not (trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled)
    if alone and not hasattr(unwrapped, "peft_config") and dtype is not None:
        unwrapped.to(dtype)
    trainer.save_model(str(folder))
    if trainer.args.should_save:
        trainer.processing_class.save_pretrained(folder)
        (folder / "training_args.bin").unlink(missing_ok=True)  # a pickle nobody needs


def merge(model: Model, adapter: Path, folder: Path) -> None:
    """Fold an adapter into its base, read anew without quantisation, and write a whole model."""
    from peft import PeftModel

    whole = load(model.model_copy(update={"quantise": "none", "lora": 0}), for_training=False)
    merged = PeftModel.from_pretrained(whole.model, str(adapter)).merge_and_unload()
    merged.to(whole.dtype).save_pretrained(folder)
    whole.processor.save_pretrained(folder)
