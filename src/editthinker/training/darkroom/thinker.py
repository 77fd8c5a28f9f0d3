"""The darkroom's thinker: a small Qwen3-VL trained from nothing by SFT on the expert's replies.

In: `Trajectories`. Out: a transformers model folder with its tokenizer. Loss falls on the reply only; what is
seen and the score weigh more than phrases, because they are what has to be learned by looking.
Deviations from the paper's SFT: from scratch, three views instead of two images, replies of an expert that
knows the target (the paper's expert is GPT-4.1), one pass over freshly drawn steps instead of an epoch.
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from torch.utils.data import DataLoader, IterableDataset, get_worker_info
from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

from editthinker.core import reply
from editthinker.core.types import Critique
from editthinker.darkroom import layout
from editthinker.darkroom.language import sentences
from editthinker.darkroom.language.slips import stumble
from editthinker.darkroom.wording import TEXT, fold_quotes, token_id
from editthinker.training.darkroom.checkpoint import Checkpoint, progress
from editthinker.training.darkroom.trajectories import Request, Step, Trajectories

Batch = dict[str, torch.Tensor]

DRILL_WEIGHTS = {"direct": 2, "compound": 6, "preserve": 4, "reasoning": 4}
"""Compound wishes are the hardest to read."""


@dataclass(frozen=True)
class Recipe:
    """What it takes to train the thinker."""

    minutes: float = 110.0
    """The learning rate falls to zero over this time; a machine twice as fast sees twice the steps."""
    batch: int = 24
    drill: int = 96
    """Rows of words alone beside every batch: language needs more rows than looking does."""
    learning_rate: float = 1e-3
    warmup: int = 200
    text_hidden: int = 192
    text_layers: int = 4
    vision_hidden: int = 192
    vision_layers: int = 3
    vocabulary: int = 1500
    workers: int = 1
    seed: int = 0


def train_tokenizer(requests: list[Request], trajectories: Trajectories, recipe: Recipe) -> Tokenizer:
    """Byte-level BPE over prompts and replies, with Qwen's special tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=recipe.vocabulary,
        special_tokens=[*layout.SPECIAL, TEXT, *layout.frame()],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )

    def texts() -> Iterator[str]:
        for request in random.Random(0).sample(requests, min(20_000, len(requests))):
            yield f"asked: {request.instruction}\nsent: the same"
        for index in range(1500):
            step = trajectories(-1 - index)
            yield f"asked: {step.instruction}\nsent: {step.sent}"
            yield reply.render(step.critique)

    tokenizer.train_from_iterator(texts(), trainer)
    return tokenizer


def segments(critique: Critique) -> list[tuple[str, float]]:
    """The reply in pieces with their loss weights: what is seen and the scores count three times."""
    seen, cut, rest = critique.reasoning.partition(" wanted:")
    score = critique.score
    if score is None:
        raise ValueError("a critique without a score teaches nothing")
    contents = (
        [(seen, 3.0), (cut + rest, 1.0)],
        [(f"{score.semantic:g}", 3.0)],
        [(f"{score.quality:g}", 3.0)],
    )
    pieces: list[tuple[str, float]] = []
    for fixed, content in zip(
        layout.frame(), (*contents, [(critique.refined_instruction, 1.0)], []), strict=True
    ):
        pieces += [(fixed, 1.0), *content]
    return pieces


def encode(tokenizer: Tokenizer, step: Step) -> tuple[list[int], list[float]]:
    """Token ids of prompt and reply, and the loss weight of each (0 on the prompt)."""
    prompt = tokenizer.encode(layout.prompt(step.instruction, step.sent)).ids
    ids, weights = list(prompt), [0.0] * len(prompt)
    for text, weight in segments(step.critique):
        piece = tokenizer.encode(text).ids
        ids += piece
        weights += [weight] * len(piece)
    return [*ids, token_id(tokenizer, layout.IM_END)], [*weights, 1.0]


