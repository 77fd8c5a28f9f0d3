"""RISEBench: equal to the official script on its gold case to the last digit, never a guess under strict."""

from __future__ import annotations

import dataclasses
import json
import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from editthinker.benchmarks.rise import Rise, scoring
from editthinker.benchmarks.suite import Answers, Case, Reply, Scores, Unparsed
from editthinker.benchmarks.table import RULES, Table
from peers.rise_data import GOLD, written

RECORDS = GOLD["inputs"]["records"]
OUTPUTS = GOLD["inputs"]["judge_outputs"]
RISE = Rise()
FIGURE = {"Reasoning": "reasoning", "ApprConsistency": "consistency", "VisualPlausibility": "quality"}


def answers_of(outputs: Mapping[str, Mapping[str, str | None]]) -> Answers:
    return {
        case: {kind: (Reply(text),) for kind, text in replies.items() if text is not None}
        for case, replies in outputs.items()
    }


def gold_cases(tmp_path: Path, records: Sequence[Mapping[str, Any]] = RECORDS) -> tuple[Case, ...]:
    return RISE.load(written(tmp_path, records))


def in_csv(value: float) -> float:
    """A number as the gold has it: written to CSV and read back by pandas 2.2, which keeps 17 digits,
    a leading 0 among them, and divides them by a power of ten.
    """
    whole, _, decimals = repr(value).partition(".")
    kept = decimals[: 17 - len(whole)]
    number = 0.0
    for digit in whole + kept:
        number = number * 10.0 + int(digit)
    return number / float(f"1e{len(kept)}")


def in_xlsx(value: float) -> float:
    """A number as a spreadsheet holds it: 16 digits."""
    return float(f"{value:.16g}")


def same(ours: float | None, theirs: float | None, written_as: Any) -> bool:
    if ours is None or math.isnan(ours):
        return theirs is None
    return theirs is not None and written_as(ours) == theirs


def compare(table: Table, rows: Mapping[str, Any], lines: Mapping[str, Sequence[float | None]]) -> int:
    """How many figures are equal; fails on the first that is not."""
    count = 0
    for one in table.scored:
        expected = rows[one.case]
        for theirs, figure_ in (*FIGURE.items(), ("score", "score"), ("complete", "accuracy")):
            assert same(one.values.get(figure_), expected[theirs], in_xlsx), (one.case, theirs)
            count += 1
    for name, expected in lines.items():
        for value, column in zip(expected, ("score", "percent", "accuracy"), strict=True):
            ours = figure(table, name, column)
            assert same(ours, value, in_csv), (name, column, ours, value)
            count += 1
    return count


def figure(table: Table, name: str, column: str) -> float | None:
    """One figure under its name in the official CSV."""
    group, _, criterion = name.partition("_")
    line = table.line("all" if group == "Overall" else group)
    assert line is not None, name
    if not criterion:
        return line.figures[column].mean
    if column == "accuracy":
        return None
    name = {"Consistency": "consistency", "Quality": "quality", "VisualPlausibility_total": "quality"}.get(
        criterion, FIGURE.get(criterion, "")
    )
    mean = line.figures[name].mean
    return scoring.percent(mean) if column == "percent" else mean


def test_official_figures_equal_the_gold_case(tmp_path: Path) -> None:
    table = RISE.aggregate(gold_cases(tmp_path), answers_of(OUTPUTS), "official")
    expected = GOLD["expected"]
    assert compare(table, expected["rows"], expected["table"]) == 23 * 5 + 35 * 3
    assert table.headline == ("all", "accuracy")
    assert table.value.mean == pytest.approx(8 / 23)
    assert table.value.low < table.value.mean < table.value.high
    assert any("0.2 quality + 0.8 reasoning" in flag and "(12 records)" in flag for flag in table.flags)
    assert any("mark off the scale" in flag and "(1 records)" in flag for flag in table.flags)
    assert any("0 and 1" in flag and "(1 records)" in flag for flag in table.flags)
    assert any(flag.startswith("failed") and "(3 records)" in flag for flag in table.flags)


