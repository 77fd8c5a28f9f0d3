"""The synchronous front door: one photo, one instruction, one result.

In: an image in any form, words, names or objects for editor, thinker and judges. Out: a `Trajectory`. It
works inside a running event loop too (notebooks), where the work goes to a thread of its own. The command
line comes through `episode` and `plan` here, so that both understand the same.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, TypedDict, TypeVar, Unpack, cast

from editthinker.core import names
from editthinker.core.calls import Calls
from editthinker.core.contracts import Comparer, Editor, EditorInfo, Judge, Thinker
from editthinker.core.desk import Desk
from editthinker.core.episode import Episode
from editthinker.core.errors import InputError
from editthinker.core.estimate import Estimate, estimate
from editthinker.core.events import Listener
from editthinker.core.images import Picture
from editthinker.core.limits import Limits
from editthinker.core.method import Method
from editthinker.core.regions import mask_of_box
from editthinker.core.strategies import DEFAULT, PLANNED, SINGLE
from editthinker.core.types import Plan, Role, Sample, Trajectory

T = TypeVar("T")


class Options(TypedDict, total=False):
    """What may be chosen for an edit; `editthinker edit` has the same names, with hyphens."""

    images: Sequence[Any]
    """Further input images (references), in any form."""
    mask: Any
    """Of the photo's size; white where the edit belongs."""
    box: Sequence[float] | None
    """The same as a box: left, top, width, height, in pixels, or in shares of the photo (0.0 to 1.0)."""
    editor: str | Editor
    alternates: Sequence[str | Editor]
    """Further editors the policy "adaptive" may switch to."""
    thinker: str | Thinker | None
    judge: str | Judge | None
    """Scores in the thinker's place."""
    comparer: str | Comparer | None
    """Chooses among candidates, and the turn that is delivered."""
    strategy: str
    policy: str
    plan: Plan | Sequence[str] | None
    """The steps to take; the strategy is "plan-and-edit" then."""
    candidates: int
    stack: bool
    paste_back: bool
    turns: int
    seed: int
    threshold: float
    semantic: float | None
    quality: float | None
    """Thresholds of one score alone."""
    patience: int | None
    retries: int
    max_cost: float | None
    max_seconds: float | None
    max_editor_calls: int | None
    max_thinker_calls: int | None


DEFAULTS: Options = {
    "images": (),
    "mask": None,
    "box": None,
    "editor": "darkroom",
    "alternates": (),
    "thinker": "darkroom",
    "judge": None,
    "comparer": None,
    "strategy": DEFAULT,
    "policy": "refine",
    "plan": None,
    "candidates": 1,
    "stack": False,
    "paste_back": False,
    "turns": 3,
    "seed": 0,
    "threshold": 8.0,
    "semantic": None,
    "quality": None,
    "patience": None,
    "retries": 2,
    "max_cost": None,
    "max_seconds": None,
    "max_editor_calls": None,
    "max_thinker_calls": None,
}


def edit(
    image: Any, instruction: str, *, run: str | PathLike[str] | None = None, **options: Unpack[Options]
) -> Trajectory:
    """Edit `image` (a path, bytes, a Pillow image or a numpy array) and return what came of it.

    `result.image` is the delivered picture, `result.turns` holds every turn with its critique, `result.stop`
    says why it ended and `result.failure` what failed, if anything did. What can be chosen is in `Options`,
    what is chosen otherwise in `DEFAULTS`. A model is an object, or a name as `editthinker models` lists them
    (your configuration files count, their defaults do not). Without a thinker the default strategy makes a
    single edit. With `run` everything is kept in that folder. Raises `InputError` for an image, an
    instruction, a name or a number that cannot be used, and `StoreError` for a run folder that cannot.
    """
    play = episode(image, instruction, **options)
    if run is None:
        return _run(play.run())
    shown = str(image) if isinstance(image, str | PathLike) else ""
    words = {"verb": "edit", "image": shown, "instruction": instruction}
    return _kept(play, Path(run), {**words, **recorded(options)})


def episode(
    image: Any,
    instruction: str,
    *,
    label: str = "sample",
    listener: Listener | None = None,
    **options: Unpack[Options],
) -> Episode:
    """Everything built and checked, nothing asked of a model yet; `label` is the sample's name in records."""
    chosen = _chosen(options)
    sample = _sample(image, instruction, label, chosen)
    return _episode(sample, chosen, _models(chosen), listener)


@dataclass(frozen=True, slots=True)
class Outlook:
    """What an edit would be: with whom, how, and what it takes at most."""

    sample: Sample
    editors: tuple[EditorInfo, ...]
    """The usual one first."""
    thinker: Thinker | None
    judge: Judge | None
    comparer: Comparer | None
    method: Method
    limits: Limits
    estimate: Estimate


def outlook(image: Any, instruction: str, **options: Unpack[Options]) -> Outlook:
    """The same checks as `episode`, and what it may cost; nothing is asked of anybody."""
    chosen = _chosen(options)
    sample, models, limits = _sample(image, instruction, "sample", chosen), _models(chosen), _limits(chosen)
    _episode(sample, chosen, models)
    steps, alone = _plan(chosen["plan"]), models["thinker"] is None
    strategy = _strategy(chosen)
    method = Method(
        strategy=SINGLE if alone and strategy == DEFAULT else strategy,
        policy=chosen["policy"],
        candidates=chosen["candidates"],
        stack=chosen["stack"],
        plan=steps,
        paste_back=chosen["paste_back"],
    )
    editors = tuple(editor.info for editor in (models["editor"], *models["alternates"]))
    judges = models["thinker"], models["judge"], models["comparer"]
    return Outlook(sample, editors, *judges, method, limits, estimate(method, limits, editors, *judges))