def encode_drill(tokenizer: Tokenizer, rng: random.Random) -> tuple[list[int], list[float]]:
    """A row of words alone: an instruction, then what is wanted in plain words; a sixth of a step's cost."""
    group = rng.choices(list(DRILL_WEIGHTS), list(DRILL_WEIGHTS.values()))[0]
    utterance = sentences.draw(rng, "train", group)
    words = stumble(rng, fold_quotes(utterance.instruction)[0])
    prompt = tokenizer.encode(layout.prompt(words, "", images=0)).ids
    reply_ids = tokenizer.encode(f" wanted: {sentences.plain(utterance.program)}.").ids
    end = token_id(tokenizer, layout.IM_END)
    return [*prompt, *reply_ids, end], [0.0] * len(prompt) + [1.0] * (len(reply_ids) + 1)


def collate(tokenizer: Tokenizer, rows: list[tuple[list[int], list[float]]]) -> dict[str, torch.Tensor]:
    """Rows of ids and weights as a batch: padded ids, weights, rotary positions."""
    width = max(len(ids) for ids, _ in rows)
    ids = np.full((len(rows), width), token_id(tokenizer, layout.END_OF_TEXT))
    weights = np.zeros((len(rows), width), np.float32)
    positions = np.zeros((3, len(rows), width), np.int64)
    pad = token_id(tokenizer, layout.IMAGE_PAD)
    for row, (tokens, weight) in enumerate(rows):
        ids[row, : len(tokens)] = tokens
        weights[row, : len(tokens)] = weight
        places = [place for place, token in enumerate(tokens) if token == pad]
        positions[:, row] = layout.positions(places[:: layout.TOKENS], width)
    arrays = {"ids": ids, "weights": weights, "positions": positions}
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


class Rows(IterableDataset[tuple[Batch, Batch]]):  # type: ignore[misc]  # torch is untyped here
    """Pairs of batches (steps, drill) by number, split over workers; a resumed run goes on as before."""

    def __init__(self, trajectories: Trajectories, tokenizer: Tokenizer, recipe: Recipe, start: int) -> None:
        self._trajectories, self._tokenizer = trajectories, tokenizer
        self._recipe, self._start = recipe, start

    def __iter__(self) -> Iterator[tuple[Batch, Batch]]:
        info = get_worker_info()
        number, stride = (info.id, info.num_workers) if info else (0, 1)
        for step in itertools.count(self._start + number, stride):
            indices = range(step * self._recipe.batch, (step + 1) * self._recipe.batch)
            steps = [self._trajectories(index) for index in indices]
            batch = collate(self._tokenizer, [encode(self._tokenizer, one) for one in steps])
            batch["images"] = torch.from_numpy(np.stack([one.images for one in steps]))
            rng = random.Random(f"drill:{self._recipe.seed}:{step}")
            drill = collate(
                self._tokenizer, [encode_drill(self._tokenizer, rng) for _ in range(self._recipe.drill)]
            )
            yield batch, drill


def config(tokenizer: Tokenizer, recipe: Recipe) -> Qwen3VLConfig:
    """The architecture: Qwen3-VL with every width made small."""
    token = tokenizer.token_to_id
    return Qwen3VLConfig(
        text_config={
            "vocab_size": tokenizer.get_vocab_size(),
            "hidden_size": recipe.text_hidden,
            "intermediate_size": recipe.text_hidden * 8 // 3,
            "num_hidden_layers": recipe.text_layers,
            "num_attention_heads": recipe.text_hidden // 32,
            "num_key_value_heads": recipe.text_hidden // 64,
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
            "depth": recipe.vision_layers,
            "hidden_size": recipe.vision_hidden,
            "intermediate_size": recipe.vision_hidden * 2,
            "num_heads": recipe.vision_hidden // 32,
            "patch_size": layout.PATCH,
            "spatial_merge_size": layout.MERGE,
            "temporal_patch_size": layout.FRAMES,
            "out_hidden_size": recipe.text_hidden,
            "num_position_embeddings": 256,
            "deepstack_visual_indexes": [0, 1],
        },
        image_token_id=token(layout.IMAGE_PAD),
        video_token_id=token(layout.VIDEO_PAD),
        vision_start_token_id=token(layout.VISION_START),
        vision_end_token_id=token(layout.VISION_END),
        tie_word_embeddings=True,
    )


