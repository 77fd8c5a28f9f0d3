"""A tiny Qwen3-VL on disk: the classes and files of Qwen/Qwen3-VL-8B-Instruct, few and random weights.

`tiny_qwen3vl(folder)` writes it; nobody can read what it replies. `taught(folder, lessons)` trains it
in seconds until it gives certain replies to certain conversations: real replies out of a real model.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from editthinker.core.contracts import EditorInfo, View
from editthinker.core.images import Picture
from editthinker.core.types import Sample
from editthinker.testing.behaviour import photograph
from editthinker.thinkers import prompts

SPECIAL = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
    "<|image_pad|>", "<|video_pad|>",
)  # fmt: skip
CHAT = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% if m['content'] is string %}{{ m['content'] }}"
    "{% else %}{% for c in m['content'] %}{% if c['type'] in ('image', 'image_url') %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ c['text'] }}{% endif %}{% endfor %}{% endif %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
REPLY = (
    "<think>The sky is still blue and the rest was kept.</think>\n"
    '<score>{"semantic": 4, "quality": 9}</score>\n'
    "<answer>make the whole sky deep red and keep everything else</answer>"
)
OTHER_REPLY = REPLY.replace("4", "9").replace("still blue", "red")
JSON_WISH = "make the sky red, and reply in JSON"
JSON_REPLY = (
    '{"reasoning": "still blue", "score": {"semantic": 4, "quality": 9}, '
    '"impossible": "", "answer": "make the whole sky deep red"}'
)
PLAN_REPLY = '{"reasoning": "two things", "steps": ["make the sky red", "add a frame"]}'
SHORT_PROMPT = "{source}{edited}{instruction}\n{sent}"
WINDOW = 4096

Lesson = tuple[Sequence[Any], str]


def view_of(source: int, edited: int, words: str = "make the sky red") -> View:
    """A view of two photographs, by their seeds."""
    return View(Sample((photograph(seed=source),), words), words, photograph(seed=edited))


def short_prompt(folder: Path) -> Path:
    """A prompt file of a few words."""
    file = folder / "short.txt"
    file.write_text(SHORT_PROMPT)
    return file


def lessons(prompt: Path) -> list[Lesson]:
    """Under the short prompt, two photos one way round and the other, with a reply each."""
    asked = prompts.load("grammar", str(prompt))
    return [(asked.parts(view_of(0, 1)), REPLY), (asked.parts(view_of(1, 0)), OTHER_REPLY)]


def json_lesson(prompt: Path) -> Lesson:
    """Under the short prompt, a wish that is answered in the style `json`."""
    return prompts.load("json", str(prompt)).parts(view_of(0, 1, JSON_WISH)), JSON_REPLY


def plan_lesson(editor: EditorInfo) -> Lesson:
    """The prompt of the style `plan` for one photo, with a plan."""
    return prompts.load("plan").parts(replace(view_of(0, 1), edited=None, editor=editor)), PLAN_REPLY


def tokenizer() -> Any:
    """Byte-level BPE over our own prompts, in Qwen's class, with its control tokens."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import Qwen2Tokenizer

    texts = [file.read_text("utf-8") for file in files("editthinker.thinkers.prompts").iterdir()
             if file.name.endswith(".txt")]  # fmt: skip
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    learner.train_from_iterator(
        [*sorted(texts), REPLY],
        trainers.BpeTrainer(vocab_size=1200, initial_alphabet=alphabet, show_progress=False),
    )
    learned = json.loads(learner.to_str())["model"]
    vocab = {**learned["vocab"]} | {mark: len(learned["vocab"]) + at for at, mark in enumerate(SPECIAL)}
    merges = [tuple(merge) for merge in learned["merges"]]
    made = Qwen2Tokenizer(
        vocab=vocab,
        merges=merges,
        extra_special_tokens=list(SPECIAL[1:]),
        eos_token="<|im_end|>",  # noqa: S106 - no password
        model_max_length=WINDOW,
    )
    made.chat_template = CHAT
    return made


