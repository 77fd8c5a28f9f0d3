"""A checkpoint on disk or on the Hub becomes a model that is ready to be asked, or one clear sentence.

In: a folder or a repository, and `Settings`. Out: `Loaded`. Errors are `InputError` where nothing had to be
loaded to see them (`check`), else `ThinkerError`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from editthinker.core.errors import InputError, ThinkerError
from editthinker.core.settings import Settings as BaseSettings
from editthinker.thinkers.local import processor

TRAINED_PIXELS = 1024 * 1024
"""What EditThinker was trained with (paper section 5.1)."""
BYTES = {"float32": 4.0, "float16": 2.0, "bfloat16": 2.0, "int8": 1.0, "nf4": 0.56}
"""Per parameter; nf4 with the scales of its blocks (arXiv 2305.14314, section 3)."""
ROOM = 1.2
"""Times the weights that a model needs to run, for two images and one reply."""
GB = 1e9


class Settings(BaseSettings):
    """What can be set on a model in this process."""

    style: Literal["grammar", "history", "checklist", "json", "expert"] = Field(
        "grammar", description="how it is asked; grammar is what EditThinker was trained on"
    )
    prompt: str = Field(
        "", description="file with the text to ask with, such as EditThinker's prompt_template.txt"
    )
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = Field(
        "auto", description="auto: the checkpoint's own on a GPU, float32 on a CPU"
    )
    device: str = Field("auto", description="auto takes the first there is of cuda, mps, cpu; or cuda:1, ...")
    quantise: Literal["none", "nf4", "int8"] = Field(
        "none", description="fewer bits per weight, by bitsandbytes"
    )
    lora: str = Field("", description="folder or repository of a LoRA adapter (PEFT)")
    merge: bool | None = Field(None, description="fold the adapter into the weights; None: unless quantised")
    attn: str = Field("", description="attention: sdpa, eager, flash_attention_2; '' lets the model choose")
    batch: int = Field(8, ge=1, description="turns thought about at once, at most; more need more memory")
    max_tokens: int = Field(2048, gt=0, description="longest reply, reasoning included")
    temperature: float = Field(0.0, ge=0, le=2, description="0 always takes the likeliest word")
    seed: int | None = Field(None, ge=0, description="of the sampling; None takes a new one for each reply")
    pixels: int = Field(TRAINED_PIXELS, ge=1024, description="images are shrunk to this many pixels")
    revision: str = Field("", description="branch, tag or commit of the repository")
    compile: bool = Field(False, description="compile the model first: minutes once, then faster replies")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model that can be asked."""

    model: Any
    processor: Any
    device: str
    top_k: int = 0
    top_p: float = 1.0
    """How its authors want it to be sampled; 0 and 1 leave all words possible."""


def check(source: str, settings: Settings, label: str) -> None:
    """Raise `InputError` for what can be seen without loading anything."""
    for what, given in (("", source), ("lora", settings.lora)):
        wanted = "adapter_config.json" if what else "config.json"
        if not given or not is_folder(given):
            continue
        folder = Path(given).expanduser()
        if not folder.is_dir():
            raise InputError(f"{label}: there is no folder {given!r}")
        if not (folder / wanted).is_file():
            adapter = not what and (folder / "adapter_config.json").is_file()
            hint = "; it is a LoRA adapter, write local:ITS_BASE_MODEL?lora=..." if adapter else ""
            raise InputError(f"{label}: the folder {given!r} has no {wanted}{hint}")
    needed = (
        ("quantise", "bitsandbytes", settings.quantise != "none"),
        ("lora", "peft", bool(settings.lora)),
    )
    for setting, module, used in needed:
        if used and find_spec(module) is None:
            raise InputError(f"{label}: setting {setting!r} needs {module}: pip install {module}")


def load(source: str, settings: Settings, label: str) -> Loaded:
    """The model with its processor, in place. Raises `ThinkerError`."""
    from transformers import AutoConfig, AutoModelForImageTextToText
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING

    device = _device(settings.device, label)
    hub: dict[str, Any] = {"revision": settings.revision or None, "trust_remote_code": False}
    place = str(Path(source).expanduser()) if is_folder(source) else source
    config = None
    with attributed(label, lambda: _needs(config, device, settings)):
        config = AutoConfig.from_pretrained(place, **hub)
        if type(config) not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
            raise ThinkerError(
                f"{label} is a {config.model_type} model, which does not answer images with text; "
                "take a vision-language model, such as Qwen/Qwen3-VL-8B-Instruct"
            )
        words_and_images = processor.load(place, config, **hub)
        options: dict[str, Any] = {"dtype": _dtype(settings, device), "device_map": {"": device}}
        if settings.attn:
            options["attn_implementation"] = settings.attn
        if settings.quantise != "none":
            options["quantization_config"] = _quantisation(settings)
        model, report = AutoModelForImageTextToText.from_pretrained(
            place, config=config, output_loading_info=True, **options, **hub
        )
        if missing := sorted(report["missing_keys"]):
            raise ThinkerError(f"{label} lacks {len(missing)} of its weights ({missing[0]}, ...)")
        if settings.lora:
            model = _adapted(model, settings)
        model.eval()
        if settings.compile:
            model.compile()
    return _ready(model, words_and_images, device)


