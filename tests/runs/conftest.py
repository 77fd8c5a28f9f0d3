from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from editthinker.core.episode import Episode
from editthinker.core.limits import Limits
from editthinker.core.records import TrajectoryRecord
from editthinker.core.types import Sample
from editthinker.runs import RunFolder
from editthinker.testing.behaviour import photograph
from editthinker.testing.scripted import ScriptedEditor, ScriptedThinker

CONFIG = {"strategy": "think-while-edit", "editor": "scripted", "turns": 3}
Play = Callable[..., TrajectoryRecord]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunFolder]:
    with RunFolder.create(tmp_path / "run", CONFIG) as made:
        yield made


@pytest.fixture
def play() -> Play:
    """Play an episode of scripted models into a run."""

    def play(
        run: RunFolder,
        sample: Sample | None = None,
        editor: ScriptedEditor | None = None,
        thinker: ScriptedThinker | None = None,
        turns: int = 3,
    ) -> TrajectoryRecord:
        sample = sample or Sample((photograph(),), "make it warmer")
        recorder = run.recorder(sample)
        episode = Episode(
            sample,
            editor or ScriptedEditor(),
            thinker or ScriptedThinker(),
            limits=Limits(turns=turns),
            listener=recorder,
        )
        asyncio.run(episode.run())
        return recorder.finish(episode.trajectory)

    return play
