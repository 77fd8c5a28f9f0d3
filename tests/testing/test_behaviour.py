"""The fakes keep every promise, and each promise can be seen to be broken."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from PIL import Image

from editthinker.core.contracts import EditorInfo, View
from editthinker.core.images import Picture
from editthinker.core.types import Critique, Edited, EditRequest, Judged, Sample, Score, Thought
from editthinker.testing import (
    ScriptedEditor,
    ScriptedThinker,
    check_editor,
    check_judge,
    check_thinker,
    photograph,
)


class FairJudge:
    name = "fair"

    async def score(self, sample: Sample, edited: Picture) -> Judged:
        return Judged(Score(1, 10))


class Painter(ScriptedEditor):
    """Takes two images and a mask, and keeps to it."""

    def __init__(self) -> None:
        super().__init__()
        self.info = EditorInfo("painter", max_images=2, mask=True)

    async def edit(self, request: EditRequest) -> Edited:
        edited = await super().edit(request)
        if request.mask is None:
            return edited
        inside = request.mask.pixels.convert("L")
        return Edited(Picture(Image.composite(edited.image.pixels, request.images[0].pixels, inside)))


def test_the_fakes_keep_their_promises() -> None:
    check_editor(ScriptedEditor)
    check_editor(lambda: ScriptedEditor(seconds=0.02))
    check_editor(Painter)
    check_thinker(ScriptedThinker)
    check_thinker(lambda: ScriptedThinker("gibberish", "gibberish"))
    check_judge(FairJudge)


class Shrinks(ScriptedEditor):
    async def edit(self, request: EditRequest) -> Edited:
        return Edited(photograph(32, 32))


class Scribbles(ScriptedEditor):
    async def edit(self, request: EditRequest) -> Edited:
        request.images[0].pixels.putpixel((0, 0), (0, 0, 0))
        return await super().edit(request)


class Gambles(ScriptedEditor):
    made = 0

    async def edit(self, request: EditRequest) -> Edited:
        Gambles.made += 1
        return await super().edit(EditRequest(request.images, request.instruction, Gambles.made))


class Chokes(ScriptedEditor):
    async def edit(self, request: EditRequest) -> Edited:
        request.instruction.encode("ascii")
        return await super().edit(request)


class Clings(ScriptedEditor):
    async def edit(self, request: EditRequest) -> Edited:
        if request.images[0].size[0] > 1000:
            end = time.monotonic() + 3
            while time.monotonic() < end:
                try:
                    await asyncio.sleep(0.1)
                except asyncio.CancelledError:
                    continue
        return await super().edit(request)


class Mixes(ScriptedEditor):
    last: EditRequest

    async def edit(self, request: EditRequest) -> Edited:
        self.last = request
        await asyncio.sleep(0.01)
        return await super().edit(self.last)


class Stubborn(ScriptedEditor):
    async def edit(self, request: EditRequest) -> Edited:
        return await super().edit(EditRequest(request.images, request.instruction, 0))


class Single(ScriptedEditor):
    def __init__(self) -> None:
        super().__init__()
        self.info = EditorInfo("single", max_images=2)

    async def edit(self, request: EditRequest) -> Edited:
        return await super().edit(EditRequest(request.images[-1:], request.instruction, request.seed))


class Strays(ScriptedEditor):
    def __init__(self) -> None:
        super().__init__()
        self.info = EditorInfo("strays", mask=True)


class Trips(ScriptedEditor):
    async def edit(self, request: EditRequest) -> Edited:
        assert request.images[0].size[0] // 16, "division by zero, somewhere deep"
        return await super().edit(request)


class Nameless(ScriptedEditor):
    def __init__(self) -> None:
        super().__init__(name=" ")
        self.info = EditorInfo(" ")


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        (Shrinks, "came back as"),
        (Scribbles, "changed the source"),
        (Gambles, "same request"),
        (Chokes, "no EditorError"),
        (Clings, "still ran"),
        (Mixes, "must not mix"),
        (Nameless, "needs a name"),
        (Stubborn, "one and the same image"),
        (Single, "size of the first image"),
        (Strays, "outside the mask"),
        (Trips, r"\(1, 1\) source raised"),
        (object, "needs `info`"),
    ],
)
def test_a_broken_editor_is_found_out(broken: Any, complaint: str) -> None:
    with pytest.raises(AssertionError, match=complaint) as caught:
        check_editor(broken)
    assert "promise: " in caught.value.__notes__[0]


class Silent(ScriptedThinker):
    async def think(self, view: View) -> Thought:
        return Thought(Critique(Score(5, 5), "", " "))


class Blind(ScriptedThinker):
    async def think(self, view: View) -> Thought:
        assert view.edited
        return Thought(Critique(Score(5, 5), f"{view.edited.size}", "more"))


@pytest.mark.parametrize(("broken", "complaint"), [(Silent, "must not be empty"), (Blind, "no ThinkerError")])
def test_a_broken_thinker_is_found_out(broken: Any, complaint: str) -> None:
    with pytest.raises(AssertionError, match=complaint):
        check_thinker(broken)


class Moody(FairJudge):
    mood = 0.0

    async def score(self, sample: Sample, edited: Picture) -> Judged:
        Moody.mood += 0.01
        return Judged(Score(Moody.mood, 5))


def test_a_broken_judge_is_found_out() -> None:
    with pytest.raises(AssertionError, match="same score"):
        check_judge(Moody)


def test_scripted_steps() -> None:
    async def play() -> None:
        photo = photograph(seed=3)
        editor = ScriptedEditor(photo, KeyError("x"))
        request = EditRequest((photograph(),), "a", 0)
        assert (await editor.edit(request)).image is photo
        with pytest.raises(KeyError):
            await editor.edit(request)
        assert (await editor.edit(request)).image.sha256 != photo.sha256
        assert editor.requests == [request] * 3

    asyncio.run(play())
