"""How well a thinker looks: `python -m editthinker.training.darkroom.looking FOLDER [N]`.

In: a folder that a training wrote, a checkpoint too, and how many sights of a kind. Out: the share of edits
that are named exactly, all operations and no other. Four kinds: images alone; after a wish that the edit
fulfils; after a wish that it has nothing to do with; after a wish when nothing was done. With a wish the
prompt has what it asks for. A thinker that looks is as good at the last three as at the first; one that says
what it read is good at the second only.
"""

from __future__ import annotations

import logging
import random
import sys
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

import torch
from tokenizers import Tokenizer

from editthinker.darkroom import expert, layout
from editthinker.darkroom.judge import visible
from editthinker.darkroom.language import sentences
from editthinker.darkroom.operations import render
from editthinker.darkroom.wording import fold_quotes
from editthinker.training import checkpoints
from editthinker.training.darkroom import lessons, thinker
from editthinker.training.darkroom.lessons import Row
from editthinker.training.darkroom.sightings import Sightings
from editthinker.training.darkroom.sources import Sources, draw_sources, views
from editthinker.training.recipe import Model

KINDS = ("alone", "fulfilled", "unrelated", "nothing")
PICTURES, SEED = 200, 5
"""Sources are cut anew from the photographs that were learned from; trainings draw by other seeds."""
SPLIT = "validation"
AT_ONCE = 50


def measure(folder: Path, photos: Path, number: int = 200) -> dict[str, float]:
    """Shares of `number` sights of every kind that are named exactly. Raises what `load` does."""
    trainee = checkpoints.load(Model.model_validate({"base": str(folder)}), for_training=False)
    trainee.model.eval()
    tokenizer = trainee.processor.tokenizer.backend_tokenizer
    collate = lessons.Collator(tokenizer)
    sights = Sights(tokenizer, Sources(draw_sources(photos, PICTURES, seed=SEED)))
    found = {}
    for kind in KINDS:
        rows = list(islice(sights.rows(kind), number))
        right = 0
        with torch.inference_mode():
            for start in range(0, number, AT_ONCE):
                right += thinker.exact(trainee.model, collate.part(rows[start : start + AT_ONCE]))
        found[kind] = right / number
    return found


class Sights:
    """Rows whose reply ends with what is seen."""

    def __init__(self, tokenizer: Tokenizer, sources: Sources) -> None:
        self._tokenizer, self._sources = tokenizer, sources

    def rows(self, kind: str) -> Iterator[Row]:
        """Of one kind, without end and always the same."""
        if kind == "alone":
            alone = Sightings(self._sources, seed=SEED)
            return (lessons.looking(self._tokenizer, alone(number)) for number in count())
        return self._after_a_wish(kind)

    def _after_a_wish(self, kind: str) -> Iterator[Row]:
        rng = random.Random(f"looking:{kind}")
        while True:
            source, masks, present = self._sources[rng.randrange(len(self._sources))]
            colours = sorted(present)
            wish = sentences.draw(rng, SPLIT, rng.choice(sentences.GROUPS), colours=colours)
            if kind == "fulfilled":
                seen = wish.program
            else:
                many = 0 if kind == "nothing" else rng.choice((1, 2))
                seen = sentences.draw_program(rng, many, colours=colours)
            if not seen or visible(source, seen, masks):
                words = fold_quotes(wish.instruction)[0]
                prompt = layout.prompt(words, words) + layout.frame()[0] + expert.wish(wish.said)
                images = views(source, render(source, seen, masks))
                yield lessons.answered(self._tokenizer, prompt, " " + expert.sight(seen, wish.said), images)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    many = int(sys.argv[2]) if len(sys.argv) > 2 else 200
    for name, share in measure(Path(sys.argv[1]), Path("training-photos"), many).items():
        logging.getLogger(__name__).info("%-10s  %.3f", name, share)
