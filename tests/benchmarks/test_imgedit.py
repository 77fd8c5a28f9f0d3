"""ImgEdit against what the official scripts made of the same replies, and against hostile ones."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from editthinker.benchmarks.imgedit import OURS, TYPES, ImgEdit
from editthinker.benchmarks.layout import find_results, lay_out
from editthinker.benchmarks.suite import Answers, Case, Reply, Scores, Unparsed
from editthinker.benchmarks.table import RULES
from editthinker.core.errors import InputError

GOLD = json.loads((Path(__file__).parent / "gold" / "imgedit.json").read_text("utf-8"))
BENCH = ImgEdit()


def gold_cases() -> tuple[list[Case], Answers]:
    given = [(one["key"], one["record"]) for one in GOLD["inputs"]["samples"]]
    lost = GOLD["inputs"]["missing_result_file"]
    cases = [
        Case(key, record["prompt"], (Path(record["id"]),), record["edit_type"])
        for key, record in [*given, (lost["key"], lost["record"])]
    ]
    answers = {one["key"]: {"marks": [Reply(one["judge_output"])]} for one in GOLD["inputs"]["samples"]}
    return cases, answers


def test_official_figures_are_those_of_the_official_scripts() -> None:
    cases, answers = gold_cases()
    table = BENCH.aggregate(cases, answers, "official")
    expected = GOLD["expected"]
    samples = {one.case: one.values["score"] for one in table.scored if one.values}
    assert samples == expected["step1_average_score_json_without_missing"]
    dropped = {one.case for one in table.scored if one.state in ("unparsed", "refused")}
    assert dropped == set(expected["dropped_keys"])
    types = {line.name: line.figures["score"].mean for line in table.lines if line.name in TYPES}
    assert types == expected["step2_typescore_json"]
    assert table.value.mean == expected["headline_macro_mean_of_9_types_unrounded"]
    assert round(table.value.mean, 2) == expected["headline_macro"]
    assert any(flag.startswith("1 samples: no reply") and "AttributeError" in flag for flag in table.flags)


def test_paper_takes_the_mean_over_samples() -> None:
    table = BENCH.aggregate(*gold_cases(), "paper")
    assert round(table.value.mean, 2) == GOLD["expected"]["editthinker_overall_micro_mean"]
    assert [flag for flag in table.flags if "GPT-4.1" not in flag] == []


def test_strict_counts_everything_and_what_cannot_be_read_as_the_lowest() -> None:
    table = BENCH.aggregate(*gold_cases(), "strict")
    line = table.line("all")
    assert line is not None
    assert (line.n, line.figures["score"].n) == (24, 24)
    assert (line.missing, line.refused, line.unparsed) == (1, 1, 12)
    by_case = {one.case: one.values["score"] for one in table.scored}
    assert by_case["97"] == 4.33
    assert by_case["1036"] == by_case["1164"] == by_case["510"] == by_case["628"] == 1.0
    assert by_case["667"] == 0.0  # 0 0 0 breaks the form and gains nothing by it


@pytest.mark.parametrize("odd", GOLD["parser_oddities"], ids=lambda odd: ascii(odd["text"]))
def test_every_oddity_of_the_official_parser(odd: dict[str, Any]) -> None:
    read = BENCH.parse("marks", odd["text"], "official")
    if isinstance(odd["result"], float):
        assert isinstance(read, Scores)
        assert sum(read.values) / len(read.values) == odd["result"]
    else:
        assert isinstance(read, Unparsed)
        assert bool(read.flag) == isinstance(odd["result"], dict)


def test_a_reply_that_would_stop_the_official_script_is_flagged_and_left_out() -> None:
    cases = [Case("1", "x", (Path("x"),), "add"), Case("2", "x", (Path("x"),), "add")]
    answers = {
        "1": {"marks": [Reply("A: ²\nB: 4")]},
        "2": {"marks": [Reply("A: 4\nB: 4\nC: " + "9" * 5000)]},
    }
    table = BENCH.aggregate(cases, answers, "official")
    assert all(not one.values for one in table.scored)
    assert sum("step 1 stops with" in flag for flag in table.flags) == 1


def test_strict_takes_the_first_readable_reply_and_official_the_first() -> None:
    cases = [Case("1", "x", (Path("x"),), "add")]
    answers = {"1": {"marks": [Reply("no idea"), Reply("A: 5\nB: 4\nC: 3")]}}
    strict, official = (BENCH.aggregate(cases, answers, rules) for rules in ("strict", "official"))
    assert strict.scored[0].values == {"score": 4.0}
    assert official.scored[0].values == {}


def test_a_sample_of_no_known_type_is_in_no_figure() -> None:
    cases = [Case("1", "x", (Path("x"),), "add"), Case("2", "x", (Path("x"),), "paint", problem="odd")]
    for rules in RULES:
        table = BENCH.aggregate(cases, {"1": {"marks": [Reply("A: 5\nB: 4\nC: 3")]}}, rules)
        assert (table.value.mean, table.value.n, table.value.low) == (4, 1, 4)
        assert any(flag.startswith("1 samples: of no known type") for flag in table.flags)


# --- hostile replies ---

ALPHABET = [*"0123456789:. \n\r\t*-/²５：,{}\"'\v", ": ", "\n", "Score: 5", "5", "nan", "inf", "1e9"]


def mutated(seed: int) -> str:
    rng = random.Random(seed)
    text = rng.choice([one["judge_output"] for one in GOLD["inputs"]["samples"]])
    for _ in range(rng.randint(1, 6)):
        place = rng.randint(0, len(text))
        text = text[:place] + rng.choice(ALPHABET) + text[place + rng.randint(0, 3) :]
    return text


def test_a_thousand_mutated_replies_never_break_it_nor_gain() -> None:
    texts = {str(seed): mutated(seed) for seed in range(1000)}
    for text in texts.values():
        read = BENCH.parse("marks", text, "strict")
        if isinstance(read, Scores):
            assert len(read.values) == 3
            assert all(1 <= mark <= 5 for mark in read.values)
            ends = [line.strip().rpartition(": ")[2] for line in text.splitlines()]
            assert Counter(read.values) <= Counter(int(end) for end in ends if end.isdigit())
    cases = [Case(name, "x", (Path("x"),), "add") for name in texts]
    answers = {name: {"marks": [Reply(text)]} for name, text in texts.items()}
    tables = [BENCH.aggregate(cases, answers, rules).scored for rules in ("strict", "official", "paper")]
    for strict, official, paper in zip(*tables, strict=True):
        assert official.values == paper.values
        if official.values:
            assert strict.values["score"] <= official.values["score"]
        else:
            assert strict.values["score"] == 1.0
    assert 100 < sum(bool(one.values) for one in tables[1]) < 900


@pytest.mark.clock
def test_two_thousand_replies_are_scored_within_seconds() -> None:
    texts = [one["judge_output"] for one in GOLD["inputs"]["samples"]]
    cases = [Case(str(place), "x", (Path("x"),), TYPES[place % 9]) for place in range(2000)]
    answers = {case.id: {"marks": [Reply(texts[int(case.id) % len(texts)])]} for case in cases}
    for rules in RULES:
        started = time.perf_counter()
        assert BENCH.aggregate(cases, answers, rules).value.n > 1000
        assert time.perf_counter() - started < 5


# --- data, prompts, calls, folders ---


def data_folder(folder: Path, records: dict[str, Any], name: str = "basic_edit.json") -> Path:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(records), "utf-8")
    for record in records.values():
        path = folder / "singleturn" / record["id"]
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 30), "teal").save(path)
    return folder


RECORDS = {
    "1082": {"id": "animal/1.jpg", "prompt": "Smooth the shell.", "edit_type": "adjust"},
    "97": {"id": "for_add/2.jpg", "prompt": "Add a lamp.", "edit_type": "add"},
}


@pytest.mark.parametrize(
    "name", ["basic_edit.json", "Benchmark/Basic/basic_edit.json", "singleturn/singleturn.json"]
)
def test_records_are_read_as_they_are(tmp_path: Path, name: str) -> None:
    cases = BENCH.load(data_folder(tmp_path, RECORDS, name))
    assert [(case.id, case.instruction, case.category, case.problem) for case in cases] == [
        ("1082", "Smooth the shell.", "adjust", ""),
        ("97", "Add a lamp.", "add", ""),
    ]
    assert cases[0].images == (tmp_path / "singleturn" / "animal" / "1.jpg",)
    assert cases[0].entry.instruction == "Smooth the shell."
    assert dict(cases[0].entry.tags)["category"] == "adjust"


def test_what_is_wrong_with_a_record_is_said_on_its_case(tmp_path: Path) -> None:
    folder = data_folder(tmp_path, RECORDS)
    (folder / "singleturn" / "animal" / "1.jpg").unlink()
    records = {
        **RECORDS,
        "3": {"id": "../../etc/passwd", "prompt": "x", "edit_type": "add"},
        "4": {"id": "a.jpg", "prompt": "x", "edit_type": "paint"},
        "5": {"id": "for_add/2.jpg", "prompt": " ", "edit_type": "add"},
        "../6": {"id": "for_add/2.jpg", "prompt": "x", "edit_type": "add"},
        "7": "text",
        "8": {"id": "a" * 5000, "prompt": "x", "edit_type": "add"},
    }
    (folder / "basic_edit.json").write_text(json.dumps(records), "utf-8")
    problems = [case.problem for case in BENCH.load(folder)]
    for problem, words in zip(
        problems,
        [
            "not in the data folder",
            "",
            "outside",
            "none of",
            "no prompt",
            "file name",
            "no JSON object",
            "not in",
        ],
        strict=True,
    ):
        assert words in problem
        assert bool(words) == bool(problem)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[]", "expected an object of records"),
        ("{", "not valid JSON"),
        ('{"1": {"id": "a", "prompt": "x", "edit_type": "alter"}}', "altered copy"),
        ('{"1": {}, "1": {}}', "more than once"),
    ],
)
def test_a_wrong_file_is_refused_in_words(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "basic_edit.json").write_text(content, "utf-8")
    with pytest.raises(InputError, match=words):
        BENCH.load(tmp_path)


def test_a_wrong_folder_says_what_was_expected_and_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "holiday.txt").write_text("x")
    with pytest.raises(InputError, match=r"expected basic_edit\.json or .*it holds holiday\.txt"):
        BENCH.load(tmp_path)
    with pytest.raises(InputError, match="no data folder"):
        BENCH.load(tmp_path / "none")


def test_the_call_is_the_prompt_the_source_and_the_result_as_they_are(tmp_path: Path) -> None:
    cases = BENCH.load(data_folder(tmp_path, RECORDS))
    prompts_file = tmp_path / "prompts.json"
    prompts_file.write_text(json.dumps({name: f"{name}: <edit_prompt> / <edit_prompt>" for name in TYPES}))
    edited = tmp_path / "edited.png"
    Image.new("RGB", (20, 20), "red").save(edited)
    (call,) = BENCH.judge_calls(cases[0], edited, BENCH.prompts(tmp_path))
    text, source, result = call.parts
    assert text == "adjust: Smooth the shell. / Smooth the shell."
    assert not isinstance(source, str)
    assert not isinstance(result, str)
    assert source.encoded() == (tmp_path / "singleturn/animal/1.jpg").read_bytes()
    assert result.encoded() == edited.read_bytes()
    asked = GOLD["judge_requests"][0]
    assert asked["model"] in call.model.split(" or ")
    assert (call.temperature, call.max_tokens) == (None, None)
    assert f"data:{source.media_type};base64," == f"data:{result.media_type};base64," == asked["mime"]


def test_the_known_prompts_are_told_by_their_sum(tmp_path: Path) -> None:
    """The sums in the code are those of the gold case for the same instructions."""
    from editthinker.benchmarks.imgedit import PROBES

    words = {one["key"]: one["record"] for one in GOLD["inputs"]["samples"]}
    sums = {one["key"]: one["prompt_sha256"] for one in GOLD["judge_requests"]}
    gold = {(words[key]["edit_type"], words[key]["prompt"]): known for key, known in sums.items()}
    assert {(name, text): known for name, (text, known) in PROBES.items()}.items() <= gold.items()
    assert set(PROBES) == set(TYPES)
    (tmp_path / "prompts.json").write_text(json.dumps(dict.fromkeys(TYPES, "x <edit_prompt>")))
    assert len(BENCH.prompts(tmp_path).differences) == 9


def test_our_own_prompt_asks_for_what_the_strict_parser_reads() -> None:
    assert BENCH.prompts(None).texts == dict.fromkeys(TYPES, OURS)
    assert isinstance(
        BENCH.parse("marks", "Fine.\nInstruction: 5\nPreservation: 4\nQuality: 4", "strict"), Scores
    )


@pytest.mark.parametrize("folder", ["", "gen_image", "final/gen_image"])
def test_results_are_laid_out_and_found_again(tmp_path: Path, folder: str) -> None:
    cases = BENCH.load(data_folder(tmp_path / "data", RECORDS))
    jpeg = tmp_path / "edited.jpg"
    Image.new("RGB", (20, 20), "red").save(jpeg)
    out = tmp_path / "out"
    assert lay_out(BENCH, cases, {"97": jpeg}, out / folder) == ("1082",)
    found, missing = find_results(BENCH, cases, out)
    assert found == {"97": out / folder / "97.png"}
    assert missing == ("1082",)
    with Image.open(found["97"]) as image:
        assert image.format == "PNG"
    with pytest.raises(InputError, match="not an empty folder"):
        lay_out(BENCH, cases, {"97": jpeg}, out)
    with pytest.raises(InputError, match=r"expected files such as 1082\.png"):
        find_results(BENCH, cases, tmp_path / "data")
