"""Where a strategy works: it may edit, think and rewrite; the desk counts, times, records and refuses.

In: a sample, an editor, perhaps a thinker, the limits. Out: turns, and the record of every attempt. It does
not know in which order a strategy does things, nor when it is content.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

from editthinker.core.contracts import Editor, Thinker, View
from editthinker.core.errors import EditorError, EditThinkerError, ReplyError, ThinkerError
from editthinker.core.events import (
    CallFailed,
    EditFinished,
    EditStarted,
    Event,
    Listener,
    ThinkFinished,
    ThinkStarted,
)
from editthinker.core.images import Picture
from editthinker.core.limits import LimitReached, Limits
from editthinker.core.types import Call, Edited, EditRequest, Sample, Spend, Stop, StopReason, Thought, Turn

Worker = Literal["editor", "thinker"]
Answer = TypeVar("Answer", Edited, Thought)


class Closed(Exception):
    """The episode was closed; no call may start and the one in flight was cancelled."""


@dataclass(slots=True, eq=False)
class Desk:
    """The execution context of one episode. Single-use."""

    sample: Sample
    editor: Editor
    thinker: Thinker | None
    limits: Limits
    seed: int = 0
    listener: Listener | None = None
    turns: list[Turn] = field(default_factory=list)
    """Finished turns, oldest first; the episode appends to it."""
    pending: Turn | None = None
    """The turn in hand: its image is there, its critique perhaps, and it is not finished."""
    stop: Stop | None = None
    """Set by the strategy when it is done."""
    calls: list[Call] = field(default_factory=list)
    _began: float | None = None
    _ended: float | None = None
    _closed: bool = False
    _in_flight: asyncio.Future[Any] | None = None

    async def edit(self, instruction: str) -> Turn:
        """Make the next turn, not yet judged, from the source image.

        Turn t uses seed + t - 1: with one seed for all, an editor that ignores a small change of words would
        return the same image again, and best-of-n would be n times the same.
        """
        index = len(self.turns) + 1
        seed = self.seed + index - 1
        request = EditRequest(self.sample.images, instruction, seed, self.sample.mask)
        edited, call = await self._call(
            "editor",
            self.editor.info.name,
            EditStarted(index, instruction, seed),
            lambda: self.editor.edit(request),
            _checked_edit,
        )
        self.pending = Turn(index, instruction, seed, edited, None)
        await self.tell(EditFinished(call, edited))
        return self.pending

    async def think(self, turn: Turn) -> Turn:
        """The same turn with the thinker's critique. Raises `ThinkerError` when no usable reply came."""
        view = View(self.sample, turn.instruction, turn.image, tuple(self.turns), self.editor.info)
        thought = await self._think(view, turn.index)
        self.pending = replace(turn, critique=thought.critique)
        return self.pending

    async def rewrite(self) -> str:
        """The thinker's wording of the user's instruction, from the source image alone."""
        view = View(self.sample, self.sample.instruction, None, (), self.editor.info)
        return (await self._think(view, 0)).critique.refined_instruction

    async def tell(self, event: Event) -> None:
        """Hand an event to the listener and wait for it."""
        if self.listener is not None:
            waiting = self.listener(event)
            if inspect.isawaitable(waiting):
                await waiting

    def close(self) -> None:
        """Cancel the call in flight and allow no other."""
        self._closed = True
        if self._in_flight is not None:
            self._in_flight.cancel()

    def stop_clock(self) -> None:
        """From now on `spend.seconds` stays as it is."""
        self._ended = self._ended or time.monotonic()

    @property
    def spend(self) -> Spend:
        """What was spent until now, failed attempts included."""
        return Spend(
            editor_calls=sum(call.role == "editor" for call in self.calls),
            thinker_calls=sum(call.role == "thinker" for call in self.calls),
            seconds=0.0 if self._began is None else (self._ended or time.monotonic()) - self._began,
            cost=sum(call.cost for call in self.calls),
        )

    async def _think(self, view: View, turn: int) -> Thought:
        thinker = self.thinker
        if thinker is None:
            raise ThinkerError("there is no thinker to ask")
        for asked in range(self.limits.reasks + 1):
            try:
                thought, call = await self._call(
                    "thinker",
                    thinker.name,
                    ThinkStarted(turn, view.complaint),
                    lambda view=view: thinker.think(view),  # type: ignore[misc]
                    _checked_thought,
                )
            except ReplyError as error:
                if asked == self.limits.reasks:
                    raise
                view = replace(view, complaint=str(error))
            else:
                await self.tell(ThinkFinished(call, thought.critique))
                return thought
        raise AssertionError("unreachable: the last ask returns or raises")

    async def _call(
        self,
        role: Worker,
        name: str,
        start: EditStarted | ThinkStarted,
        verb: Callable[[], Awaitable[Answer]],
        checked: Callable[[str, Answer], Answer],
    ) -> tuple[Answer, Call]:
        """One attempt: allowed by the limits, told, timed, recorded whatever comes of it."""
        if self._closed:
            raise Closed
        if stop := self.limits.before(role, self.spend):
            raise LimitReached(stop)
        await self.tell(start)
        started, clock = time.time(), time.monotonic()
        self._began = clock if self._began is None else self._began

        def record(outcome: str, error: str = "", cost: float = 0.0) -> Call:
            seconds = time.monotonic() - clock
            self.calls.append(Call(role, name, start.turn, started, seconds, outcome, error, cost))
            return self.calls[-1]

        try:
            answer = checked(name, await self._in_time(verb))
        except (asyncio.CancelledError, Closed):
            record("cancelled")
            raise
        except EditThinkerError as error:
            await self.tell(CallFailed(record(type(error).__name__, str(error))))
            raise
        except Exception as error:  # a model may raise anything; it is the model's failure, not ours
            blamed = (EditorError if role == "editor" else ThinkerError)(
                f"{role} {name!r} broke: {type(error).__name__}: {error}"
            )
            await self.tell(CallFailed(record(type(blamed).__name__, str(blamed))))
            raise blamed from error
        return answer, record("ok", cost=answer.cost)

    async def _in_time(self, verb: Callable[[], Awaitable[Answer]]) -> Answer:
        limit = self.limits.seconds
        left = None if limit is None else max(0.0, limit - self.spend.seconds)
        self._in_flight = call = asyncio.ensure_future(verb())
        try:
            async with asyncio.timeout(left) as timeout:
                return await call
        except TimeoutError:
            if timeout.expired():
                raise LimitReached(Stop(StopReason.TIME_LIMIT, f"{limit:g} s")) from None
            raise
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._closed:
                raise Closed from None
            if task is not None and not task.cancelling():
                raise RuntimeError("the call was cancelled, and not by us") from None
            raise
        finally:
            self._in_flight = None


def _checked_edit(name: str, edited: Edited) -> Edited:
    if not isinstance(edited, Edited) or not isinstance(edited.image, Picture):
        raise EditorError(f"editor {name!r} returned no Edited with a Picture, but {type(edited).__name__}")
    return edited


def _checked_thought(name: str, thought: Thought) -> Thought:
    if not isinstance(thought, Thought):
        raise ThinkerError(f"thinker {name!r} returned no Thought, but {type(thought).__name__}")
    if not thought.critique.refined_instruction.strip():
        raise ReplyError("the refined instruction is empty; repeat the last one when nothing should change")
    return thought
