"""Several conversations through one `generate`: each with its own luck, its own end, its own way out.

In: a loaded model and conversations (text and images in order). Out: a `Written` for each. A row of the batch
does not depend on its company: padding is on the left and masked, and every row draws from its own seed.
(Low-precision kernels may round differently for another batch size; float32 gave equal replies.)
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from editthinker.core.images import Picture
from editthinker.thinkers.local.loading import Loaded
from editthinker.thinkers.local.processor import plain


class TooLong(ValueError):
    """A conversation is longer than the model can read; the message continues its name."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One conversation that wants a reply."""

    parts: tuple[str | Picture, ...]
    """Pictures have the size they are shown in, and no alpha."""
    seed: int
    gone: Callable[[], bool] = lambda: False
    """Whether nobody waits for the reply any more."""


@dataclass(frozen=True, slots=True)
class Written:
    """What the model wrote for one conversation."""

    text: str
    tokens_in: int
    tokens_out: int
    whole: bool
    """False when it was cut at the longest reply allowed."""


def write(loaded: Loaded, batch: Sequence[Asked], max_tokens: int, temperature: float) -> list[Written]:
    """One reply per conversation. Raises `TooLong`."""
    import torch

    inputs = _inputs(loaded, batch)
    length = inputs["input_ids"].shape[1]
    limit = _window(loaded.model.config)
    if limit is not None and length + max_tokens > limit:
        raise TooLong(
            f"reads {limit} tokens, images and reply included, and was given {length} "
            f"plus up to {max_tokens} of reply; set a smaller 'pixels' or 'max_tokens'"
        )
    config = copy.deepcopy(loaded.model.generation_config)
    config.max_new_tokens, config.max_length = max_tokens, None
    with torch.inference_mode():
        rows = loaded.model.generate(
            **inputs,
            generation_config=config,
            logits_processor=_luck(loaded, batch, temperature),
            stopping_criteria=[_wayout(batch)],
        )
    ends = _ends(config.eos_token_id)
    sent = inputs["attention_mask"].sum(dim=1).tolist()
    return [
        _written(loaded, row, int(count), ends)
        for row, count in zip(rows[:, length:].tolist(), sent, strict=True)
    ]


def _inputs(loaded: Loaded, batch: Sequence[Asked]) -> Any:
    """What the model reads, as tensors of its device: one row per conversation, padded on the left."""
    processor = loaded.processor
    conversations = [
        [{"role": "user", "content": [_content(part, processor.tokenizer) for part in asked.parts]}]
        for asked in batch
    ]
    texts = processor.apply_chat_template(conversations, add_generation_prompt=True, tokenize=False)
    images = [[part.pixels for part in asked.parts if isinstance(part, Picture)] for asked in batch]
    start = processor.tokenizer.bos_token
    inputs = processor(
        text=texts,
        images=images if any(images) else None,
        padding=True,
        return_tensors="pt",
        # A template that writes the first token itself must not get a second one.
        add_special_tokens=not (start and texts[0].startswith(start)),
    )
    return inputs.to(loaded.device, dtype=loaded.model.dtype)


def _content(part: str | Picture, tokenizer: Any) -> dict[str, Any]:
    return {"type": "text", "text": plain(part, tokenizer)} if isinstance(part, str) else {"type": "image"}


def _window(config: Any) -> int | None:
    """Tokens the model can read and write together; None when its configuration does not say."""
    text = config.get_text_config()
    limit: int | None = getattr(text, "max_position_embeddings", None)
    return limit


def _luck(loaded: Loaded, batch: Sequence[Asked], temperature: float) -> Any:
    """Sampling as "the likeliest after noise" (Gumbel-max), so that every row has a generator of its own.

    The model's own top-k and top-p stay.
    """
    from transformers import (
        LogitsProcessorList,
        TemperatureLogitsWarper,
        TopKLogitsWarper,
        TopPLogitsWarper,
    )

    steps: Any = LogitsProcessorList()
    if temperature == 0:
        return steps
    steps.append(TemperatureLogitsWarper(temperature))
    if loaded.top_k:
        steps.append(TopKLogitsWarper(loaded.top_k))
    if loaded.top_p < 1:
        steps.append(TopPLogitsWarper(loaded.top_p))
    steps.append(_noise([asked.seed for asked in batch], loaded.device))
    return steps


def _noise(seeds: Sequence[int], device: str) -> Any:
    import torch

    dice = [torch.Generator(device).manual_seed(seed) for seed in seeds]

    def add(_ids: Any, scores: Any) -> Any:
        draws = [torch.rand(scores.shape[-1], generator=die, device=device) for die in dice]
        uniform = torch.stack(draws).clamp_min(torch.finfo(torch.float32).tiny)
        return scores.float() - torch.log(-torch.log(uniform))

    return add


def _wayout(batch: Sequence[Asked]) -> Any:
    """Ends the rows nobody waits for; when all rows have ended, so does the call."""
    import torch

    def gone(ids: Any, _scores: Any, **_: Any) -> Any:
        return torch.tensor([asked.gone() for asked in batch], device=ids.device)

    return gone


def _ends(token: int | list[int] | None) -> frozenset[int]:
    return frozenset(token if isinstance(token, list) else [] if token is None else [token])


def _written(loaded: Loaded, row: list[int], sent: int, ends: frozenset[int]) -> Written:
    end = next((place for place, token in enumerate(row) if token in ends), None)
    own = row if end is None else row[:end]
    text = loaded.processor.tokenizer.decode(own, skip_special_tokens=True)
    return Written(text, sent, len(own), whole=end is not None)
