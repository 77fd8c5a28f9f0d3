from __future__ import annotations

import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from editthinker.core.images import Picture
from editthinker.darkroom import operations
from editthinker.darkroom.operations import execute, overlay, render
from editthinker.darkroom.program import KINDS, STICKERS, STRENGTHS, Operation, ordered
from editthinker.darkroom.regions import Pixels, RegionMasks, present_colours, shrunk

DARKROOM = Path(operations.__file__).parent.parent
GEOMETRY = ("crop", "flip", "rotate")
OVERLAYS = ("frame", "sticker", "text")


@pytest.fixture(scope="module")
def photo() -> Pixels:
    """Coffee in a red cup on brown wood, 1600 pixels wide."""
    read = cv2.cvtColor(cv2.imread(str(DARKROOM / "photographs" / "coffee.jpg")), cv2.COLOR_BGR2RGB)
    scale = 1600 / max(read.shape)
    resized: Pixels = cv2.resize(read, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    return resized


@pytest.fixture(scope="module")
def view(photo: Pixels) -> Pixels:
    """The photo as the thinker sees it."""
    return shrunk(photo, 128)


def operation(kind: str, value: str = "", region: str = "all", strength: str = "medium") -> Operation:
    text = "Summer in Lisbon" if kind == "text" else ""
    return Operation(kind, value or KINDS[kind].values[0], region, strength, text)


def apart(one: Pixels, other: Pixels) -> float:
    """Mean absolute difference in levels, 0..255."""
    return float(np.abs(one.astype(np.int16) - other).mean())


VALUES = [operation(k, v) for k, table in KINDS.items() if k != "recolour" for v in table.values]
GRADED = [operation(k, v) for k, t in KINDS.items() if len(t.strengths) == 3 for v in t.values[:2]]


@pytest.mark.parametrize("op", VALUES, ids=lambda o: f"{o.kind}-{o.value}")
def test_every_value_shows_in_a_thumbnail_and_leaves_its_input_alone(view: Pixels, op: Operation) -> None:
    before = view.copy()
    edited = render(view, (op,))
    np.testing.assert_array_equal(view, before)
    np.testing.assert_array_equal(edited, render(view, (op,)))
    assert edited.dtype == np.uint8
    turned = op.kind == "rotate" and op.value != "half"
    assert edited.shape == (view.shape[1::-1] if turned else view.shape[:2]) + (3,)
    if not turned:
        assert apart(edited, view) > (0.3 if op.kind == "sticker" else 3)


@pytest.mark.parametrize("op", GRADED, ids=lambda o: f"{o.kind}-{o.value}")
def test_the_three_strengths_are_clearly_apart(view: Pixels, op: Operation) -> None:
    graded = [render(view, (operation(op.kind, op.value, strength=s),)) for s in STRENGTHS]
    light, medium, strong = (apart(edited, view) for edited in graded)
    assert medium > 1.2 * light
    assert strong > 1.2 * medium
    assert apart(graded[0], graded[1]) > 2
    assert apart(graded[1], graded[2]) > 2


LOOSE = {"crop": 9, "sharpen": 9, "posterise": 7, "sketch": 7, "pixelate": 7, "text": 5, "grain": 6}
"""What a thumbnail cannot follow to the letter: enlarged detail, clipped edges, half pixels."""


@pytest.mark.parametrize("kind", KINDS)
def test_editing_then_shrinking_looks_like_shrinking_then_editing(
    photo: Pixels, view: Pixels, kind: str
) -> None:
    for strength in KINDS[kind].strengths:
        op = operation(kind, "orange>blue" if kind == "recolour" else "", strength=strength)
        assert apart(shrunk(render(photo, (op,)), 128), render(view, (op,))) < LOOSE.get(kind, 3)


REGIONAL = [(k, r) for k, table in KINDS.items() for r in table.regions if r != "all"]


@pytest.mark.parametrize(("kind", "region"), REGIONAL)
def test_a_region_is_changed_and_the_rest_is_not(view: Pixels, kind: str, region: str) -> None:
    masks = RegionMasks(view)
    edited = render(view, (operation(kind, region=region, strength=KINDS[kind].strengths[-1]),), masks)
    outside, inside = masks[region] == 0, masks[region] > 0.9
    np.testing.assert_array_equal(edited[outside], view[outside])
    if inside.any():
        assert apart(edited[inside], view[inside]) > 3


def test_a_blurred_background_takes_no_colour_from_the_subject() -> None:
    image = np.full((200, 300, 3), 120, np.uint8)
    image[::4] = 140
    cv2.circle(image, (150, 100), 50, (230, 20, 20), -1)
    disc = np.zeros((200, 300), np.uint8)
    cv2.circle(disc, (150, 100), 50, 1, -1)
    ring = (cv2.dilate(disc, np.ones((17, 17))) > 0) & (cv2.dilate(disc, np.ones((9, 9))) == 0)
    blurred = render(image, (operation("blur", region="background", strength="strong"),))
    redness = blurred[..., 0].astype(int) - blurred[..., 1]
    assert redness[ring].mean() < 12
    assert redness[disc == 1].mean() > 190
    plain = render(image, (operation("blur", strength="strong"),))
    assert (plain[..., 0].astype(int) - plain[..., 1])[ring].mean() > 20


@pytest.mark.parametrize("value", KINDS["recolour"].values)
def test_recolour_turns_one_colour_into_the_other(value: str) -> None:
    source, _, target = value.partition(">")
    paint = np.array(overlay.PAINT[source]) * 255
    shades = np.linspace(0.6, 1, 80)[None, :, None] * paint
    image = np.repeat(np.round(shades), 60, axis=0).astype(np.uint8)
    shares = present_colours(render(image, (operation("recolour", value),)))
    assert shares[target] > 0.9
    assert shares[source] == 0


def test_recolour_without_that_colour_changes_nothing() -> None:
    image = np.full((50, 50, 3), (20, 60, 220), np.uint8)
    np.testing.assert_array_equal(render(image, (operation("recolour", "red>green"),)), image)


def test_directions_are_what_they_say(view: Pixels) -> None:
    def mean(kind: str, value: str) -> np.ndarray:
        return render(view, (operation(kind, value),)).reshape(-1, 3).mean(axis=0)

    def spread(kind: str, value: str) -> tuple[float, float]:
        edited = render(view, (operation(kind, value),)).astype(np.float32)
        return float(edited.mean(axis=2).std()), float(np.ptp(edited, axis=2).mean())

    assert mean("exposure", "down").mean() < view.mean() - 20
    assert mean("exposure", "up").mean() > view.mean() + 20
    assert spread("contrast", "up")[0] > 1.1 * spread("flip", "horizontal")[0]
    assert spread("contrast", "down")[0] < 0.8 * spread("flip", "horizontal")[0]
    assert spread("saturation", "up")[1] > 1.1 * spread("saturation", "down")[1] * 2
    warm, cool = mean("warmth", "warm"), mean("warmth", "cool")
    assert warm[0] - warm[2] > cool[0] - cool[2] + 40
    assert np.ptp(mean("black_and_white", "")) < 1


def test_geometry_undoes_itself(view: Pixels) -> None:
    for there, back in (("right", "left"), ("left", "right"), ("half", "half")):
        both = (operation("rotate", there), operation("rotate", back))
        np.testing.assert_array_equal(render(view, both), view)
    for value in KINDS["flip"].values:
        np.testing.assert_array_equal(render(view, (operation("flip", value),) * 2), view)


def test_crop_enlarges_the_named_part() -> None:
    image = np.zeros((100, 200, 3), np.uint8)
    image[:20] = 255
    assert render(image, (operation("crop", "top"),))[:30].min() > 200
    assert render(image, (operation("crop", "bottom"),)).max() == 0


def test_regions_follow_the_geometry(view: Pixels) -> None:
    turned = render(view, (operation("flip", "vertical"),))
    both = render(
        view, (operation("flip", "vertical"), operation("exposure", "down", "top")), RegionMasks(view)
    )
    np.testing.assert_array_equal(both, render(turned, (operation("exposure", "down", "top"),)))


@pytest.mark.parametrize("kind", KINDS)
def test_alpha_survives(view: Pixels, kind: str) -> None:
    alpha = np.tile(np.linspace(1, 255, view.shape[1]).astype(np.uint8), (view.shape[0], 1))
    op = operation(kind)
    edited = render(np.dstack([view, alpha]), (op,))
    assert edited.shape[2] == 4
    if kind in GEOMETRY:
        expected = render(np.dstack([alpha] * 3), (op,))[..., 0]
        np.testing.assert_array_equal(edited[..., 3], expected)
    elif kind in OVERLAYS:
        assert (edited[..., 3] >= alpha).all()
        assert (edited[..., 3] > alpha).any()
    else:
        np.testing.assert_array_equal(edited[..., 3], alpha)


def test_invisible_pixels_do_not_bleed_into_visible_ones() -> None:
    image = np.zeros((80, 80, 4), np.uint8)
    image[20:60, 20:60] = (200, 180, 160, 255)
    edited = render(image, (operation("blur", strength="strong"),))
    assert edited[20:60, 20:60, :3].min() > 150


@settings(deadline=None, max_examples=80)
@given(
    height=st.integers(1, 30),
    width=st.integers(1, 30),
    channels=st.sampled_from((3, 4)),
    kind=st.sampled_from(tuple(KINDS)),
    data=st.data(),
)
def test_any_size_down_to_one_pixel(
    height: int, width: int, channels: int, kind: str, data: st.DataObject
) -> None:
    table = KINDS[kind]
    op = Operation(
        kind,
        data.draw(st.sampled_from(table.values)),
        data.draw(st.sampled_from(table.regions)),
        data.draw(st.sampled_from(table.strengths)),
        "words" if kind == "text" else "",
    )
    image = np.random.default_rng(height * width).integers(0, 256, (height, width, channels), np.uint8)
    assert sorted(render(image, (op,)).shape[:2]) == sorted((height, width))


@settings(deadline=None, max_examples=40)
@given(words=st.text(st.characters(), max_size=60), height=st.integers(8, 60), width=st.integers(8, 90))
def test_any_string_is_drawn_without_crashing(words: str, height: int, width: int) -> None:
    image = np.full((height, width, 3), 128, np.uint8)
    assert render(image, (Operation("text", "centre", text=words),)).shape == image.shape


@pytest.mark.parametrize("words", ["", "  \n\t", "\x00"])
def test_blank_text_draws_nothing(view: Pixels, words: str) -> None:
    np.testing.assert_array_equal(render(view, (Operation("text", "top", text=words),)), view)


@pytest.mark.parametrize(
    "words", ["Hi", "Summer in Lisbon", "a sentence of several words " * 9, "W" * 5000, "日本語"]
)
@pytest.mark.parametrize("position", KINDS["text"].values)
def test_text_stays_inside_and_is_readable(words: str, position: str) -> None:
    image = np.full((300, 400, 3), 128, np.uint8)
    edited = render(image, (Operation("text", position, text=words),))
    drawn = (edited != 128).any(axis=2)
    assert not drawn[:, :2].any()
    assert not drawn[:, -2:].any()
    assert not drawn[0].any()
    assert not drawn[-1].any()
    assert edited.max() > 240
    assert edited.min() < 40
    middle = np.flatnonzero(drawn.any(axis=1)).mean() / 300
    assert {"top": middle < 0.5, "centre": 0.4 < middle < 0.6, "bottom": middle > 0.5}[position]


@pytest.mark.parametrize("value", KINDS["sticker"].values)
def test_a_sticker_sits_in_its_corner(value: str) -> None:
    image = np.full((120, 160, 3), 128, np.uint8)
    rows, columns = np.nonzero((render(image, (operation("sticker", value),)) != 128).any(axis=2))
    vertical, horizontal = value.partition("@")[2].split("-")
    assert rows.max() < 60 if vertical == "top" else rows.min() > 60
    assert columns.max() < 80 if horizontal == "left" else columns.min() > 80


def test_execute_keeps_the_mode_and_forgets_the_encoded_bytes() -> None:
    source = Picture(Image.new("RGBA", (40, 30), (200, 100, 50, 90)), b"bytes", "image/png", "photo.png")
    edited = execute(source, ordered([operation("rotate", "right"), operation("sepia")]))
    assert edited.pixels.mode == "RGBA"
    assert edited.size == (30, 40)
    assert edited.encoded == b""
    assert edited.name == "photo.png"
    assert source.pixels.getpixel((0, 0)) == (200, 100, 50, 90)


@pytest.mark.clock
def test_three_operations_on_two_megapixels_take_well_under_a_second(photo: Pixels) -> None:
    large = cv2.resize(photo, (1633, 1225))
    program = ordered(
        [operation("blur", region="background"), operation("exposure", "up", "subject"), operation("text")]
    )
    started = time.perf_counter()
    render(large, program)
    assert time.perf_counter() - started < 1


def test_assets_are_complete_small_and_licensed() -> None:
    files = [path for path in overlay.ASSETS.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 1_500_000
    assert {path.stem for path in files if path.suffix == ".png"} == set(STICKERS)
    licences = (overlay.ASSETS / "LICENCES.md").read_text(encoding="utf-8")
    for licence in ("DejaVuSans-Bold.LICENSE.txt", "emoji/LICENSE.txt"):
        assert licence in licences
        assert (overlay.ASSETS / licence).is_file()
