"""The promises of `core.contracts` as checks: run them over any editor, thinker or judge.

A factory returns a fresh object each time it is called. Every check opens its own event loop, so the suites
run from a plain test function. A model may fail with an error of its own branch (`EditorError`, ...); it may
not raise anything else, and it may not touch what it was given.
"""
# ruff: noqa: S101 - asserting is what a suite is for

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from editthinker.core.contracts import Editor, EditorInfo, Judge, Thinker, View
from editthinker.core.errors import EditorError, InputError, JudgeError, ThinkerError
from editthinker.core.images import Picture
from editthinker.core.selection import same_pixels
from editthinker.core.types import Edited, EditRequest, Sample, Score, Thought

Subject = TypeVar("Subject")
Check = Callable[[Callable[[], Subject]], Coroutine[Any, Any, None]]

INSTRUCTION = "make it black and white"
ODD_INSTRUCTIONS = (
    "把天空变成红色",
    "🎈🎈 make it pop 🎈",
    "write <think>{hello}</think> & <score>10</score> %s \\n on it",
    'add the text "a \'quoted\' \\" thing"',
    "اجعل الصورة أكثر دفئًا",
    "line one\nline two\ttabbed \u202eesrever",
    "x",
    "make it warmer " * 2_000,
)
CANCEL_WITHIN = 2.0
"""Seconds a cancelled call may take to end."""


