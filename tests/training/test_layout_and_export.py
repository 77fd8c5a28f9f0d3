"""What runs without torch equals what was trained with it: patches, positions, logits, whole replies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from tokenizers import Tokenizer, models, pre_tokenizers  # noqa: E402 - after the skip

from editthinker.darkroom import layout  # noqa: E402
from editthinker.darkroom.decoder import Decoder, open_session  # noqa: E402
from editthinker.training.darkroom import editor, export, nets  # noqa: E402

pytestmark = pytest.mark.slow

IMAGES = np.random.default_rng(0).integers(
    0, 256, (layout.IMAGES, layout.SIDE, layout.SIDE, 3), dtype=np.uint8
)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    """Bytes and the special tokens; enough to run the real architectures."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.add_special_tokens(list(layout.SPECIAL))
    return tokenizer


def prompt_of(tokenizer: Tokenizer) -> tuple[list[int], np.ndarray, np.ndarray]:
    ids = tokenizer.encode(layout.prompt("make it warm", "make it warm")).ids
    places = np.flatnonzero(np.array(ids) == tokenizer.token_to_id(layout.IMAGE_PAD))
    return ids, places, layout.positions([int(p) for p in places[:: layout.TOKENS]], len(ids))


def test_patches_equal_those_of_the_library() -> None:
    processor = transformers.Qwen2VLImageProcessorPil(
        patch_size=layout.PATCH,
        merge_size=layout.MERGE,
        temporal_patch_size=layout.FRAMES,
        size={"shortest_edge": layout.SIDE**2, "longest_edge": layout.SIDE**2},
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
    )
    theirs = processor(images=list(IMAGES), return_tensors="np")
    assert theirs["image_grid_thw"].tolist() == [[1, layout.GRID, layout.GRID]] * layout.IMAGES
    np.testing.assert_allclose(layout.patches(IMAGES), theirs["pixel_values"], atol=1e-5)


def test_positions_equal_those_of_the_library(tokenizer: Tokenizer) -> None:
    model = transformers.Qwen3VLForConditionalGeneration(nets.config(tokenizer, nets.SIZES["base"]))
    ids, places, ours = prompt_of(tokenizer)
    kinds = torch.zeros(1, len(ids), dtype=torch.int)
    kinds[0, places] = 1
    theirs, _ = model.model.get_rope_index(
        torch.tensor([ids]),
        image_grid_thw=torch.tensor([[1, layout.GRID, layout.GRID]] * layout.IMAGES),
        mm_token_type_ids=kinds,
    )
    np.testing.assert_array_equal(ours, theirs[:, 0].numpy())


def test_the_thinker_says_the_same_without_torch(tokenizer: Tokenizer, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = transformers.Qwen3VLForConditionalGeneration(nets.config(tokenizer, nets.SIZES["base"])).eval()
    for weight in model.parameters():
        weight.data = weight.data.half().float()  # the files hold half precision; so must both sides
    ids, places, positions = prompt_of(tokenizer)
    with torch.no_grad():
        expected = model.generate(
            input_ids=torch.tensor([ids]),
            pixel_values=torch.from_numpy(layout.patches(IMAGES)),
            image_grid_thw=torch.tensor([[1, layout.GRID, layout.GRID]] * layout.IMAGES),
            mm_token_type_ids=torch.isin(torch.arange(len(ids)), torch.from_numpy(places))[None].int(),
            max_new_tokens=24,
            min_new_tokens=24,
            do_sample=False,
        )[0, len(ids) :].tolist()
    model.save_pretrained(tmp_path / "model")
    reloaded = export.load_thinker(tmp_path / "model")
    export.export_decoder(reloaded, tmp_path / "decoder.onnx")
    export.export_vision(reloaded, tmp_path / "vision.onnx")
    visual = open_session(tmp_path / "vision.onnx").run(None, {"pixels": layout.patches(IMAGES)})[0]
    sequence = Decoder(tmp_path / "decoder.onnx").start()
    logits, ours = sequence.feed(ids, positions, {"visual": visual, "places": places}), []
    end = tokenizer.token_to_id(layout.IM_END)
    while len(ours) < 24:
        logits[end] = -np.inf
        ours.append(int(logits.argmax()))
        logits = sequence.feed([ours[-1]])
    assert ours == expected


def test_the_editor_says_the_same_without_torch(tmp_path: Path) -> None:
    tokenizer = editor.train_tokenizer(editor.Recipe(), 500)
    model = editor.build(tokenizer, editor.Recipe()).eval()
    model.save_pretrained(tmp_path / "model")
    reloaded = export.load_editor(tmp_path / "model")
    export.export_decoder(reloaded, tmp_path / "editor.onnx")
    ids = tokenizer.encode("make it warmer and blur the background").ids
    with torch.no_grad():
        expected = reloaded(input_ids=torch.tensor([ids])).logits[0].numpy()
    sequence = Decoder(tmp_path / "editor.onnx").start()
    for place, token in enumerate(ids):
        np.testing.assert_allclose(sequence.feed([token]), expected[place], atol=2e-3)
    np.testing.assert_allclose(Decoder(tmp_path / "editor.onnx").start().feed(ids), expected[-1], atol=2e-3)
