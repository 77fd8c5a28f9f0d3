"""The darkroom's editors: small Qwen3-shaped decoders that continue an instruction with an edit program.

Three sizes of different ability, as the paper has three editors. Rows are drawn as they are needed, from
generated language; no editor reads looks or held-out wordings, and what it makes of those is its honest
ability. The loop is transformers' `Trainer`.

`python -m editthinker.training.darkroom.editor SIZE` trains one or goes on with it; with `--pack` it then
goes into the package.
"""

from __future__ import annotations

import argparse
import logging
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from torch.utils.data import Dataset
from transformers import PrinterCallback, Qwen3Config, Qwen3ForCausalLM, Trainer, TrainingArguments

from editthinker.darkroom import spelling
from editthinker.darkroom.language import sentences
from editthinker.darkroom.language.slips import stumble
from editthinker.darkroom.program import Program
from editthinker.darkroom.wording import PROGRAM, SPECIAL, fold_quotes, token_id
from editthinker.training import watching
from editthinker.training.darkroom import export, packing

VOCABULARY = 1200


@dataclass(frozen=True)
class Recipe:
    """What it takes to train an editor; the defaults are those of "base"."""

    steps: int = 5000
    batch: int = 64
    learning_rate: float = 2e-3
    warmup: int = 200
    hidden: int = 128
    layers: int = 4
    heads: int = 4
    feed_forward: int = 384
    seed: int = 0
    operations: int = 3
    """Most operations in a sentence that it reads."""
    split: str = "train"
    """Whose wordings it reads: "more" has twice as many."""
    pool: int = 1
    """Batches that are drawn together and cut by length: less padding, the same rows."""


SIZES = {
    "small": Recipe(steps=800, hidden=64, layers=2, heads=2, feed_forward=192),
    "base": Recipe(),
    "large": Recipe(
        steps=8000,
        hidden=192,
        layers=6,
        heads=6,
        feed_forward=576,
        learning_rate=1.5e-3,
        operations=4,
        split="more",
        pool=8,
    ),
}
"""Stand-ins for the paper's OmniGen2, FLUX.1 Kontext and Qwen-Image-Edit."""


def draw(rng: random.Random, recipe: Recipe) -> tuple[str, Program]:
    """One row: what an ordinary user asks for."""
    group = rng.choices(("direct", "compound", "preserve", "plain"), (5, 3, 2, 2))[0]
    if group == "plain":
        program = sentences.draw_program(rng, rng.choice((1, 2, 3)))
        return sentences.plain(program), program
    while True:
        utterance = sentences.draw(rng, recipe.split, group)
        if len(utterance.program) <= recipe.operations:
            return stumble(rng, fold_quotes(utterance.instruction)[0]), utterance.program


def train_tokenizer(recipe: Recipe, rows: int = 40_000, *, seed: int = 1) -> Tokenizer:
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
    tokenizer.train_from_iterator((draw(rng, recipe)[0] for _ in range(rows)), trainer)
    return tokenizer


def encode(tokenizer: Tokenizer, text: str, program: Program) -> tuple[list[int], int]:
    """Token ids of a whole row and how many of them are the instruction."""
    prompt = [*tokenizer.encode(text).ids, token_id(tokenizer, PROGRAM)]
    return prompt + [token_id(tokenizer, t) for t in spelling.spell(program)], len(prompt)


class Batches(Dataset[dict[str, torch.Tensor]]):  # type: ignore[misc]  # torch is untyped here
    """Batches by number; a number always stands for the same rows, so a resumed run sees the same."""

    def __init__(self, tokenizer: Tokenizer, recipe: Recipe) -> None:
        self._tokenizer, self._recipe = tokenizer, recipe
        self._pooled: tuple[int, list[list[tuple[list[int], int]]]] = (-1, [])

    def __len__(self) -> int:
        return self._recipe.steps

    def __getitem__(self, step: int) -> dict[str, torch.Tensor]:
        pool, place = divmod(step, self._recipe.pool)
        if self._pooled[0] != pool:
            self._pooled = (pool, self._drawn(pool))
        return padded(self._pooled[1][place])

    def _drawn(self, pool: int) -> list[list[tuple[list[int], int]]]:
        size, count = self._recipe.batch, self._recipe.pool
        rng = random.Random(f"{self._recipe.seed}:{pool}")
        rows = [encode(self._tokenizer, *draw(rng, self._recipe)) for _ in range(size * count)]
        if count > 1:
            rows.sort(key=lambda row: len(row[0]))
        batches = [rows[at : at + size] for at in range(0, len(rows), size)]
        rng.shuffle(batches)
        return batches


