"""GEdit-Bench: figures worked out by hand, every accident of the official parser, hostile replies."""

from __future__ import annotations

import io
import json
import math
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from editthinker.benchmarks.gedit import FIGURES, OURS, GEdit, viescore
from editthinker.benchmarks.gedit.data import TASKS
from editthinker.benchmarks.layout import find_results, lay_out
from editthinker.benchmarks.suite import Answers, Case, Reply, Scores, Unparsed
from editthinker.benchmarks.table import RULES, Table
from editthinker.core.errors import InputError

GOLD = json.loads((Path(__file__).parent / "gold" / "gedit.json").read_text("utf-8"))
BENCH = GEdit()


def case(name: str, task: str, *, inside: bool = False) -> Case:
    tags = {"language": "en", "intersection": "yes" if inside else "no"}
    return Case(name, "x", (Path("x"),), task, tags=tags, record={"key": name})


def replies(texts: Sequence[str | None]) -> list[Reply]:
    return [Reply(text) if text is not None else Reply(outcome="failed") for text in texts]


def gold(rules: Any) -> Table:
    cases = [case(one["key"], one["task"], inside=one["intersection"]) for one in GOLD["samples"]]
    answers = {
        one["key"]: {"SC": replies(one["SC"]), "PQ": replies(one["PQ"])}
        for one in GOLD["samples"]
        if one["SC"] or one["PQ"]
    }
    return BENCH.aggregate(cases, answers, rules)


@pytest.mark.parametrize("rules", ["official", "paper"])
def test_official_figures_are_those_worked_out_by_hand(rules: Any) -> None:
    table = gold(rules)
    samples = {
        one.case: [round(one.values[name], 4) for name in FIGURES] for one in table.scored if one.values
    }
    assert samples == GOLD["expected"]["samples"]
    lines = {
        line.name: [round(line.figures[name].mean, 4) for name in FIGURES]
        for line in table.lines
        if not math.isnan(line.figures["O"].mean)
    }
    assert lines == GOLD["expected"]["lines"]
    assert table.headline == ("all", "O")
    for words, count in GOLD["expected"]["fates"].items():
        (flag,) = [flag for flag in table.flags if words in flag]
        assert flag.startswith(f"{count} samples: ")


def test_an_empty_task_makes_the_official_average_nan_and_says_so() -> None:
    table = gold("official")
    line = table.line("intersection")
    assert line is not None
    assert math.isnan(line.figures["O"].mean)
    few = BENCH.aggregate([case("a", "ps_human")], {"a": good("[8, 8]", "[9, 9]")}, "official")
    assert math.isnan(few.value.mean)
    assert any("the official average is NaN" in flag for flag in few.flags)
    assert few.as_json()["headline"]["mean"] is None
    strict = BENCH.aggregate([case("a", "ps_human")], {"a": good("[8, 8]", "[9, 9]")}, "strict")
    assert strict.value.mean == math.sqrt(8 * 9)
    assert any("no sample of" in flag for flag in strict.flags)


def test_strict_gives_zero_to_what_is_missing_or_cannot_be_read() -> None:
    table = gold("strict")
    values = {one.case: one.values for one in table.scored}
    states = {one.case: one.state for one in table.scored}
    assert all(len(one) == 3 for one in values.values())
    for key, state in GOLD["expected"]["strict_states"].items():
        assert states[key] == state
        assert values[key] == dict.fromkeys(FIGURES, 0.0)
    assert table.value.n == len(GOLD["samples"])


def good(sc: str, pq: str) -> dict[str, list[Reply]]:
    return {"SC": [Reply(sc)], "PQ": [Reply(pq)]}


PLAIN = '{"score": [8, 7], "reasoning": "fine"}'