def tiny_qwen3vl(folder: Path, *, head_dim: int = 16, seed: int = 0) -> Path:
    """Write a Qwen3-VL of random weights; vLLM on a CPU wants `head_dim=64`."""
    import torch
    from transformers import (
        GenerationConfig,
        Qwen3VLConfig,
        Qwen3VLForConditionalGeneration,
        Qwen3VLProcessor,
    )
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    from editthinker.thinkers.local.processor import without_video

    words = tokenizer()
    token = words.convert_tokens_to_ids
    hidden, quarter = 4 * head_dim, head_dim // 8
    config = Qwen3VLConfig(
        text_config={
            "hidden_size": hidden, "intermediate_size": 2 * hidden, "num_hidden_layers": 2,
            "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": head_dim,
            "vocab_size": len(words), "max_position_embeddings": WINDOW, "initializer_range": 0.1,
            "rope_parameters": {
                "rope_type": "default", "rope_theta": 10_000.0, "mrope_interleaved": True,
                "mrope_section": [head_dim // 2 - 2 * quarter, quarter, quarter],
            },
            "bos_token_id": None, "eos_token_id": token("<|im_end|>"), "pad_token_id": token("<|endoftext|>"),
        },
        vision_config={
            "depth": 2, "hidden_size": hidden, "intermediate_size": hidden, "num_heads": 4,
            "out_hidden_size": hidden, "patch_size": 16, "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0], "initializer_range": 0.1,
        },
        vision_start_token_id=token("<|vision_start|>"), vision_end_token_id=token("<|vision_end|>"),
        image_token_id=token("<|image_pad|>"), video_token_id=token("<|video_pad|>"),
    )  # fmt: skip
    torch.manual_seed(seed)
    model = Qwen3VLForConditionalGeneration(config)
    model.generation_config = GenerationConfig(
        eos_token_id=token("<|im_end|>"), pad_token_id=token("<|endoftext|>"),
        do_sample=True, temperature=0.7, top_p=0.8, top_k=20,  # as the card of Qwen3-VL has them
    )  # fmt: skip
    model.save_pretrained(folder)
    pixels = Qwen2VLImageProcessorPil(
        patch_size=16, temporal_patch_size=2, merge_size=2, image_mean=[0.5] * 3, image_std=[0.5] * 3,
        size={"shortest_edge": 32 * 32, "longest_edge": 128 * 128},
    )  # fmt: skip
    without_video(Qwen3VLProcessor)(pixels, words, chat_template=CHAT).save_pretrained(folder)
    video = {
        "video_processor_type": "Qwen3VLVideoProcessor", "patch_size": 16, "temporal_patch_size": 2,
        "merge_size": 2, "image_mean": [0.5] * 3, "image_std": [0.5] * 3,
        "size": {"shortest_edge": 32 * 32, "longest_edge": 128 * 128},
    }  # fmt: skip
    (folder / "video_preprocessor_config.json").write_text(json.dumps(video))
    return folder


def taught(folder: Path, lessons: Sequence[Lesson], *, most: int = 300, seed: int = 0) -> Path:
    """Train the model in `folder` until it gives the reply of every lesson, and write it back."""
    import torch
    from transformers import Qwen3VLForConditionalGeneration, Qwen3VLProcessor

    from editthinker.thinkers.local.processor import without_video

    torch.set_num_threads(1)  # a second thread only slows a model of this size
    torch.manual_seed(seed)
    model = Qwen3VLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    processor = without_video(Qwen3VLProcessor).from_pretrained(folder)
    processor.tokenizer.padding_side = "left"
    conversations = [
        [{"role": "user", "content": [
            {"type": "image"} if isinstance(part, Picture) else {"type": "text", "text": part}
            for part in parts
        ]}] for parts, _ in lessons
    ]  # fmt: skip
    asked = processor.apply_chat_template(conversations, add_generation_prompt=True, tokenize=False)
    texts = [words + reply + "<|im_end|>" for words, (_, reply) in zip(asked, lessons, strict=True)]
    images = [[part.pixels for part in parts if isinstance(part, Picture)] for parts, _ in lessons]
    inputs = processor(text=texts, images=images, padding=True, return_tensors="pt")
    labels = torch.full_like(inputs["input_ids"], -100)
    for row, (_, reply) in enumerate(lessons):
        count = len(processor.tokenizer(reply + "<|im_end|>")["input_ids"])
        labels[row, -count:] = inputs["input_ids"][row, -count:]
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    model.train()
    for _step in range(most):
        out = model(**inputs, labels=labels)
        known = labels[:, 1:] == -100
        if bool(((out.logits[:, :-1].argmax(-1) == labels[:, 1:]) | known).all()) and out.loss < 0.02:
            break
        out.loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
    else:
        raise AssertionError(f"it did not learn its lessons in {most} steps")
    model.save_pretrained(folder)
    return folder
