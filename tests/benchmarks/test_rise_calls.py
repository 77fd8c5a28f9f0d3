"""RISEBench: the authors' calls, prompts and layouts, and data that is wrong."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from editthinker.benchmarks.layout import find_results, lay_out
from editthinker.benchmarks.prompts import Prompts, sha256_of, stamped
from editthinker.benchmarks.rise import Rise, plan
from editthinker.benchmarks.rise import prompts as rise_prompts
from editthinker.benchmarks.showing import Shown
from editthinker.benchmarks.suite import Case, Scores
from editthinker.benchmarks.table import RULES
from editthinker.core.errors import InputError
from editthinker.runs.opening import opened
from peers.rise_data import GOLD, written

RECORDS = GOLD["inputs"]["records"]
RISE = Rise()


def gold_cases(tmp_path: Path, records: Sequence[Mapping[str, Any]] = RECORDS) -> tuple[Case, ...]:
    return RISE.load(written(tmp_path, records))


def test_calls_are_those_of_the_authors(tmp_path: Path) -> None:
    """Templates, images and their order for every call of the gold plan."""
    cases = {case.id: case for case in gold_cases(tmp_path)}
    texts = {
        name: name + " {instruct} {reference}" for name in (*rise_prompts.PROBES, rise_prompts.UNCHECKED)
    }
    compared = 0
    for name, expected in GOLD["judge_plan"].items():
        case, edited = cases[name], Path("outputs/m/images") / f"{cases[name].category}/{name}.png"
        calls = RISE.judge_calls(case, edited, Prompts(texts, "x"))
        assert [call.kind for call in calls] == [call["judge"] for call in expected]
        for call, wanted, (_, template, _) in zip(calls, expected, plan(case), strict=True):
            assert template == wanted["template"]
            text, *images = call.parts
            assert isinstance(text, str)
            assert text.startswith(template)
            shown = [image for image in images if isinstance(image, Shown)]
            paths = [str(image.image).removeprefix(f"{tmp_path}/") for image in shown]
            assert paths == [part["image"] for part in wanted["parts"][1:]]
            assert {(image.quality, image.longest, image.detail) for image in shown} == {(75, 768, "high")}
            assert (call.model, call.temperature, call.max_tokens) == ("gpt-4.1-2025-04-14", 0, 4096)
            compared += 1
    assert compared == sum(map(len, GOLD["judge_plan"].values())) == 60


def test_one_record_without_question_changes_all_of_its_kind(tmp_path: Path) -> None:
    def template(records: Sequence[Mapping[str, Any]], folder: str) -> str:
        case = next(one for one in gold_cases(tmp_path / folder, records) if one.id == "logical_reasoning_1")
        return plan(case)[1][1]

    assert template(RECORDS, "a") == "prompt_logical_img_wo_q"
    without = [
        {key: value for key, value in record.items() if key != "reasoning_wo_ins"} for record in RECORDS
    ]
    assert template(without, "b") == "prompt_logical_img"


def test_images_are_shrunk_to_768_as_jpeg(tmp_path: Path) -> None:
    Image.new("RGBA", (1600, 800), (10, 200, 10, 128)).save(tmp_path / "edited.png")
    (case,) = gold_cases(tmp_path, RECORDS[:1])
    quality = RISE.judge_calls(case, tmp_path / "edited.png", RISE.prompts(None))[2]
    image = quality.parts[1]
    assert isinstance(image, Shown)
    with Image.open(io.BytesIO(image.encoded())) as sent:
        assert (sent.format, sent.mode, sent.size) == ("JPEG", "RGB", (768, 384))


def test_a_large_jpeg_is_shrunk_as_the_authors_do_it(tmp_path: Path) -> None:
    """Pillow decodes it at half its size already, unless it was converted before."""
    rng = random.Random(3)
    Image.frombytes("RGB", (400, 400), rng.randbytes(480_000)).resize((3200, 3200)).save(tmp_path / "big.jpg")
    with Image.open(tmp_path / "big.jpg") as image:
        image.thumbnail((768, 768))
        image.save(expected := io.BytesIO(), format="JPEG")
    assert Shown(tmp_path / "big.jpg", quality=75, longest=768).encoded() == expected.getvalue()


def test_prompts_are_read_from_a_checkout_and_checked(tmp_path: Path) -> None:
    (tmp_path / "utils.py").write_text(
        "import nothing_like_this\n"
        + "".join(
            f'{name} = """{name} {{instruct}}"""\n' for name in (*rise_prompts.PROBES, rise_prompts.UNCHECKED)
        )
    )
    prompts = RISE.prompts(tmp_path)
    assert prompts.state == "different"
    assert len(prompts.differences) == len(rise_prompts.PROBES) == 13
    table = stamped(RISE.aggregate((), {}, "strict"), prompts)
    assert not table.comparable
    (empty := tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"utils\.py"):
        RISE.prompts(empty)
    ours = RISE.prompts(None)
    assert set(ours.texts) == set(prompts.texts)
    for kind in ("judge1", "judge2", "judge3"):
        assert RISE.parse(kind, "Because.\nFinal Score: 4", "strict") == Scores((4.0,))


def test_known_prompts_are_official(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names = (*rise_prompts.PROBES, rise_prompts.UNCHECKED)
    (tmp_path / "utils.py").write_text("".join(f'{name} = "{name} {{instruct}}"\n' for name in names))
    texts = {name: name + " {instruct}" for name in names}
    probes = {
        name: (words, reference, sha256_of(rise_prompts.text(texts, name, {"instruct": words})))
        for name, (words, reference, _) in rise_prompts.PROBES.items()
    }
    monkeypatch.setattr(rise_prompts, "PROBES", probes)
    assert RISE.prompts(tmp_path).state == "verified"


def test_cases_become_samples_of_a_run(tmp_path: Path) -> None:
    (case, *_) = gold_cases(tmp_path)
    sample, _ = opened(case.entry)
    assert sample.instruction == "made-up: after one year"
    assert sample.source.size == (24, 16)
    assert sample.tags["category"] == "temporal_reasoning"
    assert "an older tree" not in str(sample)


def test_results_are_found_in_either_layout(tmp_path: Path) -> None:
    cases = gold_cases(tmp_path, RECORDS[:3])
    for name in (
        "images/temporal_reasoning/temporal_reasoning_1.jpeg",
        "temporal_reasoning/temporal_reasoning_2.png",
    ):
        (tmp_path / "out" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / name).write_bytes(b"x")
    found, missing = find_results(RISE, cases, tmp_path / "out")
    assert set(found) == {"temporal_reasoning_1", "temporal_reasoning_2"}
    assert missing == ("temporal_reasoning_3",)
    edited = dict.fromkeys(("temporal_reasoning_1", "temporal_reasoning_3"), cases[0].images[0])
    assert lay_out(RISE, cases, edited, tmp_path / "ours") == ("temporal_reasoning_2",)
    written_files = sorted(path.name for path in (tmp_path / "ours/images/temporal_reasoning").iterdir())
    assert written_files == ["temporal_reasoning_1.png", "temporal_reasoning_3.png"]


def test_bad_data_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"datav2_total_w_subtask\.json"):
        RISE.load(tmp_path)
    twice = tmp_path / "datav2_total_w_subtask.json"
    twice.write_text(json.dumps([RECORDS[0], RECORDS[0]]))
    with pytest.raises(InputError, match="temporal_reasoning_1"):
        RISE.load(tmp_path)
    twice.write_text(json.dumps([{**RECORDS[0], "index": "../../etc/passwd"}]))
    with pytest.raises(InputError, match="name of a result"):
        RISE.load(tmp_path)
    twice.write_text(json.dumps([{"index": "x", "category": "y"}]))
    with pytest.raises(InputError, match="no instruction"):
        RISE.load(tmp_path)
    twice.write_text(json.dumps([{**RECORDS[0], "image": "../../../etc/passwd"}, RECORDS[1]]))
    outside, absent = RISE.load(tmp_path)
    assert "outside" in outside.problem
    assert "is not in" in absent.problem
    blind = {key: value for key, value in RECORDS[-1].items() if key != "reference_img"}
    twice.write_text(json.dumps([blind]))
    (unjudgeable,) = RISE.load(tmp_path)
    assert RISE.judge_calls(unjudgeable, Path("x.png"), RISE.prompts(None)) == ()
    twice.write_text(json.dumps([{**RECORDS[0], "category": "counterfactual"}]))
    (strange,) = RISE.load(tmp_path)
    assert "counterfactual" in strange.problem
    assert RISE.judge_calls(strange, Path("x.png"), RISE.prompts(None)) == ()
    for rules in RULES:
        assert RISE.aggregate([strange], {strange.id: {}}, rules).value.mean == 0
