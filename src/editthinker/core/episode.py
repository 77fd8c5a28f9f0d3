"""One sample played once: turns come out as they finish, and a trajectory stays, whatever happens.

In: a sample, an editor, perhaps a thinker, a strategy, limits. Out: turns, then `Episode.trajectory` with the
chosen turn, why it stopped, every attempt and whose fault a failure was. It does not know where anything is
stored.

    episode = Episode(sample, editor, thinker, limits=Limits(turns=3))
    async for turn in episode: ...
    episode.trajectory.image
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from types import AsyncGeneratorType
from typing import cast

from editthinker.core.contracts import Editor, Thinker
from editthinker.core.desk import Closed, Desk
from editthinker.core.errors import EditThinkerError, InputError, Refused
from editthinker.core.events import Listener, TurnFinished
from editthinker.core.limits import LimitReached, Limits
from editthinker.core.selection import choose
from editthinker.core.strategies import DEFAULT, SINGLE, strategy_named
from editthinker.core.types import Failure, Sample, Stop, StopReason, Trajectory, Turn

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
    ) -> None:
        """Raises `InputError` for anything that cannot work, before anything is spent.

        Without a thinker the default strategy can only be `single`, and is recorded as that.
        """
        if thinker is None and strategy == DEFAULT:
            strategy = SINGLE
        self.error: Exception | None = None
        """What ended the episode, when it failed; `trajectory.failure` is its record."""
        self._strategy = strategy_named(strategy)
        self._desk = Desk(sample, editor, thinker, limits or Limits(), seed, listener)
        self._stop: Stop | None = None
        self._play: AsyncGeneratorType[Turn, None] | None = None
        _check_instruction(sample.instruction)
        _check_fit(sample, editor)
        if self._strategy.needs_thinker and thinker is None:
            raise InputError(f"strategy {strategy!r} needs a thinker; without one only 'single' works")

    def listen(self, listener: Listener) -> None:
        """Tell `listener`, and nobody else, what happens from now on."""
        self._desk.listener = listener

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
        self._desk.close()
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
            calls=tuple(desk.calls),
            spend=desk.spend,
            chosen=choose(desk.sample.source, desk.turns),
            failure=_failure(self.error) if self.error else None,
        )

    async def _turns(self) -> AsyncGenerator[Turn, None]:
        try:
            async with aclosing(self._strategy.play(self._desk)) as turns:
                while turn := await self._next(turns):
                    yield turn
        finally:
            self._desk.stop_clock()

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
        if turn is not None:
            await self._finish(turn)
        return turn

    async def _finish(self, turn: Turn) -> None:
        self._desk.pending = None
        self._desk.turns.append(turn)
        try:
            await self._desk.tell(TurnFinished(turn))
        except Exception as error:  # noqa: BLE001 - a turn that cannot be stored is still a turn
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


def _check_instruction(instruction: str) -> None:
    if not instruction.strip():
        raise InputError("the instruction is empty")
    if len(instruction) > MAX_INSTRUCTION:
        raise InputError(
            f"the instruction has {len(instruction)} characters; at most {MAX_INSTRUCTION} are accepted"
        )
    if any("\ud800" <= letter <= "\udfff" for letter in instruction):
        raise InputError("the instruction is not valid Unicode text")


def _check_fit(sample: Sample, editor: Editor) -> None:
    info = editor.info
    if len(sample.images) > info.max_images:
        raise InputError(
            f"editor {info.name!r} takes {info.max_images} image(s), the sample has {len(sample.images)}"
        )
    if sample.mask is not None and not info.mask:
        raise InputError(f"editor {info.name!r} takes no mask")


def _failure(error: Exception) -> Failure:
    blame = error.blame if isinstance(error, EditThinkerError) else "ours"
    return Failure(blame, type(error).__name__, _message(error))


def _message(error: Exception) -> str:
    """The error's words, safe to store: a foreign message may hold broken Unicode."""
    return (str(error) or type(error).__name__).encode("utf-8", "replace").decode()
