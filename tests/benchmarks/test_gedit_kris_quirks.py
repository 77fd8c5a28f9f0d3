"""GEdit-Bench and KRIS-Bench: every quirk of their authors' formulas and parsers, worked out by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from editthinker.benchmarks.gedit import GEdit, viescore
from editthinker.benchmarks.gedit.data import TASKS
from editthinker.benchmarks.kris import Kris, generated_frame
from editthinker.benchmarks.kris import scoring as kris_scoring
from editthinker.benchmarks.suite import Answers, Case, Reply
from editthinker.benchmarks.table import Table

GEDIT, KRIS = GEdit(), Kris()


def of(table: Table, line: str, figure: str) -> float:
    found = table.line(line)
    assert found is not None, line
    return found.figures[figure].mean


# ---- GEdit ---------------------------------------------------------------------------------------------


def edits(given: dict[str, list[tuple[Any, Any]]], inside: bool = True) -> tuple[list[Case], Answers]:
    """Task -> the lists (SC, PQ) of its samples; tasks that are not named have one sample of 10 and 10."""
    cases, answers = [], {}
    for task in TASKS:
        for number, (sc, pq) in enumerate(given.get(task, [([10, 10], [10, 10])])):
            tags = {"language": "en", "intersection": "yes" if inside and not number else "no"}
            case = Case(f"{task}/{number}", "x", (), task, tags=tags, record={"key": str(number)})
            cases.append(case)
            if sc is not None:
                answers[case.id] = {
                    kind: [Reply(json.dumps({"score": score, "reasoning": ""}))]
                    for kind, score in (("SC", sc), ("PQ", pq))
                }
    return cases, answers


def test_o_is_the_mean_of_roots_and_not_the_root_of_means() -> None:
    table = GEDIT.aggregate(*edits({"ps_human": [([8, 9], [8, 8]), ([1, 10], [9, 10])]}), "official")
    assert of(table, "ps_human", "SC") == (8 + 1) / 2
    assert of(table, "ps_human", "PQ") == (8 + 9) / 2
    assert of(table, "ps_human", "O") == (8 + 3) / 2
    assert of(table, "ps_human", "O") != math.sqrt(4.5 * 8.5)


def test_a_task_counts_once_however_many_samples_it_has() -> None:
    cases, answers = edits({"ps_human": [([0, 9], [9, 9])] * 9})
    for rules in ("official", "paper", "strict"):
        table = GEDIT.aggregate(cases, answers, rules)
        assert table.value.mean == pytest.approx(10 * 10 / 11)
        assert table.value.n == 19


def test_zero_counts_and_what_is_missing_does_not() -> None:
    cases, answers = edits({"ps_human": [([0, 10], [10, 10]), ([4, 4], [9, 9]), (None, None)]})
    official, strict = (GEDIT.aggregate(cases, answers, rules) for rules in ("official", "strict"))
    assert of(official, "ps_human", "O") == (0 + 6) / 2
    assert of(strict, "ps_human", "O") == (0 + 6 + 0) / 3
    assert [line.missing for line in official.lines if line.name in ("all", "ps_human")] == [1, 1]


def test_the_intersection_is_a_second_average_over_its_rows_alone() -> None:
    cases, answers = edits({"ps_human": [([4, 4], [9, 9]), ([1, 1], [1, 1])]})
    table = GEDIT.aggregate(cases, answers, "official")
    assert of(table, "intersection/ps_human", "O") == 6
    assert of(table, "intersection", "O") == pytest.approx((10 * 10 + 6) / 11)
    assert of(table, "all", "O") == pytest.approx((10 * 10 + 3.5) / 11)
    alone = GEdit(subset="intersection").aggregate(cases, answers, "official")
    assert alone.headline == ("intersection", "O")
    assert alone.line("all") is None


def test_scores_are_neither_clamped_nor_rounded_and_the_lower_of_each_list_counts() -> None:
    cases, answers = edits({"ps_human": [([12, 15], [3.5, 20]), ([7.3, 2.1, 9], [6.7])]})
    table = GEDIT.aggregate(cases, answers, "official")
    assert of(table, "ps_human", "O") == (math.sqrt(12 * 3.5) + math.sqrt(2.1 * 6.7)) / 2
    assert of(GEDIT.aggregate(cases, answers, "strict"), "ps_human", "O") == 0, "off the scale, three scores"


def test_the_same_key_twice_is_two_samples(tmp_path: Path) -> None:
    row = {"task_type": "ps_human", "key": "a" * 32, "instruction_language": "en", "file_name": "a.png"}
    rows = [{**row, "instruction": words} for words in ("slimmer", "taller")]
    chinese = {**row, "instruction": "更高", "instruction_language": "cn"}
    lines = "\n".join(json.dumps(one, ensure_ascii=False) for one in (*rows, chinese))
    (tmp_path / "metadata.jsonl").write_text(lines, "utf-8")
    english = GEDIT.load(tmp_path)
    assert [case.id for case in english] == [f"ps_human/{'a' * 32}", f"ps_human/{'a' * 32}#2"]
    assert len({GEDIT.where(case).edited for case in english}) == 1, (
        "both are judged by the one image there is"
    )
    (other,) = GEdit("cn").load(tmp_path)
    assert GEDIT.where(other).edited == f"fullset/ps_human/cn/{'a' * 32}.png"


ODD = {
    "５": [5],
    "+5": [5],
    "1_0": [10],
    "05": [5],
    "\u00a07": [7],
    "-3": "drawn",
    "²": "drawn",
    "4/5": "drawn",
    "4.": "drawn",
    "**4**": "drawn",
    "4.5": "drawn",
    "Score: 5": "drawn",
    "Score：5": "drawn",
    "[８, ７]": "stops",
    "[8,  7]": "drawn",
    "Success: 8\nOverediting: 7": "drawn",
    '{"score": "８"}': ["８"],
    '{"score": [8, 7],}': "endless",
    "{'score': [8, 7]}": "endless",
    '{"score": [[8, 7]]}': [[8, 7]],
    '{"Score": [8, 7]}': "endless",
    '{"score": [8, 7]} or {"score": [1, 1]}': "endless",
}
"""The shapes of ImgEdit's and RISE's odd replies, carried over."""


@pytest.mark.parametrize(("text", "found"), ODD.items())
def test_odd_replies_as_viescore_reads_them(text: str, found: Any) -> None:
    assert viescore.scores_in(text) == found
    assert isinstance(viescore.two_scores(text), str), "strict wants two numbers in a JSON object"


# ---- KRIS ----------------------------------------------------------------------------------------------


def sample(category: str, *marks: Any) -> tuple[Case, dict[str, list[Reply]]]:
    """A case and its replies: consistency, instruction, quality, and knowledge where there is one."""
    names = kris_scoring.criteria(category)
    said = dict(zip(names, marks, strict=True))

    def reply(*wanted: str) -> list[Reply]:
        return [Reply(json.dumps({f"{name}_score": said[name] for name in wanted}))]

    dual = ("instruction", "knowledge") if "knowledge" in said else ("instruction",)
    replies = [reply("consistency"), reply(*dual), reply("quality")]
    kinds = [kris_scoring.kind_of(category, call) for call in kris_scoring.CALLS]
    case = Case(f"{category}/{json.dumps(marks)}", "x", (), category)
    return case, dict(zip(kinds, replies, strict=True))


def kris(*samples: tuple[Case, dict[str, list[Reply]]], rules: Any = "official") -> Table:
    return KRIS.aggregate([case for case, _ in samples], {case.id: said for case, said in samples}, rules)


def test_marks_become_percent_and_leave_the_scale_unclamped() -> None:
    table = kris(sample("color_change", 1, 3, 5), sample("color_change", 0, 9, 4.7))
    assert of(table, "color_change", "VC") == (0 - 25) / 2
    assert of(table, "color_change", "IF") == (50 + 200) / 2
    assert of(table, "color_change", "VQ") == (100 + 75) / 2, "int(4.7) is 4"
    assert "marks off the scale are accepted (2)" in table.flags
    strict = kris(sample("color_change", 0, 9, 4.7), rules="strict")
    assert strict.value.mean == 0


def test_four_scores_weigh_as_much_as_three_and_more_only_in_the_paper() -> None:
    samples = sample("chemistry", 5, 5, 5, 5), sample("color_change", 1, 1, 1)
    assert kris(*samples).value.mean == 50
    assert kris(*samples, rules="paper").value.mean == pytest.approx(400 / 7)


def test_knowledge_does_not_follow_instruction() -> None:
    """That a bad edit shows no knowledge stands in the prompt alone."""
    table = kris(sample("chemistry", 5, 1, 5, 5))
    assert of(table, "chemistry", "KP") == 100
    assert table.value.mean == 75


def test_a_sample_without_any_score_is_in_no_mean() -> None:
    samples = sample("color_change", 5, 5, 5), sample("color_change", "x", [], None)
    official, paper, strict = (kris(*samples, rules=rules) for rules in ("official", "paper", "strict"))
    assert (official.value.mean, official.value.n) == (100, 1)
    assert (paper.value.mean, strict.value.mean) == (100, 50)
    assert official.lines[0].unparsed == 1


def test_types_are_means_over_samples_and_so_is_the_whole() -> None:
    samples = [
        sample("color_change", 5, 5, 5),
        sample("viewpoint_change", 1, 1, 1),
        sample("temporal_prediction", 1, 1, 1),
        sample("humanities", 3, 3, 3, 3),
        sample("rule-based_reasoning", 5, 5, 5, 5),
    ]
    table = kris(*samples)
    names = ("Factual", "Conceptual", "Procedural")
    assert [of(table, f"{name} Knowledge", "AVG") for name in names] == [pytest.approx(100 / 3), 50, 100]
    assert table.value.mean == 50, "not the mean of the three, 61.1"
    assert of(table, "all without temporal", "AVG") == 62.5


@pytest.mark.parametrize(
    ("factual", "conceptual", "procedural", "overall"),
    [(53.28, 50.36, 42.53, 49.54), (79.80, 81.37, 78.32, 80.09)],
)
def test_published_rows_are_means_over_the_samples_there_are(
    factual: float, conceptual: float, procedural: float, overall: float
) -> None:
    """FLUX.1-Kontext-dev and GPT-4o: types weighted by their 449, 518 and 300 samples."""
    sizes = dict.fromkeys(kris_scoring.KNOWLEDGE, 0)
    for category, number in kris_scoring.COUNTS.items():
        sizes[kris_scoring.KNOWLEDGE_OF[kris_scoring.DIMENSION_OF[category]]] += number
    assert tuple(sizes.values()) == (449, 518, 300)
    means = factual, conceptual, procedural
    assert round(sum(m * n for m, n in zip(means, sizes.values(), strict=True)) / 1267, 2) == overall


@pytest.mark.parametrize(
    ("names", "given", "made"),
    [
        (["7-1.jpg", "7-2.jpg", "7-4.jpg"], [1, 2, 4], 3),
        (["7-4.jpg", "7-3.jpg", "7-2.jpg"], [4, 3, 2], 1),
        (["7-1.jpg", "7-2.jpg", "7-5.jpg"], [1, 2, 5], 6),
        (["7-1.jpg", "7-2.jpg"], [1, 2], 3),
        (["a.jpg"], [], 1),
    ],
)
def test_the_frame_to_be_made(names: list[str], given: list[int], made: int) -> None:
    case = Case("temporal_prediction/7", "x", (), "temporal_prediction", record={"ori_img": names})
    assert generated_frame(case) == (given, made)


ODD_KRIS: dict[str, tuple[int | None, int | None, int | None]] = {
    # common scripts, knowledge scripts, strict
    '{"quality_score": "４"}': (4, 4, None),
    "４": (None, None, None),
    "²": (None, None, None),
    "**4**": (4, 4, None),
    "4.": (4, 4, None),
    "4.5": (4, 4, None),
    "4-5": (4, 4, None),
    "-1": (1, 1, None),
    "10": (None, None, None),
    "five": (None, None, None),
    "quality_score 4": (4, 4, None),
    "quality_score: -3": (3, 3, None),
    "quality_score: 4 (of 5)": (4, 4, 4),
    '"quality_score": 4, as 2 of 3 parts are sharp': (4, 4, 4),
    "2 of 3 parts are sharp, so quality_score：4": (4, 4, 4),
    'Of 2 images: {"quality_score": 4, "parts": {"a": 1}}': (2, 2, 4),
    '{"quality_score": 1e400}': (None, None, None),
    '{"quality_score": 4e1}': (40, 40, None),
    '{"quality_score": 4th}': (None, None, None),
    '{"quality_score": NaN} 3': (3, 3, None),
    '{"quality_score": 4}\n\n1. more': (4, 4, 4),
    '{"consistency_score": 2}\n{"quality_score": 4}': (4, 4, 4),
    "I'm sorry, I can't rate 1 of them.": (1, 1, None),
}


@pytest.mark.parametrize(("text", "marks"), ODD_KRIS.items())
def test_odd_replies_as_the_scripts_of_kris_read_them(text: str, marks: tuple[Any, Any, Any]) -> None:
    read = [
        kris_scoring.marks_of(f"{kind}quality", text, "official")["quality"] for kind in ("", "knowledge:")
    ]
    assert (*read, kris_scoring.marks_of("quality", text, "strict")["quality"]) == marks
