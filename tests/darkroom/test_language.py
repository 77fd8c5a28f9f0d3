"""The darkroom's language: what is said means the program, splits stay apart, slips stay slips."""

from __future__ import annotations

import hashlib
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from editthinker.darkroom.language import framing, looks, phrases, sentences, slips
from editthinker.darkroom.program import KINDS, REGIONS, Operation, Program, ordered
from editthinker.darkroom.wording import TEXT, fold_quotes, unfold_quotes


def every_operation() -> list[Operation]:
    return [
        Operation(kind, value, region, strength)
        for kind, table in KINDS.items()
        for value in table.values
        for region in table.regions
        for strength in table.strengths
    ]


def test_every_operation_has_training_and_held_out_wordings() -> None:
    for operation in every_operation():
        key = phrases.key(operation)
        assert len(phrases.WORDINGS[key]) >= 6
        assert len(phrases.HELD_OUT[key]) >= 2


def test_no_held_out_wording_is_used_in_training() -> None:
    train = {wording for rows in (phrases.WORDINGS, phrases.MORE) for row in rows.values() for wording in row}
    held = {wording for row in phrases.HELD_OUT.values() for wording in row}
    assert not train & held
    for look in looks.LOOKS:
        assert not {*look.wordings, *look.more} & set(look.held_out)
    assert not set(framing.MORE_FRAMES) & set(framing.HELD_OUT_FRAMES)
    assert not {*framing.REST, *framing.MORE_REST} & set(framing.HELD_OUT_REST)


def test_fresh_words_are_learned_from_by_nobody() -> None:
    for operation in every_operation():
        said = {
            split: set(phrases.wordings(split, operation)) for split in ("train", "more", "fresh", "test")
        }
        assert said["train"] < said["more"]
        assert said["fresh"]
        assert not said["fresh"] & (said["more"] | said["test"])
    for look in looks.looks("more"):
        assert looks.wordings("fresh", look)
        assert not set(looks.wordings("fresh", look)) & set(looks.wordings("more", look))


def test_unseen_looks_have_no_further_wordings() -> None:
    assert not any(look.more for look in looks.LOOKS if look.unseen)


def test_further_words_leave_those_of_the_base_editor_alone() -> None:
    rng, digest = random.Random("pinned"), hashlib.sha256()
    for group in ("direct", "compound", "preserve") * 100:
        utterance = sentences.draw(rng, "train", group)
        digest.update(f"{slips.stumble(rng, utterance.instruction)}{utterance.program}".encode())
    assert digest.hexdigest() == ("fc3dfd37222abd005125539d255e3d1491f7244ffb09274987c770b8524c34e8")


def test_what_is_said_is_remembered_in_its_order() -> None:
    rng, moved = random.Random(4), 0
    for _ in range(200):
        utterance = sentences.draw(rng, "train", "compound")
        assert sorted(map(repr, utterance.said)) == sorted(map(repr, utterance.program))
        moved += utterance.said != utterance.program
    assert moved > 80
    for _ in range(20):
        text, said = sentences.say(
            rng, (Operation("sepia"), Operation("pixelate"), Operation("vignette")), "train"
        )
        places = [text.find(word) for word in ("vignette", "pixel")]
        if -1 not in places:
            order = [one.kind for one in said]
            assert (places[0] < places[1]) == (order.index("vignette") < order.index("pixelate"))


def test_plain_words_tell_operations_apart() -> None:
    said: dict[str, Operation] = {}
    for operation in every_operation():
        for words in (phrases.plain(operation), phrases.plainer(operation)):
            other = said.setdefault(words, operation)
            assert other == operation, f"{words!r} means {other} and {operation}"


def test_words_have_no_unfilled_slots_or_double_spaces() -> None:
    rng = random.Random(0)
    for operation in every_operation():
        for split in ("train", "more", "fresh", "test"):
            for wording in phrases.wordings(split, operation):
                clause = phrases.fill(wording, operation, rng)
                assert "{" not in clause
                assert "  " not in clause
                assert clause == clause.strip()


