"""The writer with the shipped model: what its looks are worth, and that nothing of them is lost."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from editthinker.core.images import Picture
from editthinker.darkroom import layout, replying
from editthinker.darkroom.decoder import Sequence
from editthinker.darkroom.operations import execute
from editthinker.darkroom.photographs import photographs
from editthinker.darkroom.program import Operation
from editthinker.darkroom.replying import Reply, Writer
from editthinker.darkroom.thinker import DarkroomThinker

WISH = "make it warmer and add a white frame"
WARM, FRAME = Operation("warmth", "warm"), Operation("frame", "white")


@cache
def writer() -> Writer:
    return DarkroomThinker.load()._writer


@cache
def source() -> Picture:
    return photographs("validation")[0].picture().fitted(256)


def patches(edited: Picture) -> layout.Floats:
    return layout.patches(layout.views(source(), edited))


def replied(edited: Picture) -> Reply:
    return writer().reply(patches(edited), WISH, WISH, writer().read(WISH))


def begun(edited: Picture) -> tuple[Sequence, layout.Floats]:
    sequence = writer()._shown(patches(edited), WISH, WISH)
    opening = layout.frame()[0] + writer().read(WISH).text + replying.SEEN
    return sequence, sequence.feed(writer()._ids(opening))


def test_a_wish_is_read_in_plain_words_with_odds() -> None:
    reading = writer().read(WISH)
    assert reading.text == "wanted: make it warmer, add a white frame."
    assert 0.5 < reading.odds <= 1
    assert writer().read("blorp the gnarf into seventeen").odds < reading.odds


def test_a_reply_begins_with_the_reading_and_has_both_scores() -> None:
    said = replied(execute(source(), (WARM, FRAME)))
    assert said.parts[0].startswith("<think>wanted: make it warmer, add a white frame. seen:")
    assert len(said.parts) == 3
    assert '"semantic": 3.5, "quality"' in said.text(3.5)


def test_what_gets_no_score_is_said_as_it_is() -> None:
    assert Reply(("<think>wanted: it. seen:",)).text(7.0) == "<think>wanted: it. seen:"


def test_done_is_worth_more_than_half_done_and_that_more_than_nothing() -> None:
    done, half, nothing = (
        replied(execute(source(), program)).semantic for program in ((WARM, FRAME), (FRAME,), ())
    )
    assert done > half > nothing


def test_all_looks_are_there_once_and_what_they_share_does_not_mix() -> None:
    sequence, logits = begun(execute(source(), (FRAME,)))
    looks = list(writer()._looks(sequence, logits))
    assert sum(look.times for look in looks) == replying.LOOKS
    assert len({tuple(look.ids) for look in looks}) == len(looks)
    for look in looks:
        alone, last = begun(execute(source(), (FRAME,)))
        odds = 1.0
        for token in look.ids:
            odds *= float(replying._softmax(last)[token])
            last = alone.feed([token])
        assert odds == pytest.approx(look.odds, rel=1e-3)
        np.testing.assert_allclose(last, look.logits, atol=1e-3)


def test_looks_follow_the_odds_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replying, "LOOKS", 400)
    looks = list(writer()._looks(*begun(execute(source(), (FRAME,)))))
    likeliest = max(looks, key=lambda look: look.odds)
    assert likeliest.times / 400 == pytest.approx(likeliest.odds, abs=0.1)


def test_words_are_cut_between_tokens() -> None:
    assert writer().cut(WISH, 1000) == WISH
    cut = writer().cut(WISH, 3)
    assert WISH.startswith(cut)
    assert len(writer()._ids(cut)) == 3
