"""What a dry run foretells, against what is there: sizes of real models, memory and steps of a tiny one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

import torch
from lesson_files import training

from editthinker.training import recipe, sft, sizing

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]


@pytest.mark.parametrize(
    ("name", "parameters"),  # as the cards count them: 2.13, 4.44 and 8.77 billion
    [("2B", 2_127_532_032), ("4B", 4_437_815_808), ("8B", 8_767_123_696)],
)
def test_real_sizes_without_weights(tmp_path: Path, name: str, parameters: int) -> None:
    file = tmp_path / "it.toml"
    file.write_text(f'[model]\nbase = "Qwen/Qwen3-VL-{name}-Instruct"\nfreeze_vision = false\n')
    plan = sizing.foresee(recipe.read("sft", file, ["optimiser.steps=10"]), devices=8, tflops=400)
    assert (plan.parameters, plan.trained, plan.shape_from) == (parameters, parameters, "built in")
    assert plan.memory > 18 * parameters > plan.zero3 * 8 == 16 * parameters
    assert plan.tokens == 2 * 1024 + 900
    assert plan.hours == pytest.approx(10 * plan.flop_per_step / (8 * 400e12) / 3600)
    adapters = sizing.foresee(recipe.read("sft", file, ["model.lora=64"]))
    assert 0 < adapters.trained < 0.05 * parameters
    assert adapters.memory < 0.4 * plan.memory


def test_a_base_made_from_nothing() -> None:
    """Its rows are made too, so how long they are is assumed."""
    words = Path(__file__).parents[2] / "recipes" / "darkroom" / "words.toml"
    plan = sizing.foresee(recipe.read("sft", words, ["model.base=darkroom:small"]))
    assert plan.shape_from == "made from nothing"
    assert plan.tokens_are == "assumed"
    assert 2e6 < plan.parameters == plan.trained < 3e6


def test_a_tiny_training_needs_what_was_foretold(tmp_path: Path) -> None:
    file = training(tmp_path)
    asked = recipe.read("sft", file, ["model.freeze_vision=true", "optimiser.steps=null", "data.held_out=[]"])
    plan = sizing.foresee(asked)
    found: dict[str, Any] = {"tokens": 0, "rows": 0, "saved": 0}

    class Weighed(sft.SFTTrainer):
        def training_step(self, model: Any, inputs: Any, *more: Any) -> Any:
            found["tokens"] += int(inputs["attention_mask"].sum())
            found["rows"] += len(inputs["input_ids"])
            saved: dict[int, int] = {}
            weights = {weight.data_ptr() for weight in model.parameters()}

            def keep(tensor: torch.Tensor) -> torch.Tensor:
                storage = tensor.untyped_storage()
                if storage.data_ptr() not in weights:
                    saved[storage.data_ptr()] = storage.nbytes()
                return tensor

            with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
                loss = super().training_step(model, inputs, *more)
            found["saved"] = max(found["saved"], sum(saved.values()))
            found["gradients"] = size(weight.grad for weight in model.parameters() if weight.grad is not None)
            found["weights"] = size(model.parameters())
            return loss

        def _save_checkpoint(self, *more: Any) -> None:
            states = self.optimizer.state.values()
            found["optimiser"] = size(state[name] for state in states for name in ("exp_avg", "exp_avg_sq"))
            super()._save_checkpoint(*more)

    out = sft.train(asked, tmp_path / "out", trainer=Weighed)  # type: ignore[arg-type]
    assert (plan.weights, plan.gradients) == (found["weights"], found["gradients"])
    assert plan.optimiser == found["optimiser"]
    assert plan.steps == json.loads((out / "measured.json").read_bytes())["steps_trained"] == 3
    assert (plan.rows, plan.tokens_are) == (found["rows"], "measured") == (12, "measured")
    assert plan.tokens == pytest.approx(found["tokens"] / 12, rel=0.01)
    assert 0.5 < plan.activations / found["saved"] < 2


def size(tensors: Any) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
