"""Lessons for the darkroom's thinker, by number: the same number is always the same lesson.

In: a number; for looking also `Sightings`, for critiques `Trajectories`. Out: rows of token ids with a loss
weight each (0 on the prompt), and batches of them. *Reading*: a wish and what it asks for in plain words,
without images and so far cheaper. *Comparing*: what is wanted and what is seen are given, the answer is how
they differ; with and without images. *Looking*: three views and what was done, without a wish and so without
a way of guessing it. *Critiquing*: all of it and the whole reply. Loss falls on the reply only; in a critique
what is seen and the score weigh more than phrases: they are what has to be looked at.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer

from editthinker.core import reply
from editthinker.core.types import Critique, Score
from editthinker.darkroom import expert, layout
from editthinker.darkroom.language import sentences
from editthinker.darkroom.language.slips import MORE_FILLERS, stumble
from editthinker.darkroom.program import COLOURS, ordered
from editthinker.darkroom.wording import fold_quotes, token_id
from editthinker.training.darkroom.sightings import Sighting, Sightings
from editthinker.training.darkroom.trajectories import Step, Trajectories, disturb, happened

GROUPS = {"direct": 2, "compound": 6, "preserve": 4, "reasoning": 4}
"""How often each is drawn as words; compound wishes are the hardest to read."""
LISTS = 0.2
"""Share of wishes in words that are bare lists. Nearly all others have frames and chatter around them, so
that the short clauses of a list were taken for chatter."""
SPLIT = "more"
BESIDE_LOOKS, BESIDE_CRITIQUES = 1, 2
"""Rows of words beside each row of views; they cost a sixth of it."""
COMPARISONS = 0.2
"""Share of rows of views that are comparisons instead of critiques."""
CHUNK = 32
"""Rows of words that are computed together: a batch is cut by length, so that little of it is padding."""

Part = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Row:
    """Token ids and their loss weights; the views where there are some."""

    ids: list[int]
    weights: list[float]
    images: Any = None
    """uint8 (3, 128, 128, 3)."""


Lesson = Callable[[int], list[Row]]
"""A few rows by number."""


def utterance(rng: random.Random, split: str = SPLIT) -> tuple[str, sentences.Utterance]:
    """A wish as it is read, quoted strings folded, and what it means."""
    group = rng.choices(list(GROUPS), list(GROUPS.values()))[0]
    listed = rng.random() < LISTS
    drawn = sentences.draw_list(rng, split) if listed else sentences.draw(rng, split, group)
    return stumble(rng, fold_quotes(drawn.instruction)[0], fillers=MORE_FILLERS), drawn


def words(rng: random.Random) -> Iterator[str]:
    """Texts for the tokenizer: prompts and replies without images."""
    wish, drawn = utterance(rng)
    program = drawn.said
    seen = disturb(rng, drawn.program, [])
    score = Score(rng.randrange(11), rng.randrange(11))
    yield f"asked: {wish}\nsent: {rng.choice(('the same', 'nothing yet', sentences.plain(program)))}"
    yield reply.render(Critique(score, expert.reasoning(program, seen), sentences.plain(program)))


def reading(tokenizer: Tokenizer, rng: random.Random) -> Row:
    """A row of words: an instruction, then what is wanted, in the order of the wish."""
    wish, drawn = utterance(rng)
    wanted = expert.wish(drawn.said) + layout.IM_END
    return answered(tokenizer, layout.prompt(wish, "", images=0), wanted)


def comparing(tokenizer: Tokenizer, rng: random.Random, step: Step | None = None) -> Row:
    """What is wanted and what is seen are given, how they differ is learned.

    A row of words or, of a step, one with its views. These do not show what is given as seen: the difference
    is to follow from what was said, not from a second, fleeting look.
    """
    if step is None:
        wish, drawn = utterance(rng)
        prompt, wanted = layout.prompt(wish, wish, images=0), drawn.said
    else:
        prompt, wanted = layout.prompt(step.instruction, step.sent), step.wanted
    target = ordered(wanted)
    seen = happened(rng, target, [target], sorted(COLOURS))
    said, sight, difference = sentences_of(expert.reasoning(wanted, seen))
    opening, closing = layout.frame()[:2]
    return answered(tokenizer, prompt + opening + said + sight, difference + closing, step and step.images)


def looking(tokenizer: Tokenizer, sighting: Sighting) -> Row:
    """A row of views alone, then what is seen."""
    seen = f" {expert.sight(sighting.seen)}{layout.IM_END}"
    return answered(tokenizer, layout.views_alone(), seen, sighting.images)


def answered(tokenizer: Tokenizer, prompt: str, answer: str, images: Any = None) -> Row:
    """A prompt, and an answer that counts everywhere alike."""
    asked, said = tokenizer.encode(prompt).ids, tokenizer.encode(answer).ids
    return Row([*asked, *said], [0.0] * len(asked) + [1.0] * len(said), images)


def critiquing(tokenizer: Tokenizer, step: Step) -> Row:
    """A row of views and words: the prompt and the expert's critique."""
    prompt = tokenizer.encode(layout.prompt(step.instruction, step.sent)).ids
    ids, weights = list(prompt), [0.0] * len(prompt)
    for text, weight in segments(step.critique):
        piece = tokenizer.encode(text).ids
        ids += piece
        weights += [weight] * len(piece)
    return Row([*ids, token_id(tokenizer, layout.IM_END)], [*weights, 1.0], step.images)


