"""The source's pixels back: exact outside, nothing done without an edited region, drift found and undone."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from editthinker.core.drift import NONE, Drift, found_drift
from editthinker.core.errors import InputError
from editthinker.core.images import Picture
from editthinker.core.pasteback import Pasted, paste_back

PHOTOGRAPHS = Path(__file__).parents[2] / "src" / "editthinker" / "darkroom" / "photographs"
NAMES = ("chelsea.jpg", "coffee.jpg", "summit-sunset.jpg")


@cache
def photo(name: str = NAMES[0]) -> Picture:
    return Picture.open(PHOTOGRAPHS / name)


def box_of(picture: Picture) -> tuple[slice, slice]:
    width, height = picture.size
    return slice(height // 3, height // 2), slice(width // 3, width // 2)


def locally_edited(picture: Picture) -> np.ndarray:
    pixels = picture.array().copy()
    pixels[box_of(picture)] = 255 - pixels[box_of(picture)]
    return pixels


def moved(pixels: np.ndarray, zoom: float, shift: tuple[float, float]) -> np.ndarray:
    """What an editor returns whose frame drifted: `Drift(zoom, shift)` undoes it."""
    height, width = pixels.shape[:2]
    across, down = ((1 - zoom) * (side - 1) / 2 + by for side, by in zip((width, height), shift, strict=True))
    matrix = np.array([[zoom, 0, across], [0, zoom, down]])
    return cv2.warpAffine(
        pixels, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )


def jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream))


def far_from(picture: Picture, margin: float = 0.05) -> np.ndarray:
    """Where no edited pixel may be after the box was edited."""
    far = np.ones(picture.size[::-1], bool)
    rows, columns = box_of(picture)
    by = round(margin * max(picture.size))
    far[max(0, rows.start - by) : rows.stop + by, max(0, columns.start - by) : columns.stop + by] = False
    return far


def assert_restored(pasted: Pasted, source: Picture, box_error: float) -> None:
    out, far = pasted.image.array(), far_from(source)
    assert pasted.report["applied"], pasted.report
    assert (out[far] == source.array()[far]).all()
    wanted = locally_edited(source)[box_of(source)].astype(int)
    assert np.abs(out[box_of(source)] - wanted).mean() <= box_error


@pytest.mark.parametrize("name", NAMES)
def test_outside_a_clean_edit_is_exactly_the_source_and_inside_exactly_the_edit(name: str) -> None:
    source = photo(name)
    pasted = paste_back(source, Picture.open(locally_edited(source)))
    assert_restored(pasted, source, box_error=0)
    assert pasted.report["method"] == "difference"
    assert pasted.report["shift"] == [0, 0]
    assert pasted.report["zoom"] == 1
    assert 0.85 < pasted.report["restored"] < 0.97
    assert json.loads(json.dumps(pasted.report)) == pasted.report


@pytest.mark.parametrize("name", NAMES)
def test_pasting_back_twice_changes_nothing_more(name: str) -> None:
    source = photo(name)
    once = paste_back(source, Picture.open(locally_edited(source))).image
    twice = paste_back(source, once).image
    assert (once.array() == twice.array()).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("quality", [95, 60])
def test_compression_noise_is_no_edit(name: str, quality: int) -> None:
    source = photo(name)
    pasted = paste_back(source, Picture.open(jpeg(locally_edited(source), quality)))
    assert_restored(pasted, source, box_error=8)


def test_a_slight_tint_of_the_rest_is_taken_back() -> None:
    source = photo()
    tinted = np.clip(locally_edited(source).astype(int) + np.array([3, -2, 3]), 0, 255).astype(np.uint8)
    assert_restored(paste_back(source, Picture.open(tinted)), source, box_error=4)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(NAMES),
    st.floats(0.965, 1.035),
    st.floats(-8, 8),
    st.floats(-8, 8),
)
def test_planted_drift_is_found_and_undone(name: str, zoom: float, right: float, down: float) -> None:
    source = photo(name)
    edited = Picture.open(moved(locally_edited(source), zoom, (right, down)))
    pasted = paste_back(source, edited)
    far = far_from(source)
    assert pasted.report["applied"], pasted.report
    assert (pasted.image.array()[far] == source.array()[far]).all()
    if abs(zoom - 1) > 0.002 or np.hypot(right, down) > 1:
        assert pasted.report["zoom"] == pytest.approx(zoom, abs=0.0005)
        assert pasted.report["shift"] == pytest.approx([right, down], abs=0.35)
        assert "undoing" in pasted.report["why"]


@pytest.mark.clock
def test_drift_is_undone_at_full_size_of_a_12_megapixel_photo_in_about_a_second() -> None:
    source = photo("summit-sunset.jpg").resized((4000, 3000))
    edited = Picture.open(moved(locally_edited(source), 1.01, (20, -11)))
    begun = time.perf_counter()
    pasted = paste_back(source, edited)
    assert time.perf_counter() - begun < 6, "about one second when the machine is free"
    assert_restored(pasted, source, box_error=4)
    assert pasted.report["zoom"] == pytest.approx(1.01, abs=0.0005)
    assert pasted.report["shift"] == pytest.approx([20, -11], abs=1)


def test_what_lies_beyond_drift_is_an_edit() -> None:
    """A crop that was asked for is not undone."""
    source = photo("coffee.jpg")
    edited = Picture.open(moved(source.array(), 0.7, (0, 0)))
    pasted = paste_back(source, edited)
    assert pasted.report["zoom"] == 1
    assert (pasted.image.array() == edited.array()).all()


def test_the_drift_of_noise_is_none_and_inputs_stay_as_they_are() -> None:
    rng = np.random.default_rng(0)
    one, other = (rng.integers(0, 256, (400, 600, 3), dtype=np.uint8) for _ in range(2))
    before = one.copy(), other.copy()
    assert found_drift(one, other, 1.0) == NONE
    assert (one == before[0]).all()
    assert (other == before[1]).all()


@pytest.mark.parametrize("size", [(400, 600), (300, 451), (64, 80)])
def test_a_drift_at_any_size_is_found(size: tuple[int, int]) -> None:
    """400 x 600 is a size at which OpenCV's phase correlation writes into its inputs."""
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 256, (size[0] // 4, size[1] // 4, 3), dtype=np.uint8)
    source = cv2.resize(noise, size[::-1], interpolation=cv2.INTER_CUBIC)
    drift = found_drift(source, moved(source, 1.0, (1, -1)), 1.0)
    assert drift.shift == pytest.approx((1, -1), abs=0.1)


def _changed(name: str, pixels: np.ndarray) -> np.ndarray:
    colours = pixels.astype(int)
    whole = {
        "inverted": 255 - colours,
        "warmer": colours + np.array([20, 5, -15]),
        "a little lighter": colours + 5,
        "blurred": cv2.GaussianBlur(pixels, (0, 0), 5),
        "sharpened": 2 * colours - cv2.GaussianBlur(pixels, (0, 0), 2),
        "black and white": np.repeat(colours.mean(axis=2, keepdims=True), 3, axis=2),
    }[name]
    return np.clip(whole, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("change", ["inverted", "warmer", "a little lighter", "blurred", "sharpened"])
def test_an_edit_of_the_whole_frame_is_left_untouched(name: str, change: str) -> None:
    edited = Picture.open(_changed(change, photo(name).array()))
    pasted = paste_back(photo(name), edited)
    assert pasted.image is edited
    assert not pasted.report["applied"]
    assert pasted.report["restored"] == 0
    assert "frame" in pasted.report["why"] or "stands out" in pasted.report["why"]


def test_a_local_edit_within_a_warmer_frame_is_left_untouched() -> None:
    edited = Picture.open(_changed("warmer", locally_edited(photo())))
    assert paste_back(photo(), edited).image is edited


def test_identical_images_are_left_untouched() -> None:
    edited = Picture.open(photo().array().copy())
    pasted = paste_back(photo(), edited)
    assert pasted.image is edited
    assert pasted.report["why"] == "the edited image equals the source"


def with_alpha(pixels: np.ndarray) -> np.ndarray:
    alpha = np.tile(np.linspace(1, 255, pixels.shape[1]).astype(np.uint8), (pixels.shape[0], 1))
    return np.dstack([pixels, alpha])


def test_alpha_is_kept() -> None:
    source = Picture.open(with_alpha(photo().array()))
    pasted = paste_back(source, Picture.open(with_alpha(locally_edited(photo()))))
    assert pasted.report["applied"]
    assert pasted.image.has_alpha
    far = far_from(source)
    assert (pasted.image.array()[far] == source.array()[far]).all()


def test_alpha_of_the_source_comes_back_where_the_editor_dropped_it() -> None:
    source = Picture.open(with_alpha(photo().array()))
    opaque = Picture.open(locally_edited(photo()))
    mask = np.zeros(source.size[::-1], np.uint8)
    mask[box_of(source)] = 255
    out = paste_back(source, opaque, Picture.open(mask)).image.array()
    assert (out[mask == 0] == source.array()[mask == 0]).all()


def _mask(picture: Picture, value: int = 255) -> Picture:
    mask = np.zeros(picture.size[::-1], np.uint8)
    mask[box_of(picture)] = value
    return Picture.open(mask)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(3, 90), st.integers(3, 90))
def test_black_of_a_mask_is_exactly_the_source(seed: int, width: int, height: int) -> None:
    rng = np.random.default_rng(seed)
    source, edited = (
        Picture.from_array(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)) for _ in range(2)
    )
    mask = rng.choice(np.array([0, 128, 255], np.uint8), (height, width))
    out = paste_back(source, edited, Picture.from_array(mask)).image.array().astype(int)
    one, other = source.array().astype(int), edited.array().astype(int)
    assert (out[mask == 0] == one[mask == 0]).all()
    assert ((out >= np.minimum(one, other)) & (out <= np.maximum(one, other))).all(), "a mix lies between"


