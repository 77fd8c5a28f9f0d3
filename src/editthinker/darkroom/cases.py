"""Darkroom samples: a photograph, an instruction, and the program it means.

In: photographs, a split, a count, a seed. Out: `Sample`s whose `truth` is a `Case`; the four groups take
turns. A draw whose operations could not be seen on its photo is drawn again, so every sample can be told
done from undone.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from editthinker.core.images import Picture
from editthinker.core.types import Sample
from editthinker.darkroom import judge
from editthinker.darkroom.language import sentences
from editthinker.darkroom.program import COLOURS, Program
from editthinker.darkroom.regions import present_colours, shrunk

SMALL = 176
"""Long side at which a photo is examined."""
SHARE = 0.05
"""Least share of the area for a colour to be asked for."""
ATTEMPTS = 400


@dataclass(frozen=True, slots=True)
class Truth:
    """What the judge and the expert know of a sample."""

    program: Program
    group: str
    look: str = ""
    said: Program = ()
    """The program in the order in which it was said; empty when nobody knows."""


def named_colours(program: Program) -> set[str]:
    """The colours a photo must show for this program to mean something."""
    regions = {o.region for o in program if o.region in COLOURS}
    return regions | {o.value.partition(">")[0] for o in program if o.kind == "recolour"}


def draw_samples(
    photos: Sequence[tuple[str, Picture]], count: int, *, split: str = "test", seed: int = 0
) -> list[Sample]:
    """`count` samples over `photos` (name, picture). Raises ValueError for no photos."""
    if not photos:
        raise ValueError("no photographs to draw samples from")
    rng = random.Random(f"darkroom:{split}:{seed}")
    order = list(range(len(photos)))
    samples: list[Sample] = []
    small = [shrunk(picture.array()[..., :3], SMALL) for _, picture in photos]
    colours = [[c for c, share in present_colours(rgb).items() if share > SHARE] for rgb in small]
    for number in range(count):
        if number % len(order) == 0:
            rng.shuffle(order)
        place = order[number % len(order)]
        name, picture = photos[place]
        group = sentences.GROUPS[number % len(sentences.GROUPS)]
        utterance = _visible(rng, split, group, small[place], colours[place])
        truth = Truth(utterance.program, group, utterance.look, utterance.said)
        tags = {"group": group, "photo": name}
        name = f"{split}-{seed}-{number:04d}"
        samples.append(Sample((picture,), utterance.instruction, id=name, tags=tags, truth=truth))
    return samples


def _visible(
    rng: random.Random, split: str, group: str, rgb: npt.NDArray[np.uint8], colours: list[str]
) -> sentences.Utterance:
    for _ in range(ATTEMPTS):
        utterance = sentences.draw(rng, split, group, colours=colours)
        if named_colours(utterance.program) <= set(colours) and judge.visible(rgb, utterance.program):
            return utterance
    raise ValueError("this photo shows none of the edits; is it a plain surface?")
