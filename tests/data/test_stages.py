"""Filter, unroll, balance and split: what the paper says of them, and what holds for any input."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_rows import overalls, score, step, trajectory

from editthinker.core.errors import InputError
from editthinker.core.records import CritiqueRecord
from editthinker.data.balancing import balanced, cell_of, fair_limit
from editthinker.data.filtering import Single, filtered
from editthinker.data.records import StepRow, TrajectoryRow
from editthinker.data.splitting import split
from editthinker.data.stage import Counts
from editthinker.data.unrolling import unrolled
from editthinker.testing import photograph

Scores = st.lists(st.integers(0, 10), min_size=1, max_size=6)


def kept(*rows: TrajectoryRow, single: Single = "drop") -> tuple[list[TrajectoryRow], Counts]:
    counts = Counts()
    return list(filtered(rows, counts, single=single, images=False)), counts


# --- filter ---


@given(st.lists(Scores, max_size=8))
def test_filter_keeps_what_did_not_get_worse_and_cuts_at_the_best(every: list[list[int]]) -> None:
    rows = [trajectory(*scores, name=str(number)) for number, scores in enumerate(every)]
    found, counts = kept(*rows)
    good = [scores for scores in every if len(scores) > 1 and max(scores[1:]) >= scores[0]]
    assert overalls(found) == [tuple(s[: s.index(max(s)) + 1]) for s in good]
    assert len(found) + counts.dropped.total() == len(every)
    assert counts.dropped["single"] == sum(len(scores) == 1 for scores in every)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (trajectory(3, 5, failure="the GPU is gone"), "failed"),
        (trajectory(3, 5, stop="refused"), "failed"),
        (trajectory(3, 5, stop="cancelled"), "unfinished"),
        (trajectory(), "malformed"),
        (trajectory(3, 5, instruction=" "), "malformed"),
        (trajectory(3, None), "unscored"),
        (trajectory(9), "single"),
        (trajectory(5, 4, 3), "worse"),
    ],
)
def test_filter_says_why(row: TrajectoryRow, reason: str) -> None:
    found, counts = kept(row)
    assert found == []
    assert counts.dropped == {reason: 1}
    assert counts.examples == {reason: ["t"]}


def changed(row: TrajectoryRow, place: int, **update: object) -> TrajectoryRow:
    turns = list(row.turns)
    turns[place] = turns[place].model_copy(update=update)
    return row.model_copy(update={"turns": tuple(turns)})


def test_filter_drops_what_is_no_chain_of_critiques() -> None:
    other_words = changed(trajectory(3, 5), 1, instruction="another seed of the same words")
    unsaid = changed(trajectory(3, 5), 0, critique=None)
    on_top = changed(trajectory(3, 5), 1, base=1)
    gap = changed(trajectory(3, 5), 1, index=3)
    assert [next(iter(kept(row)[1].dropped)) for row in (other_words, unsaid, on_top, gap)] == [
        "unlinked",
        "unlinked",
        "stacked",
        "malformed",
    ]


def test_single_turns_are_kept_when_asked_for() -> None:
    rows = trajectory(9, name="good"), trajectory(7, name="poor")
    assert overalls(kept(*rows, single="keep")[0]) == [(9,), (7,)]
    assert overalls(kept(*rows, single="settled")[0]) == [(9,)]
    assert kept(*rows)[1].dropped == {"single": 2}


def test_filter_drops_a_trajectory_whose_image_is_gone(tmp_path: Path) -> None:
    counts = Counts()
    assert list(filtered([trajectory(3, 5)], counts)) == []
    assert counts.dropped == {"missing_image": 1}


# --- unroll ---


def test_a_step_shows_the_image_that_its_instruction_made() -> None:
    first, second = unrolled([trajectory(3, 9)], Counts())
    assert (first.turn, first.sent, first.refined) == (1, "do it, take 0", "do it, take 1")
    assert first.edited.path.endswith("t-1.png")
    assert (second.sent, second.score) == ("do it, take 1", score(9))
    assert first.overalls == second.overalls == (3, 9)
    assert first.key == second.key
    assert first.own != second.own


def test_several_sources_and_the_mask_stay() -> None:
    images = [{"path": "/a.png"}, {"path": "/b.png"}]
    row = trajectory(3, 9, images=images, mask={"path": "/m.png"})
    (first, _) = unrolled([row], Counts())
    assert [image.path for image in first.images] == ["/a.png", "/b.png"]
    assert first.mask
    assert first.mask.path == "/m.png"


def last_turn(**update: object) -> TrajectoryRow:
    """3, then 5, whose critique asks for more."""
    row = trajectory(3, 5)
    critique = row.turns[1].critique
    assert critique
    return changed(row, 1, critique=critique.model_copy(update=update))


@pytest.mark.parametrize(
    ("row", "last", "steps"),
    [
        (last_turn(), "settled", 1),
        (last_turn(), "keep", 2),
        (last_turn(satisfied=True), "settled", 2),
        (last_turn(refined_instruction="Do it,  take 1."), "settled", 2),
        (last_turn(refined_instruction="Do it,  take 1."), "drop", 1),
        (trajectory(3, 9), "settled", 2),
    ],
)
def test_the_last_turn_teaches_only_what_is_known_to_be_right(
    row: TrajectoryRow, last: str, steps: int
) -> None:
    counts = Counts()
    assert len(list(unrolled([row], counts, last=last))) == steps  # type: ignore[arg-type]
    assert counts.noted["last_turn"] == 2 - steps


def test_turns_without_a_critique_give_no_step() -> None:
    counts = Counts()
    assert list(unrolled([changed(trajectory(9), 0, critique=None)], counts)) == []
    assert counts.dropped == {"no_step": 1}
    empty = CritiqueRecord(reasoning="", refined_instruction=" ", score=score(9))
    assert list(unrolled([changed(trajectory(9), 0, critique=empty)], counts)) == []
    assert counts.noted == {"no_critique": 1, "no_refined_instruction": 1}


# --- balance ---

Steps = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 10)), min_size=1, max_size=60).map(
    lambda cells: [step(f"s{n}", overall, task) for n, (task, overall) in enumerate(cells)]
)


def drawn(steps: list[StepRow], counts: Counts | None = None, **how: int) -> list[StepRow]:
    return list(balanced(iter(steps), lambda: iter(steps), counts or Counts(), **how))


@given(Steps, st.integers(1, 9), st.integers(0, 5))
def test_no_cell_holds_more_and_none_loses_without_need(steps: list[StepRow], most: int, seed: int) -> None:
    found = drawn(steps, per_cell=most, seed=seed)
    before, after = Counter(map(cell_of, steps)), Counter(map(cell_of, found))
    assert after == {cell: min(count, most) for cell, count in before.items()}
    assert found == [one for one in steps if one in found]


@given(Steps, st.integers(0, 5), st.randoms(use_true_random=False))
def test_the_draw_depends_on_names_and_seed_not_on_order(
    steps: list[StepRow], seed: int, random: object
) -> None:
    other = list(steps)
    random.shuffle(other)  # type: ignore[attr-defined]
    names = [{one.own for one in drawn(rows, per_cell=2, seed=seed)} for rows in (steps, other)]
    assert names[0] == names[1]


@given(st.lists(st.integers(0, 50), max_size=20), st.integers(0, 300))
def test_the_fair_limit_is_the_greatest(sizes: list[int], total: int) -> None:
    limit = fair_limit(sizes, total)
    assert sum(min(size, limit) for size in sizes) <= total
    assert limit == max(sizes, default=0) or sum(min(size, limit + 1) for size in sizes) > total


def test_another_seed_draws_others_and_unscored_ones_are_counted() -> None:
    steps = [step(f"s{number}", 5.0) for number in range(50)]
    assert drawn(steps, per_cell=10, seed=1) != drawn(steps, per_cell=10, seed=2)
    counts = Counts()
    assert len(drawn([*steps, step("u", None)], counts, total=7)) == 7
    assert counts.dropped == {"surplus": 43, "unscored": 1}
    assert counts.facts == {"cells": 1, "per_cell": 7}


def test_balance_takes_one_of_its_two_numbers_or_what_cells_hold_on_average() -> None:
    with pytest.raises(InputError, match="either how many"):
        drawn([step("s", 5)], per_cell=1, total=2)
    steps = [step(f"s{number}", 5 if number < 7 else 9) for number in range(10)]
    assert Counter(map(cell_of, drawn(steps))) == {("style", 5): 5, ("style", 9): 3}


# --- split ---


def sides(rows: list[TrajectoryRow] | list[StepRow], **how: object) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {"sft": [], "rl": []}
    for side, row in split(iter(rows), lambda: iter(rows), Counts(), **how):  # type: ignore[arg-type, misc]
        found[side].append(row.id)
    return found


@given(st.lists(Scores, min_size=1, max_size=12), st.floats(0, 1))
def test_rl_gets_the_most_varied_and_no_more_than_its_share(every: list[list[int]], share: float) -> None:
    rows = [trajectory(*scores, name=str(number)) for number, scores in enumerate(every)]
    found = sides(rows, rl_share=share, together="ignore", good=11)
    variance = {
        str(number): sum((value - sum(s) / len(s)) ** 2 for value in s) / len(s)
        for number, s in enumerate(every)
    }
    assert sorted(found["sft"] + found["rl"]) == sorted(variance)
    assert len(found["rl"]) <= share * len(rows) + 1e-9
    if found["rl"]:
        least = min(variance[name] for name in found["rl"])
        assert all(variance[name] <= least + 1e-9 for name in found["sft"])


@given(st.lists(Scores, min_size=1, max_size=8))
def test_steps_of_one_trajectory_are_on_one_side(every: list[list[int]]) -> None:
    rows = [trajectory(*scores, name=str(number)) for number, scores in enumerate(every)]
    whole = sides(rows, theta=2.0, together="ignore")
    steps = list(unrolled(rows, Counts(), last="keep"))
    torn = sides(steps, theta=2.0, together="ignore")
    assert {side: sorted(set(names)) for side, names in torn.items()} == {
        side: sorted(names) for side, names in whole.items()
    }


def test_consistently_good_is_steady() -> None:
    rows = [trajectory(8, 10, 8, 10, name="good"), trajectory(7, 9, 7, 9, name="varied")]
    assert sides(rows, theta=0.5, together="ignore") == {"sft": ["good"], "rl": ["varied"]}
    assert sides(rows, theta=0.5, together="ignore", good=8.5)["rl"] == ["good", "varied"]


@pytest.fixture
def two_photos(tmp_path: Path) -> list[TrajectoryRow]:
    """Photo a: twice varied, once steady, the steady one on a small JPEG of it. Photo b: steady."""
    one, other = photograph(320, 240, seed=1), photograph(320, 240, seed=9)
    one.save(tmp_path / "a.png")
    one.resized((200, 150)).save(tmp_path / "a.jpg")
    other.save(tmp_path / "b.png")
    made = [("a.png", (1, 9)), ("a.png", (2, 9)), ("a.jpg", (5, 5)), ("b.png", (5, 5))]
    return [
        trajectory(*scores, name=f"{number}", source=str(tmp_path / photo))
        for number, (photo, scores) in enumerate(made)
    ]


def test_a_picture_is_on_one_side(two_photos: list[TrajectoryRow]) -> None:
    assert sides(two_photos, theta=3.0) == {"sft": ["3"], "rl": ["0", "1", "2"]}
    assert sides(two_photos, theta=3.0, together="drop") == {"sft": ["3"], "rl": ["0", "1"]}
    assert sides(two_photos, theta=3.0, together="ignore") == {"sft": ["2", "3"], "rl": ["0", "1"]}


def test_whole_pictures_come_as_near_to_the_share_as_they_can(tmp_path: Path) -> None:
    """Six photos with ten wishes each cannot be divided at one seventh, and are divided all the same."""
    rows = []
    for number in range(6):
        place = tmp_path / f"{number}.png"
        photograph(96, 64, seed=number).save(place)
        scores = [(5, 5 + number / 2), (5, 5)]
        rows += [
            trajectory(*scores[wish % 2], name=f"{number}-{wish}", source=str(place)) for wish in range(10)
        ]
    found = sides(rows)
    assert {name.partition("-")[0] for name in found["rl"]} == {"5"}
    assert len(found["rl"]) == 10
    assert sides(rows, rl_share=0.0)["rl"] == []
    assert len(sides(rows, rl_share=0.5)["rl"]) == 30


def test_a_source_that_cannot_be_read_is_counted(two_photos: list[TrajectoryRow]) -> None:
    Path(two_photos[3].images[0].path).write_bytes(b"no image")
    counts = Counts()
    found = list(split(iter(two_photos), lambda: iter(two_photos), counts, theta=3.0))
    assert len(found) == 3
    assert counts.dropped == {"missing_image": 1}


def test_rows_without_scores_are_on_no_side() -> None:
    rows = [trajectory(None, None)]
    for together in ("follow", "ignore"):
        counts = Counts()
        assert list(split(iter(rows), lambda: iter(rows), counts, together=together)) == []  # type: ignore[arg-type]
        assert counts.dropped == {"unscored": 1}


def test_a_share_that_cannot_be_meant_is_refused() -> None:
    with pytest.raises(InputError, match="between 0 and 1"):
        sides([trajectory(1)], rl_share=1.5)
