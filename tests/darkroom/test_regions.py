from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from editthinker.darkroom import regions
from editthinker.darkroom.operations.colour import PAINT
from editthinker.darkroom.program import COLOURS, PLACES, REGIONS
from editthinker.darkroom.regions import Pixels, RegionMasks, present_colours, shrunk

PHOTOGRAPHS = Path(regions.__file__).parent / "photographs"


def disc_on_gradient(height: int = 240, width: int = 320) -> tuple[Pixels, np.ndarray]:
    """A red disc left of the middle of a grey gradient, and where it is."""
    ramp = np.linspace(90, 170, width).astype(np.uint8)
    image = np.repeat(np.repeat(ramp[None, :, None], height, 0), 3, 2)
    inside = np.zeros((height, width), np.uint8)
    cv2.circle(inside, (int(0.42 * width), height // 2), int(0.25 * height), 1, -1)
    image[inside == 1] = (200, 40, 30)
    return image, inside == 1


@pytest.mark.parametrize("region", REGIONS)
def test_every_region_has_a_soft_mask_of_the_images_size(region: str) -> None:
    image, _ = disc_on_gradient()
    mask = RegionMasks(image)[region]
    assert mask.shape == image.shape[:2]
    assert mask.dtype == np.float32
    assert mask.min() >= 0
    assert mask.max() <= 1


def test_an_unknown_region_is_refused() -> None:
    with pytest.raises(KeyError):
        RegionMasks(np.zeros((4, 4, 3), np.uint8))["sky"]


@pytest.mark.parametrize(("one", "other"), [("top", "bottom"), ("left", "right"), ("subject", "background")])
def test_opposite_regions_share_out_the_image(one: str, other: str) -> None:
    masks = RegionMasks(disc_on_gradient()[0])
    np.testing.assert_allclose(masks[one] + masks[other], 1, atol=1e-3)


@pytest.mark.parametrize(
    ("place", "inside", "outside"),
    [
        ("top", (0.1, 0.5), (0.9, 0.5)),
        ("bottom", (0.9, 0.5), (0.1, 0.5)),
        ("left", (0.5, 0.1), (0.5, 0.9)),
        ("right", (0.5, 0.9), (0.5, 0.1)),
        ("centre", (0.5, 0.5), (0.05, 0.05)),
    ],
)
def test_places_lie_where_their_names_say(
    place: str, inside: tuple[float, float], outside: tuple[float, float]
) -> None:
    mask = RegionMasks(np.zeros((100, 150, 3), np.uint8))[place]

    def at(point: tuple[float, float]) -> float:
        return float(mask[int(point[0] * 100), int(point[1] * 150)])

    assert at(inside) == 1
    assert at(outside) == 0


def test_the_subject_is_the_thing_that_stands_out() -> None:
    image, inside = disc_on_gradient()
    found = RegionMasks(image)["subject"] > 0.5
    assert (found & inside).sum() / (found | inside).sum() > 0.85


@pytest.mark.parametrize(("name", "least"), [("dahlia", 0.85), ("coffee", 0.85), ("fig-bowl", 0.85)])
def test_the_subject_of_a_photograph_is_cut_out_alike_at_any_size(name: str, least: float) -> None:
    photo = cv2.cvtColor(cv2.imread(str(PHOTOGRAPHS / f"{name}.jpg")), cv2.COLOR_BGR2RGB)
    large = RegionMasks(shrunk(photo, 1200))["subject"]
    small = RegionMasks(shrunk(photo, 128))["subject"]
    reduced = cv2.resize(large, small.shape[::-1], interpolation=cv2.INTER_AREA)
    one, other = reduced > 0.5, small > 0.5
    assert 0.1 < one.mean() < 0.7
    assert (one & other).sum() / (one | other).sum() > least


@pytest.mark.parametrize("level", [0, 127, 255])
def test_a_flat_image_still_has_a_subject_in_the_middle(level: int) -> None:
    mask = RegionMasks(np.full((90, 120, 3), level, np.uint8))["subject"]
    assert 0.05 < mask.mean() < 0.8
    assert mask[45, 60] > 0.5


@settings(deadline=None, max_examples=30)
@given(height=st.integers(1, 40), width=st.integers(1, 40), seed=st.integers(0, 9))
def test_noise_of_any_size_has_a_repeatable_subject(height: int, width: int, seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    first, again = RegionMasks(image)["subject"], RegionMasks(image)["subject"]
    assert np.isfinite(first).all()
    assert first.max() > 0.1
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("colour", COLOURS)
def test_a_colour_is_found_by_its_name_and_by_no_other(colour: str) -> None:
    patch = np.full((40, 60, 3), np.round(255 * np.array(PAINT[colour])), np.uint8)
    shares = present_colours(patch)
    assert shares.pop(colour) == 1
    assert max(shares.values()) == 0


def test_grey_has_no_colour() -> None:
    grey = np.repeat(np.arange(0, 250, dtype=np.uint8).reshape(10, 25, 1), 3, axis=2)
    assert max(present_colours(grey).values()) == 0


def test_the_share_of_a_colour_is_its_area() -> None:
    image, inside = disc_on_gradient()
    assert present_colours(image)["red"] == pytest.approx(inside.mean(), abs=0.02)


def test_a_mask_is_computed_once() -> None:
    masks = RegionMasks(disc_on_gradient()[0])
    assert all(masks[region] is masks[region] for region in (*PLACES, "subject", "red"))
