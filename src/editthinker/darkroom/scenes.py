"""Pictures for training that no camera took: procedural scenes, and varied crops of photographs.

In: a seed, or a photo and a random generator. Out: uint8 RGB arrays. A scene has a sky or a wall, land or a
floor, perhaps hills and a town, and a few lit things with shadows. Nothing in it is symmetric, so that a
mirrored picture can be told from its source, and all the named colours occur.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from editthinker.darkroom.program import COLOURS
from editthinker.darkroom.regions import HUE_BANDS, Pixels

Floats = npt.NDArray[np.float32]
Rng = np.random.Generator

_SUBPIXEL = 4
"""Fractional bits of the coordinates handed to OpenCV."""


class Tone(NamedTuple):
    """A hue of `program.COLOURS` with saturation and value in 0..1."""

    hue: str
    saturation: float
    value: float


_SKIES = (
    (Tone("blue", 0.65, 0.85), Tone("blue", 0.2, 0.97)),
    (Tone("blue", 0.5, 0.55), Tone("orange", 0.6, 0.98)),
    (Tone("purple", 0.5, 0.45), Tone("pink", 0.5, 0.95)),
    (Tone("blue", 0.8, 0.12), Tone("purple", 0.6, 0.35)),
    (Tone("blue", 0.08, 0.6), Tone("yellow", 0.06, 0.9)),
)
"""Colour overhead and at the horizon: noon, evening, dusk, night, overcast."""
_LANDS = (
    Tone("green", 0.6, 0.5),
    Tone("yellow", 0.35, 0.8),
    Tone("orange", 0.45, 0.5),
    Tone("blue", 0.55, 0.55),
    Tone("blue", 0.05, 0.92),
    Tone("purple", 0.08, 0.4),
)
"""Grass, sand, earth, water, snow, asphalt."""


def scene(seed: int, size: tuple[int, int] = (256, 192)) -> Pixels:
    """A photo-like picture, uint8 height x width x 3, the same for the same seed; `size` is width, height."""
    rng = np.random.default_rng(seed)
    width, height = size
    horizon = round(height * rng.uniform(0.35, 0.75))
    indoors = rng.random() < 0.25
    above = _wall(rng, horizon, width) if indoors else _sky(rng, horizon, width)
    below = _land(rng, height - horizon, width, Tone(_any_hue(rng), 0.45, 0.6) if indoors else None)
    canvas = _bytes(np.vstack([above, below]))
    if not indoors:
        _hills(rng, canvas, horizon)
        if rng.random() < 0.4:
            _town(rng, canvas, horizon)
    light = float(rng.choice((-1, 1)) * rng.uniform(0.4, 1))
    for _ in range(rng.integers(0, 4)):
        _place(rng, canvas, horizon, light, rng.uniform(0.12, 0.3))
    _place(rng, canvas, horizon, light, rng.uniform(0.4, 0.75))
    return _developed(rng, canvas, light)


def crops(photo: Pixels, rng: Rng, *, count: int = 1, side: int = 256) -> Iterator[Pixels]:
    """`count` pictures cut from a photo, uint8, `side` pixels on the long side, aspect ratio 2:3 to 3:2.

    Each is mirrored, re-lit and tinted at random, so that its absolute colours say nothing about an edit.
    """
    height, width = photo.shape[:2]
    for _ in range(count):
        aspect = float(np.exp(rng.uniform(np.log(2 / 3), np.log(3 / 2))))
        tall = min(height, width / aspect) * rng.uniform(0.5, 1.0)
        cut_height, cut_width = max(1, int(tall)), max(1, int(tall * aspect))
        top = int(rng.integers(0, height - cut_height + 1))
        left = int(rng.integers(0, width - cut_width + 1))
        cut = photo[top : top + cut_height, left : left + cut_width, :3]
        size = (side, round(side / aspect)) if aspect >= 1 else (round(side * aspect), side)
        cut = cv2.resize(cut, size, interpolation=cv2.INTER_AREA if cut_width > size[0] else cv2.INTER_CUBIC)
        yield _relit(rng, cut[:, ::-1] if rng.random() < 0.5 else cut)


def _relit(rng: Rng, rgb: Pixels) -> Pixels:
    """The same picture with another exposure, contrast, white balance and saturation."""
    light = rgb.astype(np.float32)
    grey = light.mean(axis=2, keepdims=True)
    light = grey + (light - grey) * np.float32(rng.uniform(0.75, 1.2))
    mean = light.mean()
    gains = np.asarray(rng.uniform(0.92, 1.08, 3) * rng.uniform(0.75, 1.2), np.float32)
    return _bytes((mean + (light - mean) * np.float32(rng.uniform(0.8, 1.2))) * gains)


def _bytes(light: Floats) -> Pixels:
    return np.asarray(np.clip(light, 0, 255), np.uint8)


def _any_hue(rng: Rng) -> str:
    return COLOURS[rng.integers(len(COLOURS))]


def _colour(rng: Rng, tone: Tone) -> Floats:
    """One colour near a tone: three floats in 0..255."""
    first, last = HUE_BANDS[tone.hue]
    hue = rng.uniform(first + 5, last - 5) % 360
    saturation, value = np.clip(rng.normal((tone.saturation, tone.value), 0.05), 0, 1)
    rgb = cv2.cvtColor(np.array([[[hue, saturation, value]]], np.float32), cv2.COLOR_HSV2RGB)
    return np.asarray(rgb[0, 0] * 255, np.float32)


def _noise(rng: Rng, height: int, width: int, cells: int, octaves: int = 4) -> Floats:
    """Cloud-like noise, mean about 0, mostly within -1..1; `cells` across in the coarsest octave."""
    total: Floats = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        grid = rng.standard_normal((cells << octave, cells << octave), np.float32)
        total += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC) * np.float32(
            0.6 * 0.5**octave
        )
    return total


def _gradient(top: Floats, bottom: Floats, height: int, width: int, tilt: float = 0.0) -> Floats:
    down = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    across = np.linspace(-tilt, tilt, width, dtype=np.float32)[None, :, None]
    share = np.clip(down + across, 0, 1)
    return np.asarray(top * (1 - share) + bottom * share, np.float32)


def _sky(rng: Rng, height: int, width: int) -> Floats:
    overhead, low = (_colour(rng, tone) for tone in _SKIES[rng.integers(len(_SKIES))])
    sky = _gradient(overhead, low, height, width, rng.uniform(-0.3, 0.3))
    cover = np.clip(_noise(rng, height, width, 3) * 1.4 - np.float32(rng.uniform(-0.2, 0.8)), 0, 0.85)
    sky += (low * 0.4 + 140 - sky) * cover[..., None]
    if rng.random() < 0.5:
        y, x = np.ogrid[:height, :width]
        away = np.hypot(y - height * rng.uniform(0.2, 0.9), x - width * rng.uniform(0.05, 0.95)) / width
        glow = np.minimum(np.exp(-((away / 0.05) ** 2)) + 0.5 * np.exp(-away / 0.15), 1).astype(np.float32)
        sky += glow[..., None] * (np.array([255, 240, 200], np.float32) - sky)
    return sky


def _wall(rng: Rng, height: int, width: int) -> Floats:
    lit = _colour(rng, Tone(_any_hue(rng), rng.uniform(0.1, 0.6), rng.uniform(0.5, 0.9)))
    wall = _gradient(lit, lit * 0.75, height, width, rng.uniform(-0.5, 0.5))
    wall += _noise(rng, height, width, 8)[..., None] * 5
    if rng.random() < 0.5:
        stripe = np.sin(np.arange(width, dtype=np.float32) * (2 * np.pi * rng.integers(5, 16) / width))
        wall *= 1 + 0.06 * np.sign(stripe)[None, :, None]
    return wall


def _land(rng: Rng, height: int, width: int, floor: Tone | None) -> Floats:
    near = _colour(rng, floor or _LANDS[rng.integers(len(_LANDS))])
    land = _gradient(near * 0.8 + 40, near * 0.9, height, width)
    # Wide cells far away and tall ones nearby are what perspective makes of an even texture.
    grain = _noise(rng, height * 2, width, 8, octaves=5)
    rows = (np.linspace(0, 1, height, dtype=np.float32) ** 0.5 * (2 * height - 1)).astype(np.int64)
    return land * (1 + np.float32(rng.uniform(0.06, 0.22)) * grain[rows][..., None])


def _hills(rng: Rng, canvas: Pixels, horizon: int) -> None:
    height, width = canvas.shape[:2]
    haze = canvas[max(horizon - 1, 0)].mean(axis=0)
    count = int(rng.integers(0, 4))
    for layer in range(count):
        nearness = (layer + 1) / count
        steps = cv2.resize(
            rng.uniform(0, 1, (1, 7)).astype(np.float32), (width, 1), interpolation=cv2.INTER_CUBIC
        )
        ridge = horizon - height * 0.28 * (1.1 - 0.8 * nearness) * steps[0] + height * 0.02
        colour = _colour(rng, Tone(str(rng.choice(("green", "blue", "purple", "orange"))), 0.4, 0.4))
        outline = np.column_stack([np.arange(width), ridge])
        _fill(
            canvas,
            np.vstack([outline, [[width, horizon + 2], [0, horizon + 2]]]),
            haze + (colour - haze) * nearness,
        )


def _town(rng: Rng, canvas: Pixels, horizon: int) -> None:
    height, width = canvas.shape[:2]
    lit = rng.random() < 0.5
    left = -width * rng.uniform(0, 0.2)
    while left < width * rng.uniform(0.4, 1.3):
        wide, tall = width * rng.uniform(0.06, 0.16), height * rng.uniform(0.1, 0.42)
        wall = _colour(rng, Tone(_any_hue(rng), rng.uniform(0.05, 0.5), rng.uniform(0.25, 0.85)))
        top = horizon + 0.03 * height - tall
        _fill(canvas, _box(left, top, left + wide, top + tall), wall)
        _fill(canvas, _box(left + 0.8 * wide, top, left + wide, top + tall), wall * 0.7)
        pane = np.array([255, 225, 140], np.float32) if lit else wall * 0.45
        for x in np.arange(left + 0.12 * wide, left + 0.65 * wide, 0.22 * wide):
            for y in np.arange(top + 0.05 * height, top + tall - 0.05 * height, 0.05 * height):
                if rng.random() < 0.8:
                    _fill(canvas, _box(x, y, x + 0.11 * wide, y + 0.025 * height), pane)
        left += wide * rng.uniform(1, 1.6)


def _place(rng: Rng, canvas: Pixels, horizon: int, light: float, scale: float) -> None:
    """Stand a random thing on the land: its shadow first, then its parts, lit from one side."""
    height, width = canvas.shape[:2]
    tall = scale * min(height, width)
    foot = rng.uniform(horizon + 0.3 * (height - horizon), height * 0.97)
    left = rng.uniform(-0.1 * tall, width - 0.9 * tall)
    corner = np.array([left, foot - tall])
    shadow = _oval(0.5 - 0.25 * light, 0.97, 0.5, 0.07) * tall + corner
    under = canvas.copy()
    _fill(under, shadow, np.zeros(3))
    canvas[:] = cv2.addWeighted(canvas, 0.55, under, 0.45, 0)
    hues = [
        _colour(rng, Tone(_any_hue(rng), rng.uniform(0.5, 0.95), rng.uniform(0.55, 0.95))) for _ in range(3)
    ]
    before = canvas.copy()
    mirrored = rng.random() < 0.5
    for outline, paint in THINGS[rng.integers(len(THINGS))](rng):
        points = outline * [-1, 1] + [1, 0] if mirrored else outline
        _fill(
            canvas, points * tall + corner, hues[paint] if paint >= 0 else np.full(3, 255 + 230 * paint / 2)
        )
    _shade(rng, canvas, (canvas != before).any(axis=2), light)


def _shade(rng: Rng, canvas: Pixels, drawn: npt.NDArray[np.bool_], light: float) -> None:
    """Round what was just drawn: brighter above and towards the light, and a little rough."""
    rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
    if not len(rows):
        return
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = drawn[box].shape
    across = np.linspace(-1, 1, width, dtype=np.float32)[None, :] * np.float32(light)
    down = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    shade = 0.95 + 0.3 * across - 0.18 * down + 0.1 * _noise(rng, height, width, 4, octaves=3)
    lit = np.clip(canvas[box] * shade[..., None], 0, 255)
    canvas[box] = np.where(drawn[box][..., None], lit, canvas[box])


def _developed(rng: Rng, canvas: Pixels, light: float) -> Pixels:
    """What a camera adds: light falling in from a side, a little blur and grain, an exposure of its own."""
    height, width = canvas.shape[:2]
    picture = cv2.GaussianBlur(canvas, (0, 0), rng.uniform(0.3, 0.9)).astype(np.float32)
    fall = 1 + np.float32(0.15 * light) * np.linspace(-1, 1, width, dtype=np.float32)
    gains = np.asarray(rng.uniform(0.93, 1.07, 3) * rng.uniform(0.8, 1.15), np.float32)
    picture *= fall[None, :, None] * gains
    picture += rng.standard_normal((height, width, 1), np.float32) * np.float32(rng.uniform(0.5, 4))
    return _bytes(picture)


def _fill(canvas: Pixels, points: npt.NDArray[np.floating], colour: npt.NDArray[np.floating]) -> None:
    fixed = np.round(points * (1 << _SUBPIXEL)).astype(np.int32)
    cv2.fillPoly(canvas, [fixed], np.clip(colour, 0, 255).tolist(), cv2.LINE_AA, _SUBPIXEL)


Outline = npt.NDArray[np.float64]
"""N x 2 points, x and y, in the unit square in which a thing is drawn; y points down."""
Part = tuple[Outline, int]
"""An outline and its paint: 0..2 are the thing's own colours, -1 is a mid grey, -2 is near black."""


