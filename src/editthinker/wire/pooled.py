"""An editor, thinker, judge, comparer or asker that is several of its kind, shared out by a `Pool`.

In: members by name, which must be the same model as far as results go. Out: one object with the contract of
its members; answers carry `endpoint` in their notes. To the loop it is one model; its members' names are for
records and messages.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Protocol, TypeVar

from editthinker.core.contracts import Comparer, Editor, EditorInfo, Judge, Planner, Priced, Thinker, View
from editthinker.core.errors import InputError, JudgeError
from editthinker.core.images import Picture
from editthinker.core.types import Edited, EditRequest, Judged, Plan, Preference, Sample, Thought
from editthinker.wire.pool import Pool

Member = TypeVar("Member")


class _Pooled(Generic[Member]):
    """What they have in common: a pool, and how much it takes."""

    def __init__(self, pool: Pool[Member]) -> None:
        self.pool = pool

    @property
    def capacity(self) -> int:
        """How many calls may be under way now; more would only wait."""
        return self.pool.capacity

    @property
    def price(self) -> float | None:
        """US dollars one call is expected to cost, of the dearest member; None when one is unknown."""
        prices = [member.price if isinstance(member, Priced) else None for member in self.pool.members]
        return None if None in prices else max(price for price in prices if price is not None)


class PooledEditor(_Pooled[Editor]):
    """Several editors as one. Raises `InputError` when they differ in what the loop relies on."""

    def __init__(self, pool: Pool[Editor]) -> None:
        super().__init__(pool)
        infos = [member.info for member in pool.members]
        for fact in ("max_images", "mask", "seeded", "languages", "prompt_limit"):
            _agreed("editor", fact, {info.name: getattr(info, fact) for info in infos})
        prices = [info.price for info in infos]
        dearest = None if None in prices else max(price for price in prices if price is not None)
        self._info = replace(infos[0], name=_name([info.name for info in infos]), price=dearest)

    @property
    def info(self) -> EditorInfo:
        """Facts that hold for every member; the price is the dearest's."""
        return self._info

    async def edit(self, request: EditRequest) -> Edited:
        """As `Editor.edit`, by one of the members."""
        return await self.pool.call(lambda member: member.edit(request))


class PooledThinker(_Pooled[Thinker]):
    """Several thinkers as one."""

    def __init__(self, pool: Pool[Thinker]) -> None:
        super().__init__(pool)
        self.name = _name([member.name for member in pool.members])

    async def think(self, view: View) -> Thought:
        """As `Thinker.think`, by one of the members."""
        return await self.pool.call(lambda member: member.think(view))


class PooledPlanner(PooledThinker):
    """Several thinkers that plan, as one."""

    async def plan(self, sample: Sample, editor: EditorInfo) -> Plan:
        """As `Planner.plan`, by one of the members."""
        return await self.pool.call(lambda member: member.plan(sample, editor))  # type: ignore[attr-defined]


class PooledJudge(_Pooled[Judge]):
    """Several judges as one."""

    def __init__(self, pool: Pool[Judge]) -> None:
        super().__init__(pool)
        self.name = _name([member.name for member in pool.members])

    async def score(self, sample: Sample, edited: Picture) -> Judged:
        """As `Judge.score`, by one of the members."""
        return await self.pool.call(lambda member: member.score(sample, edited))


class PooledComparer(_Pooled[Comparer]):
    """Several comparers as one."""

    def __init__(self, pool: Pool[Comparer]) -> None:
        super().__init__(pool)
        self.name = _name([member.name for member in pool.members])

    async def prefer(self, sample: Sample, first: Picture, second: Picture) -> Preference:
        """As `Comparer.prefer`, by one of the members."""
        return await self.pool.call(lambda member: member.prefer(sample, first, second))


class Asker(Protocol):
    """A judge for questions that somebody else brings, such as `judges.asking.ChatJudge`."""

    async def answer(self, request: Any, /, *, complaint_of_last: str = "") -> Any:
        """One reply."""
        ...


@dataclass(frozen=True, slots=True)
class _Carried:
    """A reply with room for the pool's notes: nobody asks them of a reply that has a form of its own."""

    reply: Any
    notes: Mapping[str, Any] = field(default_factory=dict)


class PooledAsker(_Pooled[Asker]):
    """Several judges for somebody else's questions, as one."""

    def __init__(self, pool: Pool[Asker]) -> None:
        super().__init__(pool)
        self._away = False

    @property
    def ended(self) -> str:
        """Why no question can be answered any more; empty while one may."""
        return self.pool.ended

    def turn_away(self) -> None:
        """Questions that still wait for a member are not asked any more."""
        self._away = True

    async def answer(self, request: Any, /, *, complaint_of_last: str = "") -> Any:
        """As a member's, by one of them. Raises `JudgeError`."""

        async def asked(member: Asker) -> Any:
            if self._away:
                raise JudgeError("the question was not asked: it is being stopped")
            return _Carried(await member.answer(request, complaint_of_last=complaint_of_last))

        return (await self.pool.call(asked)).reply


def pooled_thinker(pool: Pool[Thinker]) -> PooledThinker:
    """One thinker out of several; it plans when all of them do."""
    plans = all(isinstance(member, Planner) for member in pool.members)
    return PooledPlanner(pool) if plans else PooledThinker(pool)


def _agreed(role: str, fact: str, said: Mapping[str, object]) -> None:
    if len(set(said.values())) > 1:
        told = ", ".join(f"{name!r} has {value!r}" for name, value in said.items())
        raise InputError(f"these {role}s cannot share work, they differ in {fact}: {told}")


def _name(names: list[str]) -> str:
    """One name for all: theirs, where they agree, else all of them."""
    return " + ".join(dict.fromkeys(names))
