"""Fitting a picture into the sizes a model takes, and back: whole, never squeezed, alpha kept."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from editthinker.core.errors import EditorError
from editthinker.core.images import SAME_SHAPE, Picture, same_shape
from editthinker.editors.delivery import Frame, delivered
from editthinker.editors.sizes import FIXED, FREE, SizeRule, openai_rule, parse_size

sides = st.integers(1, 300)
sizes = st.tuples(sides, sides)


def ramp(size: tuple[int, int], channels: int = 3) -> Picture:
    """Smooth, so that resampling changes little, and different in every corner."""
    width, height = size
    across, down = np.meshgrid(np.linspace(30, 220, width), np.linspace(30, 220, height))
    planes = [across, down, (across + down) / 2, 255 - across / 2][:channels]
    return Picture.from_array(np.stack(planes, axis=-1).round().astype(np.uint8))


def error(one: Picture, other: Picture) -> float:
    return float(np.abs(one.array().astype(int) - other.array()).mean())


@settings(max_examples=200, deadline=None)
@given(sizes, sizes)
def test_the_box_lies_within_the_canvas_touches_two_sides_and_keeps_the_shape(
    size: tuple[int, int], canvas: tuple[int, int]
) -> None:
    left, top, right, bottom = Frame(size, canvas).box
    width, height = right - left, bottom - top
    assert 0 <= left < right <= canvas[0]
    assert 0 <= top < bottom <= canvas[1]
    assert width == canvas[0] or height == canvas[1]
    scale = min(canvas[0] / size[0], canvas[1] / size[1])
    assert abs(width - max(1, size[0] * scale)) <= 0.5 + 1e-9
    assert abs(height - max(1, size[1] * scale)) <= 0.5 + 1e-9
    assert abs(left - (canvas[0] - right)) <= 1, "centred"
    assert abs(top - (canvas[1] - bottom)) <= 1


@settings(max_examples=150, deadline=None)
@given(sizes, sizes, st.sampled_from([3, 4]))
def test_put_and_take_give_any_size_back(
    size: tuple[int, int], canvas: tuple[int, int], channels: int
) -> None:
    picture, frame = ramp(size, channels), Frame(size, canvas)
    put = frame.put(picture)
    assert put.size == canvas
    assert put.has_alpha == picture.has_alpha
    back = frame.take(put)
    assert back.size == size
    assert back.has_alpha == picture.has_alpha
    left, top, right, bottom = frame.box
    if right - left >= size[0] / 4 and bottom - top >= size[1] / 4 and min(size) > 8:
        assert error(back, picture) < 12


@settings(max_examples=60, deadline=None)
@given(st.tuples(st.integers(40, 200), st.integers(40, 200)), st.sampled_from([0.5, 1.5, 2.0]))
def test_a_canvas_that_comes_back_scaled_is_taken_from_too(size: tuple[int, int], by: float) -> None:
    frame, picture = Frame(size, (256, 160)), ramp(size)
    returned = frame.put(picture).resized((int(256 * by), int(160 * by)))
    assert error(frame.take(returned), picture) < 8


def test_a_canvas_of_the_same_shape_is_not_padded() -> None:
    frame = Frame((400, 300), (200, 150))
    assert frame.box == (0, 0, 200, 150)
    assert Frame((40, 30), (40, 30)).put(ramp((40, 30))).size == (40, 30)


def test_the_padding_continues_the_edge() -> None:
    put = Frame((100, 100), (200, 100)).put(ramp((100, 100))).array()
    assert (put[:, :50] == put[:, 50:51]).all()
    assert (put[:, 150:] == put[:, 149:150]).all()


# --- delivered ---


@settings(max_examples=100, deadline=None)
@given(sizes, sizes, st.booleans(), st.booleans())
def test_whatever_comes_back_has_the_size_of_the_source(
    size: tuple[int, int], returned: tuple[int, int], source_alpha: bool, returned_alpha: bool
) -> None:
    source, answer = ramp(size, 4 if source_alpha else 3), ramp(returned, 4 if returned_alpha else 3)
    picture = delivered(source, answer)
    assert picture.size == size
    assert picture.has_alpha == (source_alpha or returned_alpha)


def test_the_source_gives_its_alpha_where_the_model_dropped_it() -> None:
    source = ramp((60, 40), 4)
    alpha = delivered(source, ramp((60, 40))).array()[..., 3]
    assert (alpha == source.array()[..., 3]).all()


def test_the_alpha_of_the_model_wins() -> None:
    source, answer = ramp((60, 40), 4), Picture.from_array(ramp((60, 40), 4).array()[::-1].copy())
    assert (delivered(source, answer).array() == answer.array()).all()


def test_a_picture_that_fits_is_passed_on_as_it_is() -> None:
    answer = ramp((60, 40))
    assert delivered(ramp((60, 40)), answer) is answer


def test_a_padded_picture_comes_back_without_its_padding() -> None:
    source = ramp((120, 60))
    frame = Frame(source.size, (128, 128))
    assert error(delivered(source, frame.put(source), frame), source) < 2
    assert error(delivered(source, frame.put(source).resized((256, 256)), frame), source) < 2


def test_another_shape_than_was_sent_is_fitted_whole() -> None:
    source, square = ramp((200, 100)), Picture.from_array(np.full((64, 64, 3), 90, np.uint8))
    for frame in (None, Frame((200, 100), (208, 112))):
        picture = delivered(source, square, frame)
        assert picture.size == (200, 100)
        assert (picture.array() == 90).all()


def test_an_entirely_black_picture_is_no_edit() -> None:
    black = Picture.from_array(np.full((40, 60, 3), 2, np.uint8))
    with pytest.raises(EditorError, match="entirely black"):
        delivered(ramp((60, 40)), black)
    with pytest.raises(EditorError, match="entirely black"):
        delivered(ramp((60, 40)), Picture.from_array(np.zeros((10, 10, 4), np.uint8)))
    assert delivered(black, black) is black, "a black photo may stay black"
    almost = np.zeros((40, 60, 3), np.uint8)
    almost[0, 0] = 3
    assert delivered(ramp((60, 40)), Picture.from_array(almost)).size == (60, 40)


@given(st.integers(50, 5_000), st.integers(50, 5_000), st.floats(0.1, 4))
def test_shapes_that_differ_by_rounding_are_the_same(width: int, height: int, scale: float) -> None:
    scaled = max(1, round(width * scale)), max(1, round(height * scale))
    if min(scaled) > 2 / SAME_SHAPE:
        assert same_shape((width, height), scaled)
        assert same_shape(scaled, (width, height))
    assert not same_shape((width, height), (width, height * 2))


# --- sizes ---


@settings(max_examples=300)
@given(st.integers(1, 12_000), st.integers(1, 12_000), st.integers(4_096, 20_000_000))
def test_openais_rules_hold_for_every_photo(width: int, height: int, pixels: int) -> None:
    wide, high = FREE.canvas((width, height), pixels)
    assert wide % 16 == 0
    assert high % 16 == 0
    assert max(wide, high) <= 3_840
    assert max(wide, high) <= 3 * min(wide, high)
    assert 655_360 <= wide * high <= 8_294_400


@settings(max_examples=200)
@given(st.integers(16, 4_000), st.integers(16, 4_000), st.sampled_from([1, 8, 16, 32, 64]))
def test_a_canvas_is_hardly_larger_than_its_picture(width: int, height: int, multiple: int) -> None:
    wide, high = SizeRule(multiple).canvas((width, height), 10**9)
    assert 0 <= wide - width < multiple
    assert 0 <= high - height < multiple


def test_the_fixed_size_that_wastes_least() -> None:
    assert FIXED.canvas((3000, 2000), 10**6) == (1536, 1024)
    assert FIXED.canvas((2000, 3000), 10**6) == (1024, 1536)
    assert FIXED.canvas((700, 720), 10**6) == (1024, 1024)


@pytest.mark.parametrize(
    ("model", "rule"),
    [
        ("gpt-image-1.5", FIXED),
        ("gpt-image-1-mini", FIXED),
        ("chatgpt-image-latest", FIXED),
        ("gpt-image-2", FREE),
        ("gpt-image-2.6-flare", FREE),
        ("openai/gpt-image-1.5", FIXED),
    ],
)
def test_which_rule_a_model_has(model: str, rule: SizeRule) -> None:
    assert openai_rule(model) == rule


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1024x768", (1024, 768)),
        ("8X9", (8, 9)),
        ("0x5", None),
        ("x5", None),
        ("5", None),
        ("-1x5", None),
        ("9x99999", None),
    ],
)
def test_sizes_as_text(text: str, size: tuple[int, int] | None) -> None:
    assert parse_size(text) == size
