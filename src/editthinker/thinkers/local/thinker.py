"""A vision-language model of transformers in this process as a thinker.

In: a `View`, or a `Sample` to plan. Out: a `Thought`, or a `Plan`. Turns that wait at the same time are
thought about in one batch. The model is loaded with the first of them, in the thread that will run it.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from editthinker.core.batching import Job, Queue
from editthinker.core.contracts import EditorInfo, View
from editthinker.core.errors import ReplyError, ThinkerError
from editthinker.core.images import Picture
from editthinker.core.types import Plan, Sample, Thought
from editthinker.thinkers import prompts
from editthinker.thinkers.local import generating, loading
from editthinker.thinkers.local.generating import Asked, Written

SEEDS = 2**31


class LocalThinker:
    """The thinker behind `local:PATH_OR_REPO`. At temperature 0 the same view gives the same critique."""

    Settings = loading.Settings

    def __init__(self, source: str, settings: loading.Settings, *, name: str = "local") -> None:
        """Nothing is loaded yet. Raises `InputError` for a path, prompt or setting that cannot work."""
        self.name = name
        self.settings = settings
        self._source = source
        self._label = f"thinker {name!r}"
        loading.check(source, settings, self._label)
        self._prompt = prompts.load(settings.style, settings.prompt)
        self._queue: Queue[Asked, Written] = Queue(self._write, settings.batch)
        self._loaded: loading.Loaded | None = None

    async def think(self, view: View) -> Thought:
        """One reply, read by the prompt's rules. Raises `ReplyError`, or `ThinkerError`."""
        written, notes = await self._ask(self._prompt.parts(view))
        return Thought(self._prompt.read(written.text, view), notes=notes)

    async def plan(self, sample: Sample, editor: EditorInfo) -> Plan:
        """The instruction as atomic steps. Raises as `think` does."""
        prompt = prompts.load("plan")
        written, notes = await self._ask(prompt.parts(View(sample, sample.instruction, None, editor=editor)))
        return replace(prompt.read_plan(written.text), notes=notes)

    async def _ask(self, parts: Sequence[str | Picture]) -> tuple[Written, dict[str, Any]]:
        settings = self.settings
        seed = random.randrange(SEEDS) if settings.seed is None else settings.seed
        written = await self._queue.do(Asked(tuple(parts), seed))
        if not written.whole:
            raise ReplyError(
                f"the reply was cut at {settings.max_tokens} tokens; "
                "reply more briefly (or set a larger max_tokens)"
            )
        notes = {
            "model": self._source,
            "tokens_in": written.tokens_in,
            "tokens_out": written.tokens_out,
            "temperature": settings.temperature,
        }
        return written, notes | ({"seed": seed} if settings.temperature else {})

    def _write(self, jobs: Sequence[Job[Asked, Written]]) -> None:
        """Answer these jobs, in the worker thread. Raises when there is no model."""
        if self._loaded is None:
            self._loaded = loading.load(self._source, self.settings, self._label)
        batch = [replace(job.work, gone=job.answer.cancelled) for job in jobs]
        try:
            replies = self._generate(self._loaded, batch)
        except ThinkerError as error:
            if len(jobs) == 1:
                jobs[0].fail(error)
                return
        else:
            for job, reply in zip(jobs, replies, strict=True):
                job.succeed(reply)
            return
        for job in jobs:  # one of them broke it for all, or together they need too much memory
            if job.wanted:
                self._write([job])

    def _generate(self, loaded: loading.Loaded, batch: Sequence[Asked]) -> list[Written]:
        settings = self.settings
        shown = [replace(asked, parts=self._shown(asked.parts)) for asked in batch]
        try:
            return generating.write(loaded, shown, settings.max_tokens, settings.temperature)
        except generating.TooLong as error:
            raise ThinkerError(f"{self._label} {error}") from error
        except Exception as error:  # other people's model code may raise anything
            if loading.out_of_memory(error):
                loading.give_back(loaded.device)
                raise ThinkerError(
                    f"{self._label} ran out of memory over {len(batch)} turns at once; set a smaller "
                    f"'pixels' (now {settings.pixels}) or 'batch' (now {settings.batch}), or quantise=nf4"
                ) from error
            said = " ".join(str(error).split())[:300]
            raise ThinkerError(f"{self._label} broke: {type(error).__name__}: {said}") from error

    def _shown(self, parts: Sequence[str | Picture]) -> tuple[str | Picture, ...]:
        """The parts with the pictures as the model sees them."""
        return tuple(
            part if isinstance(part, str) else part.flattened().within(self.settings.pixels) for part in parts
        )
