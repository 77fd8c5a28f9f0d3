"""ImgEdit's UGE suite: its records, its one call, and what its script and we read in a reply."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from editthinker.benchmarks.layout import find_results, lay_out
from editthinker.benchmarks.suite import Answers, Case, Reply, Scores, Unparsed
from editthinker.benchmarks.table import RULES
from editthinker.benchmarks.uge import OURS, Uge
from editthinker.core.errors import InputError
from editthinker.testing.behaviour import photograph
from peers.benchmark_data import uge_data

BENCH = Uge()
REPLIES = {
    "Brief reasoning: partly done. Unnatural. Score: 2.": (None, 2),
    "Brief reasoning: logos replaced; slightly unnatural. Score: 3 (Acceptable)": (None, 3),
    "Brief reasoning: fine.\nScore: 4": (4, 4),
    "Fine.\n**Score:** 4/5": (None, 4),
    "Fine. Score: 4 out of 5": (None, 4),
    "A rating of 5": (None, 5),
    "Score: 4/10": (None, None),
    "Score: 4.5": (None, None),
    "Score: 4e1": (None, None),
    "Score: 0": (0, None),
    "Score: 9": (9, None),
    "Score: -1": (None, None),
    "Score: 2\nNo, score: 3": (2.5, None),
    "Adherence: 3\nNaturalness: 4": (3.5, None),
    "Underscore: 5": (5, None),
    "I can't help with that.": (None, None),
    "": (None, None),
}
"""Reply -> what the official script reads, and what we do under strict rules."""


@pytest.mark.parametrize(("text", "marks"), REPLIES.items())
def test_what_is_read(text: str, marks: tuple[float | None, float | None]) -> None:
    for rules, mark in zip(("official", "strict"), marks, strict=True):
        case = Case("1", "x", (), "uge")
        table = BENCH.aggregate([case], {"1": {"mark": [Reply(text)]}}, rules)  # type: ignore[arg-type]
        assert table.scored[0].values.get("score") == (
            min(1, 1 if marks[0] is None else marks[0]) if mark is None and rules == "strict" else mark
        )
        assert isinstance(BENCH.parse("mark", text, rules), Scores) == (mark is not None)  # type: ignore[arg-type]


def test_the_mean_is_rounded_twice_and_what_has_no_mark_is_left_out() -> None:
    cases = [Case(str(number), "x", (), "uge") for number in range(6)]
    replies = ["Score: 4", "A: 1\nB: 1\nC: 2", "A: 2\nB: 2\nC: 1", "... Score: 2.", "²: ²"]
    answers: Answers = {str(number): {"mark": [Reply(text)]} for number, text in enumerate(replies)}
    official, strict = (BENCH.aggregate(cases, answers, rules) for rules in ("official", "strict"))
    assert official.value.mean == 2.33  # (4 + 1.33 + 1.67) / 3 = 2.3333
    assert official.value.n == 3
    assert strict.value.mean == round((4 + 1 + 1 + 2 + 1 + 1) / 6, 2)
    flags = " / ".join(official.flags)
    assert "1 samples: no line of the reply is 'name: number'" in flags
    assert "1 samples: no reply; the official script stops with an AttributeError" in flags
    assert "ValueError" in flags
    assert [line.missing for line in strict.lines] == [1]


def test_data_call_and_results(tmp_path: Path) -> None:
    cases = BENCH.load(uge_data(tmp_path))
    assert [(case.id, case.instruction, case.problem) for case in cases] == [
        ("1", "warmer", ""),
        ("7", "remove the left one", ""),
    ]
    edited = tmp_path / "edited.png"
    photograph(40, 30, seed=4).save(edited)
    (tmp_path / "UGE_bench.py").write_text(
        'prompt = """\nDo: <edit_prompt>.\n"""\nraise SystemExit\n', "utf-8"
    )
    prompts = BENCH.prompts(tmp_path)
    assert prompts.state == "not verified"
    (call,) = BENCH.judge_calls(cases[0], edited, prompts)
    text, source, result = call.parts
    assert text == "\nDo: warmer.\n"
    assert [part.encoded() for part in (source, result)] == [  # type: ignore[union-attr]
        (tmp_path / "a.jpg").read_bytes(),
        edited.read_bytes(),
    ]
    assert {part.media_type for part in (source, result)} == {"image/png"}  # type: ignore[union-attr]
    assert call.temperature is None
    lay_out(BENCH, cases, {case.id: edited for case in cases}, tmp_path / "out")
    assert find_results(BENCH, cases, tmp_path / "out")[0]["7"] == tmp_path / "out" / "7.png"
    assert isinstance(BENCH.parse("mark", OURS.replace("<number>", "4"), "strict"), Scores)


@pytest.mark.parametrize(
    ("content", "words"),
    [("[]", "no object of records"), ("{", "not valid JSON"), ('{"1": {}, "1": {}}', "more than once")],
)
def test_bad_data(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "UGE_edit.json").write_text(content)
    with pytest.raises(InputError, match=words):
        BENCH.load(tmp_path)
    with pytest.raises(InputError, match=r"UGE suite: expected UGE_edit\.json"):
        BENCH.load(Path(__file__).parent)


def test_what_is_wrong_with_a_record_is_said_on_its_case(tmp_path: Path) -> None:
    records: dict[str, Any] = {
        "1": 5,
        "2": {"id": "../x.jpg", "prompt": "x"},
        "3": {"id": "no.jpg", "prompt": "x"},
    }
    records |= {"4": {"id": "no.jpg"}, "../5": {"id": "no.jpg", "prompt": "x"}}
    (tmp_path / "UGE_edit.json").write_text(json.dumps(records))
    problems = [case.problem for case in BENCH.load(tmp_path)]
    for words, problem in zip(
        ("no JSON object", "outside", "not in the data", "no prompt", "file name"), problems, strict=True
    ):
        assert words in problem


def test_a_thousand_mutated_replies_never_break_it_nor_gain() -> None:
    rng = random.Random(3)
    for _ in range(1000):
        text = list("Brief reasoning: fine.\nScore: 4")
        for _ in range(rng.randrange(1, 6)):
            place = rng.randrange(len(text))
            text[place] = rng.choice(
                ["", "\n", "9", "0", "5", "²", "：", "/", "*", "-", ".", "{", "\0", "score "]
            )
        reply = "".join(text)
        read = BENCH.parse("mark", reply, "strict")
        assert isinstance(read, Scores | Unparsed)
        if isinstance(read, Scores):
            assert str(int(read.values[0])) in reply
        for rules in RULES:
            BENCH.aggregate([Case("1", "x", (), "uge")], {"1": {"mark": [Reply(reply)]}}, rules)
