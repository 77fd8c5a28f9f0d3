"""A chat model asked as a judge: again when its reply cannot be read, several times if wanted, never twice.

In: a chat model, the parts of a prompt in order, and how the reply is read. Out: what was read, with what it
took; or a `JudgeError` that knows what was spent, `refused` when the model declined. Nothing is ever guessed.
Whoever has prompts and readers of their own, such as a benchmark, uses `ChatJudge.answer`.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean, stdev
from typing import Annotated, Any, Generic, Literal, Protocol, TypeVar

from pydantic import BeforeValidator, Field

from editthinker.core.declining import is_refusal
from editthinker.core.errors import EditThinkerError, StoreError
from editthinker.core.images import Picture
from editthinker.judges.cache import AnswerCache, key_of
from editthinker.wire.answers import Answer, Unreadable
from editthinker.wire.chat import Chat, ChatReply, ChatSettings, Encoded, Guide, Sampling
from editthinker.wire.prompting import complaint


def _no_truth_value(value: object) -> object:
    if isinstance(value, bool):  # which would pass as 0 or 1
        raise ValueError("must be a number")
    return value


Number = Annotated[float, BeforeValidator(_no_truth_value)]
Mark = Annotated[Number, Field(ge=0, le=10)]
"""A score in an answer, 0..10."""
A = TypeVar("A")
J = TypeVar("J", bound=Answer)

_USUAL = Sampling()


class JudgeSettings(ChatSettings):
    """What can be set on a judge that is a chat model."""

    samples: int = Field(
        1, ge=1, le=64, description="asked this often; the mean counts and the spread is noted"
    )
    reasks: int = Field(
        2, ge=0, le=10, description="how often a reply that cannot be read is asked for again"
    )
    cache: str = Field(
        "",
        description="folder that keeps answers: the same prompt, images, model and parameters are not asked"
        " twice, at whatever address; '' keeps none",
    )


class Speaker(Protocol):
    """What answers: `wire.chat.Chat`, or a model in this process with the same verb."""

    model: str

    @property
    def price(self) -> float | None:
        """US dollars one question is expected to cost; None when unknown."""
        ...

    def failure(self, sentence: str, cost: float = 0.0) -> EditThinkerError:
        """An error of the judge."""
        ...

    async def ask(
        self, parts: Sequence[str | Picture | Encoded], guide: Guide | None, sampling: Sampling
    ) -> ChatReply:
        """One reply. Raises `JudgeError`."""
        ...


class Shown(Protocol):
    """An image as somebody else's recipe wants it sent."""

    @property
    def media_type(self) -> str:
        """What the judge is told."""
        ...

    @property
    def detail(self) -> str:
        """OpenAI's image detail; "" leaves it to the settings."""
        ...

    def encoded(self) -> bytes:
        """The bytes to send; may block. Raises `ImageError`."""
        ...


class Request(Protocol):
    """One user message of somebody else's: a benchmark's."""

    @property
    def parts(self) -> Sequence[str | Any]:
        """Texts and images (`Shown` or `Picture`) in order."""
        ...

    @property
    def temperature(self) -> float | None:
        """None leaves it to the settings."""
        ...

    @property
    def max_tokens(self) -> int | None:
        """None leaves it to the settings."""
        ...


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back to a request; whether it can be read is the asker's business."""

    text: str
    outcome: Literal["answered", "refused"]
    """`refused` by the provider or in the model's own field for it; `text` then says so. Words that decline
    are `answered`: only who cannot read them knows that they are no answer (`core.declining`)."""
    model: str
    """Id of the model that answered, as the server says it."""
    cost: float = 0.0
    """US dollars; 0 for a kept answer, of which `notes` say "cached"."""
    finish: str = ""
    notes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Question(Generic[A]):
    """What is asked, and how the reply is read."""

    parts: Sequence[str | Picture | Encoded]
    read: Callable[[str], A]
    """Raises `Unreadable` with a sentence fit to be told to the model."""
    guide: Guide | None = None
    sampling: Sampling = _USUAL
    sample: int = 0
    """Which of several askings this is."""
    whole: bool = True
    """Whether a reply that was cut off is no answer."""


