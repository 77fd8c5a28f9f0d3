"""UniREditBench: equal to the official script on its gold case; the rest as at RISEBench."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from editthinker.benchmarks.layout import find_results
from editthinker.benchmarks.showing import Shown
from editthinker.benchmarks.suite import Answers, Case, Reply, Scores, Unparsed
from editthinker.benchmarks.table import RULES
from editthinker.benchmarks.uniredit import TEMPLATES, UniREdit
from editthinker.core.errors import InputError

GOLD = json.loads((Path(__file__).parent / "gold" / "uniredit.json").read_text())
RECORDS = GOLD["inputs"]["records"]
OUTPUTS = GOLD["inputs"]["judge_outputs"]
BENCH = UniREdit()
OVERALL = {
    "Overall_Reasoning": "reasoning",
    "Overall_ApprConsistency": "consistency",
    "Overall_VisualPlausibility": "quality",
}


def gold_cases(folder: Path, records: Sequence[Mapping[str, Any]] = RECORDS) -> tuple[Case, ...]:
    for record in records:
        for field in ("original_image_path", "reference_image_path"):
            path = folder / record[field]
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (9, 9)).save(path)
    (folder / "data.json").write_text(json.dumps(records))
    return BENCH.load(folder)


def gold_answers() -> Answers:
    return {
        case: {kind: (Reply(replies[kind]),) for kind in ("judge1", "judge2", "judge3")}
        for case, replies in OUTPUTS.items()
        if "error" not in replies
    }


def close(ours: float | None, theirs: float | None, digits: int = 15) -> bool:
    """Equal but for the 16th digit, which the gold lost on its way through CSV."""
    if ours is None or math.isnan(ours):
        return theirs is None
    return theirs is not None and f"{ours:.{digits}g}" == f"{theirs:.{digits}g}"


def test_official_figures_equal_the_gold_case(tmp_path: Path) -> None:
    cases = gold_cases(tmp_path)
    table = BENCH.aggregate(cases, gold_answers(), "official")
    compared = 0
    for one in table.scored:
        expected = GOLD["expected"]["rows"][one.case]
        for theirs, ours in (
            ("Reasoning", "reasoning"),
            ("ApprConsistency", "consistency"),
            ("VisualPlausibility", "quality"),
            ("score", "score"),
            ("complete", "accuracy"),
        ):
            assert close(one.values.get(ours), expected[theirs]), (one.case, theirs)
            compared += 1
    for name, expected in GOLD["expected"]["table"].items():
        line = table.line("all" if name.startswith("Overall") else name.removeprefix("Class-"))
        assert line is not None, name
        if name in OVERALL:
            mean = line.figures[OVERALL[name]].mean
            found: list[float | None] = [mean, 25 * (mean - 1), None]
        else:
            found = [line.figures[figure].mean for figure in ("score", "percent", "accuracy")]
        for ours_, theirs_ in zip(found, expected, strict=True):
            assert close(ours_, theirs_), (name, found, expected)
            compared += 1
    assert compared == 12 * 5 + 8 * 3
    assert table.headline == ("all", "percent")
    assert table.value.mean == pytest.approx(79.5)
    line = table.line("all")
    assert line is not None
    assert (line.n, line.missing, line.unparsed) == (12, 1, 1)
    assert any("left out" in flag for flag in table.flags)
    assert any("off the scale" in flag for flag in table.flags)
    paper = BENCH.aggregate(cases, gold_answers(), "paper")
    assert paper.value == table.value


def test_strict_counts_what_is_left_out(tmp_path: Path) -> None:
    table = BENCH.aggregate(gold_cases(tmp_path), gold_answers(), "strict")
    found = {one.case: one.values for one in table.scored}
    # unread reasoning is 1, the others stand
    assert found["attribute_modification#0"]["score"] == pytest.approx(0.3 * 3 + 0.5 * 1 + 0.2 * 5)
    assert found["spatial_arrangement#2"]["score"] == 1
    assert found["maze#2"]["score"] == pytest.approx(0.3 * 3 + 0.5 * 3 + 0.2 * 1), "9 is off the scale"
    assert table.line("all").figures["accuracy"].mean == pytest.approx(1 / 12)  # type: ignore[union-attr]
    official = BENCH.aggregate(gold_cases(tmp_path), gold_answers(), "official")
    assert table.value.mean < official.value.mean


def test_calls_show_the_reference_to_the_second_judge_only(tmp_path: Path) -> None:
    cases = {case.id: case for case in gold_cases(tmp_path)}
    (tmp_path / "utils.py").write_text(
        "".join(f'{name} = "{name} [{{instruct}}]"\n' for name in TEMPLATES[:2])
        + 'prompt_generation = "quality {{as it is}}"\n'
    )
    prompts = BENCH.prompts(tmp_path)
    assert prompts.state == "not verified"
    case, edited = cases["maze#1"], Path("out/maze/1.png")
    calls = BENCH.judge_calls(case, edited, prompts)
    orders = [
        [Path(str(part.image)).parts[-3] for part in call.parts if isinstance(part, Shown)] for call in calls
    ]
    assert orders == [["original_image", "out"], ["original_image", "reference_image", "out"], ["out"]]
    assert calls[1].parts[0] == "prompt_reasoning_w_ref_image [made-up rules\nmade-up maze 1]"
    assert calls[2].parts[0] == "quality {{as it is}}", "the script formats it not"
    assert {(call.model, call.temperature, call.max_tokens) for call in calls} == {
        ("gpt-4.1-2025-04-14", 0, 4096)
    }
    plain = BENCH.judge_calls(cases["attribute_modification#0"], edited, prompts)
    assert plain[0].parts[0] == "prompt_consist [made-up attribute_modification 0]"
    assert set(BENCH.prompts(None).texts) == set(prompts.texts)


def test_results_and_bad_data(tmp_path: Path) -> None:
    cases = gold_cases(tmp_path, RECORDS[:2])
    out = tmp_path / "out" / "attribute_modification"
    out.mkdir(parents=True)
    (out / "1.png").write_bytes(b"x")
    found, missing = find_results(BENCH, cases, tmp_path / "out")
    assert (list(found), missing) == (["attribute_modification#1"], ("attribute_modification#0",))
    (tmp_path / RECORDS[0]["reference_image_path"]).unlink()
    broken = BENCH.load(tmp_path)[0]
    assert "is not in" in broken.problem
    assert BENCH.judge_calls(broken, out / "1.png", BENCH.prompts(None)) == ()
    for records, words in (
        ([RECORDS[0], RECORDS[0]], "more than once"),
        ([{**RECORDS[0], "name": "../up"}], "name of a result"),
        ([{"name": "x"}], "no instruction"),
        ({}, "no list"),
    ):
        (tmp_path / "data.json").write_text(json.dumps(records))
        with pytest.raises(InputError, match=words):
            BENCH.load(tmp_path)
    with pytest.raises(InputError, match=r"data\.json"):
        BENCH.load(out)


def test_order_does_not_matter_and_no_reply_breaks_it(tmp_path: Path) -> None:
    cases = list(gold_cases(tmp_path))
    for rules in RULES:
        one, other = (BENCH.aggregate(order, gold_answers(), rules) for order in (cases, cases[::-1]))
        assert one.value.mean == pytest.approx(other.value.mean)
        for text in ("", "Final Score: X", "Final Score: 5, 5", "²", "Final Score: " + "9" * 5000, "\0{"):
            assert isinstance(BENCH.parse("judge2", text, rules), Scores | Unparsed)
            answers = {
                case.id: {kind: (Reply(text),) for kind in ("judge1", "judge2", "judge3")} for case in cases
            }
            BENCH.aggregate(cases, answers, rules)
        BENCH.aggregate((), {}, rules)
