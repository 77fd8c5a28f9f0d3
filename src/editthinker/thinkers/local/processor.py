"""The part of a checkpoint that turns words and images into what its model reads.

In: a checkpoint and its configuration. Out: a processor that pads on the left, as generating needs it, and
that works without torchvision: recent ones want it for videos only, which nobody shows here
(huggingface/transformers#48558), so it is then built without its video part.
"""

from __future__ import annotations

from typing import Any


class NoChatTemplate(Exception):
    """The checkpoint does not say how a conversation is written for it."""


def load(source: str, config: Any, **hub: Any) -> Any:
    """The processor of a checkpoint. Raises `NoChatTemplate`, or what transformers raises."""
    from transformers import AutoProcessor
    from transformers.models.auto.processing_auto import PROCESSOR_MAPPING
    from transformers.utils import is_torchvision_available

    usual = PROCESSOR_MAPPING.get(type(config), None)
    if usual and "video_processor" in usual.get_attributes() and not is_torchvision_available():
        processor = without_video(usual).from_pretrained(source, **hub)
    else:
        processor = AutoProcessor.from_pretrained(source, **hub)
    tokenizer = getattr(processor, "tokenizer", None)
    if tokenizer is None or getattr(processor, "image_processor", None) is None:
        raise NoChatTemplate("it has no processor for words and images together")
    if not (getattr(processor, "chat_template", None) or tokenizer.chat_template):
        raise NoChatTemplate("it has no chat template (chat_template.jinja), so it was not made to be asked")
    processor.chat_template = processor.chat_template or tokenizer.chat_template
    tokenizer.padding_side = "left"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return processor


def without_video(base: Any) -> Any:
    """A processor class of the same name that neither loads nor has a video part."""

    def get_attributes(cls: Any) -> list[str]:
        return [part for part in base.get_attributes() if part != "video_processor"]

    return type(base.__name__, (base,), {"get_attributes": classmethod(get_attributes)})


def plain(text: str, tokenizer: Any) -> str:
    """`text` with nothing in it that the tokenizer takes for a control mark such as `<|im_end|>`.

    Words of a user could otherwise end their own turn, or claim an image that is not there.
    """
    for mark in tokenizer.added_tokens_decoder.values():
        if mark.special and mark.content in text:
            text = text.replace(mark.content, f"{mark.content[0]} {mark.content[1:]}")
    return text