def test_paper_has_the_old_rule_of_accuracy(tmp_path: Path) -> None:
    table = RISE.aggregate(gold_cases(tmp_path), answers_of(OUTPUTS), "paper")
    expected = GOLD["expected_overall_with_the_pre_2026_04_13_rule_and_EditThinker"]
    rows = {
        key: {**row, "complete": 0 if "consistency_free" in record else row["complete"]}
        for record in RECORDS
        for key, row in [(record["index"], GOLD["expected"]["rows"][record["index"]])]
    }
    assert compare(table, rows, expected) == 23 * 5 + 5 * 3


def test_without_consistency_free_the_published_weights_apply(tmp_path: Path) -> None:
    records = [record for record in RECORDS if "consistency_free" not in record]
    expected = GOLD["case_B_without_consistency_free_column"]["expected"]
    table = RISE.aggregate(gold_cases(tmp_path, records), answers_of(OUTPUTS), "official")
    assert compare(table, expected["rows"], expected["table"]) == 20 * 5 + 3 * len(expected["table"])
    assert not any("0.2 quality" in flag for flag in table.flags)


def test_every_extraction_of_the_gold_case() -> None:
    assert len(GOLD["extract_cases"]) == 18
    for text, expected in GOLD["extract_cases"].items():
        assert scoring.numbers(text) == (expected or []), text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("**Final Score:** **5**", 5),
        ("Final Score: 4/5", 4),
        ("Final Score: 4/10", None),
        ("Final Score: 4.5", None),
        ("Final Score: 4.", 4),
        ("**Final Score:** **1-5**", None),
        ("Final Score: -1", None),
        ("Final Score: 7", None),
        ("Final Score: 0", None),
        ("**Final Score:** **5**\n\n1. more text", 5),
        ("Final Score: 3 ... I mean: Final Score: 4", None),
        ("Final Score: 3\nSo: Final Score: 3", 3),
        ("Final Score: 4 out of 5", 4),
        ("Final Score: **4** (good)", 4),
        ("I give 5", None),
        ("Final Score: four", None),
        ("Final Score: 4, 5", None),
        ("Final Score: " + "9" * 5000, None),
        ("", None),
    ],
)
def test_strict_reads_one_whole_number_or_nothing(text: str, expected: int | None) -> None:
    assert scoring.final_score(text, 1, 5) == expected


def test_crashes_of_the_script_become_flags(tmp_path: Path) -> None:
    cases = gold_cases(tmp_path)
    two = {
        **OUTPUTS,
        "causal_reasoning_2": {**OUTPUTS["causal_reasoning_2"], "judge2": "Final Score: 5\n\n1. x"},
    }
    table = RISE.aggregate(cases, answers_of(two), "official")
    assert any("ValueError: Length of values" in flag for flag in table.flags)
    mixed = next(one for one in table.scored if one.case == "causal_reasoning_2")
    assert (mixed.values, mixed.state) == ({"accuracy": 0.0}, "unparsed")

    logical = [{**RECORDS[-1], "consistency_free": True}]
    table = RISE.aggregate(gold_cases(tmp_path / "b", logical), answers_of(OUTPUTS), "official")
    assert any("KeyError: 'judge3'" in flag for flag in table.flags)

    old = [{key: value for key, value in record.items() if key != "subtask"} for record in RECORDS]
    table = RISE.aggregate(gold_cases(tmp_path / "c", old), answers_of(OUTPUTS), "official")
    assert any("KeyError: 'subtask'" in flag for flag in table.flags)

    absent = {key: value for key, value in OUTPUTS.items() if key != "temporal_reasoning_1"}
    table = RISE.aggregate(cases, answers_of(absent), "official")
    assert any("FileNotFoundError" in flag for flag in table.flags)
    line = table.line("all")
    assert line is not None
    assert (line.n, line.missing) == (23, 1)
    assert table.value.mean == pytest.approx(7 / 23), "a missing image counts as 0"

    strange = [{**RECORDS[0], "subtask": "Unheard of"}, *RECORDS[1:]]
    table = RISE.aggregate(gold_cases(tmp_path / "d", strange), answers_of(OUTPUTS), "official")
    assert figure(table, "Overall", "score") == pytest.approx(
        GOLD["official_failures"]["unknown_subtask_is_left_out_of_the_table_but_counted_overall"]["Overall"][
            0
        ]
    )
    assert table.line("Temp-Life Progression").figures["score"].n == 1  # type: ignore[union-attr]


