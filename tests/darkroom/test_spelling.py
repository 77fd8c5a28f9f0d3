"""Programs as tokens: every program survives, and nothing else can be spelled."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from editthinker.darkroom import spelling
from editthinker.darkroom.language import sentences
from editthinker.darkroom.program import KINDS, Operation, ordered, written


@given(st.integers(0, 100_000), st.integers(1, 5))
def test_programs_survive_spelling(seed: int, count: int) -> None:
    program = sentences.draw_program(random.Random(seed), count)
    silent = tuple(
        operation.with_text("") if operation.kind == "text" else operation for operation in program
    )
    assert spelling.read(spelling.spell(program)) == silent


@given(st.integers(0, 100_000))
def test_whatever_the_grammar_allows_is_a_program(seed: int) -> None:
    rng, grammar = random.Random(seed), spelling.Grammar()
    while not grammar.ended:
        grammar.feed(rng.choice(sorted(grammar.allowed())))
    assert len(grammar.program) <= spelling.MAX_OPERATIONS
    assert grammar.program == ordered(grammar.program)


def test_every_operation_has_a_spelling_of_its_own() -> None:
    seen = set()
    for kind, table in KINDS.items():
        for value in table.values:
            for region in table.regions:
                for strength in table.strengths:
                    tokens = tuple(spelling.spell_operation(Operation(kind, value, region, strength)))
                    assert tokens not in seen
                    assert set(tokens) <= set(spelling.TOKENS)
                    seen.add(tokens)


def test_a_forbidden_token_is_refused() -> None:
    grammar = spelling.Grammar()
    grammar.feed("<exposure>")
    with pytest.raises(ValueError, match="cannot follow"):
        grammar.feed("<=left>")


def test_text_operations_get_their_strings_or_go() -> None:
    program = (Operation("sepia"), Operation("text", "top"))
    assert written(program, ["hello"])[1].text == "hello"
    assert written(program, []) == (Operation("sepia"),)


def test_an_operation_outside_the_table_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown operation"):
        Operation("explode")
    with pytest.raises(ValueError, match="does not accept"):
        Operation("sepia", region="top")
    with pytest.raises(ValueError, match="no strength"):
        Operation("sepia", strength="strong")
    with pytest.raises(ValueError, match="carries no text"):
        Operation("sepia", text="hello")
