"""KRIS-Bench: the authors' calls, the means of three rules, samples of several images, data that is wrong."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from editthinker.benchmarks.kris import Kris
from editthinker.benchmarks.kris import prompts as kris_prompts
from editthinker.benchmarks.kris import scoring as kris_scoring
from editthinker.benchmarks.layout import find_results, lay_out
from editthinker.benchmarks.prompts import Prompts
from editthinker.benchmarks.showing import Shown
from editthinker.benchmarks.suite import Answers, Case, Reply, Scores, Unparsed
from editthinker.benchmarks.table import RULES, Rules, Table
from editthinker.core.errors import InputError
from editthinker.runs.opening import opened
from peers.kris_data import written

KRIS = Kris()
NAN = math.nan


def loaded(folder: Path) -> dict[str, Case]:
    return {case.id: case for case in KRIS.load(written(folder))}


# ---- calls -----------------------------------------------------------------------------------------------


def asked(case: Case, prompts: Prompts | None = None) -> dict[str, list[str]]:
    """Kind -> what is sent, images by their names."""
    texts = {name: name + " {instruct}|{explanation}|{N}|{{json}}" for name in kris_prompts.NAMES}
    calls = KRIS.judge_calls(case, Path("results/edited.jpg"), prompts or Prompts(texts, "x"))
    assert all((call.model, call.temperature, call.max_tokens) == ("gpt-4o", None, 1000) for call in calls)
    return {
        call.kind: [part if isinstance(part, str) else Path(str(part.image)).name for part in call.parts]
        for call in calls
    }


def test_common_calls(tmp_path: Path) -> None:
    assert asked(loaded(tmp_path)["color_change/2"]) == {
        "consistency": [
            "prompt_consist Make it {red}.||{N}|{json}",
            "This is the original image:",
            "2.png",
            "This is the edited image:",
            "edited.jpg",
        ],
        "instruction": [
            "prompt_instruction_following Make it {red}.||{N}|{json}",
            "This is the original image:",
            "2.png",
            "This is the edited image:",
            "edited.jpg",
        ],
        # sent as it stands in the file: the script formats it not
        "quality": [
            "prompt_quality {instruct}|{explanation}|{N}|{{json}}",
            "This is the edited image:",
            "edited.jpg",
        ],
    }
    abnormal = asked(loaded(tmp_path)["anomaly_correction/1"])["instruction"][0]
    assert abnormal.startswith("prompt_instruction_following"), "the prompt for anomalies is dead code"


def test_knowledge_calls_are_dual(tmp_path: Path) -> None:
    calls = asked(loaded(tmp_path)["chemistry/1"])
    assert list(calls) == ["knowledge:consistency", "knowledge:instruction", "knowledge:quality"]
    assert calls["knowledge:instruction"][0] == "prompt_dual_evaluation Add sodium.|It boils.|{N}|{json}"


def test_viewpoint_shows_the_truth_to_one_call(tmp_path: Path) -> None:
    calls = asked(loaded(tmp_path)["viewpoint_change/1"])
    assert calls["instruction"][0].startswith("prompt_view_instruction_following")
    assert calls["instruction"][5:] == ["This is the ground truth image:", "1_gt.jpg"]
    assert len(calls["consistency"]) == 5


def test_several_references_are_numbered(tmp_path: Path) -> None:
    calls = asked(loaded(tmp_path)["multi-element_composition/25"])
    expected = [part for number in range(1, 6) for part in (f"Reference Image {number}:", f"25-{number}.jpg")]
    for kind, name in (("consistency", "prompt_consist_multi"), ("instruction", "prompt_instruction_multi")):
        text, *shown = calls[f"several:{kind}"]
        assert text.startswith(name)
        assert shown == [*expected, "Predicted Image:", "edited.jpg"]
    assert calls["several:quality"][1:] == ["This is the image to evaluate:", "edited.jpg"]


def test_frames_stand_in_their_order_with_the_generated_one_at_its_place(tmp_path: Path) -> None:
    cases = loaded(tmp_path)
    text, *shown = asked(cases["temporal_prediction/16"])["several:consistency"]
    assert text == "prompt_consist_temporal Generate the frame.||2|{json}"
    assert shown == [
        "Frame 1 (Reference):",
        "16-1.jpg",
        "Frame 2 (Generated):",
        "edited.jpg",
        "Frame 3 (Reference):",
        "16-3.jpg",
        "Frame 4 (Reference):",
        "16-4.jpg",
    ]
    first = asked(cases["temporal_prediction/3"])["several:instruction"]
    assert first[1:3] == ["Frame 1 (Generated):", "edited.jpg"]


def test_bytes_are_raw_but_for_frames(tmp_path: Path) -> None:
    cases = loaded(tmp_path)
    edited = tmp_path / "edited.png"
    Image.new("RGBA", (40, 30), (1, 2, 3, 4)).save(edited)
    for name, raw in (("color_change/1", True), ("temporal_prediction/16", False)):
        quality = KRIS.judge_calls(cases[name], edited, KRIS.prompts(None))[2]
        image = quality.parts[2]
        assert isinstance(image, Shown)
        assert image.media_type == "image/jpeg"
        assert (image.encoded() == edited.read_bytes()) is raw
        if not raw:
            with Image.open(io.BytesIO(image.encoded())) as sent:
                assert (sent.format, sent.size) == ("JPEG", (40, 30))
            stream = io.BytesIO()
            with Image.open(edited) as opened_:
                opened_.convert("RGB").save(stream, "JPEG", quality=85)
            assert image.encoded() == stream.getvalue()


def test_prompts_come_from_a_checkout(tmp_path: Path) -> None:
    (tmp_path / "utils").mkdir()
    lines = [f'{name} = """{name} {{instruct}} {{{{"x": 1}}}}"""\n' for name in kris_prompts.NAMES]
    (tmp_path / "utils" / "prompts.py").write_text("".join(lines))
    prompts = KRIS.prompts(tmp_path)
    assert set(prompts.texts) == set(KRIS.prompts(None).texts) == set(kris_prompts.NAMES)
    assert prompts.state == "not verified"
    (tmp_path / "utils" / "prompts.py").write_text("".join(lines[1:]))
    with pytest.raises(InputError, match="prompt_consist"):
        KRIS.prompts(tmp_path)


def test_our_own_prompts_ask_for_what_strict_reads(tmp_path: Path) -> None:
    ours = KRIS.prompts(None)
    for case in loaded(tmp_path).values():
        for call in KRIS.judge_calls(case, Path("x.jpg"), ours):
            text = call.parts[0]
            assert isinstance(text, str)
            form = text[text.index('{"reasoning') :].replace("<a few sentences>", "Because 1 is 1.")
            form = form.replace("<whole number from 1 (not at all) to 5 (completely)>", "4")
            read = KRIS.parse(call.kind, form, "strict")
            assert isinstance(read, Scores), (call.kind, form)
            assert set(read.values) == {4.0}
            assert json.loads(form)


# ---- tables ----------------------------------------------------------------------------------------------


def replies(
    case: Case, consistency: Any, instruction: Any, quality: Any, knowledge: Any = None
) -> dict[str, Any]:
    """Answers of one case; None: a reply that cannot be read."""

    def reply(**scores: Any) -> tuple[Reply, ...]:
        said = {f"{name}_score": score for name, score in scores.items() if score is not None}
        return (Reply(json.dumps({"reasoning": "", **said}) if said else "no idea", model="judge-1"),)

    kinds = [kris_scoring.kind_of(case.category, call) for call in kris_scoring.CALLS]
    dual = {"knowledge": knowledge} if case.category in kris_scoring.DUAL else {}
    said = (reply(consistency=consistency), reply(instruction=instruction, **dual), reply(quality=quality))
    return dict(zip(kinds, said, strict=True))


def made_up(tmp_path: Path) -> tuple[list[Case], Answers]:
    cases = loaded(tmp_path)
    marks: dict[str, Sequence[Any]] = {
        "color_change/1": (5, 4, 3),  # 100 75 50 -> 75
        "color_change/2": (1, None, 2),  # 0 - 25 -> 12.5 official; dropped by paper; strict 0 0 25 -> 8.33
        "chemistry/1": (5, 5, 4, 2),  # 100 100 75 25 -> 75
        "multi-element_composition/3": (3, 3, 3),  # 50
        "temporal_prediction/16": (2, 2, 5),  # 25 25 100 -> 50
    }
    kept = [cases[name] for name in (*marks, "viewpoint_change/1")]  # the last has no edited image
    return kept, {name: replies(cases[name], *given) for name, given in marks.items()}


def value(table: Table, line: str, figure: str = "AVG") -> float:
    found = table.line(line)
    assert found is not None, line
    return found.figures[figure].mean


def test_official_is_the_mean_over_samples(tmp_path: Path) -> None:
    table = KRIS.aggregate(*made_up(tmp_path), "official")
    assert table.headline == ("all", "AVG")
    assert value(table, "all") == pytest.approx((75 + 12.5 + 75 + 50 + 50) / 5)
    assert value(table, "all without temporal") == pytest.approx((75 + 12.5 + 75 + 50) / 4)
    assert value(table, "Attribute Perception") == pytest.approx((75 + 12.5) / 2)
    assert value(table, "Factual Knowledge") == pytest.approx((75 + 12.5 + 50) / 3)
    assert value(table, "Conceptual Knowledge") == 75
    assert value(table, "Procedural Knowledge") == 50
    assert value(table, "all", "VC") == pytest.approx((100 + 0 + 100 + 50 + 25) / 5)
    assert value(table, "all", "IF") == pytest.approx((75 + 100 + 50 + 25) / 4)
    assert value(table, "all", "KP") == 25
    line = table.line("all")
    assert line is not None
    assert (line.n, line.missing, line.unparsed, line.figures["AVG"].n) == (6, 1, 1, 5)
    assert math.isnan(value(table, "Spatial Perception"))
    assert any("not counted" in flag for flag in table.flags)
    assert any("left out of their samples' means (1)" in flag for flag in table.flags)
    assert any(flag.startswith("no samples of abstract_reasoning") for flag in table.flags)
    assert table.judge == "judge-1"


def test_paper_is_flat_over_scores_without_temporal_and_incomplete_samples(tmp_path: Path) -> None:
    table = KRIS.aggregate(*made_up(tmp_path), "paper")
    flat = [100, 75, 50, 100, 100, 75, 25, 50, 50, 50]
    assert value(table, "all") == pytest.approx(sum(flat) / len(flat))
    assert value(table, "Factual Knowledge") == pytest.approx((100 + 75 + 50) / 3)
    assert value(table, "all", "VC") == pytest.approx((100 + 100 + 50) / 3)
    assert table.line("Temporal Prediction") is None
    assert any("temporal_prediction is left out (1)" in flag for flag in table.flags)
    average = table.line("all").figures["AVG"]  # type: ignore[union-attr]
    assert average.low <= average.mean <= average.high


def test_strict_counts_everything(tmp_path: Path) -> None:
    table = KRIS.aggregate(*made_up(tmp_path), "strict")
    samples = (75 + (0 + 0 + 25) / 3 + 75 + 50 + 50 + 0) / 6
    assert value(table, "all") == pytest.approx(samples)
    assert value(table, "Spatial Perception") == 0
    official = KRIS.aggregate(*made_up(tmp_path), "official")
    assert table.value.mean < official.value.mean


@pytest.mark.parametrize("rules", ["official", "paper", "strict"])
def test_a_mark_that_no_float_holds_ends_nothing(tmp_path: Path, rules: Rules) -> None:
    cases, answers = made_up(tmp_path)
    huge = {**answers["color_change/1"], "quality": (Reply(f'{{"quality_score": {"9" * 400}}}'),)}
    table = KRIS.aggregate(cases, {**answers, "color_change/1": huge}, rules)
    assert math.isfinite(value(table, "Procedural Knowledge"))


def test_strict_takes_a_second_reply_and_the_scripts_do_not(tmp_path: Path) -> None:
    cases, answers = made_up(tmp_path)
    second = (Reply("no idea"), Reply('{"instruction_score": 5}'))
    again = {**answers, "color_change/2": {**answers["color_change/2"], "instruction": second}}
    found = {one.case: one for one in KRIS.aggregate(cases, again, "strict").scored}
    assert found["color_change/2"].values["IF"] == 100
    assert (
        "IF"
        not in {one.case: one for one in KRIS.aggregate(cases, again, "official").scored}[
            "color_change/2"
        ].values
    )


def test_half_a_dual_reply_keeps_its_half(tmp_path: Path) -> None:
    case = loaded(tmp_path)["chemistry/1"]
    answers = {case.id: replies(case, 5, 4, 5, None)}
    official = KRIS.aggregate([case], answers, "official").scored[0]
    assert official.values == {"VC": 100, "IF": 75, "VQ": 100, "AVG": pytest.approx(275 / 3)}
    assert official.state == "unparsed"
    assert KRIS.aggregate([case], answers, "strict").scored[0].values["KP"] == 0
    read = KRIS.parse("knowledge:instruction", '{"instruction_score": 4}', "official")
    assert isinstance(read, Scores)
    assert read.values[0] == 4
    assert math.isnan(read.values[1])
    assert isinstance(KRIS.parse("knowledge:instruction", '{"instruction_score": 4}', "strict"), Unparsed)


def test_order_does_not_matter_and_missing_never_helps(tmp_path: Path) -> None:
    cases, answers = made_up(tmp_path)
    for rules in RULES:
        one, other = (KRIS.aggregate(order, answers, rules) for order in (cases, cases[::-1]))
        for line in one.lines:
            assert value(other, line.name) == pytest.approx(value(one, line.name), nan_ok=True, abs=0)
        assert KRIS.aggregate((), {}, rules).lines == ()
    whole = KRIS.aggregate(cases, answers, "strict").value.mean
    for gone in answers:
        left = {name: found for name, found in answers.items() if name != gone}
        strict, official = (KRIS.aggregate(cases, left, rules).value.mean for rules in ("strict", "official"))
        assert strict <= min(whole, official)


# ---- data ------------------------------------------------------------------------------------------------


def test_several_images_become_one_sample(tmp_path: Path) -> None:
    case = loaded(tmp_path)["multi-element_composition/25"]
    sample, _ = opened(case.entry)
    assert len(sample.images) == 5
    widths = [image.size[0] for image in sample.images]
    assert widths == sorted(widths), "in the order of the record"
    frames, _ = opened(loaded(tmp_path)["temporal_prediction/16"].entry)
    assert len(frames.images) == 3
    assert "boils" not in str(opened(loaded(tmp_path)["chemistry/1"].entry)[0].tags)


def test_counts_are_those_of_the_paper() -> None:
    sizes = {
        name: sum(kris_scoring.COUNTS[one] for one in members)
        for name, members in kris_scoring.DIMENSIONS.items()
    }
    assert sum(kris_scoring.COUNTS.values()) == 1267
    assert list(sizes.values()) == [275, 100, 74, 125, 393, 150, 150]
    assert len(kris_scoring.DUAL) == 10
    assert set(kris_scoring.DIMENSION_OF) == set(kris_scoring.COUNTS)


def test_results_are_found_and_laid_out(tmp_path: Path) -> None:
    cases = list(loaded(tmp_path).values())
    for name in ("chemistry/1.jpg", "color_change/2.png"):
        (tmp_path / "out" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / name).write_bytes(b"x")
    found, missing = find_results(KRIS, cases, tmp_path / "out")
    assert set(found) == {"chemistry/1", "color_change/2"}
    assert len(missing) == len(cases) - 2
    edited = {"color_change/2": loaded(tmp_path)["color_change/2"].images[0]}
    lay_out(KRIS, cases, edited, tmp_path / "ours")
    with Image.open(tmp_path / "ours" / "color_change" / "2.jpg") as image:
        assert image.format == "JPEG", "the official script looks for .jpg only"


def test_bad_data_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="annotation"):
        KRIS.load(tmp_path)
    place = written(tmp_path) / "KRIS_Bench"
    (place / "color_change" / "1.jpg").unlink()
    bad = {
        "1": {"ori_img": ["1-2.jpg", "x.jpg"], "ins_en": "Go."},
        "2": {"ori_img": [], "ins_en": "Go."},
        "3": "no record",
        "4": {"ori_img": "1-2.jpg"},
        "5": {"ori_img": "../../../../../../etc/passwd", "ins_en": "Go."},
    }
    (place / "temporal_prediction" / "annotation.json").write_text(json.dumps(bad))
    for name in ("1-2.jpg", "x.jpg"):
        Image.new("RGB", (20, 20)).save(place / "temporal_prediction" / name)
    (place / "viewpoint_change" / "annotation.json").write_text(
        json.dumps({"1": {"ori_img": "1.jpg", "ins_en": "Go."}})
    )
    problems = {case.id: case.problem for case in KRIS.load(tmp_path)}
    assert "is not in" in problems["color_change/1"]
    assert "named by their number" in problems["temporal_prediction/1"]
    assert all(problems[f"temporal_prediction/{key}"] for key in "2345")
    assert "outside" in problems["temporal_prediction/5"]
    assert "ground truth" in problems["viewpoint_change/1"]
    assert problems["chemistry/1"] == ""
    broken = next(case for case in KRIS.load(tmp_path) if case.id == "viewpoint_change/1")
    assert KRIS.judge_calls(broken, Path("x.jpg"), KRIS.prompts(None)) == ()
    (place / "chemistry" / "annotation.json").write_text('{"1": {}, "1": {}}')
    with pytest.raises(InputError, match="more than once"):
        KRIS.load(tmp_path)
    (place / "chemistry" / "annotation.json").write_text('{"../1": {}}')
    with pytest.raises(InputError, match="name of a result"):
        KRIS.load(tmp_path)
