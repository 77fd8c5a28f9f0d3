"""Whether an editor answers, edits, listens, and does what it says of itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import numpy as np

from editthinker.core.contracts import Editor, EditorInfo
from editthinker.core.images import Picture
from editthinker.core.types import Edited, EditRequest
from editthinker.testing.behaviour import photograph
from editthinker.testing.probes.finding import Finding, Meter, Verdict, price, speed

SIZE = (381, 253)
"""Odd on purpose: what works in blocks must give back what it rounded away."""
PLAIN = "make it black and white"
LOOSE = "give it a new mood"
"""Leaves so much open that another seed should do another thing."""
SAME = 0.5
"""Mean difference of pixel values (0..255) below which two edits are one: GPUs do not repeat every bit."""
UNCHANGED = 1.5
"""Likewise for an edit and its source, which an encoder may have passed."""
OUTSIDE = 6.0
"""Likewise outside a mask."""
BLACK = 3.0

Answer = tuple[Verdict, str]
Question = tuple[str, Callable[[], Awaitable[Answer]]]


def editor_calls(info: EditorInfo) -> int:
    """How many edits an examination asks for at most; what an editor does not claim is not asked."""
    seeds, images = 4 * info.seeded, 2 * (info.seeded and info.max_images > 1)
    return 1 + seeds + images + info.mask


async def examine_editor(editor: Editor, *, quick: bool = False) -> AsyncIterator[Finding]:
    """One finding after the other; `quick` sends a single edit. What gives no image is asked no more."""
    exam = EditorExam(editor)
    for question, answer in exam.questions(quick=quick):
        yield await exam.meter.find(question, answer)
        if exam.first is None:
            return


class EditorExam:
    """The edits already made, so that questions share them."""

    def __init__(self, editor: Editor) -> None:
        self.editor, self.meter = editor, Meter("editor")
        self.photo = photograph(*SIZE)
        self.first: Edited | None = None
        self.loose: Edited | None = None
        self._first_seconds = 0.0

    def questions(self, *, quick: bool) -> list[Question]:
        """In the order in which they are asked."""
        one_call: list[Question] = [
            ("answers", self.answers),
            ("keeps the size", self.keeps_size),
            ("edits at all", self.edits),
            ("follows plain words", self.follows),
            ("latency", self.latency),
            ("price", self.price),
        ]
        more: list[Question] = [
            ("words matter", self.words_matter),
            ("same seed", self.same_seed),
            ("other seed", self.other_seed),
            ("several images", self.several_images),
            ("mask", self.mask),
        ]
        return one_call if quick else one_call + more

    async def answers(self) -> Answer:
        """Reachable, authorised, the right model: only a real edit shows that."""
        ready = getattr(self.editor, "ready", None)
        told = f"; {await ready()}" if callable(ready) else ""
        self.first = await self._edit(PLAIN, seed=1)
        self._first_seconds = self.meter.last_seconds
        return "ok", f"{self.editor.info.name} edited a photo{told}"

    async def keeps_size(self) -> Answer:
        """The result must lie over the source, pixel for pixel."""
        size = self._first.image.size
        if size == SIZE:
            return "ok", "the result has the source's size"
        return "fail", f"a source of {SIZE[0]}x{SIZE[1]} came back as {size[0]}x{size[1]}"

    async def edits(self) -> Answer:
        """Neither the input again, nor the black square of a safety checker."""
        if self._first.image.size != SIZE:
            return "skipped", "images of two sizes cannot be compared"
        if self._first.image.flattened().array().mean() < BLACK:
            return "fail", "the result is black, as safety checkers and broken number formats make it"
        if (change := difference(self._first.image, self.photo)) < UNCHANGED:
            return "fail", f"{PLAIN!r} gave the photo back unchanged"
        return "ok", f"{PLAIN!r} changed pixel values by {change:.0f} of 255 on average"

    async def follows(self) -> Answer:
        """Grey is easy to measure."""
        before, after = _colourfulness(self.photo), _colourfulness(self._first.image)
        if after <= 0.25 * before:
            return "ok", f"{PLAIN!r} made it so"
        return "warn", f"{PLAIN!r} left {100 * after / before:.0f} % of the colour"

    async def latency(self) -> Answer:
        """Of the first edit, loading included."""
        return speed(self._first_seconds)

    async def price(self) -> Answer:
        """Of the first edit."""
        return price(self.editor.info.price, self._first.cost)

    async def words_matter(self) -> Answer:
        """Guidance that is silently off shows here: other words, same image."""
        if not self.editor.info.seeded:
            return "skipped", "without a seed two edits differ anyway"
        self.loose = await self._edit(LOOSE, seed=1)
        if difference(self._first.image, self.loose.image) < SAME:
            return "fail", f"{PLAIN!r} and {LOOSE!r} gave the same image: the words do not reach the model"
        return "ok", "other words give another image"

    async def same_seed(self) -> Answer:
        """The same request gives the same image."""
        if self.loose is None:
            return "skipped", "it takes no seed"
        again = await self._edit(LOOSE, seed=1)
        if (change := difference(self.loose.image, again.image)) < SAME:
            return "ok", "the same seed gives the same image"
        return "warn", f"the same seed gave another image ({change:.0f} of 255); runs cannot be repeated"

    async def other_seed(self) -> Answer:
        """Where seeds do nothing, best-of-n makes the same image n times."""
        if self.loose is None:
            return "skipped", "it takes no seed"
        for seed in (2, 3):
            if difference(self.loose.image, (await self._edit(LOOSE, seed=seed)).image) >= SAME:
                return "ok", "another seed gives another image"
        return "warn", "another seed gives the same image; candidates and new seeds bring nothing"

    async def several_images(self) -> Answer:
        """Only the second image changes."""
        info = self.editor.info
        if info.max_images == 1:
            return "skipped", "it takes one image"
        if not info.seeded:
            return "skipped", "without a seed two edits differ anyway"
        words = "combine the first image with the second"
        one, other = [
            await self._edit(words, 1, second)
            for second in (photograph(128, 128, seed=2), photograph(96, 160, seed=8))
        ]
        if difference(one.image, other.image) < SAME:
            return "warn", f"it says it takes {info.max_images} images, but the second makes no difference"
        return "ok", "the second image makes a difference"

    async def mask(self) -> Answer:
        """The right half may not change."""
        if not self.editor.info.mask:
            return "skipped", "it takes no mask"
        width, height = SIZE
        allowed = np.zeros((height, width), np.uint8)
        allowed[:, : width // 2] = 255
        edited = await self._edit(PLAIN, 1, mask=Picture.from_array(allowed))
        half = (width // 2 + 16, 0, width, height)
        outside = difference(_crop(edited.image, half), _crop(self.photo, half))
        if outside > OUTSIDE:
            return "warn", f"outside the mask pixel values changed by {outside:.0f} of 255; use paste-back"
        return "ok", "outside the mask nothing changed"

    @property
    def _first(self) -> Edited:
        assert self.first is not None  # noqa: S101 `examine_editor` ends without it
        return self.first

    async def _edit(self, words: str, seed: int, *more: Picture, mask: Picture | None = None) -> Edited:
        request = EditRequest((self.photo, *more), words, seed, mask)
        return await self.meter.ask(lambda: self.editor.edit(request))


def difference(one: Picture, other: Picture) -> float:
    """Mean absolute difference of pixel values, 0..255; 255 where the sizes differ."""
    if one.size != other.size:
        return 255.0
    return float(np.abs(_colours(one) - _colours(other)).mean())


def _colours(picture: Picture) -> Any:
    return picture.flattened().array().astype(np.int16)


def _colourfulness(picture: Picture) -> float:
    colours = _colours(picture)
    return float((colours.max(axis=2) - colours.min(axis=2)).mean())


def _crop(picture: Picture, box: tuple[int, int, int, int]) -> Picture:
    return Picture(picture.pixels.crop(box))
