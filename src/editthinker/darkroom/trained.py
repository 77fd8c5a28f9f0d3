"""A thinker of the darkroom's kind that somebody trained: `onnx:FOLDER`.

In: a folder with the files `weights.THINKER`, as `python -m editthinker.training.darkroom` writes them beside
whatever it trains. Out: a thinker like the package's own, with other weights.
"""

from __future__ import annotations

from pathlib import Path

from editthinker.core.errors import InputError
from editthinker.core.settings import Settings as BaseSettings
from editthinker.darkroom import weights
from editthinker.darkroom.thinker import DarkroomThinker


class TrainedThinker(DarkroomThinker):
    """The thinker behind "onnx:". Raises `InputError` for a folder without one."""

    class Settings(BaseSettings):
        """It has none."""

    def __init__(self, what: str, _: Settings, *, name: str) -> None:
        folder = Path(what).expanduser()
        if missing := [file for file in weights.THINKER if not (folder / file).is_file()]:
            raise InputError(f"{folder} holds no darkroom thinker: {missing[0]} is missing")
        super().__init__({file: (folder / file).read_bytes() for file in weights.THINKER}, name=name)
