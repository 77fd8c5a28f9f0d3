"""KRIS-Bench's parsers: reply by reply as the authors' scripts, EditThinker's copy, and ours read them."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from editthinker.benchmarks.kris import Kris
from editthinker.benchmarks.kris import scoring as kris_scoring
from editthinker.benchmarks.suite import Reply, Scores, Unparsed
from editthinker.benchmarks.table import RULES
from peers.kris_data import written

KRIS = Kris()

SINGLE: list[tuple[str, int | None, int | None, int | None]] = [
    # reply; read by the common scripts, those of several images, those of knowledge
    ('{"reasoning": "fine", "consistency_score": 4}', 4, 4, 4),
    ('{"consistency_score": 4.7, "reasoning": ""}', 4, 4, 4),
    ('{"consistency_score": "3"}', 3, 3, 3),
    ('{"consistency_score": 9}', 9, 9, 9),
    ('{"consistency_score": 0}', 0, 0, 0),
    ('{"consistency_score": true}', 1, 1, 1),
    # null: the common script goes on to digits, the knowledge script stops
    ('{"consistency_score": null} 2 of them', 2, 2, None),
    ('{"x": "consistency_score"} 3', 3, 3, None),
    # int() fails: both go on
    ('{"consistency_score": "4.7"}', 4, 4, 4),
    ('{"consistency_score": [5]}', 5, 5, 5),
    # the form the prompt shows is no JSON, and the closing quote hides the score
    ('{\n"reasoning": 1. the sky 2. the sea\n"consistency_score": 4\n}', 1, 1, 1),
    ("consistency_score: 2, although 5 was close", 2, 2, 2),
    ("Of 3 things: consistency score 4", 4, 3, 3),
    ("Of 3 things: Consistency Score：4", 4, 3, 4),
    ("quality is 4.5/5", 5, 5, 5),
    ("4 out of 5", 4, 4, 4),
    ("Image 1 is fine: quality is 4", 1, 1, 1),
    ("I rate it 45", None, None, None),
    ("I'm sorry, I can't help with that.", None, None, None),
    ("", None, None, None),
]


@pytest.mark.parametrize(("reply", "common", "nameless", "knowledge"), SINGLE)
def test_single_scores_as_the_scripts_read_them(
    reply: str, common: int | None, nameless: int | None, knowledge: int | None
) -> None:
    def read(kind: str) -> int | None:
        return kris_scoring.marks_of(kind, reply, "official")["consistency"]

    assert read("consistency") == common
    assert read("several:consistency") == nameless
    assert read("knowledge:consistency") == knowledge


DUAL: list[tuple[str, tuple[int | None, int | None], tuple[int | None, int | None]]] = [
    ('{"instruction_score": 5, "knowledge_score": 4}', (5, 4), (5, 4)),
    ('{"instruction_score": 5}', (5, None), (5, None)),
    ('{"instruction_score": 3, "reasoning": "{x}", "knowledge_score": 2}', (None, None), (3, 2)),
    ("Instruction score: 3\nKnowledge score: 2", (3, 2), (3, 2)),
    ('"instruction_score": 3, "knowledge_score": 2', (None, None), (3, 2)),
    ("3 and 4", (None, None), (None, None)),
    ('{"instruction_score": "x", "knowledge_score": 2}', (None, None), (None, None)),
    ("[1, 2]", (None, None), (None, None)),
    ("", (None, None), (None, None)),
]


@pytest.mark.parametrize(("reply", "official", "paper"), DUAL)
def test_dual_scores_as_the_scripts_read_them(
    reply: str, official: tuple[int | None, int | None], paper: tuple[int | None, int | None]
) -> None:
    kind = "knowledge:instruction"
    assert tuple(kris_scoring.marks_of(kind, reply, "official").values()) == official
    assert tuple(kris_scoring.marks_of(kind, reply, "paper").values()) == paper


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ('{"consistency_score": 4, "reasoning": "1. a 2. b"}', 4),
        ('{\n"reasoning": 1. the sky 2. the sea\n"consistency_score": 4\n}', 4),
        ("**consistency_score**: 4", 4),
        ('{"consistency_score": "4/5"}', 4),
        ('{"consistency_score": 4.0}', 4),
        ('{"consistency_score": 4.7}', None),
        ('{"consistency_score": 0}', None),
        ('{"consistency_score": 9}', None),
        ('{"consistency_score": null} 4', None),
        ('{"consistency_score": 3} no: {"consistency_score": 4}', None),
        ('{"quality_score": 4}', None),
        ("Image 1 is fine: 4", None),
        ("", None),
    ],
)
def test_strict_reads_the_asked_field_or_nothing(reply: str, expected: int | None) -> None:
    assert kris_scoring.marks_of("consistency", reply, "strict") == {"consistency": expected}
    read = KRIS.parse("consistency", reply, "strict")
    assert (read.values if isinstance(read, Scores) else None) == (
        None if expected is None else (float(expected),)
    )


def test_a_thousand_broken_replies(tmp_path: Path) -> None:
    """No crash under any rules; what strict reads stands in the words, and no reply without digits scores."""
    rng = random.Random(5)
    bases = [reply for reply, *_ in SINGLE] + [reply for reply, *_ in DUAL]
    pieces = [
        "{",
        "}",
        '"',
        "instruction_score",
        "knowledge_score",
        ": 4",
        "²",
        "\0",
        "null",
        "1e999",
        "[" * 500,
    ]
    kinds = [
        "consistency",
        "several:quality",
        "knowledge:consistency",
        "knowledge:instruction",
        "instruction",
    ]
    for _ in range(1000):
        text = rng.choice(bases)
        for _ in range(rng.randint(1, 5)):
            place = rng.randint(0, len(text))
            text = text[:place] + rng.choice(["", *pieces]) + text[place + rng.randint(0, 5) :]
        for rules in RULES:
            for kind in kinds:
                read = KRIS.parse(kind, text, rules)
                assert isinstance(read, Scores | Unparsed)
                if isinstance(read, Scores) and rules == "strict":
                    assert all(1 <= mark <= 5 and str(int(mark)) in text for mark in read.values)
                if isinstance(read, Scores):
                    assert any(letter.isdigit() for letter in text) or "true" in text or "false" in text
    case = next(case for case in KRIS.load(written(tmp_path)) if case.id == "chemistry/1")
    for text in ("9" * 5000, '{"consistency_score": ' + "9" * 5000 + "}", '{"instruction_score": 1e999}'):
        answers = {
            case.id: {kris_scoring.kind_of("chemistry", call): (Reply(text),) for call in kris_scoring.CALLS}
        }
        for rules in RULES:
            KRIS.aggregate([case], answers, rules)
