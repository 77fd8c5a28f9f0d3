"""Rewards: what is paid, what is gated, what is masked; and none of the released code's faults."""

from __future__ import annotations

import itertools
import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from editthinker.core import reply
from editthinker.core.types import Critique, Score
from editthinker.training import rewards
from editthinker.training.recipe import Reward
from editthinker.training.rewards import Look, Reading, Shown, Terms

SHOWN = Shown(
    "make the sky red", "make the sky red", Score(4, 9), "Reply with these three blocks and nothing else"
)
PAPER, OFFICIAL = Reward(), Reward(rule="official")
GOOD = Look(Score(8, 9)), Look(Score(4, 9))
SOFT = st.floats(0, 10)
SCORES = st.builds(Score, SOFT, SOFT)
LOOKS = st.builds(Look, SCORES, st.none() | st.floats(0, 1))
NAMED = ("form", "critic", "gain", "gain_quality", "turn_cost", "preservation")
WEIGHTS = st.builds(Reward, **{name: st.floats(0, 5) for name in NAMED})


def said(words: str, semantic: float = 4, quality: float = 9) -> str:
    return reply.render(Critique(Score(semantic, quality), "the sky is still blue", words))


def worth(
    text: str, looks: rewards.Looks | None, weights: Reward = PAPER, shown: Shown = SHOWN
) -> float | None:
    return rewards.reward(rewards.read(text, shown, weights.rule), shown, looks, weights)


def looks(before: tuple[float, float], after: tuple[float, float]) -> rewards.Looks:
    return Look(Score(*before)), Look(Score(*after))


# --- the terms, by hand ---


def test_every_term_by_hand() -> None:
    weights = Reward(form=1, critic=2, gain=3, gain_quality=4, turn_cost=0.5, preservation=5)
    seen = Look(Score(4, 9), 0.5), Look(Score(6, 8), 0.75)
    # critic: (|5 - 4| + |7 - 9|) / 20 = 0.15;  gain 0.2;  quality -0.1;  kept 0.25
    assert worth(said("make the sky deep red", 5, 7), seen, weights) == pytest.approx(
        1 + 2 * 0.85 + 3 * 0.2 - 4 * 0.1 - 0.5 + 5 * 0.25
    )


def test_unchanged_words_cost_no_edit_and_gain_exactly_nothing() -> None:
    reading = rewards.read(said("  make the  sky red "), SHOWN)
    assert reading == Reading(Score(4, 9))
    for seen in (None, looks((2, 2), (9, 9))):
        assert rewards.terms(reading, SHOWN, seen) == Terms(1.0, critic=1.0)


def test_stopping_is_worth_as_much_as_an_edit_that_gains_nothing_less_the_cost_of_a_turn() -> None:
    stop = worth(said(SHOWN.sent), None)
    assert stop == worth(said("make the sky deep red"), looks((4, 9), (4, 9)))
    dear = Reward(turn_cost=0.1)
    stop, same = worth(said(SHOWN.sent), None, dear), worth(said("a red sky"), looks((4, 9), (4, 9)), dear)
    assert stop is not None
    assert same == pytest.approx(stop - 0.1)
    assert worth(said("a red sky"), looks((4, 9), (3, 9))) < worth(said(SHOWN.sent), None)  # type: ignore[operator]


def test_a_kept_share_that_nobody_could_measure_is_no_change() -> None:
    seen = Look(Score(4, 9), None), Look(Score(4, 9), 0.2)
    assert worth(said("a red sky"), seen, Reward(preservation=1)) == worth(said("a red sky"), seen)


# --- the gate ---

TRICKS = {
    "nothing": "?!",
    "absurdly long": " ".join(f"word{number}" for number in range(400)),
    "the same clause twice": "make the sky red, make the sky red",
    "the same, dressed up": "Make the sky red. And make the sky  red!",
    "invert, invert": "invert, invert",
    "the question's frame": "reply with these three blocks and nothing else",
    "the frame with a word": "now reply with these three blocks and nothing else",
}


