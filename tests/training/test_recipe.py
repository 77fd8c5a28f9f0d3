"""Recipes: a file, what is said instead, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from editthinker.core.errors import InputError
from editthinker.training import recipe

Kind = Literal["sft", "grpo"]
RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "sub" / "mine.toml"
    path.parent.mkdir()
    (path.parent / "base").mkdir()
    path.write_text(
        'out = "out"\n[model]\nbase = "base"\nprompt = "../p.txt"\n'
        '[data]\ntrain = ["a", "/b"]\n[trl]\nloss_type = "dft"\n'
    )
    return path


def test_paths_of_the_file_are_its_own_those_said_are_mine(file: Path) -> None:
    asked = recipe.read("sft", file)
    assert asked.name == "mine"
    assert asked.out == file.parent / "out"
    assert asked.model.base == str(file.parent / "base")
    assert asked.data.train == (file.parent / "a", Path("/b"))
    said = recipe.read("sft", file, ["out=x", "data.train=y", 'data.held_out=["z","w"]', "model.base=Q/R"])
    assert (said.out, said.model.base) == (Path("x"), "Q/R")
    assert (said.data.train, said.data.held_out) == ((Path("y"),), (Path("z"), Path("w")))


def test_what_is_said_has_the_type_of_its_field(file: Path) -> None:
    said = [
        "model.lora=16", "model.quantise=nf4", "optimiser.steps=5", "optimiser.learning_rate=1e-3",
        "model.freeze_vision=false", "name=7", "trl.packing=false", "data.limit=null",
    ]  # fmt: skip
    asked = recipe.read("sft", file, said)
    assert (asked.model.lora, asked.model.quantise, asked.optimiser.steps) == (16, "nf4", 5)
    assert (asked.optimiser.learning_rate, asked.model.freeze_vision, asked.name) == (1e-3, False, "7")
    assert (asked.trl, asked.data.limit) == ({"loss_type": "dft", "packing": False}, None)


@pytest.mark.parametrize("kind", ["sft", "grpo"])
def test_what_is_written_reads_the_same(kind: Kind, file: Path, tmp_path: Path) -> None:
    said = ["optimiser.steps=3", 'name=a "b" \\ ü 😀\x7f']
    said += ["world.editor=darkroom", "world.judge=darkroom"] if kind == "grpo" else []
    asked = recipe.read(kind, file, said)
    again = tmp_path / "again.toml"
    again.write_text(recipe.written(asked))
    assert recipe.read(kind, again) == asked
    assert str(tmp_path) not in recipe.written(asked, places=False)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("model.loar=16", r"no setting 'model.loar'; did you mean 'model.lora'\? it has base"),
        ("optimizer.batch=16", r"no setting 'optimizer'; did you mean 'optimiser'\?"),
        ("model.lora=many", r"setting 'model.lora': .*integer.*got 'many'"),
        ("optimiser.batch=3", "must be a multiple of optimiser.at_once$"),
        ("model.quantise=nf4", "quantise needs model.lora"),
        ("world.editor=darkroom", r"table \[world\]: it is one for 'train grpo'"),
        ("steps", "as key=value, such as model.lora=16, not 'steps'"),
        ("data.train=[a]", "takes a list as"),
    ],
)
def test_what_cannot_be_is_said_by_name(file: Path, said: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        recipe.read("sft", file, [said])


@pytest.mark.parametrize("text", [None, "[model", "model = 3", "[data]\n"])
def test_a_file_that_is_no_recipe(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "it.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=r"recipe .*it\.toml"):
        recipe.read("sft", path)


@pytest.mark.parametrize(("name", "kind"), [("sft", "sft"), ("sft_lora", "sft"), ("grpo", "grpo")])
def test_the_paper_s_recipes_are_recipes(name: str, kind: Kind) -> None:
    asked = recipe.read(kind, RECIPES / "paper" / f"{name}.toml")
    assert asked.model.pixels == 1024 * 1024
    if name == "grpo":
        assert isinstance(asked, recipe.GrpoRecipe)
        assert asked.rollouts.prompts * asked.rollouts.group == asked.optimiser.batch == 128
