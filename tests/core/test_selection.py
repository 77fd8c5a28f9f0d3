"""Which turn is delivered, and when none is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from editthinker.core.images import Picture
from editthinker.core.selection import FLOOR, choose, same_pixels
from editthinker.core.types import Critique, Edited, Score, Turn
from editthinker.testing import photograph

SOURCE, EDITED = photograph(), photograph(seed=1)


def turn(index: int, scores: tuple[float, float] | None, image: Picture = EDITED) -> Turn:
    critique = Critique(Score(*scores), "", "more") if scores else None
    return Turn(index, "x", 0, Edited(image), critique)


def test_best_over_all_turns_not_the_last() -> None:
    assert choose(SOURCE, [turn(1, (5, 5)), turn(2, (7, 8)), turn(3, (6, 6))]) == 2


def test_a_tie_keeps_the_earlier() -> None:
    assert choose(SOURCE, [turn(1, (4, 9)), turn(2, (6, 6)), turn(3, (9, 4))]) == 1


def test_no_turns_no_choice() -> None:
    assert choose(SOURCE, []) is None


@pytest.mark.parametrize("scores", [(FLOOR, 10), (0, 10), (0, 0), (10, 0)])
def test_a_turn_worth_no_more_than_the_source_is_not_delivered(scores: tuple[float, float]) -> None:
    assert choose(SOURCE, [turn(1, scores)]) is None


def test_just_above_the_floor_is_delivered() -> None:
    assert choose(SOURCE, [turn(1, (FLOOR + 0.1, 10))]) == 1
    assert choose(SOURCE, [turn(1, (FLOOR + 0.1, 10))], floor=3) is None


def test_the_sources_own_pixels_are_no_edit_whatever_the_thinker_says() -> None:
    copy = Picture(SOURCE.pixels.copy())
    assert choose(SOURCE, [turn(1, (10, 10), copy)]) is None
    assert choose(SOURCE, [turn(1, (10, 10), copy), turn(2, (5, 5))]) == 2


def test_unjudged_turns_count_only_when_nothing_is_judged() -> None:
    assert choose(SOURCE, [turn(1, None)]) == 1
    assert choose(SOURCE, [turn(1, None), turn(2, None)]) == 1
    assert choose(SOURCE, [turn(1, None), turn(2, (3, 3))]) == 2
    assert choose(SOURCE, [turn(1, (1, 5)), turn(2, None)]) is None
    assert choose(SOURCE, [turn(1, None, SOURCE)]) is None


def test_one_changed_pixel_is_a_change() -> None:
    changed = SOURCE.pixels.copy()
    changed.putpixel((changed.width - 1, changed.height - 1), (1, 2, 3))
    assert not same_pixels(SOURCE, Picture(changed))


def test_alpha_counts() -> None:
    opaque = Picture(SOURCE.pixels.convert("RGBA"))
    clear = SOURCE.pixels.convert("RGBA")
    clear.putalpha(0)
    assert same_pixels(SOURCE, opaque)
    assert not same_pixels(SOURCE, Picture(clear))
    assert not same_pixels(SOURCE, photograph(64, 96))


points = st.floats(0, 10)


@given(st.lists(st.none() | st.tuples(points, points), max_size=6))
def test_the_chosen_turn_is_never_beaten(scores: list[tuple[float, float] | None]) -> None:
    turns = [turn(index, pair) for index, pair in enumerate(scores, 1)]
    chosen = choose(SOURCE, turns)
    judged = [t.critique.score for t in turns if t.critique]
    good = [score.overall for score in judged if min(score.semantic, score.overall) > FLOOR]
    if chosen is None:
        assert not good
        assert judged or not turns
    elif judged:
        critique = turns[chosen - 1].critique
        assert critique
        assert critique.score.overall == max(good)
