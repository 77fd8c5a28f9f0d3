"""The expert: says what is there, what is missing, and asks for it better."""

from __future__ import annotations

from editthinker.core.types import Score
from editthinker.darkroom import expert
from editthinker.darkroom.language import phrases, sentences
from editthinker.darkroom.program import Operation

WARM, DARK, SOFT = (
    Operation("warmth", "warm"),
    Operation("exposure", "down"),
    Operation("blur", region="background"),
)
GOOD, BAD = Score(9, 9), Score(4, 9)


def test_differences_are_told_apart() -> None:
    weak = Operation("warmth", "warm", strength="light")
    difference = expert.compare((WARM, DARK, SOFT), (weak, DARK, Operation("vignette")))
    assert difference.missing == (SOFT,)
    assert difference.too_weak == (WARM,)
    assert difference.unasked == (Operation("vignette"),)
    assert set(difference.wrong) == {SOFT, WARM}


def test_a_wrong_region_is_missing_and_unasked() -> None:
    everywhere = Operation("blur")
    difference = expert.compare((SOFT,), (everywhere,))
    assert difference.missing == (SOFT,)
    assert difference.unasked == (everywhere,)


def test_reasoning_names_what_is_missing() -> None:
    text = expert.reasoning((WARM, DARK), (WARM,))
    assert f"missing: {phrases.plain(DARK)}" in text
    assert "nothing is wrong" not in text
    assert "nothing is wrong" in expert.reasoning((WARM,), (WARM,))


def test_what_is_seen_keeps_the_order_of_the_wish() -> None:
    """So that looking after reading is checking one operation after the other."""
    weak, unasked = Operation("warmth", "warm", strength="light"), Operation("vignette")
    text = expert.reasoning((DARK, SOFT, WARM), (unasked, weak, DARK))
    assert text.startswith(
        f"{expert.wish((DARK, SOFT, WARM))} seen: {sentences.plain((DARK, weak, unasked))}."
    )


def test_what_failed_goes_first() -> None:
    refined = expert.refine((WARM, DARK), (DARK,), BAD, sent="whatever", first_words=True)
    assert refined.startswith(phrases.plain(DARK))
    again = expert.refine((WARM, DARK), (DARK,), BAD, sent=refined, first_words=False)
    assert again.startswith(phrases.plainer(DARK))


def test_a_good_result_repeats_what_was_sent() -> None:
    sent = sentences.plain((WARM,))
    assert expert.refine((WARM,), (), GOOD, sent=sent, first_words=False) == sent
    assert expert.refine((WARM,), (), GOOD, sent="like a summer evening", first_words=True) == sent


def test_too_much_is_answered_with_nothing_else() -> None:
    refined = expert.refine((WARM,), (), BAD, sent="make it warmer", first_words=False, unasked=True)
    assert refined.endswith("nothing else")