def _box(left: float, top: float, right: float, bottom: float) -> Outline:
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]])


def _oval(x: float, y: float, across: float, down: float) -> Outline:
    turn = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    return np.column_stack([x + across * np.cos(turn), y + down * np.sin(turn)])


def _points(*numbers: float) -> Outline:
    return np.array(numbers).reshape(-1, 2)


def _ball(rng: Rng) -> list[Part]:
    return [(_oval(0.5, 0.5, 0.48, 0.48), 0), (_oval(0.4, 0.45, 0.16, rng.uniform(0.2, 0.46)), 1)]


def _vase(rng: Rng) -> list[Part]:
    body = _points(0.4, 0.5, 0.6, 0.5, 0.56, 0.6, 0.72, 0.78, 0.62, 1, 0.38, 1, 0.28, 0.78, 0.44, 0.6)
    blooms = [
        (_oval(x, rng.uniform(0.1, 0.4), 0.12, 0.11), 1 + index % 2)
        for index, x in enumerate((0.25, 0.48, 0.75))
    ]
    return [(_box(0.48, 0.2, 0.51, 0.55), -1), *blooms, (body, 0)]


def _tree(rng: Rng) -> list[Part]:
    crown = [(_oval(x, y, 0.24, 0.22), 0) for x, y in ((0.3, 0.45), (0.6, 0.25), (0.72, 0.5), (0.45, 0.3))]
    fruit = [(_oval(rng.uniform(0.2, 0.85), rng.uniform(0.2, 0.6), 0.035, 0.035), 1) for _ in range(6)]
    return [(_box(0.44, 0.5, 0.56, 1), -1), *crown, *fruit]


