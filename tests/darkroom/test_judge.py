"""The exact judge's bars, on random programs over real photographs rendered at full resolution."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from editthinker.core.contracts import Judge
from editthinker.core.errors import JudgeError
from editthinker.core.images import Picture
from editthinker.core.types import Sample
from editthinker.darkroom.judge import VISIBLE, Case, DarkroomJudge, verdict, visible
from editthinker.darkroom.operations import render, texture
from editthinker.darkroom.program import COLOURS, KINDS, STRENGTHS, Operation, Program, ordered
from editthinker.darkroom.regions import Pixels, RegionMasks, present_colours

PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg")
SEEDS = (0, 1, 2)
PER_SEED = 15
MOVES = {"crop", "flip", "rotate"}


@dataclass(frozen=True)
class Drawn:
    """A visible program on a photograph."""

    photo: Pixels
    masks: RegionMasks
    colours: tuple[str, ...]
    case: Case

    @property
    def program(self) -> Program:
        return self.case.program

    def edit(self, program: Program) -> Pixels:
        return jpeg(render(self.photo, program, self.masks))

    def overall(self, edited: Pixels) -> float:
        return self.case.verdict(edited).score.overall


@cache
def photograph(name: str) -> tuple[Pixels, RegionMasks, tuple[str, ...]]:
    rgb = np.asarray(Image.open(io.BytesIO((files("skimage") / "data" / name).read_bytes())).convert("RGB"))
    return rgb, RegionMasks(rgb), tuple(c for c, share in present_colours(rgb).items() if share > 0.05)


def draw_operation(rng: random.Random, colours: tuple[str, ...]) -> Operation:
    while True:
        kind = rng.choice(list(KINDS))
        table = KINDS[kind]
        regions = [r for r in table.regions if r not in COLOURS or r in colours]
        values = [v for v in table.values if kind != "recolour" or v.split(">")[0] in colours]
        if values:
            region = "all" if rng.random() < 0.5 else rng.choice(regions)
            text = "Hello world" if kind == "text" else ""
            return Operation(kind, rng.choice(values), region, rng.choice(table.strengths), text)


@cache
def drawn(seed: int) -> tuple[Drawn, ...]:
    rng = random.Random(seed)
    found: list[Drawn] = []
    while len(found) < PER_SEED:
        photo, masks, colours = photograph(PHOTOS[len(found) % len(PHOTOS)])
        count = rng.choice((1, 2, 2, 3, 3, 4, 5))
        program = ordered([draw_operation(rng, colours) for _ in range(count)])
        if len({o.kind for o in program}) == count:
            case = Case(photo, program, masks=masks)
            if case.visible:
                found.append(Drawn(photo, masks, colours, case))
    return tuple(found)


def jpeg(rgb: Pixels, quality: int = 90) -> Pixels:
    stream = io.BytesIO()
    Image.fromarray(rgb).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream))


def exchanged(program: Program, index: int, operation: Operation) -> Program:
    return (*program[:index], operation, *program[index + 1 :])


def misses(seed: int, bar: Callable[[Drawn], list[tuple[float, str]]]) -> list[str]:
    """What the bar found wrong over the cases of a seed; the bar lists (overall, description) of failures."""
    return [f"{overall:.2f} {words} | {d.program}" for d in drawn(seed) for overall, words in bar(d)]


@pytest.mark.parametrize("seed", SEEDS)
def test_exact_target_is_nearly_perfect(seed: int) -> None:
    def bar(d: Drawn) -> list[tuple[float, str]]:
        overall = d.overall(d.edit(d.program))
        return [] if overall >= 9.5 else [(overall, "exact target")]

    assert not misses(seed, bar)


@pytest.mark.parametrize("seed", SEEDS)
def test_untouched_source_is_worthless(seed: int) -> None:
    def bar(d: Drawn) -> list[tuple[float, str]]:
        scores = (d.overall(d.photo), d.overall(jpeg(d.photo)))
        return [(overall, "source") for overall in scores if overall > 2]

    assert not misses(seed, bar)


@pytest.mark.parametrize("seed", SEEDS)
def test_one_missing_operation_fails(seed: int) -> None:
    def bar(d: Drawn) -> list[tuple[float, str]]:
        index = seed % len(d.program)
        overall = d.overall(d.edit(d.program[:index] + d.program[index + 1 :]))
        return [] if overall <= 7 else [(overall, f"without {d.program[index]}")]

    assert not misses(seed, bar)


@pytest.mark.parametrize("seed", SEEDS)
def test_one_unasked_operation_fails(seed: int) -> None:
    rng = random.Random(seed)

    def bar(d: Drawn) -> list[tuple[float, str]]:
        for _ in range(20):
            extra = draw_operation(rng, d.colours)
            if extra.kind in {o.kind for o in d.program}:
                continue
            program = ordered((*d.program, extra))
            if Case(d.photo, program, masks=d.masks).effects[program.index(extra)] >= VISIBLE:
                overall = d.overall(d.edit(program))
                return [] if overall <= 7 else [(overall, f"also {extra}")]
        return []

    # An extra can look just like the asked operations done a little weaker: about one in two hundred.
    assert len(misses(seed, bar)) <= 1


@pytest.mark.parametrize("seed", SEEDS)
def test_a_larger_error_of_strength_never_scores_higher(seed: int) -> None:
    def bar(d: Drawn) -> list[tuple[float, str]]:
        # Coarser levels or blocks are not "more" of finer ones, and they hide strengths of what came before.
        if {o.kind for o in d.program} & {"posterise", "pixelate"}:
            return []
        wrong = []
        for index, asked in enumerate(d.program):
            if len(KINDS[asked.kind].strengths) == 1:
                continue
            variants = (Operation(asked.kind, asked.value, asked.region, s, asked.text) for s in STRENGTHS)
            scores = [d.overall(d.edit(exchanged(d.program, index, variant))) for variant in variants]
            peak = STRENGTHS.index(asked.strength)
            rising, falling = scores[: peak + 1], scores[peak:]
            if (
                sorted_within(rising, 0.5)
                and sorted_within(falling[::-1], 0.5)
                and scores[peak] == max(scores)
            ):
                continue
            wrong.append((scores[peak], f"{asked.kind} {np.round(scores, 2)}"))
        return wrong

    assert not misses(seed, bar)


def sorted_within(scores: list[float], slack: float) -> bool:
    return all(later >= earlier - slack for earlier, later in pairwise(scores))


@pytest.mark.parametrize("seed", SEEDS)
def test_blending_towards_the_target_never_scores_lower(seed: int) -> None:
    def bar(d: Drawn) -> list[tuple[float, str]]:
        # Half-way to a negative lies plain grey, half-way to a moved photo a ghost: both rightly score low.
        if {o.kind for o in d.program} & (MOVES | {"invert"}):
            return []
        target = render(d.photo, d.program, d.masks).astype(np.float32)
        scores = [
            d.overall(np.rint(d.photo + share * (target - d.photo)).astype(np.uint8))
            for share in np.linspace(0, 1, 6)
        ]
        return [] if sorted_within(scores, 0.2) else [(scores[-1], f"blends {np.round(scores, 2)}")]

    assert not misses(seed, bar)


@pytest.mark.parametrize("seed", SEEDS)
def test_effect_everywhere_instead_of_in_its_region_fails(seed: int) -> None:
    def bar(d: Drawn) -> list[tuple[float, str]]:
        wrong = []
        for index, asked in enumerate(d.program):
            everywhere = exchanged(
                d.program, index, Operation(asked.kind, asked.value, "all", asked.strength)
            )
            if asked.region != "all" and verdict(d.photo, d.edit(everywhere), d.program).unasked >= VISIBLE:
                overall = d.overall(d.edit(everywhere))
                wrong += [] if overall <= 7 else [(overall, f"{asked.kind} everywhere")]
        return wrong

    assert not misses(seed, bar)


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("strength", ["medium", "strong"])
def test_another_grain_is_as_good(name: str, strength: str, monkeypatch: pytest.MonkeyPatch) -> None:
    photo, _, _ = photograph(name)
    program = (Operation("grain", strength=strength), Operation("vignette"))
    case = Case(photo, program)
    monkeypatch.setattr(
        texture,
        "_noise_field",
        lambda cells: np.random.default_rng(99).standard_normal((cells, cells), np.float32),
    )
    other = render(photo, program)
    assert case.verdict(other).score.overall >= 8.5
    monkeypatch.undo()
    assert (other != render(photo, program)).mean() > 0.5


def test_an_effect_beyond_its_region_lowers_preservation_not_presence() -> None:
    photo, masks, _ = photograph("astronaut.png")
    program = (Operation("black_and_white", region="background"),)
    found = verdict(photo, render(photo, (Operation("black_and_white"),), masks), program)
    assert found.presence[0] > 0.9
    assert found.preservation < 0.5
    assert found.score.overall <= 7


def test_presence_names_the_operation_that_failed() -> None:
    photo, _, _ = photograph("coffee.png")
    program = (Operation("exposure", "up"), Operation("blur"), Operation("frame", "white"))
    weak = (Operation("exposure", "up", strength="light"), program[2])
    found = verdict(photo, render(photo, weak), program)
    assert 0.1 < found.presence[0] < 0.8
    assert found.presence[1] < 0.1
    assert found.presence[2] > 0.9
    strong = (Operation("exposure", "up", strength="strong"), *program[1:])
    assert verdict(photo, render(photo, strong), program).amounts[0] > 1.2


def test_size_is_free_but_aspect_is_not() -> None:
    photo, _, _ = photograph("chelsea.png")
    program = (Operation("sepia"),)
    case = Case(photo, program)
    edited = Image.fromarray(render(photo, program))
    half = np.asarray(edited.resize((edited.width // 2, edited.height // 2), Image.Resampling.LANCZOS))
    squeezed = np.asarray(edited.resize((400, 400)))
    assert case.verdict(half).score.overall >= 9
    assert case.verdict(squeezed).score.overall <= 7
    assert case.verdict(np.rot90(np.asarray(edited))).score.overall <= 2


@pytest.mark.parametrize("name", PHOTOS)
def test_noise_and_lost_sharpness_are_damage(name: str) -> None:
    photo, _, _ = photograph(name)
    program = (Operation("warmth", "warm"),)
    case = Case(photo, program)
    edited = render(photo, program)
    noise = np.random.default_rng(0).normal(0, 1, edited.shape)
    damage = [
        case.verdict(np.clip(edited + sigma * noise, 0, 255).astype(np.uint8)).damage for sigma in (0, 15, 40)
    ]
    assert damage[0] < 0.01
    assert damage == sorted(damage)
    assert damage[2] > 0.4
    assert case.verdict(render(edited, (Operation("blur"),))).damage > 0.2
    assert case.verdict(jpeg(edited, 60)).damage < 0.05


def test_invisible_programs_are_reported() -> None:
    photo, _, _ = photograph("coffee.png")
    grey = np.repeat(np.asarray(Image.fromarray(photo).convert("L"))[..., None], 3, axis=2)
    assert visible(photo, (Operation("black_and_white"),))
    assert not visible(grey, (Operation("black_and_white"),))
    assert not visible(grey, (Operation("recolour", "red>blue"),))
    assert not visible(photo, (Operation("saturation", "up"), Operation("black_and_white")))
    mirrored = np.concatenate([photo, photo[:, ::-1]], axis=1)
    assert not visible(mirrored, (Operation("flip", "horizontal"),))
    assert visible(mirrored, (Operation("flip", "vertical"),))


def test_an_operation_that_changes_nothing_is_present_in_the_source() -> None:
    grey = np.full((80, 120, 3), 90, np.uint8)
    assert verdict(grey, grey, (Operation("black_and_white"),)).score.overall == pytest.approx(10)


def test_known_masks_give_the_same_verdict() -> None:
    photo, masks, _ = photograph("astronaut.png")
    program = (Operation("exposure", "down", "background"),)
    edited = render(photo, program, masks)
    assert verdict(photo, edited, program, masks) == verdict(photo, edited, program)


@pytest.mark.parametrize("program", [(), tuple(Operation("exposure", "up", region) for region in COLOURS)])
def test_number_of_operations_is_bounded(program: Program) -> None:
    with pytest.raises(JudgeError, match="1 to 6 operations"):
        Case(np.zeros((20, 20, 3), np.uint8), program)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.sampled_from([3, 4]), st.integers(0, 2**32))
def test_any_image_gets_a_verdict(height: int, width: int, channels: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    source, edited = (rng.integers(0, 256, (height, width, channels), dtype=np.uint8) for _ in range(2))
    program = ordered([draw_operation(random.Random(seed), COLOURS) for _ in range(2)])
    found = verdict(source, edited, program)
    assert 0 <= found.score.overall <= 10
    assert 0 <= found.preservation <= 1
    assert len(found.presence) == len(program)


async def test_judge_scores_samples_with_a_known_target() -> None:
    @dataclass(frozen=True)
    class Truth:
        program: Program

    photo, _, _ = photograph("chelsea.png")
    program = (Operation("invert"),)
    source, edited = Picture.from_array(photo), Picture.from_array(render(photo, program))
    judge = DarkroomJudge()
    assert isinstance(judge, Judge)
    for truth in (program, Truth(program)):
        sample = Sample((source,), "make a negative", truth=truth)
        assert (await judge.score(sample, edited)).score.overall >= 9.5
        assert (await judge.score(sample, source)).score.overall <= 2
    with pytest.raises(JudgeError, match="known target"):
        await judge.score(Sample((source,), "make a negative"), edited)


def test_transparent_pictures_are_judged_as_seen_over_white() -> None:
    photo, _, _ = photograph("chelsea.png")
    alpha = np.zeros(photo.shape[:2], np.uint8)
    alpha[50:250, 100:350] = 255
    source = np.dstack([photo, alpha])
    program = (Operation("sepia"), Operation("sticker", "heart@top-left"))
    edited = render(source, program)
    assert verdict(source, edited, program).score.overall >= 9.5
    assert verdict(source, source, program).score.overall <= 2
