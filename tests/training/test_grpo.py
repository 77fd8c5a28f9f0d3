"""GRPO on a tiny Qwen3-VL with the darkroom's editor and exact judge: what is learned, and what is not."""

from __future__ import annotations

import json
import math
import os
import signal
import statistics
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

import torch
from darkroom_lessons import FEW, MANY, Exact, choosing, replies, training
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText
from trl import GRPOConfig

from editthinker.core.contracts import Editor
from editthinker.core.errors import EditorError, InputError
from editthinker.core.types import Edited, EditRequest
from editthinker.darkroom.editor import DarkroomEditor
from editthinker.training import checkpoints, grpo, lessons, recipe, rollouts
from editthinker.training.recipe import GrpoRecipe
from editthinker.training.rollouts import Outage

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning"),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recipe of a tiny training; its folder has the base and the steps."""
    torch.set_num_threads(1)
    return training(tmp_path_factory.mktemp("grpo"))


@pytest.fixture(scope="module")
def whole(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an uninterrupted training of four steps wrote, two of them from the same rollouts."""
    held_out = f'data.held_out=["{made.parent / "train.jsonl"}"]'
    return train(made, tmp_path_factory.mktemp("whole") / "out", *TWICE, held_out)


TWICE = ("optimiser.steps=4", "rollouts.prompts=4")


class Troubled:
    """The darkroom's editor, with something that happens before each call."""

    def __init__(self, trouble: Callable[[int], None]) -> None:
        self._editor, self._trouble = DarkroomEditor.load(), trouble
        self.info = self._editor.info
        self.calls = 0

    async def edit(self, request: EditRequest) -> Edited:
        self.calls += 1
        self._trouble(self.calls)
        return await self._editor.edit(request)


def read(file: Path, out: Path, *said: str) -> GrpoRecipe:
    asked = recipe.read("grpo", file, [*said, f"out={out}"])
    assert isinstance(asked, GrpoRecipe)
    return asked


def train(
    file: Path,
    out: Path,
    *said: str,
    editor: Editor | None = None,
    words: Sequence[str] = MANY,
    tell: Callable[[str], None] = lambda _: None,
) -> Path:
    with choosing(replies(words)):
        return grpo.train(read(file, out, *said), editor or DarkroomEditor.load(), Exact(), out, tell=tell)


def same(one: Path, other: Path) -> bool:
    a, b = (load_file(folder / "model.safetensors") for folder in (one, other))
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def logged(out: Path) -> list[dict[str, Any]]:
    """Lines of steps that wrote replies."""
    lines = (out / "training" / "log.jsonl").read_text().splitlines()
    return [line for line in map(json.loads, lines) if "reward" in line]


# --- the whole way ---


def test_from_a_recipe_to_a_model(whole: Path, made: Path) -> None:
    assert AutoModelForImageTextToText.from_pretrained(whole).dtype == torch.float32
    assert not same(whole, made.parent / "base")
    lines = [json.loads(line) for line in (whole / "training" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == [1, 2, 3, 4]
    told = [line for line in lines if "share/editor" in line]
    assert [line["step"] for line in told] == [2, 4]  # once for all steps of the same rollouts
    for line in told:
        assert sum(line[f"share/{part}"] for part in grpo.PARTS) == pytest.approx(1)
        assert line["world/editor_calls"] > 0
    for name in ("terms/form", "terms/critic", "terms/gain", "rollouts/masked", "kl", "frac_reward_zero_std"):
        assert any(name in line for line in lines), name
    samples = [json.loads(line) for line in (whole / "training" / "rollouts.jsonl").read_text().splitlines()]
    assert {"step", "id", "instruction", "sent", "reply", "fault", "terms", "reward"} == samples[0].keys()
    measured = json.loads((whole / "measured.json").read_bytes())
    assert measured["steps_trained"] == 4
    assert measured["seconds_per_step"] > 0
    assert measured["held_out"]["steps"] == 4  # those of the eight that have an answer
    assert "reinforcement with the editor in the loop" in (whole / "README.md").read_text()


def test_it_learns_to_ask_for_what_this_editor_can_do(made: Path, tmp_path: Path) -> None:
    """First the form, then the words that gain: from rewards alone."""
    more = (
        "rollouts.group=8",
        "rollouts.kl=0",
        "optimiser.batch=16",
        "optimiser.at_once=16",
        "optimiser.seed=2",
    )
    more += ("optimiser.steps=14", "optimiser.learning_rate=2e-3", "reward.gain=1", "saving.every=100")
    lines = logged(train(made, tmp_path / "out", *more, words=FEW))
    rewards, gains = [line["reward"] for line in lines], [line.get("terms/gain", 0.0) for line in lines]
    assert statistics.mean(rewards[-4:]) > statistics.mean(rewards[:2]) + 0.4, rewards
    assert statistics.mean(gains[-4:]) > statistics.mean(gains[:4]) + 0.2, gains


def test_with_adapters_the_base_stays_as_it_is(made: Path, tmp_path: Path) -> None:
    out = train(made, tmp_path / "out", "model.lora=4", "optimiser.steps=1", "data.workers=1")
    assert (out / "adapter_config.json").is_file()
    assert not (out / "model.safetensors").exists()


# --- masked rewards in TRL's own arithmetic ---


class Given:
    """Rewards as given; takes the place of `Scoring`."""

    def __init__(self, *paid: float | None) -> None:
        self.paid = paid
        self.reward = lambda **_: list(self.paid)
        self.reward.__name__ = "reward"

    def begin(self, rows: Any, texts: Any) -> None:
        """Nothing is edited."""


def advantages(made: Path, out: Path, paid: list[float | None]) -> list[float]:
    """What TRL makes of these rewards, in groups of four."""
    asked = read(made, out, "rollouts.kl=0")
    trainee = checkpoints.load(asked.model)
    limits = lessons.Limits(1000, asked.model.pixels, None, answered=False)
    steps = lessons.prepare(
        out / "lessons", asked.data.train, asked.model.style, asked.model.prompt, trainee.processor, limits
    )
    trainer = grpo.Trainer(
        scoring=Given(*paid),  # type: ignore[arg-type]
        together=1,
        model=trainee.model,
        args=GRPOConfig(
            output_dir=str(out), use_cpu=True, bf16=False, report_to=[], remove_unused_columns=False,
            per_device_train_batch_size=len(paid), **grpo.settings(asked) | {"steps_per_generation": 1},
        ),
        processing_class=trainee.processor,
        train_dataset=steps.dataset(),
    )  # fmt: skip
    trainer.model.train()
    batch = [steps[place // 4] for place in range(len(paid))]
    with choosing(replies()):
        found = trainer._generate_and_score_completions(batch)["advantages"]
    assert isinstance(found, torch.Tensor)
    return [float(value) for value in found]


def by_hand(group: list[float | None]) -> list[float]:
    known = [value for value in group if value is not None]
    if len(known) < 2:
        return [0.0] * len(group)
    mean, deviation = statistics.mean(known), statistics.stdev(known)
    return [0.0 if value is None else (value - mean) / (deviation + 1e-4) for value in group]


def test_a_masked_rollout_has_no_advantage_and_moves_nobody_else_s(made: Path, tmp_path: Path) -> None:
    groups: list[list[float | None]] = [
        [0.1, 0.4, 0.4, 0.9],
        [0.1, None, 0.4, 0.9],
        [None, None, None, None],
        [None, 0.7, None, None],
        [0.5, 0.5, None, 0.5],
        [-3.0, None, None, 3.0],
    ]
    found = advantages(made, tmp_path, [value for group in groups for value in group])
    wanted = [value for group in groups for value in by_hand(group)]
    assert all(map(math.isfinite, found))
    assert found == pytest.approx(wanted, abs=1e-4)


def test_an_outage_that_is_waited_out_leaves_no_trace_in_the_weights(
    made: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollouts, "FIRST_PAUSE", 0.02)

    def trouble(call: int) -> None:
        if 6 <= call < 40:
            raise EditorError("connection refused")

    told: list[str] = []
    editor = Troubled(trouble)
    out = train(made, tmp_path / "out", *TWICE, "world.at_least=1", editor=editor, tell=told.append)
    assert editor.calls >= 40
    assert any("waits up to" in line for line in told)
    assert same(out, whole)
    masked = train(made, tmp_path / "masked", *TWICE, "world.at_least=0.01", editor=Troubled(trouble))
    assert not same(masked, whole)  # the trouble was real: masked instead of waited for, it shows


def test_an_outage_that_lasts_keeps_the_checkpoint_and_the_same_command_goes_on(
    made: Path, whole: Path, tmp_path: Path
) -> None:
    def gone(call: int) -> None:
        if call > 14:
            raise EditorError("connection refused")

    out = tmp_path / "out"
    with pytest.raises(Outage, match="nothing was learned"):
        train(made, out, *TWICE, "world.patience=0", "world.at_least=1", editor=Troubled(gone))
    assert (out / "training" / "checkpoint-2").is_dir()
    train(made, out, *TWICE, "world.patience=0", "world.at_least=1")
    assert same(out, whole)


# --- killed ---


def test_killed_in_the_middle_of_a_step_it_ends_in_the_same_weights(
    made: Path, whole: Path, tmp_path: Path
) -> None:
    out, told = tmp_path / "out", []

    def work(call: int) -> None:
        def shot(now: int) -> None:
            if now == call:
                os.kill(os.getpid(), signal.SIGKILL)

        train(made, out, *TWICE, editor=Troubled(shot))

    for call in (4, 10):  # before any checkpoint, and after the one of step 2
        child = os.fork()
        if not child:
            try:
                work(call)
            except BaseException:  # noqa: BLE001 - the child must not go on with the other tests
                traceback.print_exc()
            finally:
                os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    editor = Troubled(lambda _: None)
    train(made, out, *TWICE, editor=editor, tell=told.append)
    assert any(line.startswith("going on from step 2") for line in told)
    assert same(out, whole)


def test_checkpoints_wait_until_their_rollouts_are_used_up(made: Path, tmp_path: Path) -> None:
    """Ctrl-C in step 1 of 2 that share rollouts: the checkpoint, and the end, come after step 2."""
    seen: list[str] = []

    def tell(line: str) -> None:
        seen.append(line)
        if line.startswith("step 1/"):
            os.kill(os.getpid(), signal.SIGINT)

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        train(made, out, *TWICE, "saving.every=3", tell=tell)
    assert sorted(path.name for path in (out / "training").glob("checkpoint-*")) == ["checkpoint-2"]


# --- what is refused, what is passed on ---


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (("rollouts.prompts=3",), "must be a multiple of optimiser.batch"),
        (("trl.beta=0.5",), r"\[trl\] may not set beta"),
        (
            ("rollouts.group=8", "rollouts.prompts=1", "optimiser.at_once=8", "trl.num_generations=2"),
            "may not set",
        ),
    ],
)
def test_a_recipe_that_cannot_be_is_refused(
    made: Path, tmp_path: Path, said: tuple[str, ...], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        train(made, tmp_path / "out", *said)


def test_what_the_recipe_says_is_what_trl_is_told(made: Path, tmp_path: Path) -> None:
    vllm = ("rollouts.vllm=server", "rollouts.vllm_url=http://127.0.0.1:1", "model.revision=v1")
    how = ("rollouts.loss=dr_grpo", "rollouts.top_p=0.9", "rollouts.temperature=0.8", "rollouts.updates=2")
    told = grpo.settings(read(made, tmp_path, *vllm, *how))
    assert told == {
        "num_generations": 4,
        "steps_per_generation": 1,
        "num_iterations": 2,
        "max_completion_length": 80,
        "temperature": 0.8,
        "top_p": 0.9,
        "top_k": 0,
        "beta": 1e-3,
        "loss_type": "dr_grpo",
        "ddp_timeout": 7320,
        "model_init_kwargs": {"revision": "v1"},
        "use_vllm": True,
        "vllm_mode": "server",
        "vllm_server_base_url": "http://127.0.0.1:1",
    }
    more = {"use_cpu": True, "bf16": False, "report_to": [], "per_device_train_batch_size": 8}
    assert GRPOConfig(output_dir=str(tmp_path), **more, **told).num_iterations == 2
