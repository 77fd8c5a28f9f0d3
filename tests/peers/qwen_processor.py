"""Qwen2-VL's processor for images only.

transformers' own insists on a video processor, and with it on torchvision, which has no build for every
torch these tests run with. Nothing here looks at videos.
"""

from __future__ import annotations

from typing import Any

from transformers import ProcessorMixin, Qwen2VLProcessor

__all__ = [
    "ImageOnlyProcessor",
    "ProcessorMixin",
]  # diffusers looks here for the base that tells it how to load


class ImageOnlyProcessor(Qwen2VLProcessor):
    """Takes images and text; the parts of a processor are the arguments of its `__init__`."""

    def __init__(self, image_processor: Any = None, tokenizer: Any = None, chat_template: Any = None) -> None:
        super().__init__(image_processor, tokenizer, chat_template=chat_template)
