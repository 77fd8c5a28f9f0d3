"""The darkroom's editor: a small Qwen3-shaped decoder that continues an instruction with an edit program.

Rows are drawn as they are needed: one to three operations in the training wordings. It never reads looks,
four operations, or the test wordings; what it makes of those is its honest ability.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import Qwen3Config, Qwen3ForCausalLM

from editthinker.darkroom import spelling
from editthinker.darkroom.language import sentences
from editthinker.darkroom.language.slips import stumble
from editthinker.darkroom.program import Program
from editthinker.darkroom.wording import PROGRAM, SPECIAL, fold_quotes, token_id
from editthinker.training.darkroom.checkpoint import Checkpoint, progress

VOCABULARY = 1200


@dataclass(frozen=True)
class Recipe:
    """What it takes to train the editor."""

    steps: int = 5000
    batch: int = 64
    learning_rate: float = 2e-3
    warmup: int = 200
    hidden: int = 128
    layers: int = 4
    heads: int = 4
    feed_forward: int = 384
    seed: int = 0


def draw(rng: random.Random, split: str) -> tuple[str, Program]:
    """One row: what an ordinary user asks for."""
    group = rng.choices(("direct", "compound", "preserve", "plain"), (5, 3, 2, 2))[0]
    if group == "plain":
        program = sentences.draw_program(rng, rng.choice((1, 2, 3)))
        return sentences.plain(program), program
    while True:
        utterance = sentences.draw(rng, split, group)
        if len(utterance.program) <= 3:
            return stumble(rng, fold_quotes(utterance.instruction)[0]), utterance.program


def train_tokenizer(rows: int = 40_000, *, seed: int = 1) -> Tokenizer:
    """Byte-level BPE over generated instructions; the program tokens are its last ids."""
    rng = random.Random(seed)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[*SPECIAL, *spelling.TOKENS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator((draw(rng, "train")[0] for _ in range(rows)), trainer)
    return tokenizer


def encode(tokenizer: Tokenizer, text: str, program: Program) -> tuple[list[int], int]:
    """Token ids of a whole row and how many of them are the instruction."""
    prompt = [*tokenizer.encode(text).ids, token_id(tokenizer, PROGRAM)]
    return prompt + [token_id(tokenizer, t) for t in spelling.spell(program)], len(prompt)


def batches(tokenizer: Tokenizer, recipe: Recipe, start: int) -> Iterator[dict[str, torch.Tensor]]:
    """Endless batches; step `n` always holds the same rows, so a resumed run sees what it would have seen."""
    step = start
    while True:
        rng = random.Random(f"{recipe.seed}:{step}")
        rows = [encode(tokenizer, *draw(rng, "train")) for _ in range(recipe.batch)]
        width = max(len(ids) for ids, _ in rows)
        ids = torch.zeros(len(rows), width, dtype=torch.long)
        labels = torch.full((len(rows), width), -100)
        mask = torch.zeros(len(rows), width, dtype=torch.long)
        for row, (tokens, prompt) in enumerate(rows):
            ids[row, : len(tokens)] = torch.tensor(tokens)
            labels[row, prompt : len(tokens)] = torch.tensor(tokens[prompt:])
            mask[row, : len(tokens)] = 1
        yield {"input_ids": ids, "labels": labels, "attention_mask": mask}
        step += 1


def build(tokenizer: Tokenizer, recipe: Recipe) -> Qwen3ForCausalLM:
    """The untrained model."""
    torch.manual_seed(recipe.seed)
    return Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=tokenizer.get_vocab_size(),
            hidden_size=recipe.hidden,
            intermediate_size=recipe.feed_forward,
            num_hidden_layers=recipe.layers,
            num_attention_heads=recipe.heads,
            num_key_value_heads=recipe.heads,
            head_dim=recipe.hidden // recipe.heads,
            max_position_embeddings=512,
            tie_word_embeddings=True,
            pad_token_id=0,
        )
    )


def train(out: Path, recipe: Recipe, *, until: int | None = None) -> None:
    """Train into `out`, resuming from its checkpoint if there is one; progress goes to `out/log.jsonl`.

    `until` stops early at a step, as an interruption would.
    """
    out.mkdir(parents=True, exist_ok=True)
    tokenizer_file = out / "tokenizer.json"
    if not tokenizer_file.exists():
        train_tokenizer().save(str(tokenizer_file))
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    model = build(tokenizer, recipe)
    optimiser = torch.optim.AdamW(model.parameters(), recipe.learning_rate, weight_decay=0.01)
    checkpoint = Checkpoint(out / "checkpoint.pt", model, optimiser)
    step, spent = checkpoint.restore()
    last = until or recipe.steps
    started, rows = time.monotonic() - spent, batches(tokenizer, recipe, step)
    while step < last:
        for group in optimiser.param_groups:
            group["lr"] = rate(recipe, step)
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(**next(rows)).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
        step += 1
        if step % 100 == 0 or step == last:
            seconds = round(time.monotonic() - started, 1)
            entry = {"step": step, "loss": round(loss.item(), 4), "seconds": seconds}
            progress(out / "log.jsonl", entry, done=step / recipe.steps)
        if step % 500 == 0 or step == last:
            checkpoint.save(step, time.monotonic() - started)
    model.save_pretrained(out / "model")


def rate(recipe: Recipe, step: int) -> float:
    """The learning rate: a short warm-up, then a cosine to zero."""
    warm = min(1.0, (step + 1) / recipe.warmup)
    return recipe.learning_rate * warm * (0.5 + 0.5 * math.cos(math.pi * step / recipe.steps))
