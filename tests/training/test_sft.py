"""SFT on a tiny Qwen3-VL of random weights: what is learned, what comes out, what survives."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

import torch
from lesson_files import save, steps, training
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText

from editthinker.core.contracts import View
from editthinker.core.errors import EditThinkerError, InputError, StoreError
from editthinker.core.images import Picture
from editthinker.core.types import Sample, Score
from editthinker.thinkers.local import LocalThinker, loading
from editthinker.training import checkpoints, lessons, recipe, sft, watching
from editthinker.training.session import Session
from peers.tiny_qwen import tiny_qwen3vl

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings(
        "ignore::DeprecationWarning",
        "ignore::UserWarning",
        "ignore:.*is_gradient_checkpointing:FutureWarning",  # peft 0.21 reads what transformers 5.23 renamed
    ),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recipe of a tiny training; its folder has the base and the steps."""
    torch.set_num_threads(1)
    return training(tmp_path_factory.mktemp("sft"))


@pytest.fixture(scope="module")
def whole(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an uninterrupted training wrote."""
    return train(made, tmp_path_factory.mktemp("whole") / "out")


def train(
    file: Path, out: Path, *said: str, tell: Callable[[str], None] = lambda _: None, **more: Any
) -> Path:
    return sft.train(recipe.read("sft", file, [*said, f"out={out}"]), out, tell=tell, **more)  # type: ignore[arg-type]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def same(one: Path, other: Path) -> bool:
    a, b = weights(one), weights(other)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def steps_told(lines: list[str]) -> list[int]:
    return [int(line.split()[1].partition("/")[0]) for line in lines if line.startswith("step ")]


def test_the_folder_is_a_model_with_a_card(whole: Path) -> None:
    model = AutoModelForImageTextToText.from_pretrained(whole)
    assert model.dtype == torch.float32
    measured = json.loads((whole / "measured.json").read_bytes())
    assert measured["held_out"]["steps"] == 4
    assert 0 < measured["held_out"]["loss"] < 7.0  # untrained: ln 1208 = 7.1 and above
    card = (whole / "README.md").read_text()
    assert card.startswith("---\nbase_model:")
    assert "CC-BY-4.0" in card
    assert str(whole.parent) not in card


def test_a_killed_training_ends_in_the_same_weights(made: Path, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for last in (1, 3, 5):  # in the middle of any of these steps; a checkpoint is written after 2, 4, 6
        killed_after(last, lambda tell: train(made, out, tell=tell))
    told: list[str] = []
    train(made, out, tell=told.append)
    assert steps_told(told)[0] in (5, 6)
    assert same(out, whole)


def killed_after(step: int, work: Callable[[Callable[[str], None]], object]) -> None:
    """Do the work in another process, and kill that when it tells of this step."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            work(lambda line: os.write(writing, f"{line}\n".encode()) and None)
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as lines:
        assert any(line.startswith(f"step {step}/") for line in lines), "it ended before that"
        os.kill(child, signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def test_only_the_answer_is_learned(made: Path, tmp_path: Path) -> None:
    seen: list[dict[str, torch.Tensor]] = []

    class Watched(sft.SFTTrainer):
        def training_step(self, model: Any, inputs: Any, *more: Any) -> Any:
            seen.append({name: value.clone() for name, value in inputs.items()})
            return super().training_step(model, inputs, *more)

    out = tmp_path / "out"
    train(made, out, "optimiser.steps=3", "data.held_out=[]", trainer=Watched)
    made_of = lessons.Steps(next((out / "training").glob("train-*")), lessons.asking("grammar", None), 4096)
    assert made_of[0]["tags"]["task"] == "style"
    answers = {f"{made_of.answer(number)}<|im_end|>\n" for number in range(len(made_of))}
    tokenizer = checkpoints.load(recipe.read("sft", made).model).processor.tokenizer
    learned = [tokenizer.decode(row[row != -100]) for batch in seen for row in batch["labels"]]
    assert len(learned) == 12
    assert set(learned) <= answers
    images = sum(len(batch["image_grid_thw"]) for batch in seen)
    assert images == sum(
        2 + (number % 3 == 0) for number in range(12)
    )  # one epoch: every image of every step
    longest = max(int(batch["attention_mask"].sum(1).max()) for batch in seen)
    assert made_of.manifest["counts"]["facts"]["tokens_longest"] == longest  # as it was counted beforehand


def test_a_frozen_tower_stays_and_the_rest_moves(made: Path, tmp_path: Path) -> None:
    said = ["model.freeze_vision=true", "optimiser.steps=2", "data.held_out=[]", "data.workers=1"]
    told: list[str] = []
    out = train(made, tmp_path / "out", *said, 'saving.report_to=["tensorboard"]', tell=told.append)
    before, after = weights(made.parent / "base"), weights(out)
    for name, weight in before.items():
        assert torch.equal(weight, after[name]) == (".visual." in name), name
    without = any(line.startswith("tensorboard is not installed") for line in told)
    assert without != (out / "training" / "tensorboard").is_dir()


def test_computing_activations_twice_changes_nothing(made: Path, whole: Path, tmp_path: Path) -> None:
    assert same(train(made, tmp_path / "out", "optimiser.save_memory=true", "data.held_out=[]"), whole)


def test_an_adapter_and_the_merged_model_say_the_same(made: Path, tmp_path: Path) -> None:
    out = train(made, tmp_path / "out", "model.lora=4", "optimiser.learning_rate=0.05")
    asked = recipe.read("sft", made, ["model.lora=4"])
    checkpoints.merge(asked.model, out, tmp_path / "merged")
    settings = loading.Settings.read("it", {"lora": str(out), "merge": False})
    adapted = loading.load(str(made.parent / "base"), settings, "adapted").model
    merged = AutoModelForImageTextToText.from_pretrained(tmp_path / "merged")
    base = AutoModelForImageTextToText.from_pretrained(made.parent / "base")
    words = torch.tensor([[5, 6, 7, 8]])
    said = [model(input_ids=words).logits for model in (adapted, merged, base)]
    assert torch.allclose(said[0], said[1], atol=1e-4)
    assert not torch.allclose(said[0], said[2], atol=1e-2)


async def test_what_was_learned_is_measured_and_said(made: Path, tmp_path: Path) -> None:
    said = ["data.limit=2", "optimiser.batch=2", "optimiser.steps=90", "optimiser.learning_rate=3e-3"]
    held_out = f"data.held_out={made.parent / 'train.jsonl'}"
    out = train(made, tmp_path / "out", *said, held_out, "data.held_out_limit=2", "saving.every=1000")
    measured = json.loads((out / "measured.json").read_bytes())["held_out"]
    assert measured["loss"] < 0.2
    exact = {
        "read": 1.0,
        "whole": 1.0,
        "semantic_error": 0.0,
        "quality_error": 0.0,
        "satisfied_agreement": 1.0,
    }
    assert {name: measured[name] for name in exact} == exact
    thinker = LocalThinker(
        str(out),
        LocalThinker.Settings.read("it", {"prompt": str(made.parent / "prompt.txt"), "pixels": 4096}),
    )
    step = steps(tmp_path, 1)[0]
    source, further = (Picture.open(image.path) for image in step.images)
    view = View(Sample((source, further), step.instruction), step.sent, Picture.open(step.edited.path))
    thought = await thinker.think(view)
    assert thought.critique.score == Score(0.0, 0.0)
    assert thought.critique.reasoning == step.reasoning


# --- what breaks ---


def test_numbers_that_are_none_stop_it_before_they_are_learned(
    made: Path, whole: Path, tmp_path: Path
) -> None:
    class Poisoned(sft.SFTTrainer):
        def compute_loss(self, *asked: Any, **more: Any) -> Any:
            return super().compute_loss(*asked, **more) * (
                float("nan") if self.state.global_step == 3 else 1.0
            )

    out = tmp_path / "out"
    with pytest.raises(
        watching.BadNumbers, match=r"not a finite number at step 4.*goes on from step 2.*rate"
    ):
        train(made, out, trainer=Poisoned)
    assert same(train(made, out), whole)


def test_a_full_disk_leaves_the_older_checkpoint(made: Path, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    room = 1.5 * (made.parent / "base" / "model.safetensors").stat().st_size  # weights fit, moments do not

    def fill(line: str) -> None:
        if line.startswith("step 3/"):
            resource.setrlimit(resource.RLIMIT_FSIZE, (int(room), hard))

    try:
        with pytest.raises(StoreError, match=r"the disk is full; the same command goes on from step 2"):
            train(made, out, tell=fill)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [folder.name for folder in (out / "training").glob("checkpoint-*")] == ["checkpoint-2"]
    assert same(train(made, out), whole)


def test_ctrl_c_writes_a_checkpoint_and_leaves(made: Path, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    told: list[str] = []

    def tell(line: str) -> None:
        told.append(line)
        if line.startswith("step 2/"):
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(made, out, tell=tell)
    assert told[-1] == "stopped after step 3; the same command goes on from there"
    assert same(train(made, out), whole)


def test_half_a_checkpoint_does_not_count(made: Path, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    killed_after(5, lambda tell: train(made, out, tell=tell))
    (out / "training" / "checkpoint-4" / "optimizer.pt").write_bytes(b"")
    (out / "training" / "checkpoint-5").mkdir()
    told: list[str] = []
    train(made, out, tell=told.append)
    assert "going on from step 2" in told
    assert same(out, whole)


def test_a_folder_holds_one_training(made: Path, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(whole, out)
    told: list[str] = []
    train(made, out, "saving.every=3", tell=told.append)  # this one may change
    assert told == [f"finished already: {out}"]
    with pytest.raises(InputError, match=r"begun with optimiser.learning_rate = 0.001, not 0.002"):
        train(made, out, "optimiser.learning_rate=2e-3")
    (out / "training" / "training.json").write_text(
        (out / "training" / "training.json").read_text().replace('"finished": true', '"finished": false')
    )
    with pytest.raises(InputError, match=r"the steps .* is not what"):
        train(made, out, f"data.train={made.parent / 'held_out.jsonl'}")
    other = tiny_qwen3vl(tmp_path / "base", seed=1)
    with pytest.raises(InputError, match=r"the base .* is not what"):
        train(made, out, f"model.base={other}")
    with pytest.raises(InputError, match=r"no training in .* to resume"):
        train(made, tmp_path / "none", resume=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "photo.jpg").touch()
    with pytest.raises(InputError, match="holds something else"):
        train(made, tmp_path / "other")
    with (
        Session("sft", recipe.read("sft", made), out),
        pytest.raises(StoreError, match=r"training .* in use by process"),
    ):
        train(made, out)


def test_images_that_break_are_passed_over_by_name(made: Path, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    rows = [
        *steps(folder, 4),
        *steps(folder, 1, first=10, score=None),
        *steps(folder, 1, first=11, reasoning=None),
        *steps(folder, 1, first=12, reasoning="long " * 3000),
        *steps(folder, 3, first=13),
    ]
    missing, headless, torn = (Path(row.edited.path) for row in rows[-3:])
    missing.unlink()
    headless.write_bytes(b"no image")
    torn.write_bytes(torn.read_bytes()[: torn.stat().st_size // 2])
    said = [f"data.train={save(tmp_path / 'rows.jsonl', rows)}", "data.held_out=[]", "optimiser.steps=3"]
    told: list[str] = []
    out = train(made, tmp_path / "out", *said, "data.max_tokens=512", tell=told.append)
    assert (
        "train: 5 steps; left out: 1 broken_image, 1 missing_image, 1 no_answer, 1 too_long, 1 unscored"
        in told
    )
    broken = next((out / "training").glob("train-*/broken.jsonl")).read_text()
    assert rows[-1].own in broken
    with pytest.raises(InputError, match=r"none of 10 rows is left.*too_long"):
        train(made, tmp_path / "none", *said, "data.max_tokens=64")


def test_what_cannot_be_trained_is_said(made: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(InputError, match="not a single row"):
        train(made, tmp_path / "a", f"data.train={tmp_path / 'empty.jsonl'}")
    with pytest.raises(InputError, match="no steps to learn from"):
        train(made, tmp_path / "b", "data.train=[]")
    with pytest.raises(InputError, match="must be a multiple of"):
        train(made, tmp_path / "c", "optimiser.at_once=3")
    with pytest.raises(InputError, match="may not set max_length"):
        train(made, tmp_path / "d", "trl.max_length=64")
    with pytest.raises(EditThinkerError, match="needs a CUDA GPU"):
        train(made, tmp_path / "e", "model.lora=4", "model.quantise=nf4")
    other = tmp_path / "llama"
    other.mkdir()
    (other / "config.json").write_text('{"model_type": "llama", "architectures": ["LlamaForCausalLM"]}')
    with pytest.raises(EditThinkerError, match=r"is a llama model, which does not answer images with text"):
        train(made, tmp_path / "f", f"model.base={other}")
