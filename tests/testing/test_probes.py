"""Each question catches the editor, thinker or judge it was made for, and lets a sound one pass."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from PIL import Image, ImageEnhance

from editthinker.core.contracts import Editor, EditorInfo, Thinker, View
from editthinker.core.errors import EditorError, JudgeError, ReplyError, ThinkerError
from editthinker.core.images import Picture
from editthinker.core.types import Critique, Edited, EditRequest, Judged, Sample, Score, Thought
from editthinker.darkroom.editor import DarkroomEditor
from editthinker.darkroom.thinker import DarkroomThinker
from editthinker.testing import ScriptedEditor, ScriptedThinker, photograph
from editthinker.testing.probes import (
    JUDGE_CALLS,
    THINKER_CALLS,
    Finding,
    editor_calls,
    examine_editor,
    examine_judge,
    examine_thinker,
)
from editthinker.testing.probes import finding as asking
from editthinker.testing.scripted import tinted


class Sound(ScriptedEditor):
    """Turns grey when told to, else tints; sees every image and keeps to the mask."""

    info: EditorInfo

    def __init__(self, *script: Any, **facts: Any) -> None:
        super().__init__(*script)
        self.info = EditorInfo("sound", **{"max_images": 2, "mask": True, "price": 0.0, **facts})

    async def edit(self, request: EditRequest) -> Edited:
        edited = await super().edit(request)
        return Edited(self.mask(request, self.paint(request)), cost=edited.cost)

    def paint(self, request: EditRequest) -> Picture:
        if "black and white" in request.instruction:
            return Picture(request.images[0].pixels.convert("L").convert("RGB"))
        known = "".join(image.sha256 for image in request.images)
        return tinted(EditRequest(request.images, request.instruction + known, request.seed))

    def mask(self, request: EditRequest, painted: Picture) -> Picture:
        if request.mask is None:
            return painted
        inside = request.mask.pixels.convert("L")
        return Picture(Image.composite(painted.pixels, request.images[0].pixels, inside))


class Shrinks(Sound):
    def paint(self, request: EditRequest) -> Picture:
        return photograph(64, 64)


class Idle(Sound):
    def paint(self, request: EditRequest) -> Picture:
        return request.images[0]


class Black(Sound):
    def paint(self, request: EditRequest) -> Picture:
        return Picture(Image.new("RGB", request.images[0].size))


class Colourful(Sound):
    def paint(self, request: EditRequest) -> Picture:
        return Picture(ImageEnhance.Color(request.images[0].pixels).enhance(1.5))


class Deaf(Sound):
    def paint(self, request: EditRequest) -> Picture:
        return tinted(EditRequest(request.images, "", request.seed))


class Gambles(Sound):
    def paint(self, request: EditRequest) -> Picture:
        return tinted(EditRequest(request.images, request.instruction, len(self.requests)))


class Stubborn(Sound):
    def paint(self, request: EditRequest) -> Picture:
        return tinted(EditRequest(request.images, request.instruction, 0))


class SeesOne(Sound):
    def paint(self, request: EditRequest) -> Picture:
        return super().paint(EditRequest(request.images[:1], request.instruction, request.seed))


class Strays(Sound):
    def mask(self, request: EditRequest, painted: Picture) -> Picture:
        return painted


class Unready(Sound):
    async def ready(self) -> str:
        raise EditorError("its workers are not up")


def examined(editor: Editor, *, quick: bool = False) -> dict[str, Finding]:
    async def ask() -> dict[str, Finding]:
        return {finding.question: finding async for finding in examine_editor(editor, quick=quick)}

    return asyncio.run(ask())


def test_a_sound_editor_passes() -> None:
    editor = Sound()
    found = examined(editor)
    assert {finding.verdict for finding in found.values()} == {"ok"}
    assert editor_calls(editor.info) - 1 <= len(editor.requests) <= editor_calls(editor.info) == 8
    assert len(found) == 11


def test_the_darkroom_passes() -> None:
    found = examined(DarkroomEditor.load())
    assert {name for name, finding in found.items() if finding.verdict != "ok"} == {"several images", "mask"}
    assert found["mask"].verdict == "skipped"


@pytest.mark.parametrize(
    ("editor", "question", "verdict", "words"),
    [
        (Shrinks(), "keeps the size", "fail", "came back as 64x64"),
        (Idle(), "edits at all", "fail", "unchanged"),
        (Black(), "edits at all", "fail", "black"),
        (Colourful(), "follows plain words", "warn", "of the colour"),
        (Deaf(), "words matter", "fail", "do not reach the model"),
        (Gambles(), "same seed", "warn", "another image"),
        (Stubborn(), "other seed", "warn", "the same image"),
        (SeesOne(), "several images", "warn", "takes 2 images, but the second makes no difference"),
        (Strays(), "mask", "warn", "outside the mask"),
        (Sound(price=None), "price", "warn", "nobody knows"),
        (Unready(), "answers", "fail", "its workers are not up"),
        (Sound(EditorError("401: wrong key")), "answers", "fail", "401: wrong key"),
        (Sound(KeyError("oops")), "answers", "fail", "it broke: KeyError"),
        (Sound(None, EditorError("too often")), "words matter", "fail", "too often"),
        (Sound(None, None, EditorError("too often")), "same seed", "fail", "too often"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Sound) else None,
)
def test_a_broken_editor_is_caught(editor: Sound, question: str, verdict: str, words: str) -> None:
    found = examined(editor)[question]
    assert found.verdict == verdict
    assert words in found.sentence


def test_an_editor_that_gives_no_image_is_asked_no_more() -> None:
    editor = Sound(EditorError("gone"))
    assert list(examined(editor)) == ["answers"]
    assert len(editor.requests) == 1


def test_what_an_editor_does_not_claim_is_not_asked() -> None:
    editor = Sound(seeded=False, mask=False, max_images=1)
    found = examined(editor)
    assert len(editor.requests) == editor_calls(editor.info) == 1
    assert {name for name, finding in found.items() if finding.verdict == "skipped"} == {
        "words matter",
        "same seed",
        "other seed",
        "several images",
        "mask",
    }
    assert examined(Sound(seeded=False))["several images"].verdict == "skipped"


def test_quick_is_one_request() -> None:
    editor, thinker = Sound(), Looks()
    examined(editor, quick=True)
    assert len(editor.requests) == 1
    rated(thinker, quick=True)
    assert len(thinker.views) == 1


def test_a_finding_counts_what_was_spent() -> None:
    paid = EditorError("the image was black")
    paid.cost = 0.04
    assert examined(Sound(paid))["answers"].cost == 0.04
    found = examined(ScriptedEditor(seconds=0.05, cost=0.1), quick=True)
    assert found["answers"].seconds >= 0.05
    assert found["answers"].cost == 0.1
    assert found["price"].sentence == "a call costs about $0.1000"


def test_slow_and_dear_calls_are_warned_of() -> None:
    assert asking.speed(90.0)[0] == "warn"
    assert asking.price(0.04, 0.20) == ("warn", "a call cost $0.2000, more than the expected $0.0400")
    assert asking.price(0.04, 0.05)[0] == "ok"


# --- thinkers ---


class Looks(ScriptedThinker):
    """Knows what darker means."""

    def rate(self, source: Picture, edited: Picture) -> float:
        before, after = source.array().mean(), edited.array().mean()
        ratio = after / before
        alike = abs(ratio - 0.45) < 0.1 and self.same_scene(source, edited)
        return 9.0 if alike else 1.0

    def same_scene(self, source: Picture, edited: Picture) -> bool:
        return bool(abs(source.array() * 0.45 - edited.array()).mean() < 6)

    async def think(self, view: View) -> Thought:
        thought = await super().think(view)
        assert view.edited is not None
        rating = self.rate(view.sample.source, view.edited)
        return Thought(Critique(Score(rating, 9), "looked", thought.critique.refined_instruction))


class Blind(Looks):
    def rate(self, source: Picture, edited: Picture) -> float:
        return 7.0


class Backwards(Looks):
    """Gets the images in the wrong order."""

    def rate(self, source: Picture, edited: Picture) -> float:
        return super().rate(edited, source)


class Contrary(Looks):
    def rate(self, source: Picture, edited: Picture) -> float:
        return 10 - super().rate(source, edited)


class Unordered(Looks):
    """Notices a difference, not its direction."""

    def rate(self, source: Picture, edited: Picture) -> float:
        return 9.0 if source.sha256 != edited.sha256 else 1.0


class SeesResult(Looks):
    def same_scene(self, source: Picture, edited: Picture) -> bool:
        return True


class Verdicts(Looks):
    async def think(self, view: View) -> Thought:
        thought = await super().think(view)
        score = thought.critique.score
        return Thought(Critique(None, "", "more", satisfied=bool(score and score.semantic > 5)))


class Mute(Looks):
    async def think(self, view: View) -> Thought:
        return Thought(Critique(None, "", "more"))


class Priced(Looks):
    price = None


def rated(thinker: Thinker, *, quick: bool = False) -> dict[str, Finding]:
    async def ask() -> dict[str, Finding]:
        return {finding.question: finding async for finding in examine_thinker(thinker, quick=quick)}

    return asyncio.run(ask())


@pytest.mark.parametrize("thinker", [Looks(), Verdicts()])
def test_a_sound_thinker_passes(thinker: Looks) -> None:
    assert {finding.verdict for finding in rated(thinker).values()} == {"ok"}
    assert len(thinker.views) <= THINKER_CALLS


def test_the_darkrooms_thinker_passes() -> None:
    assert {finding.verdict for finding in rated(DarkroomThinker.load()).values()} == {"ok"}


@pytest.mark.parametrize(
    ("thinker", "question", "verdict", "words"),
    [
        (Blind(), "tells good from bad", "fail", "does not see the result"),
        (Contrary(), "tells good from bad", "fail", "only 1.0"),
        (Backwards(), "order of images", "fail", "in the wrong order"),
        (Unordered(), "order of images", "fail", "does not know which is the result"),
        (SeesResult(), "sees the source", "warn", "may not look at the source"),
        (Mute(), "answers", "fail", "neither a score nor a verdict"),
        (Looks(ReplyError("no <score>")), "answers", "warn", "the second could"),
        (Looks(ReplyError("no <score>"), ReplyError("still none")), "answers", "fail", "still none"),
        (Looks(ThinkerError("404: no such model")), "answers", "fail", "404: no such model"),
        (Priced(), "price", "warn", "nobody knows"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Looks) else None,
)
def test_a_broken_thinker_is_caught(thinker: Looks, question: str, verdict: str, words: str) -> None:
    found = rated(thinker)[question]
    assert found.verdict == verdict
    assert words in found.sentence


# --- judges ---


class Judges:
    name = "judge"

    def __init__(self, *scores: float) -> None:
        self.scores, self.calls = list(scores), 0

    async def score(self, sample: Sample, edited: Picture) -> Judged:
        self.calls += 1
        if not self.scores:
            raise JudgeError("no more scores")
        return Judged(Score(self.scores.pop(0), 9))


@pytest.mark.parametrize(
    ("scores", "verdicts"),
    [
        ((9, 1), {"answers": "ok", "latency": "ok", "price": "ok", "tells good from bad": "ok"}),
        ((7, 7), {"answers": "ok", "latency": "ok", "price": "ok", "tells good from bad": "fail"}),
        ((7,), {"answers": "ok", "latency": "ok", "price": "ok", "tells good from bad": "fail"}),
        ((), {"answers": "fail"}),
    ],
)
def test_judges_are_examined(scores: tuple[float, ...], verdicts: dict[str, str]) -> None:
    judge = Judges(*scores)

    async def ask() -> dict[str, str]:
        return {finding.question: finding.verdict async for finding in examine_judge(judge)}

    assert asyncio.run(ask()) == verdicts
    assert judge.calls <= JUDGE_CALLS
