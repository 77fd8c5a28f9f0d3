"""One editor and everyone who waits for it: warmed up once, then so many at a time, the others in a line.

In: an editor. Out: its images, in turn; whether it is ready, and how long the line is. Who comes when the
line is full is told when to come back instead of waiting without end.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from PIL import Image

from editthinker.core.contracts import Editor
from editthinker.core.errors import EditorError, EditThinkerError, InputError, Refused
from editthinker.core.images import Picture
from editthinker.core.types import Edited, EditRequest

WARM_UP_SIZE = (64, 64)
LONGEST_WAIT = 60


class Busy(EditorError):
    """The line is full; `retry_after` says when to come back."""


class Line:
    """The line before one editor. Belongs to one event loop."""

    def __init__(
        self,
        editor: Editor,
        *,
        concurrency: int,
        longest: int,
        told: Callable[[EditThinkerError | None], None] | None = None,
    ) -> None:
        """`longest` may wait; `told` hears how the warm-up ended: None, or what went wrong."""
        self.editor, self.concurrency, self.longest = editor, concurrency, longest
        self.running = self.waiting = self.edits = self.failures = 0
        self.failure: EditThinkerError | None = None
        """Why the editor will never be ready."""
        self._told = told
        self._seconds = 0.0
        self._slots = asyncio.Semaphore(concurrency)
        self._warm = asyncio.Event()
        self._warming: asyncio.Task[None] | None = None

    @property
    def ready(self) -> bool:
        """Whether the editor has answered its first, tiny request."""
        return self._warm.is_set() and self.failure is None

    @property
    def reason(self) -> str:
        """Why it is not ready; "" when it is."""
        if self.ready:
            return ""
        return str(self.failure) if self.failure else "the editor is loading; it has not answered yet"

    def open(self) -> None:
        """Begin to warm up, unless that has begun. Needs a running event loop."""
        if self._warming is None:
            self._warming = asyncio.get_running_loop().create_task(self._warm_up())

    async def close(self) -> None:
        """Stop warming up."""
        if self._warming is not None:
            self._warming.cancel()
            await asyncio.gather(self._warming, return_exceptions=True)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Inside, the caller may edit. Raises `Busy` when the line is full, or the warm-up's failure."""
        if self.waiting + self.running >= self.concurrency + self.longest:
            busy = Busy(f"the editor is busy and {self.waiting} others wait already")
            busy.transient, busy.retry_after = True, self._expected_wait()
            raise busy
        self.waiting += 1
        try:
            await self._warm.wait()
            if self.failure:
                raise self.failure
            await self._slots.acquire()
        finally:
            self.waiting -= 1
        self.running += 1
        try:
            yield
        finally:
            self.running -= 1
            self._slots.release()

    async def edit(self, request: EditRequest) -> Edited:
        """One edit. Raises `InputError`, `Refused` or `EditorError`, whatever the editor raised."""
        began = time.monotonic()
        try:
            edited = await _edited(self.editor, request)
        except EditThinkerError:
            self.failures += 1
            raise
        self.edits += 1
        self._seconds += time.monotonic() - began
        return edited

    async def _warm_up(self) -> None:
        photo = Picture(Image.linear_gradient("L").resize(WARM_UP_SIZE).convert("RGB"), name="warm-up")
        try:
            await _edited(self.editor, EditRequest((photo,), "make it a little warmer", seed=0))
        except Refused:
            pass  # an editor that can refuse can also edit
        except EditThinkerError as error:
            self.failure = error
        self._warm.set()
        if self._told:
            self._told(self.failure)

    def _expected_wait(self) -> float:
        """Seconds until a place in the line is likely to be free."""
        each = self._seconds / self.edits if self.edits else 1.0
        return float(min(LONGEST_WAIT, max(1, round(each / self.concurrency))))

    def status(self) -> dict[str, Any]:
        """Counts, under the paper's names where it has one (`inference/server`)."""
        return {
            "system_ready": self.ready,
            "active_workers": self.concurrency if self.ready else 0,
            "task_queue_size": self.waiting,
            "pending_tasks": self.running + self.waiting,
            "running": self.running,
            "longest_queue": self.longest,
            "edits": self.edits,
            "failures": self.failures,
        }


async def _edited(editor: Editor, request: EditRequest) -> Edited:
    name = editor.info.name
    try:
        edited = await editor.edit(request)
    except EditThinkerError as error:
        if isinstance(error, InputError | EditorError):
            raise
        raise EditorError(str(error)) from error
    except Exception as error:  # an editor may raise anything; it is the editor's failure, not the server's
        raise EditorError(f"editor {name!r} broke: {type(error).__name__}: {error}") from error
    if not isinstance(edited, Edited) or not isinstance(edited.image, Picture):
        raise EditorError(f"editor {name!r} returned no image")
    return edited