@pytest.mark.parametrize(
    ("text", "again", "found"),
    [
        (PLAIN, False, [8, 7]),
        (f"||V^=^V||\n{PLAIN}\n||V^=^V||", True, [8, 7]),
        (f"Sure!\n```json\n{PLAIN}\n```", True, [8, 7]),
        ('{"score": 7}', False, [7]),
        ('{"score": "high"}', False, ["high"]),
        ("[8, 7]", False, [8, 7]),
        ("I give [8,7] to it", False, [8, 7]),
        ("[8, 7, 6]", False, "drawn"),
        ("[8.5, 7]", False, "drawn"),
        ("[08, 7]", False, "stops"),
        (" 7\n", False, [7]),
        ("11", False, "drawn"),
        ("7.5", False, "drawn"),
        ("[8, 7]", True, "drawn"),
        ("7", True, "drawn"),
        ("", False, "drawn"),
        ("I'm sorry", True, "drawn"),
        ('{"score": [8, 7], "reasoning": "he said "no""}', False, "endless"),
        ("{score: 7, reasoning: good}", False, [7]),
        ("{score: [8, 7], reasoning: good}", False, "endless"),
        ('{"rating": 5}', False, "stops"),
        ('{"reasoning": "x"}', False, "endless"),
        ("||V^=^V||||V^=^V||", False, "endless"),
        ("||V^=^V||[8, 7]||V^=^V||", False, "stops"),
        ("} {", False, "endless"),
        ("rate_limit_exceeded", False, "stops"),
        ('{"score":\n [8,\n7]}', False, [8, 7]),
        ("{" * 100_000 + "}", False, "endless"),
        ("||V^=^V||" + "[" * 5000 + "||V^=^V||", False, "endless"),
        ('{"score":' + "[" * 5000 + "}", False, "stops"),
    ],
)
def test_every_accident_of_the_official_parser(text: str, again: bool, found: Any) -> None:
    assert viescore.scores_in(text, again=again) == found


@pytest.mark.parametrize(
    ("scores", "value"),
    [
        ([8, 7], 7.0),
        ([], None),
        (["8", "7"], None),
        ([8, None], None),
        ([True, 5], None),
        ([10**400], None),
        ([-3, 4], -3.0),
        ([12, 15], 12.0),
    ],
)
def test_what_the_official_code_makes_of_scores(scores: list[Any], value: float | None) -> None:
    assert viescore.lowest(scores) == value


def test_a_negative_score_stops_the_official_code_unless_there_are_two() -> None:
    assert viescore.official(['{"score": [-2, 5]}'], ['{"score": [8, 8]}']).fate == "stops"
    assert viescore.official(['{"score": [-2, 5]}'], ['{"score": [-8, 8]}']).overall == 4.0


def test_both_questions_are_asked_again_and_both_first_replies_dropped() -> None:
    sample = viescore.official([PLAIN, '{"score": [2, 9]}'], ["hm", '{"score": [9, 9]}'])
    assert (sample.sc, sample.pq) == (2, 9)
    assert viescore.official([PLAIN, "[2, 9]"], ["hm", '{"score": [9, 9]}']).fate == "drawn"
    only_one_asked_again = viescore.official([PLAIN], ["hm", '{"score": [9, 9]}'])
    assert (only_one_asked_again.sc, only_one_asked_again.pq) == (7, 9)


# --- hostile replies ---

ALPHABET = [*'{}[]",:0123456789 \n\r|V^=-+.e', '"score"', ": ", "||V^=^V||", "null", "NaN", "[8, 7]", "1e999"]
SEEDS = [PLAIN, f"||V^=^V||\n{PLAIN}\n||V^=^V||", "[8, 7]", "7", "{score: 7}", '{"score": [NaN, 3]}']


def mutated(rng: random.Random) -> str:
    text = rng.choice(SEEDS)
    for _ in range(rng.randint(0, 2)):
        place = rng.randint(0, len(text))
        text = text[:place] + rng.choice(ALPHABET) + text[place + rng.randint(0, 3) :]
    return text


def numbers(text: str) -> set[float]:
    """Every number that starts at some digit of the text."""
    found = set()
    for start, char in enumerate(text):
        for end in range(start + 1, min(len(text), start + 8) + 1) if char.isdigit() or char in "-." else ():
            try:
                found.add(float(text[start:end]))
            except ValueError:
                continue
    return found


def test_a_thousand_mutated_replies_never_break_it_nor_gain() -> None:
    rng = random.Random(5)
    texts = {str(number): (mutated(rng), rng.choice([mutated(rng), PLAIN])) for number in range(1000)}
    for text in {text for pair in texts.values() for text in pair}:
        read = BENCH.parse("SC", text, "strict")
        if isinstance(read, Scores):
            assert len(read.values) == 2
            assert set(read.values) <= {one for one in numbers(text) if 0 <= one <= 10}
    cases = [case(name, "ps_human") for name in texts]
    answers: Answers = {name: good(*pair) for name, pair in texts.items()}
    tables = [BENCH.aggregate(cases, answers, rules).scored for rules in ("strict", "official", "paper")]
    for one in zip(*tables, strict=True):
        strict, official, paper = (sample.values for sample in one)
        assert json.dumps(official) == json.dumps(paper)  # NaN is what it is
        if official:
            found = {official["SC"], official["PQ"]}
            assert found <= numbers(" ".join(texts[one[0].case])) or not all(map(math.isfinite, found))
        else:
            assert strict == dict.fromkeys(FIGURES, 0.0)
        assert all(not strict[name] > official.get(name, math.inf) for name in FIGURES if strict[name])
    assert 100 < sum(bool(one.values) for one in tables[1]) < 900