def test_a_logical_row_with_three_numbers_passes_as_one_of_the_others() -> None:
    marks = scoring.official_marks(
        scoring.LOGICAL, {"judge1": "Final Score: 1, 2", "judge2": "Final Score: 1"}
    )
    assert (marks.consistency, marks.reasoning, marks.quality) == (1, 2, 1)
    assert scoring.score(scoring.LOGICAL, marks, free=False) == pytest.approx(0.3 * 1 + 0.7 * 2)


def test_strict_gives_the_lowest_mark_for_what_is_not_there(tmp_path: Path) -> None:
    cases = {case.id: case for case in gold_cases(tmp_path)}
    replies = {
        "temporal_reasoning_1": {
            "judge1": "Final Score: 5",
            "judge2": "I cannot help.",
            "judge3": "Final Score: 5",
        },
        "temporal_reasoning_2": {"judge2": "Final Score: 5", "judge3": "Final Score: 5"},
        "temporal_reasoning_3": {
            "judge1": "Final Score: 5",
            "judge2": "Final Score: 5",
            "judge3": "Final Score: 4",
        },
        "logical_reasoning_1": {"judge1": "Final Score: 1", "judge2": "Final Score: 4"},
    }
    chosen = [cases[name] for name in (*replies, "causal_reasoning_1")]
    table = RISE.aggregate(chosen, answers_of(replies), "strict")
    found = {one.case: one for one in table.scored}
    # 0.3*5 + 0.5*1 + 0.2*5 = 3.0, halved because reasoning is 1
    assert found["temporal_reasoning_1"].values["score"] == pytest.approx(1.5)
    assert found["temporal_reasoning_1"].state == "refused"
    assert found["temporal_reasoning_2"].values["accuracy"] == 1, "consistency is not asked of it"
    assert found["temporal_reasoning_3"].values["score"] == pytest.approx(0.3 * 5 + 0.5 * 5 + 0.2 * 4)
    # the judge left its scale of 0 and 1: (0.3*5 + 0.7*1) / 2
    assert found["logical_reasoning_1"].values["score"] == pytest.approx(1.1)
    assert found["logical_reasoning_1"].state == "unparsed"
    assert found["causal_reasoning_1"].values["percent"] == 0
    assert table.value.mean == pytest.approx(1 / 5)


def test_strict_takes_the_reply_to_a_second_asking(tmp_path: Path) -> None:
    case = next(case for case in gold_cases(tmp_path) if case.id == "logical_reasoning_1")
    again = {
        case.id: {"judge1": (Reply("hm"), Reply("Final Score: 1")), "judge2": (Reply("Final Score: 1"),)}
    }
    assert RISE.aggregate([case], again, "strict").value.mean == 1
    assert RISE.aggregate([case], again, "official").value.mean == 0, "the script asks once"


def test_the_older_release_loads_and_is_scored(tmp_path: Path) -> None:
    """64 records without subtask and flags, below a folder data; the official script stops at them."""
    records = [
        {
            "index": "temporal_reasoning_14",
            "category": "temporal_reasoning",
            "instruction": "Three months later.",
            "image": "temporal_reasoning_images/14.png",
            "reference": "A made-up thing.",
        },
        {
            "index": "logical_reasoning_1",
            "category": "logical_reasoning",
            "instruction": "Draw the way.",
            "image": "logical_reasoning_images/1.jpg",
            "reference_img": "logical_reasoning_images/1_ref.png",
        },
    ]
    for record in records:
        for field in ("image", "reference_img"):
            if name := record.get(field):
                (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (8, 8)).save(tmp_path / "data" / name)
    (tmp_path / "data" / "data_total.json").write_text(json.dumps(records))
    cases = RISE.load(tmp_path)
    assert [case.problem for case in cases] == ["", ""]
    assert cases == RISE.load(tmp_path / "data" / "data_total.json")
    replies = {
        "temporal_reasoning_14": {
            "judge1": "Final Score: 5",
            "judge2": "Final Score: 5",
            "judge3": "Final Score: 5",
        },
        "logical_reasoning_1": {"judge1": "Final Score: 1", "judge2": "Final Score: 1"},
    }
    for rules in RULES:
        table = RISE.aggregate(cases, answers_of(replies), rules)
        assert table.value.mean == 1
    table = RISE.aggregate(cases, answers_of(replies), "official")
    assert any("KeyError: 'reasoning_img'" in flag for flag in table.flags)
    assert any("of unknown sha256" in flag for flag in table.flags)


