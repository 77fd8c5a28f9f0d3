"""The synchronous front door: one photo, one instruction, one result.

In: an image in any form, words, names or objects for editor and thinker. Out: a `Trajectory`. It works inside
a running event loop too (notebooks), where the work goes to a thread of its own.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

from editthinker.core.contracts import Editor, Thinker
from editthinker.core.episode import Episode
from editthinker.core.images import Picture
from editthinker.core.limits import Limits
from editthinker.core.types import Sample, Trajectory

T = TypeVar("T")


def edit(
    image: Any,
    instruction: str,
    *,
    editor: str | Editor = "darkroom",
    thinker: str | Thinker | None = "darkroom",
    strategy: str = "think-while-edit",
    turns: int = 3,
    seed: int = 0,
    threshold: float = 8.0,
    max_seconds: float | None = None,
    max_editor_calls: int | None = None,
    run: str | PathLike[str] | None = None,
) -> Trajectory:
    """Edit `image` (a path, bytes, a Pillow image or a numpy array) and return what came of it.

    `result.image` is the delivered picture, `result.turns` holds every turn with its critique, `result.stop`
    says why it ended and `result.failure` what failed, if anything did. Without a thinker the default
    strategy makes a single edit. With `run` everything is kept in that folder. Raises `InputError` for an
    image, an instruction, a name or a number that cannot be used, and `StoreError` for a run folder that
    cannot.
    """
    limits = Limits(turns=turns, seconds=max_seconds, editor_calls=max_editor_calls)
    episode = Episode(
        Sample((Picture.open(image),), instruction),
        _editor(editor),
        _thinker(thinker),
        strategy=strategy,
        limits=limits.with_threshold(threshold),
        seed=seed,
    )
    if run is None:
        return _run(episode.run())
    config = {
        "verb": "edit",
        "image": str(image) if isinstance(image, str | PathLike) else "",
        "instruction": instruction,
        "editor": _name(editor),
        "thinker": _name(thinker),
        "strategy": strategy,
        "turns": turns,
        "seed": seed,
        "threshold": threshold,
        "max_seconds": max_seconds,
        "max_editor_calls": max_editor_calls,
    }
    return _kept(episode, Path(run), config)


def _kept(episode: Episode, path: Path, config: dict[str, Any]) -> Trajectory:
    """Play with every fact stored as it happens; an interrupted episode is kept as far as it came."""
    from editthinker.runs import RunFolder
    from editthinker.runs.report import write_html

    with RunFolder.create(path, config) as folder:
        recorder = folder.recorder(episode.trajectory.sample)
        episode.listen(recorder)
        try:
            return _run(episode.run())
        finally:
            recorder.finish(episode.trajectory)
            write_html(folder, folder.path / "report.html")


def _name(model: str | Editor | Thinker | None) -> str:
    """What a record calls a model: the name it was asked for by, or the one it gives itself."""
    if model is None or isinstance(model, str):
        return model or "none"
    return model.info.name if isinstance(model, Editor) else model.name


def _editor(editor: str | Editor) -> Editor:
    if not isinstance(editor, str):
        return editor
    from editthinker.resolve import resolve_editor

    return resolve_editor(editor)


def _thinker(thinker: str | Thinker | None) -> Thinker | None:
    if not isinstance(thinker, str):
        return thinker
    from editthinker.resolve import resolve_thinker

    return resolve_thinker(thinker)


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end from synchronous code, whether or not this thread has a running event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    return _run_in_thread(work)


def _run_in_thread(work: Coroutine[Any, Any, T]) -> T:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="editthinker", daemon=True)
    thread.start()
    future = asyncio.run_coroutine_threadsafe(work, loop)
    try:
        return future.result()
    finally:  # an interrupt lands here too: cancel what runs, then let the loop go
        future.cancel()
        asyncio.run_coroutine_threadsafe(_drain(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _drain() -> None:
    """Wait for cancelled work to clean up, and for async generators and worker threads to end."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.gather(*others, return_exceptions=True)
    loop = asyncio.get_running_loop()
    await loop.shutdown_asyncgens()
    await loop.shutdown_default_executor()