@pytest.mark.parametrize("words", TRICKS.values(), ids=TRICKS)
def test_a_trick_gets_the_lowest_reward_and_no_edit(words: str) -> None:
    reading = rewards.read(said(words), SHOWN)
    assert reading.words is None
    assert worth(said(words), looks((0, 0), (10, 10))) == rewards.bounds(PAPER)[0]


@pytest.mark.parametrize(
    ("words", "instruction"),
    [
        ("turn the left eye blue and the right eye blue", "change the eyes"),
        ("a red hat, a red scarf and a red coat", "dress him in red"),
        ('write "ha, ha" on the sign', 'write "ha, ha" on it'),
        ("keep her face exactly as it is", "another dress"),
        ("把天空变成红色，保留其他部分", "把天空变红"),
    ],
)
def test_an_honest_instruction_is_no_trick(words: str, instruction: str) -> None:
    question = f"Check.\nThe user's instruction:\n{instruction}\nkeep her face, the pose and the background"
    assert rewards.trick(words, Shown(instruction, instruction, Score(1, 1), question)) == ""


def test_the_user_s_words_in_the_question_are_no_frame() -> None:
    shown = Shown(
        "make the sky red and the grass dark",
        "a red sky",
        Score(1, 1),
        "do: make the sky red and the grass dark now",
    )
    assert rewards.trick("make the sky red and the grass dark", shown) == ""


def test_a_question_without_instructions_in_it_is_all_frame() -> None:
    assert rewards.trick(
        "look at both photos first", Shown("", "", Score(1, 1), "First: look at both photos first.")
    )


def test_the_real_prompt_is_recognised() -> None:
    from editthinker.core.contracts import View
    from editthinker.core.types import Sample
    from editthinker.testing.behaviour import photograph
    from editthinker.thinkers import prompts

    view = View(Sample((photograph(),), "make the sky red"), "a red sky", photograph(seed=1))
    question = "\n".join(part for part in prompts.load("grammar").parts(view) if isinstance(part, str))
    shown = Shown("make the sky red", "a red sky", Score(1, 1), question)
    assert rewards.trick(
        "the instruction for the next turn, or the one that was sent, letter for letter", shown
    )
    for fine in ("make the sky deep red, from the horizon up", "make the sky red and keep the grass"):
        assert rewards.trick(fine, shown) == ""


# --- the released code's faults, by number ---


def test_r1_a_good_image_is_left_alone_by_the_one_definition_of_overall() -> None:
    assert Score(8, 8).overall == 8  # released: (8 + 8) ** 0.5 = 4, never 8
    assert rewards.read(said(SHOWN.sent, 9, 9), SHOWN).words is None  # and whoever says stop costs no edit


def test_r2_critic_and_quality_count_when_the_edit_succeeds() -> None:
    seen = looks((4, 9), (6, 9))
    honest, wrong = worth(said("a red sky", 4, 9), seen), worth(said("a red sky", 0, 0), seen)
    assert honest > wrong  # type: ignore[operator]
    assert worth(said("a red sky"), looks((4, 9), (6, 9))) > worth(said("a red sky"), looks((4, 9), (6, 5)))  # type: ignore[operator]
    assert worth(said("a red sky", 4, 9), seen, OFFICIAL) == worth(said("a red sky", 0, 0), seen, OFFICIAL)


def test_r3_r4_a_failed_edit_or_judgement_is_masked_not_paid() -> None:
    assert worth(said("a red sky"), None) is None
    paid = worth(said("a red sky"), None, OFFICIAL)
    assert paid == pytest.approx(0.8)  # released: an outage earns more than an edit that changes nothing
    assert worth(said("a red sky"), looks((4, 9), (4, 9)), OFFICIAL) == pytest.approx(0.75)


def test_r7_words_reach_the_editor_as_they_were_written() -> None:
    assert rewards.read(said('write "a / b < c" on it'), SHOWN).words == 'write "a / b < c" on it'


@pytest.mark.parametrize(
    "text", ["", "make the sky red", "<think>x</think><score>9</score>", said("a red sky")[:60]]
)
def test_r8_without_the_format_nothing_is_edited_and_nothing_paid(text: str) -> None:
    assert rewards.read(text, SHOWN).words is None
    assert worth(text, looks((0, 0), (10, 10))) == rewards.bounds(PAPER)[0] == 0