@pytest.mark.clock
def test_two_thousand_replies_are_scored_within_seconds() -> None:
    rng = random.Random(1)
    cases = [case(str(place), TASKS[place % 11], inside=place % 2 == 0) for place in range(2000)]
    answers: Answers = {one.id: good(mutated(rng), PLAIN) for one in cases}
    for rules in RULES:
        started = time.perf_counter()
        assert len(BENCH.aggregate(cases, answers, rules).lines) == 24
        assert time.perf_counter() - started < 5


@pytest.mark.clock
def test_a_reply_of_a_megabyte_takes_no_time() -> None:
    started = time.perf_counter()
    assert viescore.scores_in("{" + '"a' * 500_000 + "}") == "endless"
    assert time.perf_counter() - started < 1


def test_a_sample_of_no_known_task_is_in_no_figure() -> None:
    cases = [case("a", "ps_human"), case("b", "painting", inside=True)]
    for rules in RULES:
        table = BENCH.aggregate(cases, {"a": good("[8, 8]", "[8, 8]")}, rules)
        assert [(line.name, line.n) for line in table.lines] == [("all", 1), ("ps_human", 1)]
        assert any(flag.startswith("1 samples: of no known task") for flag in table.flags)


# --- data ---


def image_bytes(size: tuple[int, int] = (40, 30), *, kind: str = "PNG", orientation: int = 1) -> bytes:
    stream = io.BytesIO()
    exif = Image.Exif()
    exif[274] = orientation
    Image.new("RGB", size, "teal").save(stream, kind, exif=exif)
    return stream.getvalue()


def rows() -> list[dict[str, Any]]:
    made = []
    for place, (task, language) in enumerate(
        [(TASKS[0], "en"), (TASKS[6], "en"), (TASKS[6], "cn"), (TASKS[6], "en")]
    ):
        made.append(
            {
                "task_type": task,
                "key": f"{place % 2:032x}",
                "instruction": f"words {place}",
                "instruction_language": language,
                "input_image": {"bytes": image_bytes(), "path": None},
                "input_image_raw": {"bytes": image_bytes(), "path": None},
                "Intersection_exist": place != 1,
            }
        )
    return made


def as_parquet(folder: Path) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    (folder / "data").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows()[:2]), folder / "data" / "train-00000.parquet")
    pq.write_table(pa.Table.from_pylist(rows()[2:]), folder / "data" / "train-00001.parquet")
    return folder


def as_saved(folder: Path) -> Path:
    import datasets

    features = datasets.Features(
        {
            name: datasets.Value("string")
            for name in ("task_type", "key", "instruction", "instruction_language")
        }
        | {"input_image": datasets.Image(), "input_image_raw": datasets.Image()}
        | {"Intersection_exist": datasets.Value("bool")}
    )
    datasets.Dataset.from_list(rows(), features=features).save_to_disk(str(folder / "train"))
    return folder


def as_exported(folder: Path) -> Path:
    (folder / "images").mkdir(parents=True)
    lines = []
    for place, row in enumerate(rows()):
        (folder / "images" / f"{place}.png").write_bytes(row["input_image"]["bytes"])
        words = {name: value for name, value in row.items() if not name.startswith("input_image")}
        lines.append(json.dumps({**words, "file_name": f"{place}.png"}))
    (folder / "metadata.jsonl").write_text("\n".join(lines), "utf-8")
    return folder


@pytest.mark.parametrize("make", [as_parquet, as_saved, as_exported])
def test_every_form_of_the_data_gives_the_same_cases(tmp_path: Path, make: Any) -> None:
    data = make(tmp_path / "data")
    cases = GEdit().load(data)
    key = f"{1:032x}"
    assert [(one.id, one.instruction, one.problem) for one in cases] == [
        (f"background_change/{0:032x}", "words 0", ""),
        (f"subject-add/{key}", "words 1", ""),
        (f"subject-add/{key}#2", "words 3", ""),
    ]
    assert [one.instruction for one in GEdit("cn").load(data)] == ["words 2"]
    assert [one.instruction for one in GEdit(subset="intersection").load(data)] == ["words 0", "words 3"]
    assert BENCH.where(cases[1]).edited == f"fullset/subject-add/en/{key}.png"
    first = BENCH.judge_calls(cases[0], tmp_path / "none", BENCH.prompts(None))[0].parts[1]
    assert not isinstance(first, str)
    assert Image.open(io.BytesIO(first.encoded())).size == (40, 30)


