"""Judges, comparers and planners that follow a script, for the loop's own tests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from editthinker.core.contracts import EditorInfo
from editthinker.core.images import Picture
from editthinker.core.types import Critique, Judged, Plan, Preference, Sample, Score
from editthinker.testing import ScriptedThinker


def says(words: str, scores: tuple[float, float] | None = (5, 5), **more: Any) -> Critique:
    """A critique that asks for these words."""
    return Critique(Score(*scores) if scores else None, "because", words, **more)


class Judging:
    """Plays its scores, then gives 5 and 5."""

    name = "judging"

    def __init__(
        self, *script: tuple[float, float] | Exception, cost: float = 0.0, seconds: float = 0
    ) -> None:
        self.asked: list[tuple[Sample, Picture]] = []
        self._script, self._cost, self._seconds = list(script), cost, seconds

    async def score(self, sample: Sample, edited: Picture) -> Judged:
        self.asked.append((sample, edited))
        step = self._script.pop(0) if self._script else (5, 5)
        await asyncio.sleep(self._seconds)
        if isinstance(step, Exception):
            raise step
        return Judged(Score(*step), cost=self._cost)


class Comparing:
    """Answers by a rule; remembers what it was shown."""

    name = "comparing"

    def __init__(self, rule: Callable[[Picture, Picture], Any]) -> None:
        self.asked: list[tuple[Sample, Picture, Picture]] = []
        self._rule = rule

    async def prefer(self, sample: Sample, first: Picture, second: Picture) -> Preference:
        self.asked.append((sample, first, second))
        answer = self._rule(first, second)
        if isinstance(answer, Exception):
            raise answer
        return Preference(answer)


class Planning(ScriptedThinker):
    """A scripted thinker with a plan."""

    def __init__(self, *steps: str, script: tuple[Any, ...] = (), fails: tuple[Exception, ...] = ()) -> None:
        super().__init__(*script)
        self.steps, self.fails = steps, list(fails)
        self.planned: list[tuple[Sample, EditorInfo]] = []

    async def plan(self, sample: Sample, editor: EditorInfo) -> Plan:
        self.planned.append((sample, editor))
        if self.fails:
            raise self.fails.pop(0)
        return Plan(self.steps, "two things are asked for")