@pytest.mark.parametrize("group", sentences.GROUPS)
@pytest.mark.parametrize("split", ["train", "more", "fresh", "test"])
def test_drawn_utterances_belong_to_their_group(group: str, split: str) -> None:
    rng = random.Random(1)
    for _ in range(200):
        utterance = sentences.draw(rng, split, group)
        assert utterance.instruction.strip()
        assert utterance.program == ordered(utterance.program)
        assert TEXT not in utterance.instruction
        count = len(utterance.program)
        if group == "direct":
            assert count == 1
        elif group == "compound":
            assert 2 <= count <= 4
        elif group == "reasoning":
            assert utterance.look
        if any(o.kind == "text" for o in utterance.program):
            assert fold_quotes(utterance.instruction)[1]


def test_a_list_says_all_of_it_in_order() -> None:
    rng, plain = random.Random(5), 0
    for _ in range(200):
        drawn = sentences.draw_list(rng, "more")
        assert 2 <= len(drawn.said) <= 4
        text, strings = fold_quotes(drawn.instruction)
        assert len(strings) == sum(one.kind == "text" for one in drawn.said)
        places = [text.find(clause) for clause in (phrases.plain(one) for one in drawn.said)]
        found = [place for place in places if place >= 0]
        assert found == sorted(found)
        plain += len(found) == len(places)
    assert plain > 5, "some are in plain words throughout"


def test_unseen_looks_are_for_the_test_split_only() -> None:
    rng = random.Random(2)
    unseen = {look.name for look in looks.LOOKS if look.unseen}
    assert unseen
    names = {sentences.draw(rng, "train", "reasoning").look for _ in range(800)}
    assert not names & unseen
    assert unseen <= {sentences.draw(rng, "test", "reasoning").look for _ in range(800)}


def test_only_colours_the_photo_has_are_asked_for() -> None:
    rng = random.Random(3)
    for group in ("direct", "compound", "preserve"):
        for _ in range(300):
            program = sentences.draw(rng, "train", group, colours=["blue"]).program
            regions = {o.region for o in program} & {"red", "orange", "yellow", "green", "purple", "pink"}
            assert not regions
            assert all(o.value.startswith("blue>") for o in program if o.kind == "recolour")


def test_the_same_seed_says_the_same() -> None:
    one = [sentences.draw(random.Random(9), "train", "compound") for _ in range(3)]
    assert one[0] == one[1] == one[2]


def test_failed_operations_lead_and_are_said_in_a_second_way() -> None:
    program: Program = ordered([Operation("exposure", "up"), Operation("vignette")])
    plain = sentences.plain(program)
    again = sentences.plain(program, first=(program[1],))
    assert plain.startswith(phrases.plain(program[0]))
    assert again.startswith(phrases.plainer(program[1]))
    assert again != plain


def test_american_spelling() -> None:
    assert slips.american("grey colours in the centre") == "gray colors in the center"


@given(st.integers(0, 10_000))
def test_slips_never_touch_quoted_text(seed: int) -> None:
    text = 'please write "Excellent Adventures" somewhere underneath'
    assert '"Excellent Adventures"' in slips.slip(random.Random(seed), text, typos=1.0)


@given(st.text(max_size=80).filter(lambda s: '"' not in s and "\0" not in s))
def test_any_quoted_string_comes_back(string: str) -> None:
    folded, strings = fold_quotes(f'write "{string}" at the top')
    assert folded == f"write {TEXT} at the top"
    assert unfold_quotes(folded, strings) == f'write "{string}" at the top'


@given(st.text(max_size=200))
def test_folding_never_fails_and_leaves_no_markup(text: str) -> None:
    folded, strings = fold_quotes(text)
    assert folded.count(TEXT) == len(strings)
    assert "<program>" not in folded
    assert "<|im_end|>" not in folded


def test_regions_have_names() -> None:
    assert {region for region in REGIONS if region != "all"} == set(phrases.WHERE)