@dataclass(frozen=True, slots=True)
class Answered(Generic[A]):
    """What the judge said, and what it took."""

    answer: A
    reply: ChatReply
    cost: float
    """US dollars of all attempts; 0 for a kept answer."""
    notes: Mapping[str, Any]

    @property
    def reasoning(self) -> str:
        """The judge's own words."""
        return str(getattr(self.answer, "reasoning", "")) or self.reply.reasoning


class ChatJudge:
    """What every judge that speaks is built on, and the judge for prompts of one's own (`answer`)."""

    Settings = JudgeSettings

    def __init__(self, model: str, settings: JudgeSettings, *, name: str, speaker: Speaker | None = None):
        """No connection is made yet. Raises `InputError` for a key that is not there, or a bad cache."""
        self.name, self.settings = name, settings
        self.speaker: Speaker = speaker or Chat(model, settings, "judge", name)
        self._cache = AnswerCache(settings.cache) if settings.cache else None

    @property
    def price(self) -> float | None:
        """US dollars one question, with all its samples, is expected to cost; None when that is unknown."""
        return None if self.speaker.price is None else self.settings.samples * self.speaker.price

    async def answer(self, request: Request, *, complaint_of_last: str = "", sample: int = 0) -> Reply:
        """The reply to somebody else's request, whatever it says; one asking, images as the request wants.

        `complaint_of_last` says why the last reply could not be read, `sample` which asking of several it is.
        Raises `JudgeError` when nothing came back, and `ImageError` for an image that cannot be sent.
        """
        parts = [await asyncio.to_thread(_encoded, part) for part in request.parts]
        if complaint_of_last:
            parts.append(complaint(complaint_of_last))
        sampling = Sampling(temperature=request.temperature, max_tokens=request.max_tokens)
        question = Question(parts, str, sampling=sampling, sample=sample, whole=False)
        try:
            said = await self.ask(question)
        except EditThinkerError as error:
            if not error.refused:
                raise
            return Reply(str(error), "refused", self.speaker.model, error.cost, "content_filter")
        model = str(said.notes.get("model", self.speaker.model))
        return Reply(said.answer, "answered", model, said.cost, said.reply.finish, said.notes)

    async def sampled(self, *questions: Question[A]) -> list[Answered[A]]:
        """To each question in turn as many answers as the settings want; all are asked at the same time.

        Raises the first failure when one fails, with the cost of all.
        """
        asked = [replace(one, sample=number) for one in questions for number in range(self.settings.samples)]
        return await _together([self.ask(question) for question in asked])

    async def ask(self, question: Question[A]) -> Answered[A]:
        """One answer. Raises `JudgeError` with the cost of all attempts."""
        key = await asyncio.to_thread(self._key, question) if self._cache else ""
        if kept := await self._kept(key, question):
            return kept
        cost, complained = 0.0, ""
        for asked in range(self.settings.reasks + 1):
            parts = (*question.parts, complaint(complained)) if complained else question.parts
            try:
                reply = await self.speaker.ask(parts, question.guide, self._sampling(question))
            except EditThinkerError as error:
                error.cost += cost
                raise
            cost += reply.cost
            try:
                answer = self._read(question, reply)
            except Unreadable as error:
                if is_refusal(reply.text):
                    declined = self.speaker.failure(f"refused: {' '.join(reply.text.split())[:400]}", cost)
                    declined.refused = True
                    raise declined from None
                complained = str(error)
            else:
                noted = {**self._noted(reply), **({"reasks": asked} if asked else {})}
                noted |= await self._keep(key, reply)
                return Answered(answer, reply, cost, noted)
        times = self.settings.reasks + 1
        raise self.speaker.failure(
            f"gave no judgement that can be read, asked {times} times: {complained}", cost
        )

    async def _kept(self, key: str, question: Question[A]) -> Answered[A] | None:
        """The answer kept in the cache, if there is one that can be read."""
        if not self._cache or (reply := await asyncio.to_thread(self._cache.get, key)) is None:
            return None
        try:
            answer = self._read(question, reply)
        except Unreadable:  # kept by another version of the reader
            return None
        return Answered(answer, reply, 0.0, {**self._noted(reply), "cached": True})

    async def _keep(self, key: str, reply: ChatReply) -> dict[str, str]:
        if not self._cache:
            return {}
        try:
            await asyncio.to_thread(self._cache.put, key, reply)
        except StoreError as error:  # the answer was paid for and counts all the same
            return {"not_cached": str(error)}
        return {}

    def _read(self, question: Question[A], reply: ChatReply) -> A:
        if question.whole and reply.finish == "length":
            tokens = question.sampling.over(self.settings).max_tokens
            raise Unreadable(f"the reply was cut off at {tokens} tokens; answer more briefly")
        return question.read(reply.text)

    def _sampling(self, question: Question[Any]) -> Sampling:
        """Every sample has a seed of its own, where there is one at all."""
        seed = question.sampling.seed if question.sampling.seed is not None else self.settings.seed
        return replace(question.sampling, seed=None if seed is None else seed + question.sample)

    def _noted(self, reply: ChatReply) -> dict[str, Any]:
        """The reply's notes; an alias that the server took for another model stands beside its answer."""
        answered_by = reply.notes.get("model", self.speaker.model)
        alias = {"asked_model": self.speaker.model} if answered_by != self.speaker.model else {}
        return {**reply.notes, **alias}

    def _key(self, question: Question[Any]) -> str:
        settings, guide = self.settings, question.guide
        pictures = settings.model_dump(include={"pixels", "side", "image_format", "detail"})
        sampling = self._sampling(question).over(settings)
        return key_of(
            {
                "model": self.speaker.model,
                "parts": [_content(part, pictures) for part in question.parts],
                "temperature": sampling.temperature,
                "seed": sampling.seed,
                "max_tokens": sampling.max_tokens,
                "guide": [guide.schema, guide.regex, settings.guided] if guide else None,
                "extra": settings.extra,
                "sample": question.sample,
            }
        )


