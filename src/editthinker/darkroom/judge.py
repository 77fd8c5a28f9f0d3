"""The darkroom's exact judge: how much of a known target program an edited image shows, and what else.

In: a source, its target program, an edited image by any editor. Out: a `Verdict`. Every subset of the program
is rendered on a small copy of the source and perceived (`perception`). Between these corners an edit is
explained as

    F(a) = sum over subsets S of  prod(a_i, i in S) * prod(1 - a_i, i not in S) * F(S)

where a_i is the amount of operation i: 0 absent, 1 as asked, more when overdone. The nearest F(a) says how
present each operation is; what it leaves unexplained was not asked for. The judge does not know who made the
edit, nor how.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from editthinker.core.errors import JudgeError
from editthinker.core.images import Picture
from editthinker.core.types import Judged, Sample, Score
from editthinker.darkroom.operations import geometry, render
from editthinker.darkroom.perception import (
    DETAIL_MAP,
    WEIGHTS,
    Vector,
    at_side,
    excess,
    finest,
    for_rendering,
    perceive,
    roughened,
    size,
    tolerance,
    working,
)
from editthinker.darkroom.program import PLACES, Operation, Program
from editthinker.darkroom.regions import Mask, Pixels, RegionMasks
from editthinker.darkroom.targets import target_of

Image = npt.NDArray[np.uint8] | Picture
"""HxWx3 or HxWx4 sRGB pixels, or a picture."""
Floats = npt.NDArray[np.float64]

MAX_OPERATIONS = 6
"""2 to this power images are rendered for a case."""
VISIBLE = 1.3
"""Size (`perception.size`) of the least effect that counts as visible."""
NOTHING = 0.1
"""An operation with a smaller effect changes nothing on this photo: it is present in any edit."""
HALF_KEPT = 1.15
"""Size of the unasked change that halves the preservation."""
HALF_DAMAGED = 5.0
"""Size of the unexplained change of detail that halves the quality."""
SLACK = 0.07
"""Error of an amount that costs nothing; a part of it is measuring noise."""
COMPLETE = 0.97
"""Presence from which an operation counts as done."""
STEPS, DAMPING = 10, 0.05
AMOUNTS = (-0.5, 3.0)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The score of an edited image and why."""

    score: Score
    presence: tuple[float, ...]
    """Per operation of the target, 0..1: 1 as asked, 0 absent or twice overdone."""
    preservation: float
    """0..1: 1 when nothing but the target changed, one half when an unasked change is just plain to see."""
    damage: float
    """0..1: noise, blur, blocks and lost detail that the target does not explain."""
    amounts: tuple[float, ...]
    """Like `presence` but signed: above 1 is overdone, below 0 is the opposite of what was asked."""
    unasked: float
    """Size of the unexplained change; `VISIBLE` is just visible."""


class Case:
    """One source and its target program, prepared to judge any number of edits.

    `masks` are those of the source at its own size, for callers that have them. Raises `JudgeError` for an
    empty program or one of more than `MAX_OPERATIONS`.
    """

    def __init__(self, source: Image, program: Program, *, masks: RegionMasks | None = None) -> None:
        if not 1 <= len(program) <= MAX_OPERATIONS:
            raise JudgeError(f"a target program has 1 to {MAX_OPERATIONS} operations, not {len(program)}")
        full = _pixels(source)
        small = for_rendering(full)
        states = [_State(small, _Masks(full, (), small, masks))]
        for operation in program:
            states += [state.after(operation) for state in states]
        self.program = program
        self._shape: tuple[int, int] = working(small).shape[:2]
        seen = np.stack([perceive(working(state.image, self._shape)) for state in states])
        self._finest = np.stack([finest(state.image) for state in states])
        self._side = max(small.shape[:2])
        self._source = seen[0]
        self._corners = seen - seen[0]
        """Row S: how the subset S of the program (bit i: operation i) differs from the source."""
        self._gram: Floats = ((self._corners * WEIGHTS) @ self._corners.T).astype(np.float64)
        self._tolerance = tolerance(self._source, seen[-1])
        self.effects = tuple(self._effect(1 << i) for i in range(len(program)))
        """Size of what the finished image loses without each operation."""

    def _effect(self, bit: int) -> float:
        full = len(self._corners) - 1
        return size(excess(self._corners[full] - self._corners[full & ~bit], self._tolerance))

    @property
    def visible(self) -> bool:
        """Whether every operation shows in the finished image, so that done can be told from undone."""
        return min(self.effects) >= VISIBLE

    def verdict(self, edited: Image) -> Verdict:
        """Judge one edit of any size; another aspect counts as a change."""
        image = at_side(_pixels(edited), self._side)
        looks = perceive(working(image, self._shape)) - self._source
        amounts = _explained(self._gram, (self._corners @ (WEIGHTS * looks)).astype(np.float64))
        amounts[np.array(self.effects) < NOTHING] = 1.0
        presence = np.clip((1 - np.abs(1 - amounts)) / (1 - SLACK), 0, 1)
        rest = self._unexplained(looks, amounts, presence)
        unasked = size(rest)
        preservation = 1 / (1 + (unasked / HALF_KEPT) ** 3)
        grit = roughened(finest(image) - (_mixture(amounts) @ self._finest).astype(np.float32))
        lost = (max(grit, size(rest, DETAIL_MAP)) / HALF_DAMAGED) ** 2
        damage = lost / (1 + lost)
        done = presence**3
        semantic = 10 * preservation * float(done.mean() + done.min()) / 2
        return Verdict(
            score=Score(semantic, 10 * (1 - damage)),
            presence=tuple(presence.tolist()),
            preservation=preservation,
            damage=damage,
            amounts=tuple(amounts.tolist()),
            unasked=unasked,
        )

    def _unexplained(self, looks: Vector, amounts: Floats, presence: Floats) -> Vector:
        """What the amounts do not explain.

        The less of an operation is there, the less is said of looks that lie between without and with it:
        half a blur is no straight mixture of none and all, yet only the strength is wrong.
        """
        rest = excess(looks - (_mixture(amounts) @ self._corners).astype(np.float32), self._tolerance)
        lenience = min(1.0, 3 * (1 - float(presence.min())))
        if lenience == 0:
            return rest
        complete = sum(1 << i for i, share in enumerate(presence) if share > COMPLETE)
        between = self._corners[[row & complete == complete for row in range(len(self._corners))]]
        outside = excess(looks - np.clip(looks, between.min(axis=0), between.max(axis=0)), self._tolerance)
        lenient = rest + np.float32(lenience) * (outside - rest)
        return np.where(np.abs(outside) < np.abs(rest), lenient, rest)


