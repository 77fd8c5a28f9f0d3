"""Which turn is delivered: the best by the thinker's overall score, or none when the source is better.

In: the source and the turns. Out: the index of the chosen turn. It asks nobody: scores and pixels decide.
"""

from __future__ import annotations

from collections.abc import Sequence

from editthinker.core.images import Picture
from editthinker.core.types import Turn

FLOOR = 2.0
"""What the untouched source gets for `semantic`: nothing that was asked for is there."""

_STRIP = 64


def choose(source: Picture, turns: Sequence[Turn], *, floor: float = FLOOR) -> int | None:
    """Index of the best turn by `overall`, the earlier one on a tie; None when none beats the source.

    Turns without a critique count only when no turn has one; then the first that changed a pixel is taken.
    """
    judged = [turn for turn in turns if turn.critique]
    candidates = [turn for turn in judged or turns if beats_source(source, turn, floor=floor)]
    best = max(candidates, key=_overall, default=None)
    return best.index if best else None


def beats_source(source: Picture, turn: Turn, *, floor: float = FLOOR) -> bool:
    """Whether a turn is worth more than giving the source back.

    It is not when its `semantic` or its `overall` score is `floor` or less (nothing done, or done at the
    price of the picture), or when every pixel is still the source's.
    """
    if turn.critique:
        score = turn.critique.score
        if min(score.semantic, score.overall) <= floor:
            return False
    return not same_pixels(source, turn.image)


def same_pixels(one: Picture, other: Picture) -> bool:
    """Whether two pictures show the same pixels; strip by strip, so that a difference is found early."""
    if one.size != other.size:
        return False
    mode = "RGB" if one.pixels.mode == other.pixels.mode == "RGB" else "RGBA"
    width, height = one.size
    for top in range(0, height, _STRIP):
        box = (0, top, width, min(top + _STRIP, height))
        if one.pixels.crop(box).convert(mode).tobytes() != other.pixels.crop(box).convert(mode).tobytes():
            return False
    return True


def _overall(turn: Turn) -> float:
    return turn.critique.score.overall if turn.critique else 0.0