def _ready(model: Any, words_and_images: Any, device: str) -> Loaded:
    """Its own generation settings stay, but the choice of words is ours: see `generating`."""
    own = model.generation_config
    loaded = Loaded(model, words_and_images, device, own.top_k or 0, own.top_p or 1.0)
    own.do_sample, own.num_beams = False, 1
    own.temperature = own.top_k = own.top_p = own.min_p = own.typical_p = None
    return loaded


def out_of_memory(error: BaseException) -> bool:
    """Whether the device (or the machine) has no room left."""
    import torch

    said = str(error).lower()
    kinds = (torch.OutOfMemoryError, MemoryError)
    return isinstance(error, kinds) or (isinstance(error, RuntimeError) and "out of memory" in said)


def give_back(device: str) -> None:
    """Return what PyTorch holds in reserve to the device."""
    import torch

    if device.startswith("cuda"):
        torch.cuda.empty_cache()


def is_folder(source: str) -> bool:
    """Whether a path is meant; a repository is written OWNER/NAME."""
    explicit = source.startswith(("/", "./", "../", "~")) or source in (".", "..") or source.count("/") > 1
    return explicit or Path(source).is_dir()


def _device(wanted: str, label: str) -> str:
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        return next(kind for kind, found in there.items() if found)
    kind, _, number = wanted.partition(":")
    if kind not in there or (number and not number.isdigit()):
        raise ThinkerError(f"{label} knows no device {wanted!r}; write auto, cpu, cuda, cuda:1 or mps")
    if not there[kind] or (kind == "cuda" and number and int(number) >= torch.cuda.device_count()):
        raise ThinkerError(f"{label}: there is no device {wanted!r} here that this PyTorch can use")
    return wanted


def _dtype(settings: Settings, device: str) -> Any:
    import torch

    if settings.dtype == "auto":
        return torch.float32 if device == "cpu" else "auto"
    return getattr(torch, settings.dtype)


def _quantisation(settings: Settings) -> Any:
    import torch
    from transformers import BitsAndBytesConfig

    if settings.quantise == "int8":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16
    )


def _adapted(model: Any, settings: Settings) -> Any:
    from peft import PeftModel

    place = str(Path(settings.lora).expanduser()) if is_folder(settings.lora) else settings.lora
    adapted = PeftModel.from_pretrained(model, place)
    merge = settings.quantise == "none" if settings.merge is None else settings.merge
    return adapted.merge_and_unload() if merge else adapted


@contextmanager
def attributed(label: str, needs: Any) -> Iterator[None]:
    """What breaks while loading, as a `ThinkerError` that says what to do."""
    try:
        yield
    except ThinkerError:
        raise
    except Exception as error:  # a checkpoint may break in any way a file can
        raise ThinkerError(_sentence(label, error, needs)) from error


def _sentence(label: str, error: Exception, needs: Any) -> str:
    if out_of_memory(error):
        return f"{label} does not fit into memory{needs()}"
    chain = _chain(error)
    names = {kind.__name__ for link in chain for kind in type(link).__mro__}
    said = " ".join(str(error).split())
    if isinstance(error, processor.NoChatTemplate):
        return f"{label} cannot be asked: {said}; use a chat or instruct version of the model"
    if "GatedRepoError" in names:
        return f"{label} is gated: accept its licence on its page, then run 'hf auth login'"
    if "RevisionNotFoundError" in names:
        return f"{label} has no such revision; look at its page for branches and tags"
    if "RepositoryNotFoundError" in names:
        return f"{label}: there is no such repository (or it is private: run 'hf auth login')"
    if names & {"OfflineModeIsEnabled", "LocalEntryNotFoundError", "ConnectError", "ConnectionError"}:
        return f"{label} is not on this machine and the Hugging Face Hub cannot be reached; give a folder"
    if "torchvision" in said:
        return f"{label} needs torchvision to read images: pip install torchvision"
    if isinstance(error, ImportError):
        return f"{label} needs a part that is not installed: {said[:300]}"
    if "trust_remote_code" in said:
        return f"{label} brings code of its own, which is not run; serve it and use chat:MODEL?base_url=..."
    return f"{label} cannot be loaded: {said[:300]}"


def _chain(error: BaseException | None) -> list[BaseException]:
    links = []
    while error is not None:
        links.append(error)
        error = error.__cause__ or error.__context__
    return links


def _needs(config: Any, device: str, settings: Settings) -> str:
    """What the weights need, what there is, and what would fit, as far as that is known."""
    import torch

    if config is None or not device.startswith("cuda"):
        return "; take a smaller model, or dtype=bfloat16"
    from transformers import AutoModelForImageTextToText

    with torch.device("meta"):
        parameters = AutoModelForImageTextToText.from_config(config).num_parameters()
    free = torch.cuda.mem_get_info(device)[0]
    dtype = str(getattr(config, "dtype", None) or "float32").removeprefix("torch.")
    asked = dtype if settings.dtype == "auto" else settings.dtype
    asked = asked if settings.quantise == "none" else settings.quantise
    need = {name: parameters * size * ROOM for name, size in BYTES.items()}
    fits = [name for name in ("bfloat16", "int8", "nf4") if need[name] < min(free, need[asked])]
    advice = "take a smaller model"
    if fits:
        way = "dtype" if fits[0] == "bfloat16" else "quantise"
        advice = f"{way}={fits[0]} needs about {need[fits[0]] / GB:.0f} GB"
    there = f"{device} has {free / GB:.0f} free"
    return f": in {asked} it needs about {need[asked] / GB:.0f} GB and {there}; {advice}"
