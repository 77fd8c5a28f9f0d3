"""Running out of memory: how to tell, and what would fit."""

from __future__ import annotations

import gc

from editthinker.editors.diffusers.settings import DiffusersSettings


def is_shortage(error: BaseException) -> bool:
    """Whether `error` means that the GPU's or the machine's memory is full."""
    import torch

    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    # torch has no class of its own for a CPU or an Apple GPU that is full
    words = str(error).lower()
    return isinstance(error, RuntimeError) and ("can't allocate memory" in words or "out of memory" in words)


def shortage(settings: DiffusersSettings, device: str, pixels: int | None = None) -> str:
    """What to tell the person: which settings, not yet used and possible on `device`, would need less."""
    ways = []
    if settings.batch > 1:
        ways.append("batch=1")
    if device.startswith("cuda") and settings.quantise != "nf4":
        ways.append("quantise=nf4")
    if device != "cpu" and settings.offload != "sequential":
        ways.append("offload=model" if settings.offload == "none" else "offload=sequential")
    if device == "cpu" and settings.dtype in ("auto", "float32"):
        ways.append("dtype=bfloat16")
    if not settings.vae_tiling:
        ways.append("vae_tiling=true")
    if pixels:
        ways.append(f"pixels={pixels // 2}")
    return f"ran out of memory; what may fit: {', '.join(ways) or 'a smaller model'}"


def free() -> None:
    """Hand back what a failed call left behind."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
