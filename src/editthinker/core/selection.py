"""Which turn is delivered: the best by its overall score, or none when the source is better.

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

    Turns that answer the whole instruction come before those that work at one step of a plan; where there are
    only such, the latest step counts, as it holds those before. Turns without a score count only when no turn
    has one; then the one the thinker was content with is taken, else the first that changed a pixel.
    """
    best = max(worthy(source, turns, floor=floor), key=lambda turn: (turn.step, merit(turn)), default=None)
    return best.index if best else None


def worthy(source: Picture, turns: Sequence[Turn], *, floor: float = FLOOR) -> list[Turn]:
    """The turns among which to choose: all are worth more than giving the source back."""
    whole = [turn for turn in turns if not turn.step] or turns
    scored = [turn for turn in whole if turn.score]
    return [turn for turn in scored or whole if beats_source(source, turn, floor=floor)]


def beats_source(source: Picture, turn: Turn, *, floor: float = FLOOR) -> bool:
    """Whether a turn is worth more than giving the source back.

    It is not when its `semantic` or its `overall` score is `floor` or less (nothing done, or done at the
    price of the picture), or when every pixel is still the source's.
    """
    if turn.score and min(turn.score.semantic, turn.score.overall) <= floor:
        return False
    return not same_pixels(source, turn.image)


def same_pixels(one: Picture, other: Picture) -> bool:
    """Whether two pictures show the same pixels; strip by strip, so that a difference is found early."""
    if one.size != other.size:
        return False
    if one.has_alpha == other.has_alpha and one.is_hashed and other.is_hashed:
        return one.sha256 == other.sha256
    mode = "RGBA" if one.has_alpha or other.has_alpha else "RGB"
    width, height = one.size
    left, right = one.pixels, other.pixels
    for top in range(0, height, _STRIP):
        box = (0, top, width, min(top + _STRIP, height))
        if left.crop(box).convert(mode).tobytes() != right.crop(box).convert(mode).tobytes():
            return False
    return True


def merit(turn: Turn) -> float:
    """What turns are ranked by: the overall score; without any, 1 for a turn the thinker was content with."""
    if turn.score:
        return turn.score.overall
    return float(bool(turn.critique and turn.critique.satisfied))