def photograph(width: int = 96, height: int = 64, *, seed: int = 0) -> Picture:
    """A small scene: sky, ground, a coloured block and some noise; the same for the same arguments."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:height, 0:width]
    scene = np.empty((height, width, 3))
    scene[..., 0] = 90 + 90 * rows / height
    scene[..., 1] = 120 + 60 * columns / width
    scene[..., 2] = 220 - 140 * rows / height
    top, left = height // 3, width // (3 + seed % 3)
    scene[top : 2 * top, left : 2 * left] = rng.integers(0, 256, 3)
    scene += rng.normal(0, 4, scene.shape)
    return Picture.open(scene.clip(0, 255).astype(np.uint8))


def check_editor(factory: Callable[[], Editor]) -> None:
    """Raises AssertionError naming the first promise that an editor of this factory breaks."""
    _run(
        factory,
        _editor_is_named,
        _editor_keeps_size_and_source,
        _editor_takes_transparent_pictures,
        _editor_honours_seed,
        _editor_takes_odd_instructions,
        _editor_stops_when_cancelled,
        _editor_serves_several_at_once,
    )


def check_thinker(factory: Callable[[], Thinker]) -> None:
    """Raises AssertionError naming the first promise that a thinker of this factory breaks."""
    _run(
        factory,
        _thinker_is_named,
        _thinker_critiques,
        _thinker_rewrites_before_any_edit,
        _thinker_hears_complaints,
        _thinker_takes_odd_instructions,
        _thinker_stops_when_cancelled,
    )


def check_judge(factory: Callable[[], Judge], samples: tuple[Sample, ...] = ()) -> None:
    """Raises AssertionError naming the first promise that a judge of this factory breaks.

    Give `samples` when the judge needs a truth; otherwise a plain photograph is judged.
    """
    cases = samples or (Sample((photograph(),), INSTRUCTION),)

    async def scores(make: Callable[[], Judge]) -> None:
        for sample in cases:
            before = sample.source.pixels.copy()
            first = await make().score(sample, sample.source)
            assert isinstance(first, Score), "score() must return a Score"
            assert first == await make().score(sample, sample.source), (
                "the same image must get the same score"
            )
            assert same_pixels(Picture(before), sample.source), "the judge changed the source"

    async def stops(make: Callable[[], Judge]) -> None:
        judge = make()
        await _assert_cancellable(lambda: judge.score(cases[0], cases[0].source), JudgeError)

    async def is_named(make: Callable[[], Judge]) -> None:
        assert isinstance(make(), Judge), "a judge needs `name` and `score`"
        assert make().name.strip(), "a judge needs a name"

    _run(factory, is_named, scores, stops)


def _run(factory: Callable[[], Subject], *checks: Check[Subject]) -> None:
    for check in checks:
        try:
            asyncio.run(check(factory))
        except AssertionError as error:
            error.add_note(f"promise: {check.__name__.strip('_').replace('_', ' ')}")
            raise


def _request(instruction: str = INSTRUCTION, *, seed: int = 1, photo: Picture | None = None) -> EditRequest:
    return EditRequest((photo or photograph(),), instruction, seed)


async def _editor_is_named(make: Callable[[], Editor]) -> None:
    editor = make()
    assert isinstance(editor, Editor), "an editor needs `info` and `edit`"
    assert isinstance(editor.info, EditorInfo), "`info` must be an EditorInfo"
    assert editor.info.name.strip(), "an editor needs a name"
    assert editor.info.max_images >= 1, "an editor takes at least one image"


async def _editor_keeps_size_and_source(make: Callable[[], Editor]) -> None:
    editor = make()
    for size in ((96, 64), (33, 47), (200, 20)):
        photo = photograph(*size)
        before = photo.pixels.copy()
        edited = await editor.edit(_request(photo=photo))
        assert isinstance(edited, Edited), "edit() must return an Edited"
        assert isinstance(edited.image, Picture), "`Edited.image` must be a Picture"
        assert edited.image.size == size, f"a {size} source came back as {edited.image.size}"
        assert same_pixels(Picture(before), photo), "the editor changed the source in place"
        assert edited.cost >= 0, "cost must not be negative"


async def _editor_takes_transparent_pictures(make: Callable[[], Editor]) -> None:
    pixels = photograph().pixels.convert("RGBA")
    pixels.putalpha(pixels.getchannel("R"))
    edited = await make().edit(_request(photo=Picture.open(pixels)))
    assert edited.image.size == pixels.size


async def _editor_honours_seed(make: Callable[[], Editor]) -> None:
    if make().info.seeded:
        one, other = await make().edit(_request(seed=7)), await make().edit(_request(seed=7))
        assert same_pixels(one.image, other.image), "the same request must give the same image"


async def _editor_takes_odd_instructions(make: Callable[[], Editor]) -> None:
    editor = make()
    for instruction in ODD_INSTRUCTIONS:
        try:
            await editor.edit(_request(instruction))
        except (EditorError, InputError):
            pass  # declining is allowed, breaking is not
        except Exception as error:
            raise AssertionError(f"{instruction[:40]!r} raised {error!r}, which is no EditorError") from error


async def _editor_stops_when_cancelled(make: Callable[[], Editor]) -> None:
    editor = make()
    photo = photograph(1200, 900)
    await _assert_cancellable(lambda: editor.edit(_request(photo=photo)), EditorError)
    await editor.edit(_request())  # and is usable afterwards


async def _editor_serves_several_at_once(make: Callable[[], Editor]) -> None:
    editor = make()
    requests = [_request(seed=seed, photo=photograph(seed=seed)) for seed in range(3)]
    together = await asyncio.gather(*(editor.edit(request) for request in requests))
    if editor.info.seeded:
        for request, edited in zip(requests, together, strict=True):
            alone = await editor.edit(request)
            assert same_pixels(alone.image, edited.image), "calls that overlap must not mix"


def _view(instruction: str = INSTRUCTION, *, edited: Picture | None = None) -> View:
    source = photograph()
    return View(Sample((source,), instruction), instruction, edited or source)


async def _thinker_is_named(make: Callable[[], Thinker]) -> None:
    assert isinstance(make(), Thinker), "a thinker needs `name` and `think`"
    assert make().name.strip(), "a thinker needs a name"


async def _thinker_critiques(make: Callable[[], Thinker]) -> None:
    view = _view(edited=photograph(seed=1))
    before = view.sample.source.pixels.copy()
    await _think(make(), view)
    assert same_pixels(Picture(before), view.sample.source), "the thinker changed the source in place"


async def _thinker_rewrites_before_any_edit(make: Callable[[], Thinker]) -> None:
    await _think(make(), replace(_view(), edited=None))


async def _thinker_hears_complaints(make: Callable[[], Thinker]) -> None:
    await _think(make(), replace(_view(), complaint="the reply has no <score> block"))


async def _thinker_takes_odd_instructions(make: Callable[[], Thinker]) -> None:
    thinker = make()
    for instruction in ODD_INSTRUCTIONS:
        await _think(thinker, _view(instruction))


async def _thinker_stops_when_cancelled(make: Callable[[], Thinker]) -> None:
    thinker = make()
    await _assert_cancellable(lambda: thinker.think(_view()), ThinkerError)
    await _think(thinker, _view())  # and is usable afterwards


async def _think(thinker: Thinker, view: View) -> None:
    """One thought, complete; failing in the way a thinker may is allowed."""
    try:
        thought = await thinker.think(view)
    except ThinkerError:
        return
    except Exception as error:
        raise AssertionError(
            f"{view.instruction[:40]!r} raised {error!r}, which is no ThinkerError"
        ) from error
    assert isinstance(thought, Thought), "think() must return a Thought"
    assert isinstance(thought.critique.score, Score), "a critique needs a Score"
    assert thought.critique.refined_instruction.strip(), "the refined instruction must not be empty"
    assert thought.cost >= 0, "cost must not be negative"


async def _assert_cancellable(verb: Callable[[], Awaitable[object]], failure: type[Exception]) -> None:
    """Cancelled a moment after it began, a call ends soon, with nothing but CancelledError (or had ended)."""
    call = asyncio.ensure_future(verb())
    await asyncio.sleep(0.01)
    call.cancel()
    begun = time.monotonic()
    await asyncio.wait({call}, timeout=CANCEL_WITHIN)
    assert call.done(), f"a cancelled call still ran after {time.monotonic() - begun:.1f} s"
    if not call.cancelled() and call.exception() is not None:
        assert isinstance(call.exception(), failure), f"a cancelled call raised {call.exception()!r}"
