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
from editthinker.core.types import Edited, EditRequest, Judged, Sample, Score, Thought

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
LOOSE_INSTRUCTION = "make it look different, surprise me"
"""Leaves so much open that another seed should do another thing."""
SEEDS = 6
MOST_IMAGES = 4
OUTSIDE = 6.0
"""Mean change of a pixel value outside the mask up to which an editor counts as keeping to it."""
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
    for name, check in EDITOR_PROMISES:
        hold_to(name, check, factory)


def check_thinker(factory: Callable[[], Thinker]) -> None:
    """Raises AssertionError naming the first promise that a thinker of this factory breaks."""
    for name, check in THINKER_PROMISES:
        hold_to(name, check, factory)


def check_judge(factory: Callable[[], Judge], samples: tuple[Sample, ...] = ()) -> None:
    """Raises AssertionError naming the first promise that a judge of this factory breaks.

    Give `samples` when the judge needs a truth; otherwise a plain photograph is judged.
    """
    cases = samples or (Sample((photograph(),), INSTRUCTION),)

    async def scores(make: Callable[[], Judge]) -> None:
        for sample in cases:
            before = sample.source.pixels.copy()
            first = await make().score(sample, sample.source)
            assert isinstance(first, Judged), "score() must return a Judged"
            assert first.score == (await make().score(sample, sample.source)).score, (
                "the same image must get the same score"
            )
            assert same_pixels(Picture(before), sample.source), "the judge changed the source"

    async def stops(make: Callable[[], Judge]) -> None:
        judge = make()
        await _assert_cancellable(lambda: judge.score(cases[0], cases[0].source), JudgeError)

    async def is_named(make: Callable[[], Judge]) -> None:
        assert isinstance(make(), Judge), "a judge needs `name` and `score`"
        assert make().name.strip(), "a judge needs a name"

    for name, check in (("is named", is_named), ("scores", scores), ("stops when cancelled", stops)):
        hold_to(name, check, factory)


class Unclaimed(Exception):
    """Raised by a check where nothing is promised: an editor without a mask has none to keep to."""


def hold_to(promise: str, check: Check[Subject], factory: Callable[[], Subject]) -> bool:
    """Check one promise in an event loop of its own; False where it is not claimed.

    Raises AssertionError that names it.
    """
    made: list[Subject] = []

    def make() -> Subject:
        made.append(factory())  # lives longer than the loop: what it holds is closed in order, with the loop
        return made[-1]

    try:
        asyncio.run(check(make))
    except Unclaimed:
        return False
    except AssertionError as error:
        error.add_note(f"promise: {promise}")
        raise
    return True


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


async def _editor_takes_odd_shapes(make: Callable[[], Editor]) -> None:
    """A pixel, the smallest that passes the door, and as long as may be: the same size, or declined."""
    editor = make()
    for size in ((1, 1), (16, 16), (1600, 16), (16, 1600)):
        photo = Picture(photograph().pixels.resize(size))
        try:
            edited = await editor.edit(_request(photo=photo))
        except (EditorError, InputError):
            continue  # declining is allowed, breaking is not
        except Exception as error:
            raise AssertionError(f"a {size} source raised {error!r}, which is no EditorError") from error
        assert edited.image.size == size, f"a {size} source came back as {edited.image.size}"


async def _editor_takes_several_images(make: Callable[[], Editor]) -> None:
    editor = make()
    if (many := min(editor.info.max_images, MOST_IMAGES)) == 1:
        raise Unclaimed
    photos = tuple(photograph(96 - 16 * index, 64, seed=index) for index in range(many))
    edited = await editor.edit(EditRequest(photos, INSTRUCTION, 1))
    assert edited.image.size == photos[0].size, "the result must have the size of the first image"


async def _editor_keeps_to_the_mask(make: Callable[[], Editor]) -> None:
    """Where it takes one; a soft seam is allowed, and the small loss of an encoder."""
    editor = make()
    if not editor.info.mask:
        raise Unclaimed
    photo, mask = photograph(128, 96), np.zeros((96, 128), np.uint8)
    mask[:, :64] = 255
    edited = await editor.edit(EditRequest((photo,), INSTRUCTION, 1, Picture.from_array(mask)))
    before, after = (picture.array()[:, 80:, :3].astype(int) for picture in (photo, edited.image))
    strayed = np.abs(after - before).mean()
    assert strayed <= OUTSIDE, f"outside the mask, pixels changed by {strayed:.1f} of 255 on average"


async def _editor_honours_seed(make: Callable[[], Editor]) -> None:
    if not make().info.seeded:
        raise Unclaimed
    one, other = await make().edit(_request(seed=7)), await make().edit(_request(seed=7))
    assert same_pixels(one.image, other.image), "the same request must give the same image"


async def _editor_honours_other_seeds(make: Callable[[], Editor]) -> None:
    editor = make()
    if not editor.info.seeded:
        raise Unclaimed
    edits = [await editor.edit(_request(LOOSE_INSTRUCTION, seed=seed)) for seed in range(SEEDS)]
    different = {edited.image.sha256 for edited in edits}
    assert len(different) > 1, f"{SEEDS} seeds gave one and the same image"


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
    verdict = thought.critique.satisfied is not None
    assert isinstance(thought.critique.score, Score) or verdict, "a critique needs a Score, or a verdict"
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


EDITOR_PROMISES: tuple[tuple[str, Check[Editor]], ...] = (
    ("is named", _editor_is_named),
    ("keeps size and source", _editor_keeps_size_and_source),
    ("takes transparent pictures", _editor_takes_transparent_pictures),
    ("takes odd shapes", _editor_takes_odd_shapes),
    ("takes several images", _editor_takes_several_images),
    ("keeps to the mask", _editor_keeps_to_the_mask),
    ("same seed, same image", _editor_honours_seed),
    ("other seed, other image", _editor_honours_other_seeds),
    ("takes odd instructions", _editor_takes_odd_instructions),
    ("stops when cancelled", _editor_stops_when_cancelled),
    ("serves several at once", _editor_serves_several_at_once),
)
"""What an editor promises, with the check of each; `hold_to` runs one."""

THINKER_PROMISES: tuple[tuple[str, Check[Thinker]], ...] = (
    ("is named", _thinker_is_named),
    ("critiques", _thinker_critiques),
    ("rewrites before any edit", _thinker_rewrites_before_any_edit),
    ("hears complaints", _thinker_hears_complaints),
    ("takes odd instructions", _thinker_takes_odd_instructions),
    ("stops when cancelled", _thinker_stops_when_cancelled),
)
"""What a thinker promises."""
