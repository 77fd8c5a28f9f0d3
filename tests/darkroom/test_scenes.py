"""Procedural scenes and crops: repeatable, varied, colourful, and of the size asked for."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from editthinker.darkroom.program import COLOURS
from editthinker.darkroom.regions import Pixels, present_colours
from editthinker.darkroom.scenes import crops, scene


@pytest.fixture(scope="module")
def scenes() -> list[Pixels]:
    return [scene(seed) for seed in range(40)]


@given(seed=st.integers(0, 2**32), width=st.integers(8, 320), height=st.integers(8, 320))
@settings(max_examples=40, deadline=None)
def test_a_scene_has_the_size_asked_for_and_repeats(seed: int, width: int, height: int) -> None:
    picture = scene(seed, (width, height))
    assert picture.shape == (height, width, 3)
    assert picture.dtype == np.uint8
    assert np.array_equal(picture, scene(seed, (width, height)))


def test_scenes_differ(scenes: list[Pixels]) -> None:
    flat = np.array(scenes, np.float32).reshape(len(scenes), -1)
    apart = np.abs(flat[:, None, ::97] - flat[None, :, ::97]).mean(axis=2)
    assert apart[~np.eye(len(scenes), dtype=bool)].min() > 8


def test_flips_are_visible(scenes: list[Pixels]) -> None:
    for picture in scenes:
        for flipped in (picture[:, ::-1], picture[::-1]):
            assert np.abs(picture.astype(np.float32) - flipped).mean() > 5


def test_every_named_colour_occurs_often_and_none_everywhere(scenes: list[Pixels]) -> None:
    shares = [present_colours(picture) for picture in scenes]
    for colour in COLOURS:
        often = sum(share[colour] > 0.02 for share in shares)
        assert len(scenes) * 0.1 < often < len(scenes) * 0.9, colour


def test_a_scene_is_drawn_fast() -> None:
    times = []
    for seed in range(15):
        start = time.thread_time()
        scene(seed)
        times.append(time.thread_time() - start)
    assert min(times) < 0.015


@given(
    seed=st.integers(0, 2**32),
    width=st.integers(1, 200),
    height=st.integers(1, 200),
    side=st.sampled_from((32, 128, 256)),
)
@settings(max_examples=40, deadline=None)
def test_crops_have_the_side_and_aspect_asked_for(seed: int, width: int, height: int, side: int) -> None:
    photo = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    cut = list(crops(photo, np.random.default_rng(seed), count=3, side=side))
    assert len(cut) == 3
    for picture in cut:
        assert max(picture.shape[:2]) == side
        assert 0.65 <= picture.shape[1] / picture.shape[0] <= 1.53
        assert picture.dtype == np.uint8


def test_crops_are_repeatable_and_mirrored_at_random() -> None:
    ramp = np.repeat(np.linspace(0, 255, 200, dtype=np.uint8)[None, :, None], 150, axis=0).repeat(3, axis=2)
    first = list(crops(ramp, np.random.default_rng(5), count=60, side=64))
    again = crops(ramp, np.random.default_rng(5), count=60, side=64)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    rising = sum(bool(p[:, 0].mean() < p[:, -1].mean()) for p in first)
    assert 15 < rising < 45


def test_the_exposure_of_a_crop_tells_little_about_its_photo(scenes: list[Pixels]) -> None:
    means = [p.mean() for p in crops(np.full((64, 64, 3), 120, np.uint8), np.random.default_rng(1), count=80)]
    assert np.std(means) > 8
