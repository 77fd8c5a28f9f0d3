"""Whether a judge answers, and tells a good edit from none."""

from __future__ import annotations

from collections.abc import AsyncIterator

from editthinker.core.contracts import Judge, Priced
from editthinker.core.types import Judged, Sample
from editthinker.testing.behaviour import photograph
from editthinker.testing.probes.finding import Finding, Meter, Verdict, price, speed
from editthinker.testing.probes.thinkers import MARGIN, SIZE, WORDS, darker

JUDGE_CALLS = 2

Answer = tuple[Verdict, str]


async def examine_judge(judge: Judge, *, quick: bool = False) -> AsyncIterator[Finding]:
    """One finding after the other; `quick` asks for a single score."""
    exam = JudgeExam(judge)
    yield await exam.meter.find("answers", exam.answers)
    if exam.good is None:
        return
    yield await exam.meter.find("latency", exam.latency)
    yield await exam.meter.find("price", exam.price)
    if not quick:
        yield await exam.meter.find("tells good from bad", exam.tells_good_from_bad)


class JudgeExam:
    """What it gave the good edit, to compare with."""

    def __init__(self, judge: Judge) -> None:
        self.judge, self.meter = judge, Meter("judge")
        photo = photograph(*SIZE)
        self.sample, self.dark = Sample((photo,), WORDS), darker(photo)
        self.good: Judged | None = None

    async def answers(self) -> Answer:
        """Reachable, authorised, the right model."""
        self.good = await self.meter.ask(lambda: self.judge.score(self.sample, self.dark))
        return "ok", f"{self.judge.name} gives {self.good.score.semantic:.1f} of 10 to a good edit"

    async def latency(self) -> Answer:
        """Of the first score."""
        return speed(self.meter.last_seconds)

    async def price(self) -> Answer:
        """Of the first score."""
        expected = self.judge.price if isinstance(self.judge, Priced) else 0.0
        return price(expected, self.good.cost if self.good else 0.0)

    async def tells_good_from_bad(self) -> Answer:
        """The photo darkened, and the photo untouched."""
        untouched = await self.meter.ask(lambda: self.judge.score(self.sample, self.sample.source))
        good, bad = self.good.score.semantic if self.good else 0.0, untouched.score.semantic
        if good - bad >= MARGIN:
            return "ok", f"a good edit gets {good:.1f}, an untouched photo {bad:.1f}"
        return "fail", f"an untouched photo gets {bad:.1f}, a good edit {good:.1f}"
