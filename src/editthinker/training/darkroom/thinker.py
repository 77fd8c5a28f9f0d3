"""The darkroom's thinker on the training room's trainer: words, looks, then critiques (paper section 3.3.1).

In: a recipe, and which lessons (`lessons`). Out: a folder as any SFT writes it.
Deviations from the paper's SFT: from scratch, three views instead of two images, replies of an expert that
knows the target (the paper's expert is GPT-4.1), two stages before it that a pretrained MLLM has behind it,
loss weights, freshly drawn lessons instead of an epoch.
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
from editthinker.training.darkroom.lessons import Lesson, Part
from editthinker.training.recipe import SftRecipe

Lessons = Callable[[Tokenizer, int], Lesson]
"""What is taught, given the tokenizer and a seed."""


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

    def training_step(self, model: Any, *given: Any, **more: Any) -> torch.Tensor:
        """One batch; after the last one of a step, the gradients of several processes become their mean.

        A batch goes through the model several times, with and without images: more than
        `DistributedDataParallel` can follow.
        """
        with self.accelerator.no_sync(model):
            loss: torch.Tensor = super().training_step(model, *given, **more)
        if self.accelerator.num_processes > 1 and self.accelerator.sync_gradients:
            learned = [weight for weight in model.parameters() if weight.requires_grad]
            gradients = [torch.zeros_like(w) if w.grad is None else w.grad for w in learned]
            mean = self.accelerator.reduce(torch.cat([one.flatten() for one in gradients]), "mean")
            for weight, part in zip(learned, mean.split([w.numel() for w in learned]), strict=True):
                weight.grad = part.view_as(weight)
        return loss


def mean_loss(model: Any, parts: list[Part]) -> torch.Tensor:
    """Weighted cross-entropy of the replies in all parts."""
    total = sum(summed_loss(model, part) for part in parts)
    return total / sum(part["weights"].sum() for part in parts)


def summed_loss(model: Any, part: Part) -> torch.Tensor:
    """Weighted sum over one part."""
    logits, targets, weights = _answers(model, part)
    counted = weights > 0
    losses = torch.nn.functional.cross_entropy(logits[counted].float(), targets[counted], reduction="none")
    return (losses * weights[counted]).sum()


def exact(model: Any, part: Part) -> int:
    """How many rows it would answer to the letter, greedily, where weight falls."""
    logits, targets, weights = _answers(model, part)
    return int(((logits.argmax(-1) == targets) | (weights == 0)).all(1).sum())


def _answers(model: Any, part: Part) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits (rows, columns, vocabulary), what should follow, and its weight, where anything is learned.

    Elsewhere nothing has to become words.
    """
    seen = {}
    if "patches" in part:
        images = len(part["patches"]) // layout.GRID**2
        grid = torch.tensor([[1, layout.GRID, layout.GRID]] * images, device=part["patches"].device)
        seen = {"pixel_values": part["patches"], "image_grid_thw": grid}
    weights, targets = part["weights"][:, 1:], part["ids"][:, 1:]
    asked = (weights > 0).any(0).nonzero().squeeze(1)
    told = model(input_ids=part["ids"], position_ids=part["positions"], logits_to_keep=asked, **seen)
    return told.logits, targets[:, asked], weights[:, asked]


def train(
    asked: SftRecipe,
    out: Path,
    taught: Lessons,
    *,
    resume: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> Path:
    """Train on what is `taught`. Raises what `sft.train` does."""
    steps = asked.optimiser.steps
    if steps is None:
        raise InputError("the darkroom's lessons never end: say optimiser.steps")
    tokenizer = tokenizer_of(asked)
    lesson = taught(tokenizer, asked.optimiser.seed)
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
