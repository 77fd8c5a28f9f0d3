"""An episode's listener: every fact is on disk before the episode goes on.

recorder = run.recorder(sample)
episode = Episode(sample, editor, thinker, listener=recorder)
async for turn in episode: ...
recorder.finish(episode.trajectory)
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace

from editthinker.core.events import (
    CallFailed,
    EditFinished,
    EditStarted,
    Event,
    JudgeFinished,
    JudgeStarted,
    PlanFinished,
    ThinkFinished,
    ThinkStarted,
    TurnFinished,
)
from editthinker.core.images import Picture
from editthinker.core.past import Past
from editthinker.core.records import (
    ImageRef,
    TrajectoryRecord,
    call_record,
    sample_record,
    trajectory_record,
    turn_record,
)
from editthinker.core.types import Call, Candidate, Edited, Sample, Trajectory, Turn
from editthinker.runs import ledger
from editthinker.runs.answers import answer_record
from editthinker.runs.blobs import Blobs
from editthinker.runs.commits import Commits
from editthinker.runs.ledger import Job, Ledger


def sample_key(sample: Sample) -> str:
    """What makes a sample this sample: its words and pixels, not its place in a list or a file's bytes."""
    content = {
        "id": sample.id,
        "instruction": sample.instruction,
        "images": [image.sha256 for image in sample.images],
        "mask": sample.mask and sample.mask.sha256,
        "tags": dict(sample.tags),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class Recorder:
    """Stores one episode. Single-use, like the episode."""

    def __init__(
        self,
        sample: Sample,
        ledger: Ledger,
        blobs: Blobs,
        commits: Commits,
        *,
        key: str = "",
        inputs: str = "",
        past: Past | None = None,
    ) -> None:
        """`key` names the sample in the ledger ("": by content); `past` is what the episode goes on from."""
        self._sample, self._ledger, self._blobs, self._commits = sample, ledger, blobs, commits
        self._key, self._inputs = key, inputs
        self._number: int | None = None
        self._past = len(past.calls) if past else 0
        self._first = 0
        """Number in the ledger of the first of `Trajectory.calls`."""
        self._edited: Turn | None = None
        self._calls = self._past
        self._turn_to_write = asyncio.Lock()
        self._held: list[Job] = []
        """What a thinker or judge said last: it is written with the turn, or before another call starts."""

    async def __call__(self, event: Event) -> None:
        """Store what an episode tells. Raises `StoreError`; the episode then starts no further call.

        A call may start only while there is room on the disk for what it brings.
        """
        if isinstance(event, EditStarted | ThinkStarted | JudgeStarted):
            self._blobs.check_room()
            if self._held:
                async with self._turn_to_write:
                    await self._write([])
            return
        if (call := _call_of(event)) is None and not isinstance(event, TurnFinished):
            return
        number = self._calls  # its place in `Trajectory.calls`: what is told first was made first
        self._calls += call is not None
        if isinstance(event, EditFinished):
            self._edited = _with_image(self._edited, event.start, event.edited)
        edited = self._edited
        if isinstance(event, TurnFinished):
            self._edited = None
        # One after another: candidates finish at the same time, and a later state must not be overwritten.
        async with self._turn_to_write:
            if self._number is None or isinstance(event, EditFinished):
                # In a thread, because an image may have to be encoded, and fsync waits for the disk.
                jobs = await asyncio.to_thread(self._jobs, event, call, number, edited)
            else:
                jobs = self._jobs(event, call, number, edited)
            if isinstance(event, ThinkFinished | JudgeFinished):
                self._held += jobs
            else:
                await self._write(jobs)

    async def _write(self, jobs: Sequence[Job]) -> None:
        held, self._held = self._held, []
        await self._commits.write([*held, *jobs])

    def finish(self, trajectory: Trajectory) -> TrajectoryRecord:
        """Store the end; blocks for milliseconds, since everything before it is stored already."""
        record = trajectory_record(trajectory, self._blobs.keep)
        self._ledger.commit(self._held)
        self._ledger.finish(self._begun(), record, self._first)
        return record

    def image(self, picture: Picture) -> ImageRef:
        """Where a picture of this episode lies."""
        return self._blobs.keep(picture)

    def folded(self, picture: Picture) -> Picture:
        """A stored picture without its bytes."""
        return self._blobs.folded(picture)

    async def finished(self, trajectory: Trajectory) -> None:
        """Store the end without holding up others; the turns were told. Raises `StoreError`."""
        if self._number is None:  # it failed before its first call
            await asyncio.to_thread(self.finish, trajectory)
            return
        record = trajectory_record(trajectory, self._blobs.keep)
        await self._write(
            ledger.ending(self._number, record, first=self._first, turns=len(record.turns), calls=self._calls)
        )

    def _begun(self) -> int:
        if self._number is None:
            record = sample_record(self._sample, self._blobs.keep)
            key = self._key or sample_key(self._sample)
            self._number, stored = self._ledger.begin(key, record, self._inputs)
            self._first = stored - self._past
        return self._number

    def _jobs(self, event: Event, call: Call | None, number: int, edited: Turn | None) -> list[Job]:
        """What has to be written for an event; images are stored at once."""
        sample = self._begun()
        jobs = []
        if isinstance(event, EditFinished) and edited:
            jobs.append(ledger.turn_job(sample, turn_record(edited, self._blobs.keep), finished=False))
        if isinstance(event, TurnFinished):
            jobs.append(ledger.turn_job(sample, turn_record(event.turn, self._blobs.keep), finished=True))
        if call:
            place, answer = self._first + number, answer_record(event, self._blobs.keep)
            jobs.append(ledger.call_job(sample, place, call_record(call), call.question, answer))
        return jobs


def _call_of(event: Event) -> Call | None:
    match event:
        case EditFinished(call=call) | ThinkFinished(call=call) | JudgeFinished(call=call):
            return call
        case CallFailed(call=call) | PlanFinished(call=call):
            return call
    return None


def _with_image(turn: Turn | None, start: EditStarted, edited: Edited) -> Turn:
    """The turn that is not judged yet, with one more image: a turn may have several candidates."""
    if turn and turn.index == start.turn:
        return replace(turn, others=(*turn.others, Candidate(start.seed, edited)))
    return Turn(
        start.turn,
        start.instruction,
        start.seed,
        edited,
        None,
        base=start.base,
        step=start.step,
        editor=start.editor,
        why=start.why,
    )
