"""What a benchmark is: cases, the questions a judge is asked about each, how replies are read and counted.

In: a data folder, edited images, prompts, a judge's stored replies. Out: cases, judge calls as data, tables.
Nothing here asks anybody: who sends a `JudgeCall` and stores the `Reply` is not known. From the same replies
every benchmark makes three tables:

    strict      what is missing or cannot be read gets the lowest score (the default)
    official    the authors' formula at the pinned commit, bug for bug; where their code crashes, guesses or
                never ends, the table carries a flag instead
    paper       as EditThinker (arXiv 2512.05965) counts
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from editthinker.benchmarks.prompts import Prompts
from editthinker.benchmarks.showing import Shown, Source
from editthinker.benchmarks.table import Rules, State, Table
from editthinker.core.declining import is_refusal
from editthinker.runs.samples import Entry, safe


@dataclass(frozen=True, slots=True)
class Place:
    """Where one result lies in a results folder; paths are relative to it, with forward slashes."""

    edited: str
    """Where the official scorer looks for the edited image."""
    source: str = ""
    """Where it wants a copy of the source; empty: nowhere."""
    also: tuple[str, ...] = ()
    """Where others put the edited image; looked at on import, in this order."""


@dataclass(frozen=True, slots=True)
class Case:
    """One sample of a benchmark; nothing is opened."""

    id: str
    """Unique in the benchmark and the same everywhere: replies and tables know the case by it."""
    instruction: str
    images: tuple[Source, ...]
    """The source first."""
    category: str
    references: Mapping[str, Source] = field(default_factory=dict)
    """What only the judge sees."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Free labels; language, subtask, ..."""
    record: Mapping[str, Any] = field(default_factory=dict)
    """The benchmark's own record, as it stood in the data."""
    problem: str = ""
    """Why it cannot be used; empty when nothing speaks against it."""

    @property
    def entry(self) -> Entry:
        """The case as an input of a run; the judge's part stays behind."""
        tags = tuple(sorted({"category": self.category, "case": self.id, **self.tags}.items()))
        return Entry(safe(self.id), self.instruction, self.images, tags=tags, problem=self.problem)


@dataclass(frozen=True, slots=True)
class JudgeCall:
    """One question to the judge: one user message, no system message."""

    case: str
    kind: str
    """Which of the benchmark's questions; `Benchmark.parse` reads the reply by it."""
    parts: tuple[str | Shown, ...]
    """Texts and images in order."""
    model: str
    """The judge that the published figures name, or several: "a or b"; another one's figures are not
    comparable."""
    temperature: float | None = None
    """None leaves it to the server."""
    max_tokens: int | None = None
    """None leaves it to the server."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of asking once; this is what is stored."""

    text: str = ""
    outcome: Literal["answered", "refused", "failed"] = "answered"
    """`refused` by the provider; `failed`: nothing came back."""
    model: str = ""


Answers = Mapping[str, Mapping[str, Sequence[Reply]]]
"""Case id -> kind -> replies in the order of asking. A case that is not in it has no edited image."""


@dataclass(frozen=True, slots=True)
class Scores:
    """What a reply says."""

    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Unparsed:
    """Why a reply cannot be read; one clause, fit to be told to the judge when it is asked again."""

    reason: str
    flag: str = ""
    """What the authors' code does with such a reply, if that is no clean omission (crash, guess, no end)."""


class Benchmark(Protocol):
    """One benchmark, its options being its fields. All verbs are pure; `load` and `prompts` read files."""

    @property
    def name(self) -> str:
        """One lower-case word."""
        ...

    @property
    def lowest(self) -> float:
        """The bottom of the judge's scale."""
        ...

    def load(self, data: Path) -> tuple[Case, ...]:
        """Every case, in the order of the data. Raises `InputError` (what was expected, what was found)."""
        ...

    def prompts(self, checkout: Path | None) -> Prompts:
        """The judge prompts of the official checkout or data folder; None: our own. Raises `InputError`."""
        ...

    def where(self, case: Case) -> Place:
        """Where the result of a case lies."""
        ...

    def judge_calls(self, case: Case, edited: Source, prompts: Prompts) -> tuple[JudgeCall, ...]:
        """What the judge is asked about one edited image. A case without one is not judged."""
        ...

    def parse(self, kind: str, text: str, rules: Rules) -> Scores | Unparsed:
        """Read one reply. Never raises, never guesses."""
        ...

    def aggregate(self, cases: Sequence[Case], answers: Answers, rules: Rules) -> Table:
        """The table of these cases. Never raises; what the rules cannot count is in its flags."""
        ...


def answered(answers: Answers, case: str, kind: str) -> tuple[str, ...]:
    """The texts that came back to one question, in order."""
    replies = answers.get(case, {}).get(kind, ())
    return tuple(reply.text for reply in replies if reply.outcome == "answered")


def replies_to(answers: Answers, case: str, kind: str) -> tuple[str, ...]:
    """The same with an empty text for each time nothing came back, as official scripts have it."""
    replies = answers.get(case, {}).get(kind, ())
    return tuple(reply.text if reply.outcome == "answered" else "" for reply in replies)


def state_of(answers: Answers, case: str, readable: Mapping[str, bool]) -> State:
    """How a case stands. `readable`: for each kind it needs, whether a usable reply was found."""
    if case not in answers:
        return "missing"
    unread = [kind for kind, found in readable.items() if not found]
    if not unread:
        return "scored"
    replies = [reply for kind in unread for reply in answers[case].get(kind, ())]
    if any(reply.outcome == "refused" or is_refusal(reply.text) for reply in replies):
        return "refused"
    return "unparsed" if any(reply.outcome == "answered" for reply in replies) else "unanswered"


def judges_of(answers: Answers) -> str:
    """The models that gave the replies, for the table."""
    replies = (reply for kinds in answers.values() for said in kinds.values() for reply in said)
    return ", ".join(sorted({reply.model for reply in replies if reply.model}))


def duplicates(names: Sequence[str]) -> tuple[str, ...]:
    """Every name that stands more than once, once."""
    return tuple(name for name, count in Counter(names).items() if count > 1)
