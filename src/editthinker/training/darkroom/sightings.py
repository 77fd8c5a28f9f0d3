"""Edits without a wish: a picture, what was done to it at random, and the program that did it.

In: source pictures, a seed. Out: sightings by number. Whoever has a wish before it can guess what the edit
was; here nothing but the images tells, so what is learned from them is looking.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from editthinker.darkroom.judge import visible
from editthinker.darkroom.language import sentences
from editthinker.darkroom.operations import render
from editthinker.darkroom.program import Program
from editthinker.training.darkroom.sources import Pixels, Sources, views

OPERATIONS = {0: 5, 1: 50, 2: 30, 3: 15}
"""How often an edit consists of so many; one at a time shows most clearly what an operation looks like."""
PARTS = 0.5
"""Share of edits that are confined to regions: where is learned later than what, and is rare in wishes."""


@dataclass(frozen=True)
class Sighting:
    """What is to be seen, and what it is."""

    images: Pixels
    """uint8 (3, 128, 128, 3)."""
    seen: Program


class Sightings:
    """Draws them by number."""

    def __init__(self, sources: Sources, *, seed: int = 0) -> None:
        self._sources, self._seed = sources, seed

    def __call__(self, number: int) -> Sighting:
        rng = random.Random(f"sightings:{self._seed}:{number}")
        while True:
            source, masks, colours = self._sources[rng.randrange(len(self._sources))]
            count = rng.choices(list(OPERATIONS), list(OPERATIONS.values()))[0]
            where = "part" if rng.random() < PARTS else "any"
            seen = sentences.draw_program(rng, count, colours=sorted(colours), where=where)
            if not seen or visible(source, seen, masks):
                return Sighting(views(source, render(source, seen, masks)), seen)