def plan(image: Any, instruction: str, **options: Unpack[Options]) -> Plan:
    """The thinker's steps for this instruction; nothing is edited. Raises what made it fail."""
    chosen = _chosen(options)
    desk = Desk(
        sample=_sample(image, instruction, "sample", chosen),
        editors=(_model("editor", chosen["editor"]),),
        thinker=_model("thinker", chosen["thinker"]),
        calls=Calls(_limits(chosen)),
        method=Method(strategy=PLANNED, plan=_plan(chosen["plan"])),
    )
    return _run(desk.plan())


def recorded(options: Mapping[str, Any]) -> dict[str, Any]:
    """All options as a run's record holds them: JSON values, models by name, no secret, no image."""
    chosen: dict[str, Any] = {**DEFAULTS, **options}
    steps = _plan(chosen["plan"])
    meant: dict[str, str] = {}
    record = {key: value for key, value in chosen.items() if key not in ("images", "mask", "plan")}
    for key, role in _ROLES.items():
        given = chosen[key]
        several = not isinstance(given, str) and isinstance(given, Sequence)
        called = [_called(role, name, meant) for name in (given if several else [given])]
        record[key] = called if several else called[0]
    return {
        **record,
        "box": None if chosen["box"] is None else list(chosen["box"]),
        "images": len(chosen["images"]),
        "mask": chosen["mask"] is not None,
        "plan": None if steps is None else list(steps.steps),
        "strategy": _strategy(chosen),
        "means": meant,
    }


def _chosen(options: Mapping[str, Any]) -> Options:
    for key in options:
        if key not in DEFAULTS:
            raise TypeError(f"there is no option {key!r}; there are {', '.join(DEFAULTS)}")
    chosen: Any = {**DEFAULTS, **options}
    return cast(Options, chosen)


def _sample(image: Any, instruction: str, label: str, chosen: Options) -> Sample:
    source = Picture.open(image)
    box, mask = chosen["box"], chosen["mask"]
    if box is not None and mask is not None:
        raise InputError("a mask and a box say the same thing; give one of them")
    if mask is not None:
        mask = Picture.open(mask)
    elif box is not None:
        mask = mask_of_box(source.size, _corners(box))
    return Sample((source, *map(Picture.open, chosen["images"])), instruction, id=label, mask=mask)


def _corners(box: Sequence[float]) -> Sequence[float]:
    """Left, top, right, bottom of a box given by left, top, width, height."""
    if len(box) != 4:
        raise InputError(f"a box is four numbers: left, top, width, height; got {len(box)}")
    left, top, width, height = box
    shares = max(box) <= 1 and any(isinstance(number, float) for number in box)
    right, bottom = left + width, top + height
    return (left, top, min(1.0, right), min(1.0, bottom)) if shares else (left, top, right, bottom)


def _models(chosen: Options) -> dict[str, Any]:
    """The objects behind the names, by option."""
    return {
        "editor": _model("editor", chosen["editor"]),
        "thinker": _model("thinker", chosen["thinker"]),
        "judge": _model("judge", chosen["judge"]),
        "comparer": _model("comparer", chosen["comparer"]),
        "alternates": [_model("editor", name) for name in chosen["alternates"]],
    }


def _episode(
    sample: Sample, chosen: Options, models: Mapping[str, Any], listener: Listener | None = None
) -> Episode:
    return Episode(
        sample,
        **models,
        strategy=_strategy(chosen),
        policy=chosen["policy"],
        candidates=chosen["candidates"],
        stack=chosen["stack"],
        plan=_plan(chosen["plan"]),
        paste_back=chosen["paste_back"],
        limits=_limits(chosen),
        seed=chosen["seed"],
        listener=listener,
    )


def _limits(chosen: Options) -> Limits:
    threshold, semantic, quality = chosen["threshold"], chosen["semantic"], chosen["quality"]
    return Limits(
        turns=chosen["turns"],
        cost=chosen["max_cost"],
        seconds=chosen["max_seconds"],
        editor_calls=chosen["max_editor_calls"],
        thinker_calls=chosen["max_thinker_calls"],
        patience=chosen["patience"],
        retries=chosen["retries"],
        semantic=threshold if semantic is None else semantic,
        quality=threshold if quality is None else quality,
    )


def _strategy(chosen: Mapping[str, Any]) -> str:
    """What goes by a plan, once there is one and nothing else was asked for."""
    name: str = chosen["strategy"]
    return PLANNED if chosen["plan"] is not None and name == DEFAULT else name


def _plan(given: Plan | Sequence[str] | None) -> Plan | None:
    if given is None or isinstance(given, Plan):
        return given
    try:
        return Plan((given,) if isinstance(given, str) else tuple(given))
    except ValueError as error:
        raise InputError(str(error)) from None


_ROLES: Mapping[str, Role] = {
    "editor": "editor",
    "alternates": "editor",
    "thinker": "thinker",
    "judge": "judge",
    "comparer": "judge",
}


def _called(role: Role, model: Any, meant: dict[str, str]) -> str:
    """What a record calls a model; what one of the user's own names stands for goes to `meant`."""
    if model is None:
        return "none"
    if not isinstance(model, str):
        return str(model.info.name if isinstance(model, Editor) else model.name)
    from editthinker import resolve

    if model != "none" and (meaning := resolve.understood(role, model)).where:
        meant[names.recorded(model)] = meaning.spelled
    return names.recorded(model)


def _model(role: str, model: Any) -> Any:
    """The object behind a name; "none" is nobody, an object is itself."""
    if not isinstance(model, str):
        return model
    from editthinker import resolve

    if model == "none" and role != "editor":
        return None
    return getattr(resolve, f"resolve_{role}")(model)


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