def _cat(rng: Rng) -> list[Part]:
    ears = [(_points(0.08, 0.34, 0.1, 0.08, 0.26, 0.2), 0), (_points(0.32, 0.2, 0.48, 0.08, 0.48, 0.34), 0)]
    eyes = [(_oval(0.2, 0.32, 0.04, 0.05), 1), (_oval(0.36, 0.32, 0.04, 0.05), 1)]
    tail = (_points(0.8, 0.9, 0.98, 0.5, 0.94, 0.3, 0.9, 0.3, 0.9, 0.5, 0.7, 0.8), 0)
    body = (_oval(0.55, 0.75, 0.33, rng.uniform(0.22, 0.27)), 0)
    return [tail, body, (_oval(0.28, 0.36, 0.22, 0.2), 0), *ears, *eyes, (_oval(0.28, 0.42, 0.025, 0.02), -2)]


def _house(rng: Rng) -> list[Part]:
    door = rng.uniform(0.2, 0.5)
    roof = (_points(0, 0.45, 0.45, 0.1, 1, 0.45), 1)
    windows = [(_box(0.68, 0.55, 0.84, 0.72), -1), (_box(0.12, 0.52, 0.2, 0.66), -1)]
    return [
        (_box(0.7, 0.1, 0.8, 0.4), -1),
        (_box(0.05, 0.44, 0.95, 1), 0),
        roof,
        (_box(door, 0.64, door + 0.16, 1), 2),
        *windows,
    ]


