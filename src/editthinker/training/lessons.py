"""Steps as TRL reads them: by number, so that a resumed training sees what it would have seen.

In: steps as `data` writes them, the question of a style, a processor. Out: `Steps`, a folder that holds what
can be learned from, one JSON line each, and opens images only when a lesson is asked for: in memory are 16
bytes a step. One that is too long is left out, never cut: a cut prompt loses image tokens, a cut reply its
end (TRL's `max_length` cuts both in silence).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from editthinker.core.contracts import View
from editthinker.core.errors import ImageError, InputError
from editthinker.core.files import shown
from editthinker.core.images import Picture
from editthinker.core.types import Sample
from editthinker.data import rows
from editthinker.data.exporting import Ask, answer, conversation, usable
from editthinker.data.licences import Origins
from editthinker.data.records import StepRow
from editthinker.data.stage import MANIFEST, Counts, Stage, begun
from editthinker.thinkers import prompts

FILE = "steps.jsonl"
BROKEN = "broken.jsonl"
"""Beside it: steps whose images turned out to be broken while they were learned from."""
MOST_BROKEN = 100
"""Steps in a row that cannot be shown before the training gives up."""

Lesson = dict[str, Any]


def asking(style: str, prompt: Path | None) -> Ask:
    """What a thinker is asked about a step, in the words of `thinkers.prompts`; only masks are opened.

    It is letter for letter what the loop asked, as far as the row kept what that knew of the editor. Raises
    `InputError` for a prompt that tells of earlier turns, which a step does not know.
    """
    loaded = prompts.load(style, str(prompt or ""))
    if "history" in loaded.template.places:
        raise InputError("this prompt tells of the turns before, which no step knows; use the style grammar")

    def ask(step: StepRow) -> tuple[str | int, ...]:
        stands_for = [Picture(Image.new("RGB", (1, 1))) for _ in range(1 + len(step.images))]
        source, edited, *others = stands_for
        mask = Picture.open(step.mask.path) if step.mask else None
        sample = Sample((source, *others), step.instruction, mask=mask)
        editor = step.about.info(step.editor) if step.about else None
        parts = loaded.parts(View(sample, step.sent, edited, editor=editor))
        return tuple(p if isinstance(p, str) else stands_for.index(p) for p in parts)

    return ask


@dataclass(frozen=True)
class Limits:
    """What a lesson may be."""

    tokens: int
    """Of question, images and answer together."""
    pixels: int
    """Images are shrunk to so many."""
    steps: int | None = None
    """Only the first so many that can be used."""
    answered: bool = True
    """An answer is needed to imitate; to be rewarded, a score is enough."""


class Steps:
    """Lessons by number."""

    def __init__(self, folder: Path, ask: Ask, pixels: int) -> None:
        """Open what `prepare` made."""
        import numpy as np

        self.folder, self._ask, self._pixels = folder, ask, pixels
        self.manifest: Mapping[str, Any] = json.loads((folder / MANIFEST).read_bytes())
        self._file = folder / FILE
        starts = [0]
        with self._file.open("rb") as stream:
            starts += [stream.tell() for _ in iter(stream.readline, b"")]
        self._starts = np.array(starts[:-1], np.int64)

    def __len__(self) -> int:
        return len(self._starts)

    @property
    def left_out(self) -> dict[str, int]:
        """How many steps are no lessons, by reason."""
        return dict(self.manifest["counts"]["dropped"])

    @property
    def tokens(self) -> float:
        """Of a lesson, on average."""
        return float(self.manifest["counts"]["facts"]["tokens_mean"])

    @property
    def inputs(self) -> list[dict[str, str]]:
        """What was read: name and sha256."""
        return list(self.manifest["inputs"])

    @property
    def origins(self) -> list[dict[str, Any]]:
        """Licence and provenance of the steps, with their numbers."""
        return list(self.manifest["origins"])

    def row(self, number: int) -> StepRow:
        """The step itself, image paths absolute."""
        with self._file.open("rb") as stream:
            stream.seek(int(self._starts[number]))
            row = StepRow.model_validate_json(stream.readline())
        return rows.with_paths(row, lambda path: os.path.normpath(self.folder.resolve() / path))

    def answer(self, number: int) -> str:
        """What should be replied; empty when nobody wrote it."""
        return answer(self.row(number)) or ""

    def __getitem__(self, number: int) -> Lesson:
        """The lesson as TRL takes it; if its images are broken the next whole one, always the same."""
        for further in range(min(MOST_BROKEN, len(self))):
            row = self.row((number + further) % len(self))
            try:
                return self._lesson(row)
            except ImageError as error:
                self._note(row, error)
        raise InputError(
            f"{MOST_BROKEN} steps in a row have images that cannot be read;"
            f" {shown(str(self.folder / BROKEN))} names them"
        )

    def _lesson(self, row: StepRow) -> Lesson:
        lesson, images = conversation(row, self._ask)
        known = {
            "turn": row.turn,
            "sources": [image.path for image in row.images],
            "mask": row.mask.path if row.mask else "",
            "tags": dict(row.tags),
        }
        return {**lesson, **known, "images": [shown_as(Path(path), self._pixels) for path in images]}

    def _note(self, row: StepRow, error: ImageError) -> None:
        line = json.dumps({"id": row.own, "why": str(error)}).encode() + b"\n"
        descriptor = os.open(self.folder / BROKEN, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, line)  # at once: several processes append
        finally:
            os.close(descriptor)

    def dataset(self) -> Any:
        """What TRL's trainers take: a `datasets.Dataset` of numbers that become lessons when asked for."""
        from datasets import Dataset

        def lessons(batch: Mapping[str, Sequence[int]]) -> dict[str, list[Any]]:
            made = [self[number] for number in batch["number"]]
            return {name: [lesson[name] for lesson in made] for name in made[0]}

        return Dataset.from_dict({"number": range(len(self))}).with_transform(lessons)


