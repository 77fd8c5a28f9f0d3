"""A chat model scores an edited image by our rubric, in the manner of VIEScore (arXiv 2312.14867).

In: a sample and an edited image. Out: a `Judged` score. Four parts are asked for; as in VIEScore the worse of
two counts: semantic is the lower of following and preservation, quality of naturalness and soundness. Of
several samples the mean counts; the notes say how far they were apart.
"""

from __future__ import annotations

from statistics import fmean

from editthinker.core.images import Picture
from editthinker.core.types import Judged, Sample, Score
from editthinker.judges import prompts
from editthinker.judges.asking import ChatJudge, JudgeSettings, Mark, json_question, noted
from editthinker.wire.answers import Answer

PARTS = ("following", "preservation", "naturalness", "soundness")


class Rubric(Answer):
    """What the judge is asked for."""

    reasoning: str = ""
    following: Mark
    preservation: Mark
    naturalness: Mark
    soundness: Mark

    @property
    def score(self) -> Score:
        """The worse of two parts, twice."""
        return Score(
            semantic=min(self.following, self.preservation), quality=min(self.naturalness, self.soundness)
        )


class RubricJudge:
    """The judge behind `rubric:MODEL`."""

    Settings = JudgeSettings

    def __init__(self, model: str, settings: JudgeSettings, *, name: str = "rubric") -> None:
        """No connection is made yet. Raises `InputError` for a key that is not there."""
        self.name = name
        self._judge = ChatJudge(model, settings, name=name)

    @property
    def price(self) -> float | None:
        """US dollars one judgement, with all its samples, is expected to cost; None when that is unknown."""
        return self._judge.price

    async def score(self, sample: Sample, edited: Picture) -> Judged:
        """Score `edited` as an answer to `sample`. Raises `JudgeError`."""
        question = json_question(prompts.parts("rubric", sample, edited=edited), Rubric)
        answers = await self._judge.sampled(question)
        scores = [answer.answer.score for answer in answers]
        semantic, quality = [score.semantic for score in scores], [score.quality for score in scores]
        notes = {
            **noted(answers, len(answers), semantic=semantic, quality=quality),
            **{part: fmean(getattr(answer.answer, part) for answer in answers) for part in PARTS},
        }
        cost = sum(answer.cost for answer in answers)
        return Judged(Score(fmean(semantic), fmean(quality)), answers[0].reasoning, cost, notes)