def _car(rng: Rng) -> list[Part]:
    cabin = _points(0.2, 0.66, 0.32, 0.48, rng.uniform(0.55, 0.7), 0.48, 0.8, 0.66)
    wheels = [(_oval(x, 0.9, 0.1, 0.1), -2) for x in (0.24, 0.76)]
    hubs = [(_oval(x, 0.9, 0.045, 0.045), -1) for x in (0.24, 0.76)]
    return [
        (cabin, 1),
        (_points(0, 0.68, 0.9, 0.64, 1, 0.76, 1, 0.9, 0, 0.9), 0),
        (_box(0.94, 0.72, 1, 0.78), 2),
        *wheels,
        *hubs,
    ]


def _balloon(rng: Rng) -> list[Part]:
    string = _points(0.49, 0.6, 0.51, 0.6, rng.uniform(0.4, 0.7), 1)
    return [(string, -2), (_oval(0.5, 0.33, 0.28, 0.33), 0), (_oval(0.4, 0.2, 0.06, 0.09), 1)]


def _mug(rng: Rng) -> list[Part]:
    band = rng.uniform(0.5, 0.75)
    handle = [(_oval(0.8, 0.65, 0.18, 0.2), 0), (_oval(0.8, 0.65, 0.1, 0.12), -2)]
    return [
        *handle,
        (_box(0.1, 0.35, 0.78, 1), 0),
        (_oval(0.44, 0.35, 0.34, 0.08), -2),
        (_box(0.1, band, 0.78, band + 0.12), 1),
    ]