def _mixture(amounts: Floats) -> Floats:
    """Weight of every corner: the product over operations of the amount, or of one less the amount."""
    weights = np.ones(1)
    for amount in amounts:
        weights = np.concatenate([weights * (1 - amount), weights * amount])
    return weights


def _slope(amounts: Floats, index: int) -> Floats:
    """Derivative of the mixture by one amount, which it is linear in."""
    high, low = amounts.copy(), amounts.copy()
    high[index], low[index] = 1.0, 0.0
    return _mixture(high) - _mixture(low)


def _explained(gram: Floats, towards: Floats) -> Floats:
    """The amounts whose mixture of corners is nearest to the edit: damped Gauss-Newton from the best corner.

    `gram` holds the products of the corners with each other, `towards` those with the edit.
    """

    def distance(amounts: Floats) -> float:
        mixture = _mixture(amounts)
        return float(mixture @ gram @ mixture - 2 * mixture @ towards)

    count = len(gram).bit_length() - 1
    best = int(np.argmin(np.diag(gram) - 2 * towards))
    amounts = np.array([float(best >> i & 1) for i in range(count)])
    nearest = distance(amounts)
    for _ in range(STEPS):
        slopes = np.stack([_slope(amounts, i) for i in range(count)])
        gradient = slopes @ (gram @ _mixture(amounts) - towards)
        step = np.linalg.solve(slopes @ gram @ slopes.T + DAMPING * np.eye(count), gradient)
        candidates = (np.clip(amounts - share * step, *AMOUNTS) for share in (1.0, 0.4, 0.1))
        moved = next((c for c in candidates if distance(c) < nearest), amounts)
        if np.abs(moved - amounts).max() < 1e-3:
            return moved
        amounts, nearest = moved, distance(moved)
    return amounts


class _Masks(RegionMasks):
    """The masks of a small copy, measured on the full image: those that an editor works with."""

    def __init__(self, full: Pixels, moves: Program, small: Pixels, known: RegionMasks | None = None) -> None:
        super().__init__(small[..., :3])
        self.full, self.moves, self._known = full, moves, known

    def _compute(self, region: str) -> Mask:
        if region in PLACES:
            return super()._compute(region)
        if self._known is None:
            self._known = RegionMasks(render(self.full, self.moves)[..., :3])
        height, width = self._rgb.shape[:2]
        mask: Mask = cv2.resize(self._known[region], (width, height), interpolation=cv2.INTER_AREA)
        return mask


@dataclass(frozen=True, slots=True)
class _State:
    """A partly edited small image and the masks that its next operation needs."""

    image: Pixels
    masks: RegionMasks
    only_moved: bool = True

    def after(self, operation: Operation) -> _State:
        """The state with one more operation applied; masks follow a move, as `operations.render` has it."""
        edited = render(self.image, (operation,), self.masks)
        if operation.kind not in geometry.MOVES:
            return _State(edited, self.masks, only_moved=False)
        if self.only_moved and isinstance(self.masks, _Masks):
            return _State(edited, _Masks(self.masks.full, (*self.masks.moves, operation), edited))
        return _State(edited, RegionMasks(edited[..., :3]), only_moved=False)


def _pixels(image: Image) -> Pixels:
    return image.array() if isinstance(image, Picture) else image


def verdict(source: Image, edited: Image, program: Program, masks: RegionMasks | None = None) -> Verdict:
    """Judge one edit; keep a `Case` to judge several of the same source and program."""
    return Case(source, program, masks=masks).verdict(edited)


def visible(source: Image, program: Program, masks: RegionMasks | None = None) -> bool:
    """Whether every operation of the program shows in its result on this source."""
    return Case(source, program, masks=masks).visible


class DarkroomJudge:
    """`core.contracts.Judge` for samples whose target program is known (`targets`)."""

    name = "darkroom"
    price = 0.0

    async def score(self, sample: Sample, edited: Picture) -> Judged:
        """Score in a worker thread. Raises `JudgeError` for a sample without a known target."""
        program = target_of(sample)
        if program is None:
            raise JudgeError(
                f"the darkroom judge needs a known target program; sample {sample.id!r} has none"
            )
        return Judged((await asyncio.to_thread(verdict, sample.source, edited, program)).score)
