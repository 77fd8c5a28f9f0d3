"""Thinkers of the darkroom made from nothing: `base = "darkroom:large"` in a recipe.

In: the name of a size. Out: an untrained Qwen3-VL and its processor. The tokenizer is learned from the
lessons themselves. The same name always makes the same weights and the same tokenizer, so a resumed training
finds the base it was begun with; both are stored with whatever is trained.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import (
    GenerationConfig,
    PreTrainedTokenizerFast,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
)
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from editthinker.core.errors import InputError
from editthinker.darkroom import layout
from editthinker.darkroom.wording import TEXT, token_id
from editthinker.thinkers.local.processor import without_video
from editthinker.training import checkpoints
from editthinker.training.darkroom import lessons

VOCABULARY = 3000
ROWS = 20_000
"""Lessons the tokenizer is learned from."""
CHAT = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% if m['content'] is string %}{{ m['content'] }}"
    "{% else %}{% for c in m['content'] %}{% if c['type'] == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ c['text'] }}{% endif %}{% endfor %}{% endif %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""Qwen3-VL's chat, as far as it is used here; `layout.prompt` in another form."""


@dataclass(frozen=True)
class Size:
    """Widths and depths; heads are 32 wide."""

    text_hidden: int
    text_layers: int
    vision_hidden: int
    vision_layers: int


SIZES = {
    "small": Size(128, 3, 128, 2),
    "base": Size(192, 4, 192, 3),
    "large": Size(256, 6, 192, 4),
}
"""2.3, 5.5 and 8.7 million parameters."""


def made(name: str, *, seed: int = 0) -> tuple[Qwen3VLForConditionalGeneration, Any]:
    """The untrained model `darkroom:SIZE` and its processor. Raises `InputError` for another name."""
    size = SIZES.get(name.removeprefix(checkpoints.MADE))
    if size is None:
        raise InputError(f"there is no base {name!r}; {checkpoints.MADE}SIZE is one of {', '.join(SIZES)}")
    tokenizer = learned()
    return untrained(tokenizer, size, seed=seed), processor(tokenizer)


def untrained(tokenizer: Tokenizer, size: Size, *, seed: int = 0) -> Qwen3VLForConditionalGeneration:
    """A model of this size for these words."""
    torch.manual_seed(seed)
    net = Qwen3VLForConditionalGeneration(config(tokenizer, size))
    net.generation_config = GenerationConfig(
        eos_token_id=token_id(tokenizer, layout.IM_END),
        pad_token_id=token_id(tokenizer, layout.END_OF_TEXT),
        do_sample=False,
    )
    return net


@cache
def learned(rows: int = ROWS, *, vocabulary: int = VOCABULARY) -> Tokenizer:
    """Byte-level BPE over wishes and critiques, with Qwen's marks and the frame of a reply as tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        # A score is read digit by digit (`darkroom.thinker`).
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(layout.SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )

    def texts() -> Iterator[str]:
        rng = random.Random("tokenizer")
        for _ in range(rows):
            yield from lessons.words(rng)

    tokenizer.train_from_iterator(texts(), trainer)
    # Not special, or whoever reads a reply without special tokens reads it without its frame.
    tokenizer.add_tokens([AddedToken(piece, normalized=False) for piece in (TEXT, *layout.frame())])
    return tokenizer


def processor(tokenizer: Tokenizer) -> Any:
    """What turns conversations with images of the layout's size into the model's inputs."""
    words = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=layout.IM_END,
        pad_token=layout.END_OF_TEXT,
        padding_side="left",
        clean_up_tokenization_spaces=False,
        extra_special_tokens=list(layout.SPECIAL),
    )
    pixels = Qwen2VLImageProcessorPil(
        patch_size=layout.PATCH,
        temporal_patch_size=layout.FRAMES,
        merge_size=layout.MERGE,
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
        size={"shortest_edge": layout.SIDE**2, "longest_edge": layout.SIDE**2},
    )
    return without_video(Qwen3VLProcessor)(pixels, words, chat_template=CHAT)


def config(tokenizer: Tokenizer, size: Size) -> Qwen3VLConfig:
    """The architecture: Qwen3-VL with every width made small."""
    token = tokenizer.token_to_id
    return Qwen3VLConfig(
        text_config={
            "vocab_size": tokenizer.get_vocab_size(),
            "hidden_size": size.text_hidden,
            "intermediate_size": size.text_hidden * 8 // 3,
            "num_hidden_layers": size.text_layers,
            "num_attention_heads": size.text_hidden // 32,
            "num_key_value_heads": size.text_hidden // 64,
            "head_dim": 32,
            "max_position_embeddings": 2048,
            "tie_word_embeddings": True,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10_000.0,
                "mrope_section": [6, 5, 5],
                "mrope_interleaved": True,
            },
            "pad_token_id": token(layout.END_OF_TEXT),
            "eos_token_id": token(layout.IM_END),
            "bos_token_id": None,
        },
        vision_config={
            "depth": size.vision_layers,
            "hidden_size": size.vision_hidden,
            "intermediate_size": size.vision_hidden * 2,
            "num_heads": size.vision_hidden // 32,
            "patch_size": layout.PATCH,
            "spatial_merge_size": layout.MERGE,
            "temporal_patch_size": layout.FRAMES,
            "out_hidden_size": size.text_hidden,
            "num_position_embeddings": 256,
            "deepstack_visual_indexes": [0, 1],
        },
        image_token_id=token(layout.IMAGE_PAD),
        video_token_id=token(layout.VIDEO_PAD),
        vision_start_token_id=token(layout.VISION_START),
        vision_end_token_id=token(layout.VISION_END),
        tie_word_embeddings=True,
    )