def padded(rows: Sequence[tuple[list[int], int]]) -> dict[str, torch.Tensor]:
    """Rows as one batch; only the program is learned."""
    width = max(len(ids) for ids, _ in rows)
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    labels = torch.full((len(rows), width), -100)
    mask = torch.zeros(len(rows), width, dtype=torch.long)
    for row, (tokens, prompt) in enumerate(rows):
        ids[row, : len(tokens)] = torch.tensor(tokens)
        labels[row, prompt : len(tokens)] = torch.tensor(tokens[prompt:])
        mask[row, : len(tokens)] = 1
    return {"input_ids": ids, "labels": labels, "attention_mask": mask}


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


def train(
    out: Path, recipe: Recipe, *, until: int | None = None, tell: Callable[[str], None] = lambda _: None
) -> None:
    """Train into `out/model`, resuming from the newest checkpoint in `out/training`.

    `until` stops early at a step, as an interruption would. Raises `KeyboardInterrupt` when asked to stop.
    """
    place = out / "training"
    place.mkdir(parents=True, exist_ok=True)
    tokenizer_file = out / "tokenizer.json"
    if not tokenizer_file.exists():
        train_tokenizer(recipe).save(str(tokenizer_file))
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    model = build(tokenizer, recipe)
    optimiser = torch.optim.AdamW(model.parameters(), recipe.learning_rate, weight_decay=0.01)
    leaving = watching.Leaving(tell)
    telling = watching.Telling(out / packing.LOG, recipe.batch, tell)
    trainer = Trainer(
        model,
        _arguments(place, recipe, until or recipe.steps),
        train_dataset=Batches(tokenizer, recipe),
        data_collator=_only,
        optimizers=(
            optimiser,
            torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: rate(recipe, step)),
        ),
        callbacks=[telling, watching.Sanity(), watching.Keeping(1), leaving],
    )
    trainer.remove_callback(PrinterCallback)
    newest = next(iter(watching.complete(place)), None)
    with leaving.listening():
        trainer.train(resume_from_checkpoint=newest and str(newest))
    if leaving.asked:
        raise KeyboardInterrupt
    model.save_pretrained(out / "model")


def _arguments(place: Path, recipe: Recipe, last: int) -> TrainingArguments:
    gpu = torch.cuda.is_available()
    return TrainingArguments(
        output_dir=str(place),
        max_steps=last,
        per_device_train_batch_size=1,  # a row of the data set is a batch
        train_sampling_strategy="sequential",
        max_grad_norm=1.0,
        bf16=True,
        use_cpu=not gpu,
        seed=recipe.seed,
        logging_steps=min(100, last),
        logging_first_step=True,
        logging_nan_inf_filter=False,
        save_steps=250,
        dataloader_pin_memory=False,
        remove_unused_columns=False,
        report_to=[],
        disable_tqdm=True,
    )


def _only(batches: list[dict[str, Any]]) -> dict[str, Any]:
    (batch,) = batches
    return batch


def rate(recipe: Recipe, step: int) -> float:
    """The share of the learning rate: a short warm-up, then a cosine to zero."""
    warm = min(1.0, (step + 1) / recipe.warmup)
    return warm * (0.5 + 0.5 * math.cos(math.pi * step / recipe.steps))


def make(size: str, checkpoints: Path) -> Path:
    """Train the editor of a size in its folder of `checkpoints`, beside its weights for onnxruntime."""
    folder = checkpoints / packing.EDITORS[size]
    train(folder, SIZES[size], tell=logging.getLogger(__name__).info)
    export.export_decoder(export.load_editor(folder / "model"), folder / "editor.onnx")
    return folder


def main() -> None:
    """One editor, from the command line."""
    parser = argparse.ArgumentParser(prog="editthinker.training.darkroom.editor", description=__doc__)
    parser.add_argument("size", choices=SIZES)
    parser.add_argument("--out", type=Path, default=Path("checkpoints"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--pack", action="store_true", help="put it into the package when it is trained")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(arguments.threads)
    try:
        make(arguments.size, arguments.out)
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    if arguments.pack:
        packing.pack(arguments.out, models=[packing.EDITORS[arguments.size]])


if __name__ == "__main__":
    main()
