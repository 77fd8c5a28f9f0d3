"""`editthinker data`: the stages one after the other, and what can be wrong with a command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from editthinker.cli import main
from editthinker.core import reply
from editthinker.runs import RunFolder


def told(capsys: pytest.CaptureFixture[str], *words: object) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["data", *map(str, words), "--json"]) == 0, capsys.readouterr().err
    manifest: dict[str, Any] = json.loads(capsys.readouterr().out)
    return manifest


@pytest.fixture
def run_folder(folder: Path) -> Path:
    """A run of six trajectories: fakes that get better, on one photo each."""
    import asyncio

    from editthinker.core.episode import Episode
    from editthinker.core.limits import Limits
    from editthinker.core.types import Sample
    from editthinker.testing import ScriptedEditor, ScriptedThinker, photograph

    with RunFolder.create(folder / "r", {"editor": "scripted", "thinker": "scripted"}) as run:
        for number in range(6):
            tags = {"task": "style" if number % 2 else "background", "licence": "CC-BY-4.0"}
            if number == 5:
                tags["licence"] = "CC-BY-NC-ND-4.0"
            sample = Sample(
                (photograph(96, 64, seed=number),), f"warmer {number}", id=f"s{number}", tags=tags
            )
            thinker = ScriptedThinker((number, 8), (5, 8), (9, 9))
            recorder = run.recorder(sample)
            episode = Episode(sample, ScriptedEditor(), thinker, limits=Limits(turns=3), listener=recorder)
            asyncio.run(episode.run())
            recorder.finish(episode.trajectory)
    return folder / "r"


def test_from_a_run_to_training_files(
    run_folder: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(capsys, "filter", run_folder, "--out", "kept")["counts"]["kept"] == 6
    sides = told(capsys, "split", "kept", "--out", "sides", "--rl-share", "0.5")
    files = sides["files"]
    assert files["rl.jsonl"]["rows"] + files["sft.jsonl"]["rows"] == 6
    assert 1 <= files["rl.jsonl"]["rows"] <= 3
    steps = told(capsys, "unroll", "kept", "--out", "steps")
    assert steps["counts"]["kept"] == 18
    told(capsys, "balance", "steps", "--per-cell", "2", "--out", "even")
    clean = told(capsys, "check", "even", "--out", "clean", "--allow", "CC-BY-NC-ND-4.0")
    assert (
        clean["inputs"][0]["sha256"]
        == json.loads(Path("even/manifest.json").read_bytes())["files"]["steps.jsonl"]["sha256"]
    )
    allow = ("--allow", "CC-BY-NC-ND-4.0")
    for form in ("llamafactory", "easyr1", "trl"):
        made = told(capsys, "export", "clean", "--format", form, "--out", form, *allow)
        assert made["counts"]["kept"] == clean["counts"]["kept"]
    rows = json.loads(Path("llamafactory/sft_train.json").read_text("utf-8"))
    user, assistant = (message["content"] for message in rows[0]["messages"])
    assert user.startswith("<image><image>You check the work")
    assert '"""\nwarmer' in user
    assert reply.parse(assistant, previous_instruction="x").score
    assert all(Path(path).is_file() for row in rows for path in row["images"])