def test_uniworlds_records_are_read_as_english(tmp_path: Path) -> None:
    record = {"prompt": "Add a hat.", "id": "fullset/subject-add/en/abc.png", "edit_type": "subject-add"}
    (tmp_path / "gedit_edit.json").write_text(json.dumps({"abc": record}), "utf-8")
    (only,) = BENCH.load(tmp_path)
    assert (only.id, only.instruction, only.tags) == ("subject-add/abc", "Add a hat.", {"language": "en"})
    assert "not in the data folder" in only.problem


def test_a_wrong_folder_or_language_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no data folder"):
        BENCH.load(tmp_path / "none")
    with pytest.raises(InputError, match="is not GEdit-Bench: expected a saved dataset"):
        BENCH.load(tmp_path)
    data = as_exported(tmp_path / "data")
    with pytest.raises(InputError, match="no records of language 'zh'; it has 3 of en, 1 of cn"):
        GEdit("zh").load(data)  # type: ignore[arg-type]
    (data / "metadata.jsonl").write_text("{")
    with pytest.raises(InputError, match=r"line 1 of .* is not valid JSON"):
        BENCH.load(data)


def test_the_edited_image_is_brought_to_the_upright_sources_size(tmp_path: Path) -> None:
    source, edited = tmp_path / "source.jpg", tmp_path / "edited.png"
    source.write_bytes(image_bytes((60, 20), kind="JPEG", orientation=6))
    edited.write_bytes(image_bytes((33, 44)))
    one = Case("a", "paint it", (source,), TASKS[0], tags={"language": "en"}, record={"key": "a"})
    sc, pq = BENCH.judge_calls(one, edited, BENCH.prompts(None))
    assert [call.kind for call in (sc, pq)] == ["SC", "PQ"]
    assert [(call.model, call.temperature, call.max_tokens) for call in (sc, pq)] == [
        ("gpt-4.1", None, 1400)
    ] * 2
    assert len(sc.parts) == 3
    assert len(pq.parts) == 2
    assert "paint it" in str(sc.parts[0])
    for call in (sc, pq):
        for part in call.parts[1:]:
            assert not isinstance(part, str)
            with Image.open(io.BytesIO(part.encoded())) as image:
                assert (image.format, image.size) == ("JPEG", (20, 60))


def test_the_official_constants_make_both_prompts(tmp_path: Path) -> None:
    folder = tmp_path / "GEdit-Bench" / "viescore"
    folder.mkdir(parents=True)
    (folder / "vie_prompts.py").write_text(
        '_context_no_delimit = """context"""\n_prompts_0shot_two_image_edit_rule = """rules\n"""\n'
        '_prompts_0shot_tie_rule_SC = """\nEdit: <instruction>\n"""\n_prompts_0shot_rule_PQ = """look"""\n'
    )
    read = BENCH.prompts(tmp_path)
    assert read.texts == {"SC": "context\nrules\n\n\nEdit: <instruction>\n", "PQ": "context\nlook"}
    assert len(read.differences) == 4
    assert read.state == "different"
    assert "lmms-eval 2bb5e98" in read.differences[0], "not Step1X-Edit's own file, which was not at hand"


def test_our_own_prompts_ask_for_what_the_strict_parser_reads() -> None:
    assert BENCH.prompts(None).texts == OURS
    assert isinstance(BENCH.parse("SC", '{"score": [8, 9], "reasoning": "ok"}', "strict"), Scores)
    assert isinstance(BENCH.parse("SC", '{"score": [true, 8]}', "strict"), Unparsed)
    refused = BENCH.parse("SC", '{"score": 8}', "strict")
    assert isinstance(refused, Unparsed)
    assert "1 entries instead of 2" in refused.reason


def test_results_are_laid_out_with_their_sources_and_found_again(tmp_path: Path) -> None:
    cases = BENCH.load(as_exported(tmp_path / "data"))
    edited = tmp_path / "edited.png"
    edited.write_bytes(image_bytes())
    out = tmp_path / "out"
    lay_out(BENCH, cases, {cases[0].id: edited}, out)
    place = out / "fullset" / "background_change" / "en"
    assert sorted(path.name for path in place.iterdir()) == [f"{0:032x}.png", f"{0:032x}_SRCIMG.png"]
    found, missing = find_results(BENCH, cases, out)
    assert found == {cases[0].id: place / f"{0:032x}.png"}
    assert missing == (cases[1].id, cases[2].id)
