from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from editthinker.core.episode import Episode
from editthinker.core.errors import EditorError
from editthinker.core.limits import Limits
from editthinker.darkroom.cases import draw_samples
from editthinker.darkroom.photographs import photographs
from editthinker.resolve import resolve_editor, resolve_judge, resolve_thinker
from editthinker.runs import RunFolder
from editthinker.testing.scripted import ScriptedEditor


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the darkroom's editor and its expert: twelve trajectories, one more that failed."""
    photos = [(p.name, p.picture().within(120_000)) for p in photographs("validation")[:6]]
    samples = draw_samples(photos, 13, split="validation")
    editor, thinker = resolve_editor("darkroom"), resolve_thinker("darkroom-expert")
    judge = resolve_judge("darkroom")
    folder = tmp_path_factory.mktemp("data") / "run"
    with RunFolder.create(folder, {"editor": "darkroom", "thinker": "darkroom-expert"}) as made:
        for number, sample in enumerate(samples):
            recorder = made.recorder(sample)
            worker = ScriptedEditor(EditorError("the GPU is gone")) if number == 12 else editor
            limits = Limits(turns=4)
            episode = Episode(
                sample, worker, thinker, judge=judge, limits=limits, seed=1000 * number, listener=recorder
            )
            asyncio.run(episode.run())
            recorder.finish(episode.trajectory)
    return folder