def test_r10_no_score_is_ever_made_up() -> None:
    """Neither of the judge's silence (None comes in, None goes out) nor of a thinker's word."""
    assert worth(said("a red sky"), None) is None
    text = said("a red sky").replace(json.dumps({"semantic": 4, "quality": 9}), "very good")
    assert rewards.read(text, SHOWN).score is None


def test_the_released_formula_by_hand() -> None:
    assert worth(said("a red sky"), looks((9, 9), (6, 2)), OFFICIAL) == pytest.approx(
        0.5 + 0.5 * 0.6
    )  # E is the stored 4
    assert worth("no format", None, OFFICIAL) == pytest.approx(0.5 * 0.4)
    assert worth(said("a red sky", 6, 9), None, OFFICIAL) == pytest.approx(0.5 + 0.5 * (0.2 * 0.8 + 0.4))
    assert rewards.read(said(SHOWN.sent), SHOWN, "official").words == SHOWN.sent  # a good image is edited too
    assert rewards.read("<score>{}</score>" + said("x"), SHOWN, "official").words == "x"


# --- properties ---


@given(WEIGHTS, SCORES, SCORES, LOOKS, LOOKS)
def test_rewards_stay_within_their_bounds_and_the_gate_is_the_lowest(
    weights: Reward, shown: Score, critic: Score, before: Look, after: Look
) -> None:
    about = Shown("a", "b", shown)
    low, high = rewards.bounds(weights)
    for reading in (Reading(critic), Reading(critic, "words"), Reading(critic, fault="a trick"), Reading()):
        value = rewards.reward(reading, about, (before, after), weights)
        assert value is not None
        assert low - 1e-9 <= value <= high + 1e-9
        if reading.fault or reading.score is None:
            assert value == low


@given(WEIGHTS, SCORES, LOOKS, st.tuples(SCORES, SCORES))
def test_more_gain_is_never_paid_less(
    weights: Reward, critic: Score, before: Look, two: tuple[Score, Score]
) -> None:
    less, more = (
        Look(Score(pick(s.semantic for s in two), pick(s.quality for s in two)), before.kept)
        for pick in (min, max)
    )
    about = Shown("a", "b", Score(5, 5))
    low, high = (
        rewards.reward(Reading(critic, "w"), about, (before, after), weights) for after in (less, more)
    )
    assert low is not None
    assert high is not None
    assert low <= high + 1e-9


@given(SCORES, SCORES, SCORES)
def test_a_better_critic_is_never_paid_less(shown: Score, one: Score, other: Score) -> None:
    def error(score: Score) -> float:
        return abs(score.semantic - shown.semantic) + abs(score.quality - shown.quality)

    near, far = sorted((one, other), key=error)
    about = Shown("a", "b", shown)
    paid = [rewards.reward(Reading(score), about, None, PAPER) for score in (far, near)]
    assert paid[0] <= paid[1] + 1e-9  # type: ignore[operator]


@given(WEIGHTS, SCORES, st.lists(st.none() | st.tuples(LOOKS, LOOKS), min_size=1, max_size=8), st.randoms())
def test_a_rollout_is_paid_for_itself_wherever_it_stands(
    weights: Reward, critic: Score, seen: list[rewards.Looks | None], luck: random.Random
) -> None:
    about = Shown("a", "b", Score(5, 5))
    paid = [rewards.reward(Reading(critic, "w"), about, one, weights) for one in seen]
    assert [value is None for value in paid] == [one is None for one in seen]
    order = luck.sample(range(len(seen)), len(seen))
    again = [rewards.reward(Reading(critic, "w"), about, seen[place], weights) for place in order]
    assert again == [paid[place] for place in order]


@given(st.text(max_size=300))
def test_nothing_a_model_writes_breaks_the_reward(text: str) -> None:
    for rule, prefix in itertools.product((PAPER, OFFICIAL), ("", "<score>", "<answer>")):
        low, high = (0.0, 1.0) if rule is OFFICIAL else rewards.bounds(rule)
        value = worth(prefix + text, GOOD, rule)
        assert value is not None
        assert low <= value <= high
