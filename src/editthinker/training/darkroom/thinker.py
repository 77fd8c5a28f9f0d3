"""The darkroom's thinker on the training room's trainer: first words, then looking (paper section 3.3.1).

In: a recipe, and for looking `Trajectories`. Out: a folder as any SFT writes it.
Deviations from the paper's SFT: from scratch, three views instead of two images, replies of an expert that
knows the target (the paper's expert is GPT-4.1), loss weights, freshly drawn lessons instead of an epoch.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from trl import SFTTrainer

from editthinker.core.errors import InputError
from editthinker.darkroom import layout
from editthinker.training import checkpoints, sft
from editthinker.training.darkroom import lessons
from editthinker.training.darkroom.lessons import Part
from editthinker.training.darkroom.trajectories import Trajectories
from editthinker.training.recipe import SftRecipe

BESIDE = 4
"""Rows of words beside each row with views."""


class Trainer(SFTTrainer):  # type: ignore[misc] # trl is untyped here
    """TRL's, with a loss weight for every token and batches in parts."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.model_accepts_loss_kwargs = False  # accumulated losses are averaged, not summed

    def compute_loss(self, model: Any, inputs: dict[str, list[Part]], *_: Any, **__: Any) -> torch.Tensor:
        """The weighted mean over the answers with views, plus that over those of words."""
        with torch.autocast(self.args.device.type, torch.bfloat16):
            losses = [mean_loss(model, parts) for parts in inputs.values() if parts]
        for name, loss in zip((name for name, parts in inputs.items() if parts), losses, strict=True):
            self._metrics["train"][f"loss/{name}"].append(loss.item())
        return torch.stack(losses).sum()


def mean_loss(model: Any, parts: list[Part]) -> torch.Tensor:
    """Weighted cross-entropy of the replies in all parts."""
    total = sum(summed_loss(model, part) for part in parts)
    return total / sum(part["weights"].sum() for part in parts)


def summed_loss(model: Any, part: Part) -> torch.Tensor:
    """Weighted sum over one part."""
    seen = {}
    if "patches" in part:
        images = len(part["patches"]) // layout.GRID**2
        grid = torch.tensor([[1, layout.GRID, layout.GRID]] * images, device=part["patches"].device)
        seen = {"pixel_values": part["patches"], "image_grid_thw": grid}
    logits = model(input_ids=part["ids"], position_ids=part["positions"], **seen).logits[:, :-1]
    weights = part["weights"][:, 1:]
    counted = weights > 0
    losses = torch.nn.functional.cross_entropy(
        logits[counted].float(), part["ids"][:, 1:][counted], reduction="none"
    )
    return (losses * weights[counted]).sum()


def train(
    asked: SftRecipe,
    out: Path,
    *,
    trajectories: Trajectories | None = None,
    resume: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> Path:
    """Words alone, or with `trajectories` looking. Raises what `sft.train` does."""
    steps = asked.optimiser.steps
    if steps is None:
        raise InputError("the darkroom's lessons never end: say optimiser.steps")
    tokenizer = tokenizer_of(asked)
    seed = asked.optimiser.seed
    lesson = (
        lessons.of_words(tokenizer, seed)
        if trajectories is None
        else lessons.of_steps(tokenizer, trajectories, seed, beside=BESIDE)
    )
    return sft.train(
        asked,
        out,
        resume=resume,
        tell=tell,
        dataset=lessons.dataset(lesson, steps * asked.optimiser.batch),
        collator=lessons.Collator(tokenizer),
        trainer=Trainer,
    )


def tokenizer_of(asked: SftRecipe) -> Tokenizer:
    """That of the base, as the darkroom reads it."""
    tokenizer: Tokenizer = checkpoints.load(
        asked.model, for_training=False
    ).processor.tokenizer.backend_tokenizer
    return tokenizer
