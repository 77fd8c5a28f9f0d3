"""The darkroom's editors: three sizes, exact resume, batches by number, and the manifest they end up in."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from tokenizers import Tokenizer  # noqa: E402 - after the skip

from editthinker.core.errors import ThinkerError  # noqa: E402
from editthinker.darkroom import weights  # noqa: E402
from editthinker.training import checkpoints  # noqa: E402
from editthinker.training.darkroom import __main__ as verb  # noqa: E402
from editthinker.training.darkroom import editor, nets, packing, shipped  # noqa: E402
from editthinker.training.recipe import Model  # noqa: E402

TINY = editor.Recipe(steps=4, batch=4, warmup=1, hidden=32, layers=1, heads=1, feed_forward=48)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return editor.train_tokenizer(TINY, 300)


def trained(folder: Path, tokenizer: Tokenizer, *, until: int | None = None) -> bytes:
    """The weights after training in a folder that has a tokenizer already."""
    folder.mkdir(exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    editor.train(folder, TINY, until=until)
    return (folder / "model" / "model.safetensors").read_bytes()


@pytest.mark.slow
def test_training_goes_on_where_it_stopped(tokenizer: Tokenizer, tmp_path: Path) -> None:
    whole = trained(tmp_path / "once", tokenizer)
    assert trained(tmp_path / "twice", tokenizer, until=2) != whole
    assert trained(tmp_path / "twice", tokenizer) == whole


def test_a_batch_is_the_same_whenever_it_is_asked_for(tokenizer: Tokenizer) -> None:
    pooled = replace(TINY, pool=4, steps=8)
    forwards = [editor.Batches(tokenizer, pooled)[step]["input_ids"] for step in range(8)]
    batches = editor.Batches(tokenizer, pooled)
    for step in reversed(range(8)):
        assert torch.equal(batches[step]["input_ids"], forwards[step])


def test_a_pool_holds_the_same_rows_with_less_padding(tokenizer: Tokenizer) -> None:
    recipe = replace(TINY, pool=8, batch=8, steps=8)
    pool = [editor.Batches(tokenizer, recipe)[step]["attention_mask"] for step in range(8)]
    together = editor.Batches(tokenizer, replace(recipe, pool=1, batch=64))[0]["attention_mask"]
    assert sorted(int(row.sum()) for mask in pool for row in mask) == sorted(map(int, together.sum(dim=1)))
    assert sum(mask.numel() for mask in pool) < 0.8 * together.numel()


def test_only_the_large_one_reads_further_wordings_and_none_the_test_ones() -> None:
    assert {size: recipe.split for size, recipe in editor.SIZES.items()} == {
        "small": "train",
        "base": "train",
        "large": "more",
    }


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # torch's tracing exporter warns about itself
def test_packing_one_model_leaves_the_others_as_they_were(
    tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(tmp_path / "editor-small", tokenizer)
    shipped = weights.manifest()
    out = tmp_path / "weights"
    out.mkdir()
    (out / "MANIFEST.toml").write_text(packing._written(shipped), encoding="utf-8")
    packing.pack(tmp_path, out, models=["editor-small"])
    written = tomllib.loads((out / "MANIFEST.toml").read_text(encoding="utf-8"))
    small = written.pop("editor-small")
    assert written == {name: entry for name, entry in shipped.items() if name != "editor-small"}
    assert small["steps"] == 4
    assert small["recipe"].endswith("SIZES.small")
    monkeypatch.setattr(weights, "FOLDER", out)
    assert set(weights.verified("editor-small")) == {"editor-small.onnx", "editor-small.tokenizer.json"}


def test_the_seconds_of_an_interrupted_training_add_up(tmp_path: Path) -> None:
    lines = [
        {"event": "begin", "step": 0},
        {"step": 100, "loss": 2.0, "seconds": 10.0},
        {"step": 200, "loss": 1.0, "seconds": 21.0},
        {"event": "begin", "step": 150},
        {"step": 200, "loss": 0.98765, "seconds": 6.5},
    ]
    (tmp_path / "log.jsonl").write_text("\n".join(map(json.dumps, lines)))
    found = packing.course(tmp_path / "log.jsonl")
    assert found == {"steps": 200, "seconds": 27.5, "final_training_loss": 0.9877}


def test_a_thinker_tells_every_training_it_went_through(tmp_path: Path) -> None:
    """Also one that went on from the middle of another."""
    words, looks, sft = (tmp_path / name for name in ("words", "looks", "sft"))
    for folder, base, steps in ((words, "darkroom:base", 9), (looks, words, 7), (sft, looks, 5)):
        (folder / "training").mkdir(parents=True)
        middle = f"{looks}/training/checkpoint-4" if base == looks else base
        (folder / "recipe.toml").write_text(f'name = "{folder.name}"\n[model]\nbase = "{middle}"\n')
        lines = [{"event": "begin", "step": 0}, {"step": steps, "loss": 0.5, "seconds": 3.0}]
        (folder / "training" / "log.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert packing.lineage(sft) == [
        "begun with darkroom:base",
        "words: steps 9, seconds 3.0, final training loss 0.5",
        "looks: steps 4, seconds 3.0, final training loss 0.5",
        "sft: steps 5, seconds 3.0, final training loss 0.5",
    ]


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("model.bse=x", "did you mean 'model.base'?"),
        ("optimiser.batch=3", "must be a multiple of optimiser.at_once\n"),
        ("model.base=/nowhere", "/nowhere"),
    ],
)
def test_what_cannot_be_trained_is_one_sentence(
    said: str,
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setattr("sys.argv", ["darkroom", "words", said, f"out={tmp_path / 'out'}"])
    with pytest.raises(SystemExit) as left:
        verb.main()
    said_so = capsys.readouterr().err
    assert (left.value.code, said_so.count("\n")) == (2, 1)
    assert sentence in said_so


@pytest.mark.slow
def test_the_shipped_thinker_can_be_trained_on(tmp_path: Path) -> None:
    """Unpacked and exported again it is the same, to the byte; and it knows its history."""
    shipped.unpack(tmp_path / "shipped")
    packing.export_thinker(tmp_path / "shipped", tmp_path / "again")
    files = weights.verified("thinker")
    assert {file.name: file.read_bytes() for file in (tmp_path / "again").iterdir()} == files
    assert packing.lineage(tmp_path / "shipped") == weights.manifest()["thinker"]["trainings"]
    trainee = checkpoints.load(Model(base=str(tmp_path / "shipped")))
    assert trainee.model.config.text_config.hidden_size == 192
    other = nets.untrained(trainee.processor.tokenizer.backend_tokenizer, nets.SIZES["small"])
    with pytest.raises(ThinkerError, match="architecture"):
        shipped.restore(other, files)
