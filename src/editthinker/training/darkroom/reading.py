"""How well a thinker reads: `python -m editthinker.training.darkroom.reading FOLDER [N]`.

In: a folder that a training wrote, a checkpoint too, and how many wishes of a kind. Out: the share whose
reading has all operations and no other, by split and group; beside the groups there are bare lists, "a, b and
c". "validation" has words that were learned from, put together anew; "fresh" has words that nobody learned
from. The test split is not for looking at.
"""

from __future__ import annotations

import logging
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from editthinker.darkroom import layout
from editthinker.darkroom.language import sentences
from editthinker.darkroom.language.slips import MORE_FILLERS, stumble
from editthinker.darkroom.planning import JOINER
from editthinker.darkroom.wording import fold_quotes
from editthinker.training import checkpoints
from editthinker.training.recipe import Model

SPLITS = ("validation", "fresh")
LIST = "list"
AT_ONCE = 50
LONGEST = 140
"""Tokens of a reading."""


def measure(folder: Path, count: int = 200, *, splits: Sequence[str] = SPLITS) -> dict[str, dict[str, float]]:
    """Shares of `count` wishes of every split and group that are read right. Raises what `load` does."""
    trainee = checkpoints.load(Model.model_validate({"base": str(folder)}), for_training=False)
    trainee.model.eval()
    found: dict[str, dict[str, float]] = {}
    for split in splits:
        found[split] = {}
        for group in (*sentences.GROUPS, LIST):
            rng = random.Random(f"reading:{split}:{group}")
            drawn = [_drawn(rng, split, group) for _ in range(count)]
            wishes = [stumble(rng, fold_quotes(one.instruction)[0], fillers=MORE_FILLERS) for one in drawn]
            right = [
                sorted(clauses) == sorted(sentences.plain(one.said).split(JOINER))
                for clauses, one in zip(read(trainee, wishes), drawn, strict=True)
            ]
            found[split][group] = sum(right) / count
    return found


def _drawn(rng: random.Random, split: str, group: str) -> sentences.Utterance:
    return sentences.draw_list(rng, split) if group == LIST else sentences.draw(rng, split, group)


def read(trainee: checkpoints.Trainee, wishes: Sequence[str]) -> list[list[str]]:
    """What the model takes each wish to ask for, clause by clause, greedily."""
    import torch

    tokenizer: Any = trainee.processor.tokenizer
    clauses = []
    for start in range(0, len(wishes), AT_ONCE):
        texts = [layout.prompt(wish, "", images=0) for wish in wishes[start : start + AT_ONCE]]
        asked = tokenizer(texts, padding=True, return_tensors="pt", return_token_type_ids=False)
        with torch.inference_mode():
            written = trainee.model.generate(**asked, max_new_tokens=LONGEST, do_sample=False)
        for said in tokenizer.batch_decode(
            written[:, asked["input_ids"].shape[1] :], skip_special_tokens=True
        ):
            clauses.append(said.partition(":")[2].strip().removesuffix(".").split(JOINER))
    return clauses


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    number = int(sys.argv[2]) if len(sys.argv) > 2 else 200
    for part, groups in measure(Path(sys.argv[1]), number).items():
        shares = "  ".join(f"{name} {share:.3f}" for name, share in groups.items())
        logging.getLogger(__name__).info("%-10s  %s", part, shares)
