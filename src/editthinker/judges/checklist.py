"""Yes/no questions, derived from the instruction once and asked of every candidate.

In: a sample and an edited image. Out: a `Judged` score: semantic is ten times the share of questions answered
yes, quality the answer to a question of its own. The questions are written from the source and the words
alone, before any edited image is seen, and are the same for every candidate; they are remembered for as long
as the judge lives, and in the cache beyond that. Whoever answers them is not shown the instruction.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import replace
from statistics import fmean
from typing import Any, Literal
from weakref import WeakValueDictionary

from pydantic import field_validator

from editthinker.core.errors import EditThinkerError
from editthinker.core.images import Picture
from editthinker.core.types import Judged, Sample, Score
from editthinker.judges import prompts
from editthinker.judges.asking import Answered, ChatJudge, JudgeSettings, Mark, Question, json_question, noted
from editthinker.wire.answers import Answer, Unreadable
from editthinker.wire.prompting import quoted

MOST = 12
"""Questions about one instruction."""
REMEMBERED = 4096
"""Instructions whose questions are kept in memory."""


class Questions(Answer):
    """What is asked for once."""

    questions: list[str]

    @field_validator("questions")
    @classmethod
    def _some(cls, value: list[str]) -> list[str]:
        lines = [" ".join(line.split()) for line in value]
        if not 1 <= len(lines) <= MOST or not all(lines):
            raise ValueError(f"there must be 1 to {MOST} questions, none of them empty")
        if len(set(lines)) != len(lines):
            raise ValueError("a question comes twice")
        return lines


class Ticked(Answer):
    """What is asked for of every candidate."""

    reasoning: str = ""
    answers: list[Literal["yes", "no"]]
    quality: Mark

    @field_validator("answers")
    @classmethod
    def _some(cls, value: list[Literal["yes", "no"]]) -> list[Literal["yes", "no"]]:
        if not value:
            raise ValueError("there must be an answer to every question")
        return value

    @property
    def score(self) -> Score:
        """Share of yes, and quality."""
        return Score(10 * self.answers.count("yes") / len(self.answers), self.quality)


class ChecklistJudge:
    """The judge behind `checklist:MODEL`."""

    Settings = JudgeSettings

    def __init__(self, model: str, settings: JudgeSettings, *, name: str = "checklist") -> None:
        """No connection is made yet. Raises `InputError` for a key that is not there."""
        self.name = name
        self._judge = ChatJudge(model, settings, name=name)
        self._known: OrderedDict[tuple[str, ...], tuple[str, ...]] = OrderedDict()
        self._writing: WeakValueDictionary[tuple[Any, ...], asyncio.Lock] = WeakValueDictionary()
        """Who writes questions for a sample; other candidates of it wait for them."""

    @property
    def price(self) -> float | None:
        """US dollars one judgement is expected to cost, its share of the questions left out."""
        return self._judge.price

    async def score(self, sample: Sample, edited: Picture) -> Judged:
        """Score `edited` as an answer to `sample`. Raises `JudgeError`."""
        questions, written = await self._questions(sample)
        try:
            answers = await self._judge.sampled(_of_candidate(sample, edited, questions))
        except EditThinkerError as error:
            error.cost += written.cost if written else 0.0
            raise
        scores = [answer.answer.score for answer in answers]
        semantic, quality = [score.semantic for score in scores], [score.quality for score in scores]
        yes = [
            sum(answer.answer.answers[number] == "yes" for answer in answers) / len(answers)
            for number in range(len(questions))
        ]
        notes = {
            **noted(answers, len(answers), semantic=semantic, quality=quality),
            "questions": list(questions),
            "yes": yes,
            **({"questions_written": dict(written.notes)} if written else {}),
        }
        cost = sum(answer.cost for answer in answers) + (written.cost if written else 0.0)
        return Judged(Score(fmean(semantic), fmean(quality)), answers[0].reasoning, cost, notes)

    async def _questions(self, sample: Sample) -> tuple[tuple[str, ...], Answered[Questions] | None]:
        """The questions of a sample, and how they were written, if that was now."""
        key = await asyncio.to_thread(_key, sample)
        # A lock belongs to its loop. Who holds it writes in their own task: cancelling them stops the call.
        place = (id(asyncio.get_running_loop()), *key)
        lock = self._writing.setdefault(place, asyncio.Lock())
        async with lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key], None
            written = await self._judge.ask(
                json_question(prompts.parts("checklist_questions", sample, most=str(MOST)), Questions)
            )
            self._known[key] = tuple(written.answer.questions)
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
            return self._known[key], written


def _key(sample: Sample) -> tuple[str, ...]:
    mask = sample.mask.sha256 if sample.mask else ""
    return (sample.instruction, mask, *(image.sha256 for image in sample.images))


def _of_candidate(sample: Sample, edited: Picture, questions: tuple[str, ...]) -> Question[Ticked]:
    listed = "\n".join(f"{number}. {words}" for number, words in enumerate(questions, start=1))
    parts = prompts.parts("checklist", sample, edited=edited, questions=quoted(listed))

    def read(text: str) -> Ticked:
        ticked = Ticked.read(text)
        if len(ticked.answers) != len(questions):
            raise Unreadable(
                f'"answers" has {len(ticked.answers)} for {len(questions)} questions; give one for each'
            )
        return ticked

    return replace(json_question(parts, Ticked), read=read)
