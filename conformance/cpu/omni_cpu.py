"""A CPU platform for vLLM-Omni, which ships CUDA, ROCm, NPU, XPU and MUSA: enough for a tiny pipeline."""

import torch
from vllm.platforms.cpu import CpuPlatform
from vllm_omni.platforms.interface import OmniPlatform, OmniPlatformEnum

ROOM = 8 << 30


class CpuOmniPlatform(OmniPlatform, CpuPlatform):
    """One device, made of the machine's memory."""

    _omni_enum = getattr(OmniPlatformEnum, "OOT", OmniPlatformEnum.UNSPECIFIED)
    device_type = "cpu"

    @classmethod
    def get_torch_device(cls, local_rank=None):
        return torch.device("cpu")

    @classmethod
    def get_device_count(cls):
        return 1

    @classmethod
    def get_device_version(cls):
        return None

    @classmethod
    def set_device(cls, device):
        return None

    @classmethod
    def synchronize(cls):
        return None

    @classmethod
    def empty_cache(cls):
        return None

    @classmethod
    def supports_torch_inductor(cls):
        return False

    @classmethod
    def get_free_memory(cls, device=None):
        return ROOM

    @classmethod
    def get_device_memory(cls, device=None):
        return ROOM, 2 * ROOM

    @classmethod
    def get_diffusion_attn_backend_cls(cls, selected_backend, head_size, allow_trtllm_default=False):
        from vllm_omni.diffusion.attention.backends.registry import DiffusionAttentionBackendEnum

        return DiffusionAttentionBackendEnum.TORCH_SDPA.get_path()


def _gives(value):
    return classmethod(lambda cls, *args, **kwargs: value)


for _name in ("max_memory_allocated", "max_memory_reserved", "memory_allocated", "memory_reserved"):
    setattr(CpuOmniPlatform, _name, _gives(0))
for _name in ("reset_peak_memory_stats", "current_stream", "Stream"):
    setattr(CpuOmniPlatform, _name, _gives(None))


def register():
    """Where vLLM-Omni finds the platform."""
    return "omni_cpu.CpuOmniPlatform"
