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
from collections.abc import Callable
from functools import partial

from editthinker.core.events import (
    CallFailed,
    EditFinished,
    EditStarted,
    Event,
    ThinkFinished,
    TurnFinished,
)
from editthinker.core.records import (
    TrajectoryRecord,
    call_record,
    sample_record,
    trajectory_record,
    turn_record,
)
from editthinker.core.types import Call, Sample, Trajectory, Turn
from editthinker.runs.blobs import Blobs
from editthinker.runs.ledger import Ledger


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

    def __init__(self, sample: Sample, ledger: Ledger, blobs: Blobs) -> None:
        self._sample, self._ledger, self._blobs = sample, ledger, blobs
        self._row: tuple[int, int] | None = None
        self._edit: EditStarted | None = None
        self._calls = 0

    async def __call__(self, event: Event) -> None:
        """Store what an episode tells. Raises `StoreError`; the episode then starts no further call."""
        # In a thread, because an image may have to be encoded and fsync waits for the disk.
        await asyncio.to_thread(self._writing(event))

    def finish(self, trajectory: Trajectory) -> TrajectoryRecord:
        """Store the end; blocks for milliseconds, since everything before it is stored already."""
        sample, attempt = self._begun()
        record = trajectory_record(trajectory, self._blobs.keep)
        self._ledger.finish(sample, attempt, record)
        return record

    def _begun(self) -> tuple[int, int]:
        if self._row is None:
            record = sample_record(self._sample, self._blobs.keep)
            self._row = self._ledger.begin(sample_key(self._sample), record)
        return self._row

    def _writing(self, event: Event) -> Callable[[], None]:
        match event:
            case EditStarted():
                self._edit = event
            case EditFinished(call, edited) if self._edit:
                turn = Turn(self._edit.turn, self._edit.instruction, self._edit.seed, edited, None)
                return partial(self._put, call=self._numbered(call), turn=turn)
            case ThinkFinished(call) | CallFailed(call):
                return partial(self._put, call=self._numbered(call))
            case TurnFinished(turn):
                return partial(self._put, turn=turn, finished=True)
        return self._put

    def _numbered(self, call: Call) -> tuple[int, Call]:
        """The call with its place in `Trajectory.calls`."""
        self._calls += 1
        return self._calls - 1, call

    def _put(
        self, *, call: tuple[int, Call] | None = None, turn: Turn | None = None, finished: bool = False
    ) -> None:
        sample, attempt = self._begun()
        if turn:
            self._ledger.put_turn(sample, turn_record(turn, self._blobs.keep), finished=finished)
        if call:
            self._ledger.put_call(sample, attempt, call[0], call_record(call[1]))
