"""Masks and boxes, samples of several images, and who takes them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from editthinker.core.episode import Episode
from editthinker.core.errors import ImageError, InputError
from editthinker.core.images import Picture
from editthinker.core.regions import mask_of_box
from editthinker.core.types import Sample
from editthinker.testing import ScriptedEditor, ScriptedThinker, photograph
from peers.scripted_models import says

PHOTO = photograph(96, 64)


def white(mask: Picture) -> tuple[int, int, int, int] | None:
    return mask.pixels.convert("L").getbbox()


@pytest.mark.parametrize(
    ("box", "filled"),
    [
        ((10, 20, 30, 40), (10, 20, 30, 40)),
        ((0.25, 0.5, 0.75, 1.0), (24, 32, 72, 64)),
        ((0, 0, 0.5, 1), (0, 0, 48, 64)),
        ((0, 0, 1, 1), (0, 0, 1, 1)),
        ((-5, -5, 1000, 1000), (0, 0, 96, 64)),
        ((90.4, 60.0, 95.6, 64.0), (90, 60, 96, 64)),
    ],
)
def test_a_box_becomes_a_mask(box: tuple[float, ...], filled: tuple[int, int, int, int]) -> None:
    mask = mask_of_box(PHOTO.size, box)
    assert mask.size == PHOTO.size
    assert white(mask) == filled
    assert set(np.unique(mask.array())) <= {0, 255}


@pytest.mark.parametrize(
    "box",
    [
        (30, 20, 10, 40),
        (10, 10, 10, 20),
        (200, 0, 300, 10),
        (0.5, 0.5, 0.5, 0.9),
        (1, 2, 3),
        (0, 0, float("nan"), 1),
    ],
)
def test_a_box_without_a_pixel_is_refused(box: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="left, top, right, bottom"):
        mask_of_box(PHOTO.size, box)


def editor(**facts: Any) -> ScriptedEditor:
    made = ScriptedEditor()
    made.info = replace(made.info, **facts)
    return made


async def test_several_images_and_a_mask_arrive_and_the_base_comes_first() -> None:
    reference, mask = photograph(30, 30, seed=5), mask_of_box(PHOTO.size, (0, 0, 10, 10))
    able = editor(max_images=2, mask=True)
    thinker = ScriptedThinker(says("b"), says("c"))
    trajectory = await Episode(Sample((PHOTO, reference), "mix", mask=mask), able, thinker, stack=True).run()
    assert [request.images[1] for request in able.requests] == [reference] * 3
    assert able.requests[0].images[0] is PHOTO
    assert able.requests[1].images[0] is trajectory.turns[0].image
    assert {id(request.mask) for request in able.requests} == {id(mask)}


@pytest.mark.parametrize(
    ("mask", "complaint"),
    [
        (Picture(Image.new("RGB", (96, 63), "white")), "96 x 63 pixels and the photo 96 x 64"),
        (Picture(Image.new("RGB", (96, 64), "black")), "entirely black"),
    ],
)
def test_a_mask_has_to_fit(mask: Picture, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        Episode(Sample((PHOTO,), "x", mask=mask), editor(mask=True), None)


def test_an_alternate_has_to_take_the_sample_too() -> None:
    two = Sample((PHOTO, PHOTO), "mix")
    other = editor(name="other")
    with pytest.raises(InputError, match="'other' takes 1 image"):
        Episode(two, editor(max_images=2), None, alternates=[other])


async def test_with_paste_back_a_mask_needs_no_editor_that_takes_one() -> None:
    pytest.importorskip("editthinker.core.pasteback")
    mask = mask_of_box(PHOTO.size, (0, 0, 40, 30))
    plain = editor()
    episode = Episode(Sample((PHOTO,), "x", mask=mask), plain, None, paste_back=True)
    trajectory = await episode.run()
    assert plain.requests[0].mask is None
    (turn,) = trajectory.turns
    assert "paste_back" in turn.edited.notes
    outside = np.ones((64, 96), bool)
    outside[:36, :46] = False  # a seam may be softened over a few pixels
    assert (turn.image.array()[outside] == PHOTO.array()[outside]).all()
    assert (turn.image.array()[:20, :20] != PHOTO.array()[:20, :20]).any()


async def test_paste_back_is_off_unless_asked_for() -> None:
    trajectory = await Episode(Sample((PHOTO,), "x"), editor(), None).run()
    assert "paste_back" not in trajectory.turns[0].edited.notes


def test_a_picture_that_is_none_is_no_mask() -> None:
    with pytest.raises(ImageError):
        Picture.open("no such mask.png")
