"""A tiny vision-language model on disk with random weights: real classes, real files, nothing to say.

LLaVA's layout, because it needs no video processor and so no torchvision. Some 100 kB; it loads in a second.
"""

from __future__ import annotations

from pathlib import Path

CHAT = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% if m['content'] is string %}{{ m['content'] }}"
    "{% else %}{% for part in m['content'] %}{% if part['type'] in ('image', 'image_url') %}<image>"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SIDE, PATCH = 32, 8
IMAGE_TOKENS = (SIDE // PATCH) ** 2
"""Tokens an image takes in the prompt, which are the patches; the class token is left out."""
WINDOW = 16_384
"""Tokens of a prompt; a byte is a token."""


def tiny_llava(folder: Path) -> Path:
    """Write the model, with tokenizer, processor and chat template, and return `folder`."""
    import torch
    from transformers import (
        CLIPVisionConfig,
        GenerationConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    torch.manual_seed(0)
    tokenizer = _tokenizer()
    ids = tokenizer.convert_tokens_to_ids
    end, pad, image = ids("<|im_end|>"), ids("<|endoftext|>"), ids("<image>")
    vision = CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=SIDE,
        patch_size=PATCH,
        projection_dim=32,
    )
    text = LlamaConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        vocab_size=len(tokenizer),
        max_position_embeddings=WINDOW,
        eos_token_id=end,
        pad_token_id=pad,
        bos_token_id=None,
    )
    config = LlavaConfig(
        vision_config=vision, text_config=text, image_token_index=image, vision_feature_layer=-1
    )
    model = LlavaForConditionalGeneration(config)
    model.generation_config = GenerationConfig(eos_token_id=end, pad_token_id=pad)
    model.save_pretrained(folder)
    LlavaProcessor(
        image_processor=CLIPImageProcessorPil(
            size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}
        ),
        tokenizer=tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=CHAT,
    ).save_pretrained(folder)
    return folder


def _tokenizer():  # type: ignore[no-untyped-def]
    """Bytes, and the control tokens."""
    from tokenizers import pre_tokenizers
    from transformers import Qwen2Tokenizer

    special = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>")
    pieces = (*sorted(pre_tokenizers.ByteLevel.alphabet()), "Ġt", *special)
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Qwen2Tokenizer(
        vocab=vocabulary,
        merges=[("Ġ", "t")],
        extra_special_tokens=list(special[1:]),
        model_max_length=WINDOW,
    )
    tokenizer.chat_template = CHAT
    return tokenizer