def patches(images: torch.Tensor) -> torch.Tensor:
    """`layout.patches` for a batch, (B, 3, 128, 128, 3) to (B * 3 * 64, 1536)."""
    return torch.from_numpy(layout.patches(images.flatten(0, 1).numpy()))


def loss_of(model: Qwen3VLForConditionalGeneration, batch: Batch) -> torch.Tensor:
    """Weighted cross-entropy of the replies; of a drill too, which has no images."""
    ids, seen = batch["ids"], {}
    if "images" in batch:
        grid = [[1, layout.GRID, layout.GRID]] * (len(ids) * layout.IMAGES)
        seen = {"pixel_values": patches(batch["images"]), "image_grid_thw": torch.tensor(grid)}
    logits = model(input_ids=ids, position_ids=batch["positions"], **seen).logits[:, :-1]
    weights = batch["weights"][:, 1:].flatten()
    losses = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1).float(), ids[:, 1:].flatten(), reduction="none"
    )
    return (losses * weights).sum() / weights.sum()


def train(out: Path, trajectories: Trajectories, requests: list[Request], recipe: Recipe) -> None:
    """Train into `out`, resuming from its checkpoint if there is one; progress goes to `out/log.jsonl`."""
    out.mkdir(parents=True, exist_ok=True)
    tokenizer_file = out / "tokenizer.json"
    if not tokenizer_file.exists():
        train_tokenizer(requests, trajectories, recipe).save(str(tokenizer_file))
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    torch.manual_seed(recipe.seed)
    model = Qwen3VLForConditionalGeneration(config(tokenizer, recipe))
    optimiser = torch.optim.AdamW(
        model.parameters(), recipe.learning_rate, betas=(0.9, 0.98), weight_decay=0.01
    )
    checkpoint = Checkpoint(out / "checkpoint.pt", model, optimiser)
    step, spent = checkpoint.restore()
    rows = DataLoader(
        Rows(trajectories, tokenizer, recipe, step),
        batch_size=None,
        num_workers=recipe.workers,
        prefetch_factor=8 if recipe.workers else None,
    )
    average, clock = 0.0, time.monotonic()
    for batch, drill in rows:
        now = time.monotonic()
        spent, clock = spent + now - clock, now
        for group in optimiser.param_groups:
            group["lr"] = rate(recipe, step, spent)
        with torch.autocast("cpu", torch.bfloat16):
            loss = loss_of(model, batch)
            total = loss + loss_of(model, drill)
        total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
        step += 1
        average = average * 0.98 + loss.item() * 0.02 if average else loss.item()
        ended = spent >= recipe.minutes * 60
        if step % 50 == 0 or ended:
            entry = {
                "step": step,
                "samples": step * recipe.batch,
                "loss": round(average, 4),
                "seconds": round(spent),
            }
            progress(out / "log.jsonl", entry, done=min(1.0, spent / (recipe.minutes * 60)))
        if step % 200 == 0 or ended:
            checkpoint.save(step, spent)
        if ended:
            break
    model.save_pretrained(out / "model")


def rate(recipe: Recipe, step: int, spent: float) -> float:
    """The learning rate: a short warm-up in steps, then a cosine over the time that is given (seconds)."""
    progress = min(1.0, spent / (recipe.minutes * 60))
    warm = min(1.0, (step + 1) / recipe.warmup)
    return float(recipe.learning_rate * warm * (0.5 + 0.5 * np.cos(np.pi * progress)))