def mutated(seed: int, number: int) -> list[str]:
    """Judge replies broken in every way one comes to think of."""
    rng = random.Random(seed)
    bases = [*(text or "" for case in OUTPUTS.values() for text in case.values()), *GOLD["extract_cases"]]
    pieces = [
        "**",
        "\n",
        "Final Score:",
        "Final Scores",
        " 5",
        "4/5",
        "-1",
        "{",
        "}",
        "５",
        "²",
        "\0",
        "1-5",
        "9" * 400,
    ]
    made = []
    for _ in range(number):
        text = rng.choice(bases)
        for _ in range(rng.randint(1, 4)):
            place = rng.randint(0, len(text))
            cut = rng.randint(0, 6)
            text = text[:place] + rng.choice(["", *pieces]) + text[place + cut :]
        made.append(text)
    return made


def test_a_thousand_broken_replies(tmp_path: Path) -> None:
    """No crash, and no mark that is not in the words."""
    (case,) = gold_cases(tmp_path, RECORDS[:1])
    for text in mutated(1, 1000):
        for rules in RULES:
            read = RISE.parse("judge2", text, rules)
            assert isinstance(read, Scores | Unparsed)
            if isinstance(read, Scores):
                assert all(str(int(value)) in text.replace("５", "5") for value in read.values)
                if rules == "strict":
                    assert 0 <= read.values[0] <= 5
    for text in mutated(2, 40):
        answers = {case.id: {kind: (Reply(text),) for kind in ("judge1", "judge2", "judge3")}}
        for rules in RULES:
            RISE.aggregate([case], answers, rules)


def test_order_does_not_matter_and_missing_images_never_help(tmp_path: Path) -> None:
    cases = list(gold_cases(tmp_path))
    answers = answers_of(OUTPUTS)
    for rules in RULES:
        table = RISE.aggregate(cases, answers, rules)
        turned = RISE.aggregate(cases[::-1], answers, rules)
        for line in table.lines:
            other = turned.line(line.name)
            assert other is not None
            for name, value in line.figures.items():
                assert value.mean == pytest.approx(other.figures[name].mean, nan_ok=True)
    for gone in range(0, 23, 4):
        left = {case: found for case, found in answers.items() if case != cases[gone].id}
        strict, official = (RISE.aggregate(cases, left, rules) for rules in ("strict", "official"))
        assert strict.value.mean <= official.value.mean
        whole = RISE.aggregate(cases, answers, "strict")
        assert figure(strict, "Overall", "score") <= figure(whole, "Overall", "score")  # type: ignore[operator]


def test_refused_and_failed_calls_are_counted_as_such(tmp_path: Path) -> None:
    one, two, three = gold_cases(tmp_path, RECORDS[2:5])
    fine = {"judge1": (Reply("Final Score: 5"),), "judge3": (Reply("Final Score: 5"),)}
    answers: Answers = {
        one.id: {**fine, "judge2": (Reply(outcome="refused"),)},
        two.id: {**fine, "judge2": (Reply(outcome="failed"),)},
        three.id: {**fine, "judge2": (Reply("no idea"),)},
    }
    line = RISE.aggregate([one, two, three], answers, "strict").line("all")
    assert line is not None
    assert (line.refused, line.unanswered, line.unparsed, line.missing) == (1, 1, 1, 0)
    assert dataclasses.asdict(line)["n"] == 3
