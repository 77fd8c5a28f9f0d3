"""Prompts of the darkroom for GRPO, by number, and the exact judge that knows what each one wants.

In: source pictures as files, an editor, a seed. Out: rows as `training.grpo` takes them: a wish, the words
that were sent (the wish itself, or plain words that may be wrong), the image the editor made of them, and the
exact score of that. The same number is always the same prompt. Wishes for a quoted string are left out: the
thinker reads and writes `<text>`, which only `darkroom.thinker` fills in.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from PIL import Image

from editthinker.core.contracts import Editor
from editthinker.core.errors import JudgeError
from editthinker.core.images import Picture
from editthinker.core.types import EditRequest, Judged, Sample, Score
from editthinker.darkroom import layout
from editthinker.darkroom.cases import SHARE, named_colours
from editthinker.darkroom.judge import Case
from editthinker.darkroom.language import sentences
from editthinker.darkroom.language.slips import MORE_FILLERS, stumble
from editthinker.darkroom.regions import present_colours
from editthinker.darkroom.wording import TEXT
from editthinker.training.darkroom.answers import SPLIT
from editthinker.training.darkroom.sources import draw_sources
from editthinker.training.darkroom.trajectories import GROUP_WEIGHTS, plain_words

FIRST = 0.6
"""Share of prompts to which the user's own words were sent."""
MISUNDERSTOOD = 0.6
"""Share of the others whose plain words may mean something else: a third of their images are wrong then; in
the loop 37 to 48 % of later edits were."""
CASES = 64
"""Prompts and what is judged by that are kept ready: the rollouts of a step share theirs."""


@dataclass(frozen=True)
class Scene:
    """What a prompt is about."""

    path: Path
    source: Picture
    drawn: sentences.Utterance
    instruction: str
    sent: str
    seed: int


class Prompts:
    """Rows by number."""

    def __init__(self, sources: Sequence[Path], editor: Editor, *, seed: int = 0) -> None:
        self._sources, self._editor, self._seed = sources, editor, seed
        self.case, self.row = lru_cache(CASES)(self._case), lru_cache(CASES)(self._row)

    def _row(self, number: int) -> dict[str, Any]:
        """As `grpo` takes it."""
        scene = self.scene(number)
        request = EditRequest((scene.source,), scene.sent, scene.seed)
        edited = asyncio.run(self._editor.edit(request)).image
        score: Score = self.case(number).verdict(edited).score
        asked = layout.question(scene.instruction, scene.sent)
        content = [*({"type": "image"} for _ in range(layout.IMAGES)), {"type": "text", "text": asked}]
        return {
            "id": str(number),
            "prompt": [{"role": "user", "content": content}],
            "images": [Image.fromarray(view) for view in layout.views(scene.source, edited)],
            "instruction": scene.instruction,
            "sent": scene.sent,
            "turn": 1 if scene.sent == scene.instruction else 2,
            "semantic": score.semantic,
            "quality": score.quality,
            "sources": [str(scene.path)],
            "mask": "",
        }

    def scene(self, number: int) -> Scene:
        """What prompt `number` is about: a wish that shows on its source."""
        rng = random.Random(f"prompts:{self._seed}:{number}")
        while True:
            path = self._sources[rng.randrange(len(self._sources))]
            source = Picture.open(path)
            shares = present_colours(source.array()[..., :3])
            colours = sorted(colour for colour, share in shares.items() if share > SHARE)
            group = rng.choices(list(GROUP_WEIGHTS), list(GROUP_WEIGHTS.values()))[0]
            drawn = sentences.draw(rng, SPLIT, group, colours=colours)
            wish = stumble(rng, drawn.instruction, fillers=MORE_FILLERS)
            sent = wish
            if rng.random() >= FIRST:
                sent = plain_words(rng, drawn.said, colours, misunderstood=MISUNDERSTOOD)
            if (
                TEXT not in sent
                and all(one.kind != "text" for one in drawn.said)
                and named_colours(drawn.program) <= set(colours)
                and Case(source, drawn.program).visible
            ):
                return Scene(path, source, drawn, wish, sent, rng.randrange(1 << 30))

    def _case(self, number: int) -> Case:
        scene = self.scene(number)
        return Case(scene.source, scene.drawn.program)


class PromptJudge:
    """The exact judge of these prompts, which it knows by their number."""

    name = "darkroom"
    price = 0.0

    def __init__(self, prompts: Prompts) -> None:
        self._prompts = prompts

    async def score(self, sample: Sample, edited: Picture) -> Judged:
        """Score in a worker thread. Raises `JudgeError` for a sample that is no prompt of these."""
        if not sample.id.isdigit():
            raise JudgeError(f"this judge knows prompts by their number; {sample.id!r} is none")
        return Judged(await asyncio.to_thread(self._score, int(sample.id), edited))

    def _score(self, number: int, edited: Picture) -> Score:
        score: Score = self._prompts.case(number).verdict(edited).score
        return score


def stored(photos: Path, folder: Path, count: int) -> list[Path]:
    """Small sources as files, drawn once; the seed is another than that of the imitation."""
    paths = [folder / f"{number:05d}.png" for number in range(count)]
    if not all(path.exists() for path in paths):
        folder.mkdir(parents=True, exist_ok=True)
        for path, pixels in zip(paths, draw_sources(photos, count, seed=1), strict=True):
            Image.fromarray(pixels).save(path)
    return paths


def dataset(prompts: Prompts, count: int) -> Any:
    """What TRL's trainers take: a `datasets.Dataset` of numbers that become rows when asked for."""
    from datasets import Dataset

    def made(batch: Mapping[str, Sequence[int]]) -> dict[str, list[Any]]:
        rows = [prompts.row(number) for number in batch["number"]]
        return {name: [row[name] for row in rows] for name in rows[0]}

    return Dataset.from_dict({"number": range(count)}).with_transform(made)