def prepare(
    folder: Path, paths: Sequence[Path], style: str, prompt: Path | None, processor: Any, limits: Limits
) -> Steps:
    """Read the steps, leave out what cannot be a lesson, and write the rest to `folder` if it is not there.

    Raises `InputError` when nothing can be used.
    """
    ask = asking(style, prompt)
    if not (folder / MANIFEST).is_file():
        parameters = {"style": style, "prompt": prompt and prompt.name, **vars(limits)}
        source, origins = rows.Source(StepRow, tuple(paths)), Origins()
        with begun("lessons", folder, parameters) as stage:
            fitting = _fitting(usable(source.read(stage.counts), stage.counts, answered=limits.answered),
                               stage, ask, processor, limits)  # fmt: skip
            with stage.file(FILE) as file:
                for row in origins.watched(fitting):
                    file.write(rows.written(row, stage.out.resolve()))
            stage.inputs = source.inputs
            stage.found["origins"] = origins.as_json()
    return Steps(folder, ask, limits.pixels)


def _fitting(
    steps: Iterator[StepRow], stage: Stage, ask: Ask, processor: Any, limits: Limits
) -> Iterator[StepRow]:
    """The steps short enough; tells the manifest how long they are."""
    counts, measure = stage.counts, measuring(processor, limits.pixels)
    total = longest = kept = 0
    for step in steps:
        counts.kept -= 1  # `usable` has counted it already
        try:
            lesson, images = conversation(step, ask)
            tokens = measure(lesson, images)
        except ImageError as error:
            counts.drop("broken_image", f"{step.own}: {error}")
            continue
        if tokens > limits.tokens:
            counts.drop("too_long", f"{step.own}: {tokens} tokens")
            continue
        if kept == limits.steps:
            counts.note("beyond_limit")
            continue
        counts.kept, kept = counts.kept + 1, kept + 1
        total, longest = total + tokens, max(longest, tokens)
        yield step
    counts.facts.update(tokens_mean=round(total / kept, 2) if kept else 0, tokens_longest=longest)


def measuring(processor: Any, pixels: int) -> Callable[[Lesson, Sequence[str]], int]:
    """How many tokens a lesson has, of which only the heads of the images are read."""

    def measure(lesson: Lesson, images: Sequence[str]) -> int:
        text = processor.apply_chat_template(lesson["prompt"] + lesson["completion"], tokenize=False)
        words = len(processor.tokenizer(text, add_special_tokens=False)["input_ids"])
        sizes = [_size(Path(path), pixels)[::-1] for path in images]
        seen = processor._get_num_multimodal_tokens(image_sizes=sizes)["num_image_tokens"]
        return int(words + sum(seen) - len(sizes))  # each image is one word of the text

    return measure


def _size(path: Path, pixels: int) -> tuple[int, int]:
    """Width and height in which an image is shown. Raises `ImageError`."""
    try:
        with Image.open(path) as image:
            size = image.size
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise ImageError(f"{shown(str(path))} cannot be read as an image") from error
    scale = min(1.0, (pixels / (size[0] * size[1])) ** 0.5)
    return max(1, int(size[0] * scale)), max(1, int(size[1] * scale))


def shown_as(path: Path, pixels: int) -> Image.Image:
    """The image as `local:` shows it: upright, over white, shrunk. Raises `ImageError`."""
    return Picture.open(path).flattened().within(pixels).pixels


__all__ = ["Counts", "Limits", "Steps", "asking", "measuring", "prepare", "shown_as"]
