"""A thinker of the darkroom's kind that somebody trained: `onnx:FOLDER`.

In: a folder with the files `weights.THINKER`, as `python -m editthinker.training.darkroom` writes them beside
whatever it trains. Out: a thinker like the package's own, with other weights.
"""

from __future__ import annotations

from pathlib import Path

from editthinker.core.settings import Settings as BaseSettings
from editthinker.darkroom import weights
from editthinker.darkroom.thinker import DarkroomThinker


class TrainedThinker(DarkroomThinker):
    """The thinker behind "onnx:". Raises `InputError` for a folder without one."""

    class Settings(BaseSettings):
        """It has none."""

    def __init__(self, what: str, _: Settings, *, name: str) -> None:
        super().__init__(weights.opened(Path(what).expanduser()), name=name)