def test_the_same_commands_give_the_same_bytes(
    run_folder: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        told(capsys, "filter", run_folder, "--out", f"{name}1")
        told(capsys, "unroll", f"{name}1/trajectories.jsonl", "--out", f"{name}2")
        told(capsys, "balance", f"{name}2/steps.jsonl", "--total", "9", "--seed", "3", "--out", f"{name}3")
    for number in (1, 2, 3):
        one, other = ({p.name: p.read_bytes() for p in Path(f"{name}{number}").iterdir()} for name in "ab")
        assert one == other


def test_licences_that_must_not_be_mixed_stop_check_and_export(
    run_folder: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told(capsys, "filter", run_folder, "--out", "kept")
    told(capsys, "unroll", "kept", "--out", "steps")
    for verb in (
        ["check", "steps"],
        ["check", "steps", "--out", "x"],
        ["export", "steps", "--format", "trl", "--out", "x"],
    ):
        assert main(["data", *verb]) == 2
        err = capsys.readouterr().err
        assert "CC-BY-NC-ND-4.0 allows no derivatives and must not be mixed with CC-BY-4.0" in err
        assert "--allow" in err
    assert not Path("x").exists()


def test_check_without_a_place_for_rows_answers_by_its_exit_code(
    run_folder: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told(capsys, "filter", run_folder, "--out", "kept")
    allow = ["--allow", "CC-BY-NC-ND-4.0"]
    assert main(["data", "check", "kept", *allow]) == 0
    (folder / "bench").mkdir()
    with RunFolder.open(run_folder) as run:
        source = next(run.trajectories()).sample.images[0]
        run.picture(source).save(folder / "bench" / "b.jpg")
    assert main(["data", "check", "kept", *allow, "--against", "bench"]) == 1
    out = capsys.readouterr().out
    assert "dropped, contaminated: 1   such as s0 shows b.jpg" in out
    assert "licence CC-BY-4.0" in out


def test_stats_and_their_picture(run_folder: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures = told(capsys, "stats", run_folder, "--plot", "p.svg")
    assert figures["tasks"] == {"background": 3, "style": 3}
    assert Path("p.svg").read_text("utf-8").startswith("<svg ")
    assert main(["data", "stats", str(run_folder), "--plot", "p.svg"]) == 2
    assert "exists already" in capsys.readouterr().err
    assert main(["data", "stats", str(run_folder)]) == 0
    assert capsys.readouterr().out.startswith("6 trajectories, 18 scores\n")


def test_published_files_come_in(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = {
        "origin_prompt": "warm",
        "rewritten_prompt": "warmer",
        "origin_image_path": "photo.jpg",
        "edited_image_path": "photo.jpg",
        "evaluation": {"semantics": 3, "quality": 9},
    }
    Path("rl_train.jsonl").write_text(json.dumps(row), "utf-8")
    made = told(capsys, "import", "rl_train.jsonl", "--out", "in", "--tag", "licence=CC0-1.0")
    assert made["counts"]["noted"] == {"without_answer": 1}
    made = told(capsys, "export", "in", "--format", "easyr1", "--out", "out", "--relative")
    assert made["origins"] == [{"licence": "CC0-1.0", "provenance": "not said", "rows": 1}]
    assert json.loads(Path("out/rl_train.jsonl").read_text("utf-8"))["origin_image_path"] == "../photo.jpg"
    Path("sft_train.json").write_text("[]", "utf-8")
    assert main(["data", "import", "sft_train.json", "--out", "in2"]) == 2
    assert "prompt_template.txt" in capsys.readouterr().err


def test_what_goes_out_in_the_official_prompt_comes_back_in(
    run_folder: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "<image><image>\n# Look\n{original_instruction}\nwas sent as {rewritten_prompt}.\nScore {it}!"
    Path("t.txt").write_text(text, "utf-8")
    told(capsys, "filter", run_folder, "--out", "kept")
    told(capsys, "unroll", "kept", "--out", "steps")
    official = ("--prompt", "t.txt")
    told(
        capsys,
        "export",
        "steps",
        "--format",
        "llamafactory",
        "--out",
        "sft",
        *official,
        "--allow",
        "CC-BY-NC-ND-4.0",
    )
    rows = json.loads(Path("sft/sft_train.json").read_text("utf-8"))
    told_first = json.loads(Path("steps/steps.jsonl").read_text("utf-8").splitlines()[1])["instruction"]
    assert rows[1]["messages"][0]["content"].startswith(f"<image><image>\n# Look\n{told_first}\nwas sent as ")
    told(capsys, "import", "sft/sft_train.json", "--out", "back", "--images", ".", *official)
    same = ("instruction", "sent", "reasoning", "refined", "score")
    before, after = (
        [
            {k: json.loads(line).get(k) for k in same}
            for line in Path(name, "steps.jsonl").read_text("utf-8").splitlines()
        ]
        for name in ("steps", "back")
    )
    assert before == after


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["filter", "absent", "--out", "x"], "there is nothing at absent"),
        (["unroll", "absent", "--out", "x", "--last", "first"], "unknown way with the last turn 'first'"),
        (["split", "absent", "--out", "x", "--together", "no"], "known: follow, drop, ignore"),
        (["export", "absent", "--out", "x", "--format", "trk"], "unknown format 'trk'"),
        (["import", "absent", "--out", "x"], "there is nothing at absent"),
        (["import", ".", "--out", "x", "--tag", "licence"], "--tag takes NAME=VALUE"),
        (["stats", "absent"], "there is nothing at absent"),
        (["check", "absent"], "there is nothing at absent"),
        (["balance", "absent", "--out", "x", "--total", "1", "--per-cell", "1"], "either how many"),
        (["filter", "absent", "--out", "x", "--single", "no"], "known: settled, keep, drop"),
        (["score", "absent", "--out", "x"], "there is nothing at absent"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    assert main(["data", *words]) == 2
    err = capsys.readouterr().err
    assert sentence in err
    assert err.count("\n") == 1
    assert not list(folder.glob(".x*"))
    assert not Path("x").exists()


def test_further_images_and_the_region_are_part_of_the_question(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    mask = Image.new("L", (96, 64))
    mask.paste(255, (48, 0, 96, 64))
    mask.save("mask.png")
    for name in ("second.png", "edited.png"):
        Image.new("RGB", (96, 64), "red").save(name)
    row = {
        "kind": "step",
        "schema_version": 1,
        "id": "s",
        "key": "0" * 16,
        "instruction": "put the hat of image 2 on her",
        "images": [{"path": "photo.jpg"}, {"path": "second.png"}],
        "mask": {"path": "mask.png"},
        "turn": 2,
        "sent": "a red hat",
        "edited": {"path": "edited.png"},
        "score": {"semantic": 3, "quality": 8, "overall": 4.9},
        "reasoning": "no hat",
        "refined": "put a large red hat on her head",
    }
    Path("steps.jsonl").write_text(json.dumps(row) + "\n", "utf-8")
    told(capsys, "export", "steps.jsonl", "--format", "llamafactory", "--out", "out", "--relative")
    (made,) = json.loads(Path("out/sft_train.json").read_text("utf-8"))
    question = made["messages"][0]["content"]
    assert made["images"] == ["../photo.jpg", "../edited.png", "../second.png"]
    assert question.count("<image>") == 3
    assert question.index("Input image 2") < question.rindex("<image>")
    assert "from 50 % to 100 % of the width" in question
    made = told(capsys, "export", "steps.jsonl", "--format", "easyr1", "--out", "rl")
    assert made["counts"]["noted"] == {"further_images_left_out": 1}
    Path("mask.png").unlink()
    assert main(["data", "export", "steps.jsonl", "--format", "trl", "--out", "gone"]) == 2
    assert "1 missing_image" in capsys.readouterr().err
