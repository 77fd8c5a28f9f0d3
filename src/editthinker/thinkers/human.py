"""The person at the terminal as the thinker.

In: a `View`. Out: a `Thought` with the person's two scores and next instruction. The edited image is written
to a temporary file whose place the first question names. What asks is a function from a question to a line,
so that a page can ask instead; it runs in a thread of its own, and a question that nobody waits for any more
is dropped.
"""

from __future__ import annotations

import asyncio
import math
import re
import shutil
import sys
import tempfile
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from editthinker.core.contracts import View
from editthinker.core.errors import ThinkerError
from editthinker.core.images import Picture
from editthinker.core.types import Critique, Score, Thought

Ask = Callable[[str], str]
T = TypeVar("T")

_POINTS = re.compile(r"\s*(\d{1,2}(?:[.,]\d{1,3})?)\s*(?:/\s*10|points?)?\s*\Z", re.IGNORECASE)


def ask_at_terminal(question: str) -> str:
    """The line a person types. Raises `EOFError` when there is nobody."""
    sys.stderr.write(question)
    sys.stderr.flush()
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line


class HumanThinker:
    """The thinker behind "human". One question at a time, however many turns wait."""

    name = "human"
    price = 0.0

    def __init__(self, ask: Ask = ask_at_terminal) -> None:
        """`ask` gets a question, ending in a space, and returns the answer or raises `EOFError`."""
        self._ask = ask
        self._one_at_a_time = threading.Lock()
        self._folder: Path | None = None

    async def think(self, view: View) -> Thought:
        """Scores and the next instruction; empty: satisfied. Raises `ThinkerError` at end of input."""
        return await _in_thread(lambda gone: self._think(view, gone))

    def _think(self, view: View, gone: threading.Event) -> Thought:
        with self._one_at_a_time:
            try:
                return Thought(self._critique(view, gone))
            except (EOFError, KeyboardInterrupt):
                raise ThinkerError("nobody is there to judge the image; the input has ended") from None

    def _critique(self, view: View, gone: threading.Event) -> Critique:
        def ask(question: str) -> str:
            if gone.is_set():
                raise EOFError
            return self._ask(question).strip()

        asked = _plain(view.sample.instruction)
        again = f"({_plain(view.complaint)})\n" if view.complaint else ""
        if view.edited is None:
            shown = self._shown(view.sample.source, "source")
            words = ask(f"\n{again}Photo: {shown}\nAsked for: {asked}\nBetter words (Enter keeps them): ")
            return Critique(None, "", words or view.instruction, satisfied=False)
        shown = self._shown(view.edited, f"turn-{len(view.turns) + 1}")
        sent = "" if view.instruction == view.sample.instruction else f"Sent: {_plain(view.instruction)}\n"
        head = f"\n{again}Edited image: {shown}\nAsked for: {asked}\n{sent}"
        semantic = _points(ask, f"{head}How well does it do what was asked, 0 to 10? ")
        quality = _points(ask, "How good is it as a picture, 0 to 10? ")
        words = " ".join(ask("Next instruction (Enter when you are satisfied): ").split())
        return Critique(Score(semantic, quality), "", words or view.instruction, satisfied=not words)

    def _shown(self, picture: Picture, name: str) -> Path:
        """Where the person finds the picture; gone when the thinker is."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="editthinker-"))
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        path = self._folder / f"{name}.png"
        picture.save(path, overwrite=True)
        return path


def _points(ask: Ask, question: str) -> float:
    """A number from 0 to 10, asked for until there is one."""
    while True:
        found = _POINTS.match(ask(question))
        value = float(found[1].replace(",", ".")) if found else math.nan
        if 0 <= value <= 10:
            return value
        question = "Please type a number from 0 to 10: "


def _plain(words: str) -> str:
    """On one line, and without what commands a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in words)


async def _in_thread(work: Callable[[threading.Event], T]) -> T:
    """`work` in a thread nobody waits for at exit: a read from a terminal cannot be interrupted.

    When the waiting task is cancelled the event is set, and what the thread still brings is dropped.
    """
    loop, gone = asyncio.get_running_loop(), threading.Event()
    done: asyncio.Future[T] = loop.create_future()

    def deliver(result: T | None, error: BaseException | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]  # a result is there when no error is

    def run() -> None:
        result, error = None, None
        try:
            result = work(gone)
        except BaseException as raised:  # noqa: BLE001 - handed to the task that waits
            error = raised
        if gone.is_set():
            return
        with suppress(RuntimeError):  # the loop has ended meanwhile, and nobody waits
            loop.call_soon_threadsafe(deliver, result, error)

    threading.Thread(target=run, name="human thinker", daemon=True).start()
    try:
        return await done
    finally:
        gone.set()