def _person(rng: Rng) -> list[Part]:
    reach = rng.uniform(0.15, 0.6)
    arms = [
        (_points(0.36, 0.28, 0.2, reach, 0.25, reach + 0.06, 0.42, 0.38), 0),
        (_box(0.62, 0.28, 0.7, 0.6), 0),
    ]
    legs = [(_box(0.38, 0.56, 0.49, 1), 1), (_points(0.5, 0.56, 0.62, 0.56, 0.7, 1, 0.6, 1), 1)]
    return [
        *legs,
        *arms,
        (_box(0.36, 0.24, 0.64, 0.6), 0),
        (_oval(0.5, 0.13, 0.1, 0.12), -1),
        (_oval(0.5, 0.06, 0.11, 0.06), 2),
    ]


def _flower(rng: Rng) -> list[Part]:
    turns = np.arange(7) * (2 * np.pi / 7) + rng.uniform(0, 1)
    petals = [(_oval(0.5 + 0.2 * np.cos(t), 0.32 + 0.2 * np.sin(t), 0.13, 0.13), 0) for t in turns]
    leaf = (_points(0.5, 0.85, 0.85, 0.6, 0.75, 0.8), 2)
    return [(_box(0.48, 0.4, 0.52, 1), 2), leaf, *petals, (_oval(0.5, 0.32, 0.13, 0.13), 1)]


THINGS: tuple[Callable[[Rng], list[Part]], ...] = (
    _ball, _vase, _tree, _cat, _house, _car, _balloon, _mug, _person, _flower,
)  # fmt: skip
