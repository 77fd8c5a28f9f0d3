"""A run folder for work that may have begun already: opened when it is the same work, refused when it is not.

In: a place and the resolved configuration. Out: the folder, held for writing. What binds (models, method,
seed) must be as it was; what only says how much and how fast may change from one start to the next.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from editthinker.core.errors import InputError
from editthinker.core.files import shown
from editthinker.runs.folder import CONFIG, RunFolder

FREE = "started_with"
"""Where `run.json` keeps what does not bind; as it was at the first start."""


def taken_up(
    path: Path, config: Mapping[str, Any], free: Mapping[str, Any], *, must_exist: bool
) -> RunFolder:
    """The run at `path`, made if there is none. Raises `StoreError` naming whoever works on it now.

    Raises `InputError` naming what of `config` is not as it was, or, with `must_exist`, when there is no run.
    """
    if not (path / CONFIG).exists():
        if must_exist:
            raise InputError(f"there is no run at {shown(str(path))} to resume")
        try:
            return RunFolder.create(path, {**config, FREE: dict(free)})
        except InputError:
            if not (path / CONFIG).exists():  # or somebody was faster
                raise
    folder = RunFolder.open(path, write=True)
    try:
        _check(folder, config)
    except BaseException:
        folder.close()
        raise
    return folder


def _check(folder: RunFolder, config: Mapping[str, Any]) -> None:
    before = {key: value for key, value in folder.record.config.items() if key != FREE}
    now = json.loads(json.dumps(config))
    for key in (*before, *(key for key in now if key not in before)):
        if before.get(key) != now.get(key):
            raise InputError(
                f"the run {shown(str(folder.path))} was begun with {key} {_short(before.get(key))}, not"
                f" {_short(now.get(key))}; say the same again, or begin another run in a folder of its own"
            )


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 120 else f"{text[:117]}..."
