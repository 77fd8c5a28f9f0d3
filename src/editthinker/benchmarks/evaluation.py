"""Edited images put before a judge: what was asked already is not asked again, and nothing is lost.

In: a benchmark, its cases, the images of a run or of a results folder, a judge. Out: replies in the run's
`judged.sqlite`, each durable before the next question is asked; what came of it all as an `Ended`. Tables are
made by `scoring`, from the file alone.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import random
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final, Literal, Protocol

from editthinker.benchmarks.abreast import Abreast
from editthinker.benchmarks.course import SOURCE, courses_of
from editthinker.benchmarks.judged import About, Asked, Judged
from editthinker.benchmarks.layout import find_results
from editthinker.benchmarks.prompts import Prompts
from editthinker.benchmarks.showing import Shown, Source, bytes_of
from editthinker.benchmarks.suite import Benchmark, Case, JudgeCall, Reply, Unparsed
from editthinker.core.calls import FIRST_WAIT, LONGEST_WAIT
from editthinker.core.declining import is_refusal
from editthinker.core.errors import EditThinkerError, ImageError, InputError, StoreError
from editthinker.runs.doors import FEELERS
from editthinker.runs.folder import RunFolder
from editthinker.runs.runner import HOPELESS

NO_ACCESS: Final = frozenset({401, 403, 404})
"""HTTP statuses after which the judge will not answer anything else either."""
AT_A_TIME: Final = 8
"""Questions, where nobody knows what the judge takes."""
SPENT: Final = "the limit of cost was reached"


class Said(Protocol):
    """What a judge gives back."""

    @property
    def text(self) -> str:
        """Its words."""
        ...

    @property
    def outcome(self) -> Literal["answered", "refused"]:
        """`refused` by the provider."""
        ...

    @property
    def model(self) -> str:
        """Id of the model that answered."""
        ...

    @property
    def cost(self) -> float:
        """US dollars."""
        ...


class Asker(Protocol):
    """A judge that answers somebody else's questions, such as `judges.asking.ChatJudge`.

    One that is several (`wire.pooled.PooledAsker`) also has `capacity`, how many questions it takes at
    present; `ended`, why none can be answered any more; and `turn_away`, for questions still in line.
    """

    async def answer(self, request: JudgeCall, /, *, complaint_of_last: str = "") -> Said:
        """One reply; `complaint_of_last` says why the last could not be read.

        Raises `JudgeError` when nothing came back, and `ImageError` for an image that cannot be sent.
        """
        ...


@dataclass(frozen=True, slots=True)
class Edited:
    """An image to be judged."""

    case: Case
    image: Source
    turn: int = 1
    """0: the source, given back because no turn was better."""
    delivered: bool = True


@dataclass(slots=True)
class Ended:
    """What came of an evaluation."""

    questions: int = 0
    kept: int = 0
    """Answered before it began."""
    calls: int = 0
    """Made by it; replies that had to be asked for again are counted each time."""
    cost: float = 0.0
    failed: dict[str, str] = field(default_factory=dict)
    """Question, in words, to why nothing came back; the next start asks it again."""
    problems: dict[str, str] = field(default_factory=dict)
    """Case to why its image cannot be judged; it counts as missing."""
    halted: str = ""
    """Why it ended early; empty when it did not."""
    answered: int = 0
    """Questions that have their answer now."""

    @property
    def complete(self) -> bool:
        """Whether every question was answered, refused, or asked as often as it may be."""
        return self.answered == self.questions


@dataclass(frozen=True, slots=True)
class _Question:
    call: JudgeCall
    asked: Asked
    sums: tuple[str, str]

    @property
    def words(self) -> str:
        return f"{self.asked.case}, turn {self.asked.turn}, {self.asked.kind}"


def of_run(folder: RunFolder, cases: Sequence[Case], *, every_turn: bool) -> Iterator[Edited]:
    """What a run delivered for each case, and with `every_turn` the images of all turns.

    A sample that ended well without a delivered image gave the source back, so that is what is judged, and
    with `every_turn` also where a smaller limit of turns would have given it back. One that failed, was
    refused, or has not ended has no image.
    """
    begun = {one.key: one for one in folder.begun()}
    courses = courses_of(folder) if every_turn else {}
    for case in cases:
        one = begun.get(case.entry.key)
        if one is None or case.problem:
            continue
        given_back = one.finished and one.chosen is None and one.failure is None
        if given_back or (case.id in courses and SOURCE in courses[case.id].delivered[:-1]):
            yield Edited(case, case.images[0], SOURCE, given_back)
        wanted = [one.chosen] if one.chosen else []
        index = 1
        while turn := folder.turn(one.number, index):
            if every_turn or index in wanted:
                yield Edited(case, folder.image_path(turn.image), index, index in wanted)
            index += 1


def of_results(benchmark: Benchmark, cases: Sequence[Case], place: Path) -> list[Edited]:
    """What lies in a results folder made by others. Raises `InputError` when there is nothing."""
    found, _ = find_results(benchmark, cases, place)
    return [Edited(case, found[case.id]) for case in cases if case.id in found]


class Evaluation:
    """Asks one judge about images. Single-use; `ended` may be read at any time."""

    def __init__(
        self,
        benchmark: Benchmark,
        prompts: Prompts,
        judge: Asker,
        store: Judged,
        name: str,
        *,
        at_a_time: int | None = None,
        reasks: int = 2,
        retries: int = 6,
        max_cost: float | None = None,
    ) -> None:
        """`name` is the judge's in the store; `max_cost` (US dollars) is for this start alone.

        `at_a_time`: questions at most; None: as many as the judge takes, or 8 where it does not say.
        """
        self.ended = Ended()
        self._benchmark, self._prompts, self._judge = benchmark, prompts, judge
        self._store, self._name = store, name
        self._at_a_time, self._reasks, self._retries = at_a_time, reasks, retries
        self._max_cost = max_cost
        self._halt = asyncio.Event()
        self._crowd = Abreast(self._put, self.room)
        self._said: dict[str, list[Reply]] = {}
        self._in_a_row = 0
        self._proven = False
        if max_cost is not None and max_cost <= 0:
            self.stop(SPENT)

    async def run(self, about: About, cases: Sequence[Case], images: Sequence[Edited]) -> Ended:
        """Ask everything that has no answer yet. Raises `StoreError`."""
        planned = await asyncio.to_thread(self._plan, images)
        await asyncio.to_thread(self._store.begin, self._name, about, cases, [one.asked for one in planned])
        self._said = said = await asyncio.to_thread(self._store.replies, self._name)
        questions = {one.asked.question: one for one in planned}
        self._proven = bool(said)
        todo = [one for key, one in questions.items() if not self._settled(one, said.get(key, ()))]
        self.ended.questions = len(questions)
        self.ended.kept = self.ended.answered = len(questions) - len(todo)
        await self._crowd.run(todo)
        return self.ended

    def stop(self, why: str, within: float = math.inf) -> None:
        """Ask nothing more; questions under way may be answered `within` so many seconds."""
        self.ended.halted = self.ended.halted or why
        self._halt.set()
        getattr(self._judge, "turn_away", lambda: None)()
        self._crowd.stop(within)

    @property
    def under_way(self) -> int:
        """Questions that are being asked."""
        return self._crowd.under_way

    def room(self) -> int:
        """Questions that may be under way; before the first answer no more than a wrong key may cost."""
        takes: int | None = getattr(self._judge, "capacity", None)
        most = self._at_a_time or (AT_A_TIME if takes is None else takes)
        room = most if takes is None else min(most, takes)
        return max(1, room if self._proven else min(room, FEELERS - self._in_a_row))

    def _plan(self, images: Sequence[Edited]) -> list[_Question]:
        planned = []
        digest = cache(_digest)
        for one in images:
            try:
                calls = self._benchmark.judge_calls(one.case, one.image, self._prompts)
                sums = [_sums(call, digest) for call in calls]
            except InputError as error:
                self.ended.problems[one.case.id] = str(error)
                continue
            for call, of_call in zip(calls, sums, strict=True):
                asked = Asked(
                    one.case.id,
                    one.turn,
                    call.kind,
                    one.delivered,
                    _sha256([self._benchmark.name, one.case.id, call.kind, *of_call]),
                    call.model,
                )
                planned.append(_Question(call, asked, of_call))
        return planned

    def _settled(self, question: _Question, replies: Sequence[Reply]) -> bool:
        return bool(replies) and (len(replies) > self._reasks or not self._complaint(question, replies[-1]))

    def _complaint(self, question: _Question, reply: Reply) -> str:
        """Why the judge is to be asked again; empty when its reply can be read, or it declined."""
        if reply.outcome != "answered":
            return ""
        read = self._benchmark.parse(question.call.kind, reply.text, "strict")
        return read.reason if isinstance(read, Unparsed) and not is_refusal(reply.text) else ""

    async def _put(self, question: _Question) -> None:
        """Ask until there is an answer that can be read, the judge declines, or it was asked often enough."""
        replies, ended = list(self._said.get(question.asked.question, ())), self.ended
        try:
            while not self._settled(question, replies):
                if self._halt.is_set():
                    return
                complaint = self._complaint(question, replies[-1]) if replies else ""
                said = await self._answer(question.call, complaint)
                reply = Reply(said.text, said.outcome, said.model)
                key = question.asked.question, self._name, len(replies), question.sums
                await asyncio.to_thread(self._store.keep, *key, reply, said.cost)
                replies.append(reply)
                self._count(said.cost)
        except StoreError:
            raise
        except ImageError as error:
            asked = question.asked
            ended.problems[asked.case] = str(error)
            ended.questions -= 1
            await asyncio.to_thread(self._store.forget, self._name, asked.case, asked.turn)
        except EditThinkerError as error:
            self._fail(question, error)
        except Exception as error:  # noqa: BLE001 - a judge of somebody else's may raise anything
            self._fail(question, EditThinkerError(f"the judge broke: {type(error).__name__}: {error}"))
        else:
            ended.answered += 1

    def _count(self, cost: float) -> None:
        self._proven, self._in_a_row = True, 0
        self.ended.calls += 1
        self.ended.cost += cost
        if self._max_cost is not None and self.ended.cost >= self._max_cost:
            self.stop(SPENT)

    def _fail(self, question: _Question, error: EditThinkerError) -> None:
        self.ended.cost += error.cost
        if self._halt.is_set():  # it was given up, and is asked at the next start
            return
        self.ended.failed[question.words] = str(error)
        self._in_a_row += 1
        hopeless = self._in_a_row >= (HOPELESS if self._proven else FEELERS)
        if over := getattr(self._judge, "ended", ""):
            self.stop(over)
        elif hopeless or error.status in NO_ACCESS:
            self.stop(str(error))

    async def _answer(self, call: JudgeCall, complaint: str) -> Said:
        """The reply; what failed in passing is repeated, later and later, or when the judge says.

        So is what one of several judges has no access to, as long as another is left.
        """
        for repeated in range(self._retries + 1):
            try:
                return await self._judge.answer(call, complaint_of_last=complaint)
            except EditThinkerError as error:
                wait = min(FIRST_WAIT * 2**repeated, LONGEST_WAIT) * random.uniform(0.5, 1.0)
                wait = wait if error.retry_after is None else max(0.0, error.retry_after)
                last = repeated == self._retries or wait > LONGEST_WAIT
                elsewhere = error.status in NO_ACCESS and getattr(self._judge, "ended", None) == ""
                if not (error.transient or elsewhere) or last or self._halt.is_set():
                    raise
                wait = 0.0 if elsewhere else wait
            with suppress(TimeoutError):
                await asyncio.wait_for(self._halt.wait(), wait)
        raise AssertionError("unreachable: the last attempt returns or raises")


def _sums(call: JudgeCall, digest: _Digest) -> tuple[str, str]:
    """What the prompt is with its parameters, and what the images are with the way they are shown."""
    texts = [part for part in call.parts if isinstance(part, str)]
    images = [
        [
            digest(part.image),
            digest(part.size_of) if part.size_of is not None else "",
            *(getattr(part, name) for name in ("media_type", "quality", "upright", "longest", "detail")),
        ]
        for part in call.parts
        if isinstance(part, Shown)
    ]
    return _sha256([texts, call.temperature, call.max_tokens]), _sha256(images)


class _Digest(Protocol):
    def __call__(self, image: Source, /) -> str: ...


def _digest(image: Source) -> str:
    """sha256 of the bytes of a file or cell. Raises `ImageError`."""
    return hashlib.sha256(bytes_of(image)).hexdigest()


def _sha256(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()
