"""Whether a thinker answers in the grammar, sees both images, and knows which of them is the edit."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

from PIL import ImageEnhance, ImageOps

from editthinker.core.contracts import Priced, Thinker, View
from editthinker.core.errors import ReplyError
from editthinker.core.images import Picture
from editthinker.core.types import Critique, Sample, Thought
from editthinker.testing.behaviour import photograph
from editthinker.testing.probes.finding import Finding, Meter, Verdict, price, speed

THINKER_CALLS = 5
"""Critiques at most: four, and one asked again."""

SIZE = (381, 253)
WORDS = "make it much darker"
"""Has a direction: with the two images in the wrong order the opposite was done."""
MARGIN = 0.5
"""By how much two of its scores (0..10) must differ to count as different."""

Answer = tuple[Verdict, str]


def darker(photo: Picture) -> Picture:
    """What `WORDS` ask for, exactly."""
    return Picture(ImageEnhance.Brightness(photo.pixels).enhance(0.45))


async def examine_thinker(thinker: Thinker, *, quick: bool = False) -> AsyncIterator[Finding]:
    """One finding after the other; `quick` asks for a single critique."""
    exam = ThinkerExam(thinker)
    yield await exam.meter.find("answers", exam.answers)
    if exam.good is None:
        return
    yield await exam.meter.find("latency", exam.latency)
    yield await exam.meter.find("price", exam.price)
    if not quick:
        yield await exam.meter.find("tells good from bad", exam.tells_good_from_bad)
        yield await exam.meter.find("order of images", exam.knows_order)
        yield await exam.meter.find("sees the source", exam.sees_source)


class ThinkerExam:
    """What it thought of the good edit, to compare with."""

    def __init__(self, thinker: Thinker) -> None:
        self.thinker, self.meter = thinker, Meter("thinker")
        self.photo = photograph(*SIZE)
        self.dark = darker(self.photo)
        self.good: Thought | None = None
        self._seconds = 0.0

    async def answers(self) -> Answer:
        """Reachable, authorised, the right model, and a reply that can be read."""
        ready = getattr(self.thinker, "ready", None)
        if callable(ready):
            await ready()
        view = self._view(self.photo, self.dark)
        again = False
        try:
            thought = await self.meter.ask(lambda: self.thinker.think(view))
        except ReplyError as error:
            again, asked = True, replace(view, complaint=str(error))
            thought = await self.meter.ask(lambda: self.thinker.think(asked))
        self._seconds = self.meter.last_seconds
        if (rated := _rating(thought.critique)) is None:
            return "fail", "its critique has neither a score nor a verdict"
        self.good = thought
        if again:
            return "warn", "its first reply could not be read, the second could; each such turn costs a call"
        return "ok", f"{self.thinker.name} gives {rated:.1f} of 10 to a good edit"

    async def latency(self) -> Answer:
        """Of the first critique, loading included."""
        return speed(self._seconds)

    async def price(self) -> Answer:
        """Of the first critique."""
        expected = self.thinker.price if isinstance(self.thinker, Priced) else None
        paid = self.good.cost if self.good else 0.0
        known = isinstance(self.thinker, Priced) or paid
        return price(expected, paid) if known else ("ok", "it names no price; what runs here costs nothing")

    async def tells_good_from_bad(self) -> Answer:
        """The photo darkened, and the photo untouched."""
        good, bad = self._good, await self._rated(self.photo, self.photo)
        if good - bad >= MARGIN:
            return "ok", f"a good edit gets {good:.1f}, an untouched photo {bad:.1f}"
        if bad - good >= MARGIN:
            return "fail", f"an untouched photo gets {bad:.1f}, a good edit only {good:.1f}"
        return "fail", f"a good edit and an untouched photo both get {good:.1f}: it does not see the result"

    async def knows_order(self) -> Answer:
        """The same two images the other way round: now it became brighter."""
        good, swapped = self._good, await self._rated(self.dark, self.photo)
        if good - swapped >= MARGIN:
            return "ok", f"with the images swapped the score falls to {swapped:.1f}"
        if swapped - good >= MARGIN:
            return "fail", "it takes the source for the result: the images arrive in the wrong order"
        return "fail", f"the images swapped get the same {good:.1f}: it does not know which is the result"

    async def sees_source(self) -> Answer:
        """The result of another photo is no edit of this one."""
        another = Picture(ImageOps.flip(photograph(*SIZE, seed=5).pixels))
        good, foreign = self._good, await self._rated(another, self.dark)
        if good - foreign >= MARGIN:
            return "ok", f"the result of another photo gets {foreign:.1f}"
        return "warn", f"the result of another photo gets {foreign:.1f} too: it may not look at the source"

    @property
    def _good(self) -> float:
        return (_rating(self.good.critique) if self.good else None) or 0.0

    async def _rated(self, source: Picture, edited: Picture) -> float:
        thought = await self.meter.ask(lambda: self.thinker.think(self._view(source, edited)))
        return _rating(thought.critique) or 0.0

    @staticmethod
    def _view(source: Picture, edited: Picture) -> View:
        return View(Sample((source,), WORDS), WORDS, edited)


def _rating(critique: Critique) -> float | None:
    """How well the words were followed, 0..10; a bare verdict is all or nothing."""
    if critique.score is not None:
        return float(critique.score.semantic)
    return None if critique.satisfied is None else 10.0 * critique.satisfied