def test_the_middle_of_a_mask_is_the_edit_and_its_edge_is_soft() -> None:
    source, edited = photo(), Picture.open(255 - photo().array())
    pasted = paste_back(source, edited, _mask(photo()))
    out, (rows, columns) = pasted.image.array().astype(int), box_of(source)
    middle = slice(rows.start + 8, rows.stop - 8), slice(columns.start + 8, columns.stop - 8)
    assert (out[middle] == edited.array()[middle]).all()
    edge = (slice(rows.start + 20, rows.start + 21), slice(columns.start, columns.start + 1))
    assert (
        0
        < np.abs(out[edge] - source.array()[edge]).sum()
        < np.abs(255 - 2 * source.array()[edge].astype(int)).sum()
    )
    assert pasted.report["method"] == "mask"
    assert pasted.report["applied"]


def test_a_white_mask_leaves_the_edit_and_a_black_one_the_source() -> None:
    source, edited = photo(), Picture.open(255 - photo().array())
    whole = paste_back(source, edited, Picture.open(np.full(source.size[::-1], 255, np.uint8)))
    assert whole.image is edited
    assert not whole.report["applied"]
    nothing = paste_back(source, edited, Picture.open(np.zeros(source.size[::-1], np.uint8)))
    assert (nothing.image.array() == source.array()).all()
    assert nothing.report["restored"] == 1


def test_sizes_must_agree() -> None:
    with pytest.raises(InputError, match="edited image has"):
        paste_back(photo(), photo().resized((10, 10)))
    with pytest.raises(InputError, match="mask has"):
        paste_back(photo(), photo(), photo().resized((10, 10)))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_no_size_is_too_small(width: int, height: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    one, other = (rng.integers(0, 256, (height, width, 3), dtype=np.uint8) for _ in range(2))
    assert paste_back(Picture.from_array(one), Picture.from_array(other)).image.size == (width, height)


def test_an_undone_drift_is_nothing_without_a_drift() -> None:
    image = photo().array()
    assert NONE.undone(image) is image
    assert NONE.covered(image.shape).all()
    assert Drift(1.0, (50, 0)).covered(image.shape)[:, -1].max() == 0, "beyond the frame nothing is known"


def test_importing_it_is_light() -> None:
    code = "import sys, editthinker.core.pasteback\nprint(sorted({'cv2', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