def json_question(parts: Sequence[str | Picture], kind: type[J]) -> Question[J]:
    """A question whose answer is one JSON object."""
    return Question(parts, kind.read, Guide(kind.schema()))


async def _together(asking: Sequence[Awaitable[Answered[A]]]) -> list[Answered[A]]:
    """All answers, asked at the same time. Raises the first failure, with the cost of all."""
    outcomes = await asyncio.gather(*asking, return_exceptions=True)
    answers = [outcome for outcome in outcomes if isinstance(outcome, Answered)]
    failures = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    if failures:
        first, *others = failures
        if isinstance(first, EditThinkerError):
            first.cost += sum(answer.cost for answer in answers)
            first.cost += sum(error.cost for error in others if isinstance(error, EditThinkerError))
        raise first
    return answers


def noted(answers: Sequence[Answered[Any]], samples: int, **numbers: Sequence[float]) -> dict[str, Any]:
    """Notes of one answer or of several; of several samples, `numbers` with mean and deviation (n - 1)."""
    if len(answers) == 1:
        return dict(answers[0].notes)
    notes: dict[str, Any] = {
        key: answers[0].notes[key] for key in ("model", "asked_model") if key in answers[0].notes
    }
    if all("cached" in answer.notes for answer in answers):
        notes["cached"] = True
    if samples > 1:
        notes["samples"] = samples
        notes["mean"] = {name: round(fmean(values), 4) for name, values in numbers.items()}
        notes["std"] = {name: round(stdev(values), 4) for name, values in numbers.items()}
    return {**notes, "asked": [dict(answer.notes) for answer in answers]}


def _encoded(part: Any) -> str | Picture | Encoded:
    if isinstance(part, str | Picture | Encoded):
        return part
    return Encoded(part.encoded(), part.media_type, part.detail)


def _content(part: str | Picture | Encoded, shown: Mapping[str, Any]) -> dict[str, Any]:
    """A part as it enters the key of the cache."""
    if isinstance(part, str):
        return {"text": part}
    if isinstance(part, Picture):
        return {"picture": part.sha256, "shown": dict(shown)}
    digest = hashlib.sha256(part.data).hexdigest()
    return {"bytes": digest, "type": part.media_type, "detail": part.detail or shown["detail"]}
