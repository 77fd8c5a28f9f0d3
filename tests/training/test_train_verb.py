"""`editthinker train`: words in, a thinker and exit codes out, on one process and on two."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("trl")

import torch
from lesson_files import save, steps, training
from safetensors.torch import load_file

from editthinker.cli import main
from editthinker.core.records import score_record
from editthinker.core.types import Score
from editthinker.training import watching

GOOD = score_record(Score(9.0, 8.0))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return training(tmp_path_factory.mktemp("verb"))


def verb(*words: str | Path) -> int:
    return main(["train", *map(str, words)])


def test_from_a_recipe_to_a_reply(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EDITTHINKER_RUNS", str(tmp_path / "runs"))
    out = tmp_path / "out"
    rows = save(tmp_path / "one.jsonl", steps(tmp_path / "images", 1, first=1, score=GOOD))
    said = ("sft", made, f"out={out}", f"data.train={rows}", "optimiser.batch=2", "optimiser.steps=60")
    assert verb(*said, "optimiser.learning_rate=3e-3", "saving.every=1000", "--json") == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["measured"]["steps_trained"] == 60
    assert "step 60/60  loss" in told.err
    assert verb(*said, "optimiser.learning_rate=3e-3", "--quiet") == 0  # it is finished
    assert capsys.readouterr().err == ""
    name = f"local:{out}?max_tokens=200&pixels=4096&prompt={made.parent / 'prompt.txt'}"
    photo = tmp_path / "images" / "1-source.png"
    words = [
        "edit",
        str(photo),
        "make it warm",
        "--thinker",
        name,
        "-o",
        str(tmp_path / "e.png"),
        "--turns",
        "1",
    ]
    assert main([*words, "--json"]) == 0
    edited = json.loads(capsys.readouterr().out)
    assert edited["trajectory"]["turns"][0]["critique"]["reasoning"] == "too dark"


def test_a_dry_run_loads_and_writes_nothing(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verb("sft", made, f"out={tmp_path / 'out'}", "--dry-run", "--json", "--tflops", "0.01") == 0
    plan = json.loads(capsys.readouterr().out)
    assert (plan["rows"], plan["steps"], plan["tokens_are"]) == (12, 6, "measured")
    assert plan["hours"] > 0
    assert verb("sft", made, "--dry-run") == 0
    assert "on a device that holds everything" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
    assert verb("sft", made, "--dry-run", "model.base=Some/Model") == 2
    assert "the shape of 'Some/Model' is not known here" in capsys.readouterr().err


def test_exit_codes(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verb("sft", made, "model.loar=16") == 2
    assert "did you mean 'model.lora'?" in capsys.readouterr().err
    assert verb("sft", made, f"out={tmp_path / 'none'}", "--resume") == 2
    assert "to resume" in capsys.readouterr().err
    told = []

    def say(line: str) -> None:
        told.append(line)
        if line.startswith("step 3/"):
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("editthinker.cli.train.say", say)
    out = tmp_path / "out"
    assert verb("sft", made, f"out={out}", "optimiser.steps=500") == 130
    assert "the same command goes on from there" in told[-1]
    assert watching.complete(out / "training")


def test_two_processes_learn_what_one_does(made: Path, tmp_path: Path) -> None:
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    said = ["train", "sft", str(made), "optimiser.at_once=1", "optimiser.steps=4", "saving.every=3"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*launch, "-m", "editthinker.cli", *said, f"out={tmp_path / 'two'}"],
        capture_output=True, text=True, env=environment, check=True,
    )  # fmt: skip
    assert done.stderr.count("step 4/4") == 1
    assert main([*said, f"out={tmp_path / 'one'}", "--quiet"]) == 0
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    base = load_file(made.parent / "base" / "model.safetensors")
    moved = max(float((one[name] - base[name]).abs().max()) for name in one)
    apart = max(float((one[name] - two[name]).abs().max()) for name in one)
    assert apart < 1e-3 * moved
    measured = [json.loads((tmp_path / name / "measured.json").read_bytes()) for name in ("one", "two")]
    assert [each["processes"] for each in measured] == [1, 2]
    assert measured[0]["held_out"]["loss"] == pytest.approx(measured[1]["held_out"]["loss"], abs=1e-4)
    assert (tmp_path / "two" / "training" / "log.jsonl").read_text().count('"step": 4,') == 1
