"""The folder that trajectories are made in: a run folder for each editor, and a manifest of them all.

In: run folders, whatever their state. Out: `manifest.json`, as the stages have it; written anew at the end of
every start, so it also tells of what is not finished.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from editthinker.core.types import StopReason
from editthinker.data import stage
from editthinker.data.stage import Counts
from editthinker.runs import RunFolder
from editthinker.runs.folder import CONFIG

VERB = "generate"


def runs_in(folder: Path) -> list[Path]:
    """The run folders in a folder of trajectories, by name; none when it is no such folder."""
    return sorted(path.parent for path in folder.glob(f"*/{CONFIG}"))


def write_manifest(
    out: Path, runs: Mapping[Path, int], asked: Mapping[str, Any], pool: Mapping[str, str]
) -> None:
    """`runs`: folders, and how many samples each is to edit. Raises `StoreError`."""
    counts = Counts()
    told = [_counted(path, samples, counts) for path, samples in runs.items()]
    stage.write_manifest(out / stage.MANIFEST, VERB, asked, counts, inputs=[pool], runs=told)


def _counted(path: Path, samples: int, counts: Counts) -> dict[str, Any]:
    told: dict[str, Any] = {"folder": path.name, "samples": samples, "finished": 0}
    counts.read += samples
    if not (path / CONFIG).is_file():
        counts.note("not_finished", times=samples)
        return told
    ended = 0
    with RunFolder.open(path) as run:
        for begun in run.begun():
            if not begun.finished:
                continue
            ended += 1
            if begun.reason == StopReason.REFUSED or begun.failure:
                why = begun.failure["message"] if begun.failure else ""
                reason = "refused" if begun.reason == StopReason.REFUSED else "failed"
                counts.drop(reason, f"{begun.id}: {why}")
            else:
                told["finished"] += 1
        for name, why in run.unusable().items():
            ended += 1
            counts.drop("unusable", f"{name}: {why}")
        spent = run.spent()
    counts.kept += told["finished"]
    if samples > ended:
        counts.note("not_finished", times=samples - ended)
    calls = {role: number for role, (number, _) in sorted(spent.items())}
    return {**told, "calls": calls, "cost": round(sum(cost for _, cost in spent.values()), 6)}
