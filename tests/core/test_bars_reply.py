"""Replies that nobody would write: typed errors only, in no time, and never satisfied by chance."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from editthinker.core.errors import ReplyError
from editthinker.core.reply import parse

LOW = '<think>Not done.</think>\n<score>{"semantic": 3, "quality": 4}</score>\n<answer>make it red</answer>'
MARKS = (
    *("<think>", "</think>", "<score>", "</score>", "<answer>", "</answer>", "< answer >", "&lt;answer&gt;"),
    *(
        '"semantic":',
        "quality = ",
        '{"score":',
        '"answer":',
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        '"',
        "'",
        "\\",
        "\\u003",
    ),
    *(
        "```",
        "```json\n",
        "\n",
        "\r",
        "\0",
        "\x1b[2J",
        "\u202e",
        "\ud83d",
        "٣",
        "²",
        "-",
        ".",
        "e",
        "/",
        "null",
        "NaN",
    ),
)
EDITS = st.tuples(
    st.integers(0, 400), st.integers(0, 80), st.sampled_from(MARKS) | st.text(max_size=5), st.integers(0, 30)
)


@given(st.lists(EDITS, min_size=1, max_size=12))
@settings(max_examples=500, deadline=None)
def test_a_low_score_never_becomes_a_high_one(edits: list[tuple[int, int, str, int]]) -> None:
    text = LOW
    for start, length, words, times in edits:
        words = "".join("" if char.isnumeric() and char not in "٣²" else char for char in words)
        text = text[:start] + words * times + text[start + length :]
    try:
        critique = parse(text, previous_instruction="make it red")
    except ReplyError:
        return
    assert critique.score is not None
    assert max(critique.score.semantic, critique.score.quality) < 8
    assert critique.refined_instruction.strip()


@pytest.mark.clock
@pytest.mark.parametrize(
    "run", ["\n", "\r", " \n", "\t", "<", "</a", "&lt;", "[", "{", '"', "**", "`", "\\", "-", "3"]
)
@pytest.mark.parametrize(
    "shape", ["{}", "<answer>{}", "<answer>make{}red", "<score>{}</score>", "<think>{}x", LOW + "{}"]
)
def test_a_run_of_one_thing_is_read_in_no_time(run: str, shape: str) -> None:
    text = shape.replace("{}", run * 50_000)
    began = time.thread_time()
    with suppress(ReplyError):
        parse(text, previous_instruction="make it red")
    assert time.thread_time() - began < 1.0  # 0.01 as a rule; ten and more when it takes the square
