"""One sample played once: turns come out as they finish, and a trajectory stays, whatever happens.

In: a sample, an editor, perhaps a thinker, a strategy, limits. Out: turns, then `Episode.trajectory` with the
chosen turn, why it stopped, every attempt and whose fault a failure was. It does not know where anything is
stored.

    episode = Episode(sample, editor, thinker, limits=Limits(turns=3))
    async for turn in episode: ...
    episode.trajectory.image
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from types import AsyncGeneratorType
from typing import cast

from editthinker.core.calls import Calls, Closed
from editthinker.core.candidates import delivered
from editthinker.core.contracts import Comparer, Editor, Judge, Planner, Thinker
from editthinker.core.desk import Desk
from editthinker.core.errors import EditThinkerError, InputError, Refused
from editthinker.core.events import Listener, TurnFinished
from editthinker.core.images import Picture
from editthinker.core.limits import LimitReached, Limits
from editthinker.core.method import Method
from editthinker.core.past import Past
from editthinker.core.policies import DEFAULT as REFINE
from editthinker.core.policies import policy_named
from editthinker.core.regions import check_mask
from editthinker.core.selection import choose
from editthinker.core.strategies import DEFAULT, SINGLE, Strategy, strategy_named
from editthinker.core.types import Failure, Plan, Sample, Stop, StopReason, Trajectory, Turn

MAX_INSTRUCTION = 32_000
"""Characters; what the OpenAI image API accepts."""


class Episode:
    """A single-use object: iterate it (or `await run()`), then read `trajectory`.

    Cancelling the task that iterates, or `aclose()` from another one, cancels the call in flight; the
    trajectory then says "cancelled" and keeps the turns that were finished.
    """

    def __init__(
        self,
        sample: Sample,
        editor: Editor,
        thinker: Thinker | None,
        *,
        strategy: str = DEFAULT,
        limits: Limits | None = None,
        seed: int = 0,
        listener: Listener | None = None,
        judge: Judge | None = None,
        comparer: Comparer | None = None,
        alternates: Sequence[Editor] = (),
        policy: str = REFINE,
        candidates: int = 1,
        stack: bool = False,
        plan: Plan | None = None,
        paste_back: bool = False,
        past: Past | None = None,
        fold: Callable[[Picture], Picture] | None = None,
    ) -> None:
        """Raises `InputError` for anything that cannot work, before anything is spent.

        `judge` scores in the thinker's place; `comparer` chooses among candidates and in the end;
        `alternates` are editors a policy may switch to; for the rest see `Method`. Without a thinker the
        default strategy can only be `single`, and is recorded as that. `past` is what an interrupted episode
        of the same sample and configuration was answered: it is not asked again, and what it cost counts.
        `fold`, called in a thread, makes of a finished turn's image one that takes less memory.
        """
        if thinker is None and strategy == DEFAULT:
            strategy = SINGLE
        self.error: Exception | None = None
        """What ended the episode, when it failed; `trajectory.failure` is its record."""
        self._strategy = strategy_named(strategy)
        policy_named(policy)
        self._desk = Desk(
            sample=sample,
            editors=(editor, *alternates),
            thinker=thinker,
            calls=Calls(limits or Limits(), listener, past or Past()),
            method=Method(
                strategy=strategy,
                policy=policy,
                candidates=candidates,
                stack=stack,
                plan=plan,
                paste_back=paste_back,
            ),
            seed=seed,
            judge=judge,
            comparer=comparer,
        )
        self._fold = fold
        self._stop: Stop | None = None
        self._play: AsyncGeneratorType[Turn, None] | None = None
        self._compared: tuple[int, str] | None = None
        _check_instruction(sample.instruction)
        _check_fit(self._desk)
        _check_models(self._desk, self._strategy)

    def listen(self, listener: Listener) -> None:
        """Tell `listener`, and nobody else, what happens from now on."""
        self._desk.calls.listener = listener

    def __aiter__(self) -> AsyncIterator[Turn]:
        if self._play is not None:
            raise RuntimeError("an episode is played once; make a new one")
        self._play = cast(AsyncGeneratorType[Turn, None], self._turns())
        return self._play

    async def run(self) -> Trajectory:
        """Play to the end."""
        async for _ in self:
            pass
        return self.trajectory

    async def aclose(self) -> None:
        """Cancel the call in flight; an iteration that waits for it ends."""
        self._desk.calls.close()
        if self._play is not None and not self._play.ag_running:
            await self._play.aclose()

    @property
    def trajectory(self) -> Trajectory:
        """What there is so far; "cancelled" until the episode came to its end."""
        desk = self._desk
        return Trajectory(
            sample=desk.sample,
            turns=tuple(desk.turns),
            stop=self._stop or Stop(StopReason.CANCELLED),
            strategy=self._strategy.name,
            calls=tuple(desk.calls.made),
            spend=desk.spend,
            chosen=self._compared[0] if self._compared else choose(desk.sample.source, desk.turns),
            chosen_by=self._compared[1] if self._compared else _unchecked(desk),
            failure=_failure(self.error) if self.error else None,
            plan=desk.steps,
            accepted=tuple(desk.accepted),
        )

    async def _turns(self) -> AsyncGenerator[Turn, None]:
        try:
            async with aclosing(self._strategy.play(self._desk)) as turns:
                while turn := await self._next(turns):
                    yield turn
            if self._stop:
                await self._compare()
        finally:
            self._desk.calls.stop_clock()

    async def _next(self, turns: AsyncGenerator[Turn, None]) -> Turn | None:
        """The next finished turn; None when there is none, with `_stop` saying why."""
        if self._stop:
            return None
        turn: Turn | None
        try:
            turn = await anext(turns, None)
            if turn is None:
                self._stop = self._desk.stop or Stop(StopReason.TURN_LIMIT)
        except Closed:
            return None
        except Exception as error:  # noqa: BLE001 - nothing that goes wrong may cost the turns already made
            self._halt(error)
            turn = self._desk.pending
        return None if turn is None else await self._finish(turn)

    async def _finish(self, turn: Turn) -> Turn:
        self._desk.pending = None
        self._desk.turns.append(turn)
        try:
            await self._desk.calls.tell(TurnFinished(turn))
            if self._fold:
                self._desk.turns[-1] = await asyncio.to_thread(_folded, turn, self._fold)
        except Exception as error:  # noqa: BLE001 - a turn that cannot be stored is still a turn
            self._halt(error)
        return self._desk.turns[-1]

    async def _compare(self) -> None:
        """Let the comparer, if there is one, choose the turn to deliver."""
        try:
            self._compared = await delivered(self._desk)
        except Closed:
            return
        except Exception as error:  # noqa: BLE001 - the turns are there, whatever became of comparing them
            self._halt(error)

    def _halt(self, error: Exception) -> None:
        if isinstance(error, LimitReached):
            self._stop = error.stop
            return
        self.error = error
        reason = StopReason.REFUSED if isinstance(error, Refused) else StopReason.FAILED
        self._stop = Stop(reason, _message(error))


async def think_while_edit(
    sample: Sample, editor: Editor, thinker: Thinker, limits: Limits | None = None, *, seed: int = 0
) -> AsyncGenerator[Turn, None]:
    """The loop as a plain stream: yields every finished turn, then raises what made it fail, if anything."""
    episode = Episode(sample, editor, thinker, limits=limits, seed=seed)
    async for turn in episode:
        yield turn
    if episode.error:
        raise episode.error


def _folded(turn: Turn, fold: Callable[[Picture], Picture]) -> Turn:
    others = tuple(
        replace(other, edited=replace(other.edited, image=fold(other.edited.image))) for other in turn.others
    )
    return replace(turn, edited=replace(turn.edited, image=fold(turn.image)), others=others)


def _check_instruction(instruction: str) -> None:
    if not instruction.strip():
        raise InputError("the instruction is empty")
    if len(instruction) > MAX_INSTRUCTION:
        raise InputError(
            f"the instruction has {len(instruction)} characters; at most {MAX_INSTRUCTION} are accepted"
        )
    if any("\ud800" <= letter <= "\udfff" for letter in instruction):
        raise InputError("the instruction is not valid Unicode text")


def _check_fit(desk: Desk) -> None:
    """Whether every editor can take this sample."""
    sample = desk.sample
    if sample.mask is not None:
        check_mask(sample.mask, sample.source)
    names = [editor.info.name for editor in desk.editors]
    for info in (editor.info for editor in desk.editors):
        if len(sample.images) > info.max_images:
            raise InputError(
                f"editor {info.name!r} takes {info.max_images} image(s), the sample has {len(sample.images)}"
            )
        if sample.mask is not None and not (info.mask or desk.method.paste_back):
            raise InputError(
                f"editor {info.name!r} takes no mask; paste-back can hold to it, or name another editor"
            )
        if names.count(info.name) > 1:
            raise InputError(f"two editors are called {info.name!r}; an alternate needs a name of its own")


def _check_models(desk: Desk, strategy: Strategy) -> None:
    """Whether those who are asked are there."""
    thinker, method = desk.thinker, desk.method
    if strategy.needs == "thinker" and thinker is None:
        raise InputError(f"strategy {strategy.name!r} needs a thinker; without one only 'single' works")
    if strategy.needs == "score" and thinker is None and desk.judge is None:
        raise InputError(f"strategy {strategy.name!r} needs a thinker or a judge to score its turns")
    if method.candidates > 1 and thinker is None and desk.judge is None and desk.comparer is None:
        raise InputError("several candidates need a thinker, a judge or a comparer to choose among them")
    if method.plan is not None and not strategy.plans:
        raise InputError(f"strategy {strategy.name!r} does not go by a plan; 'plan-and-edit' does")
    if strategy.plans and method.plan is None and not isinstance(thinker, Planner):
        raise InputError(f"thinker {thinker.name if thinker else 'none'!r} cannot plan; give a plan")


def _unchecked(desk: Desk) -> str:
    """What is to be said of a choice that no score of the whole instruction backs."""
    parts = bool(desk.turns) and all(turn.step for turn in desk.turns)
    return "the last step that came to something; the whole was not checked" if parts else ""


def _failure(error: Exception) -> Failure:
    blame = error.blame if isinstance(error, EditThinkerError) else "ours"
    return Failure(blame, type(error).__name__, _message(error))


def _message(error: Exception) -> str:
    """The error's words, safe to store: a foreign message may hold broken Unicode."""
    return (str(error) or type(error).__name__).encode("utf-8", "replace").decode()