def segments(critique: Critique) -> list[tuple[str, float]]:
    """The reply in pieces with their loss weights: what is seen and the scores count three times."""
    wanted, seen, difference = sentences_of(critique.reasoning)
    score = critique.score
    if score is None:
        raise ValueError("a critique without a score teaches nothing")
    contents = (
        [(wanted, 1.0), (seen, 3.0), (difference, 1.0)],
        [(f"{score.semantic:g}", 3.0)],
        [(f"{score.quality:g}", 3.0)],
    )
    pieces: list[tuple[str, float]] = []
    for fixed, content in zip(
        layout.frame(), (*contents, [(critique.refined_instruction, 1.0)], []), strict=True
    ):
        pieces += [(fixed, 1.0), *content]
    return pieces


def sentences_of(reasoning: str) -> tuple[str, str, str]:
    """What is wanted, what is seen and how they differ: the expert's reasoning cut in three, nothing lost."""
    wanted, name, rest = reasoning.partition(" seen:")
    seen, stop, difference = rest.partition(".")
    return wanted, name + seen + stop, difference


def of_words(tokenizer: Tokenizer, seed: int) -> Lesson:
    """One row of words each."""
    return lambda number: [reading(tokenizer, random.Random(f"words:{seed}:{number}"))]


def of_looks(tokenizer: Tokenizer, seed: int, *, sightings: Sightings) -> Lesson:
    """One row of views each, and beside it some of words, lest reading is forgotten."""
    return lambda number: [
        looking(tokenizer, sightings(number)),
        *_beside(tokenizer, f"looks:{seed}:{number}", BESIDE_LOOKS),
    ]


def of_steps(tokenizer: Tokenizer, seed: int, *, trajectories: Trajectories) -> Lesson:
    """One critique each, at times a comparison in its place; and beside it rows of words and a comparison."""

    def rows(number: int) -> list[Row]:
        rng, step = random.Random(f"comparing:{seed}:{number}"), trajectories(number)
        compared = rng.random() < COMPARISONS
        return [
            comparing(tokenizer, rng, step) if compared else critiquing(tokenizer, step),
            *_beside(tokenizer, f"beside:{seed}:{number}", BESIDE_CRITIQUES),
            comparing(tokenizer, rng),
        ]

    return rows


def _beside(tokenizer: Tokenizer, seed: str, count: int) -> list[Row]:
    rng = random.Random(seed)
    return [reading(tokenizer, rng) for _ in range(count)]


def dataset(lesson: Lesson, count: int) -> Any:
    """What TRL's trainers take: a `datasets.Dataset` of numbers that become lessons when asked for."""
    from datasets import Dataset

    def made(batch: Mapping[str, Sequence[int]]) -> dict[str, list[Any]]:
        rows = [lesson(number) for number in batch["number"]]
        return {"rows": rows, "images": rows}  # TRL leaves rows with "images" as they are

    return Dataset.from_dict({"number": range(count)}).with_transform(made)


class Collator:
    """Lessons to what `thinker.Trainer` learns from: parts with views, and parts of words cut by length."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._end = token_id(tokenizer, layout.END_OF_TEXT)
        self._pad = token_id(tokenizer, layout.IMAGE_PAD)

    def __call__(self, lessons: Sequence[Mapping[str, Any]]) -> dict[str, list[Part]]:
        """The batch."""
        rows = sorted((row for lesson in lessons for row in lesson["rows"]), key=lambda row: len(row.ids))
        seeing = [row for row in rows if row.images is not None]
        reading = [row for row in rows if row.images is None]
        return {
            "looking": [self.part(seeing)] if seeing else [],
            "words": [self.part(reading[at : at + CHUNK]) for at in range(0, len(reading), CHUNK)],
        }

    def part(self, rows: Sequence[Row]) -> Part:
        """Padded ids, weights, rotary positions and, if there are some, patches."""
        width = max(len(row.ids) for row in rows)
        ids = np.full((len(rows), width), self._end)
        weights = np.zeros((len(rows), width), np.float32)
        positions = np.zeros((3, len(rows), width), np.int64)
        for place, row in enumerate(rows):
            ids[place, : len(row.ids)] = row.ids
            weights[place, : len(row.ids)] = row.weights
            images = [at for at, token in enumerate(row.ids) if token == self._pad]
            positions[:, place] = layout.positions(images[:: layout.TOKENS], width)
        arrays = {"ids": ids, "weights": weights, "positions": positions}
        if rows[0].images is not None:
            arrays["patches"] = layout.patches(np.concatenate([row.images for row in rows]))
        return {name: torch.from_numpy(array) for name, array in arrays.items()}
