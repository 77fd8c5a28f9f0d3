"""A stand-in for the package `editscore` 0.2 (PyPI): its `EditScore` as far as a model is asked through it.

Arguments are checked as its signature has them; a model without a GPU is a script. The prompts are other
words with the same places and form of answer. Inside `in_place(scripted)`, `import editscore` finds it.
"""

from __future__ import annotations

import sys
import threading
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

LOCAL = ("qwen25vl", "qwen25vl_vllm", "qwen3vl", "qwen3vl_vllm")


@dataclass
class Scripted:
    """What the local model says, and what it was asked."""

    says: Callable[[list[Image.Image], str], str]
    asked: list[tuple[list[Image.Image], str, int]] = field(default_factory=list)
    given: list[dict[str, Any]] = field(default_factory=list)
    """Arguments of every `EditScore` that loaded a model."""
    most_at_once: int = 0
    _running: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def prepare_input(self, images: Any, text_prompt: str = "") -> tuple[list[Image.Image], str]:
        images = images if isinstance(images, list) else [images]
        assert all(isinstance(image, Image.Image) and image.mode == "RGB" for image in images)
        return images, text_prompt

    def inference(self, inputs: tuple[list[Image.Image], str], seed: int | None = None) -> str:
        assert isinstance(seed, int)
        with self._lock:
            self._running += 1
            self.most_at_once = max(self.most_at_once, self._running)
            self.asked.append((*inputs, seed))
        try:
            return self.says(*inputs)
        finally:
            with self._lock:
                self._running -= 1


@contextmanager
def in_place(scripted: Scripted) -> Iterator[None]:
    """`import editscore` gives the stand-in while inside."""

    class EditScore:
        def __init__(
            self,
            backbone: str = "gpt-4.1",
            openai_url: str = "https://api.openai.com/v1/chat/completions",
            key: str | None = None,
            model_name_or_path: str = "",
            score_range: int = 25,
            temperature: float = 0.7,
            tensor_parallel_size: int = 1,
            max_model_len: int = 1536,
            max_num_batched_tokens: int = 1536,
            max_num_seqs: int = 32,
            num_pass: int = 1,
            reduction: str = "average_last",
            seed: int = 42,
            lora_path: str | None = None,
            cache_dir: str | None = None,
        ) -> None:
            if backbone in LOCAL:
                if model_name_or_path == "broken":
                    raise OSError("broken is not a local folder and is not a valid model identifier")
                if backbone.endswith("_vllm"):
                    raise ModuleNotFoundError("No module named 'vllm'", name="vllm")
                scripted.given.append(
                    {"model": model_name_or_path, "lora": lora_path, "temperature": temperature}
                )
                self.model = scripted
            form = f'marks from 0 to {score_range}, as {{"reasoning": "...", "score": [...]}}'
            self.SC_prompt = f"For the edit two {form}.\nEditing instruction: <instruction>"
            self.PQ_prompt = f"For the picture two {form}."

    module = types.ModuleType("editscore")
    module.EditScore = EditScore  # type: ignore[attr-defined]
    before = sys.modules.get("editscore")
    sys.modules["editscore"] = module
    try:
        yield
    finally:
        if before is None:
            sys.modules.pop("editscore", None)
        else:
            sys.modules["editscore"] = before
