"""A chat model compares two edited images, asked both ways round so that its liking for a place cancels.

In: a sample and two images. Out: a `Preference`. Both ways are asked at the same time, each as often as the
settings want samples. What the two ways agree on counts; when they disagree, it is a tie.
"""

from __future__ import annotations

from statistics import fmean
from typing import Any, Literal

from editthinker.core.images import Picture
from editthinker.core.types import Preference, Sample
from editthinker.judges import prompts
from editthinker.judges.asking import ChatJudge, JudgeSettings, json_question, noted
from editthinker.wire.answers import Answer


class Comparison(Answer):
    """What the judge is asked for."""

    reasoning: str = ""
    better: Literal["first", "second", "tie"]


_SIDES: dict[str, Literal[-1, 0, 1]] = {"first": -1, "tie": 0, "second": 1}


class PairwiseJudge:
    """The judge behind `pairwise:MODEL`."""

    Settings = JudgeSettings

    def __init__(self, model: str, settings: JudgeSettings, *, name: str = "pairwise") -> None:
        """No connection is made yet. Raises `InputError` for a key that is not there."""
        self.name = name
        self._judge = ChatJudge(model, settings, name=name)

    @property
    def price(self) -> float | None:
        """US dollars one comparison, both ways and all samples, is expected to cost; None when unknown."""
        return None if self._judge.price is None else 2 * self._judge.price

    async def prefer(self, sample: Sample, first: Picture, second: Picture) -> Preference:
        """Which of the two answers `sample` better. Raises `JudgeError`."""
        if first.sha256 == second.sha256:
            return Preference(0, "the two images are the same")
        ways = ((first, second), (second, first))
        questions = [
            json_question(prompts.parts("pairwise", sample, first=one, second=other), Comparison)
            for one, other in ways
        ]
        samples = self._judge.settings.samples
        answers = await self._judge.sampled(*questions)
        sides = [_SIDES[answer.answer.better] for answer in answers]
        forth, back = sides[:samples], [-side for side in sides[samples:]]
        agreed = _sign(sum(forth)) if _sign(sum(forth)) == _sign(sum(back)) else None
        notes: dict[str, Any] = {
            **noted(answers, samples, better=[*forth, *back]),
            "answers": [answer.answer.better for answer in answers],
            "place_bias": (fmean(back) - fmean(forth)) / 2,  # 1: always the first, -1: always the second
        }
        cost = sum(answer.cost for answer in answers)
        if agreed is None:
            return Preference(0, "its two answers disagree", cost, notes)
        return Preference(agreed, answers[0].reasoning, cost, notes)


def _sign(number: float) -> Literal[-1, 0, 1]:
    return 0 if number == 0 else 1 if number > 0 else -1
