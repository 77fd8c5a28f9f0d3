"""A tower that looks at an image once gives what one does that looks as often as it is there."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from editthinker.training.towers import look_once  # noqa: E402 - after the skip

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

WIDTH = 3 * 2 * 16 * 16
GRIDS = {"square": (1, 4, 4), "wide": (1, 2, 6)}


@pytest.fixture
def tower() -> Any:
    torch.manual_seed(0)
    settings = transformers.Qwen3VLConfig().vision_config.to_dict() | {
        "depth": 2,
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_heads": 2,
        "out_hidden_size": 8,
        "num_position_embeddings": 16,
        "deepstack_visual_indexes": [0],
    }
    model = torch.nn.Module()
    model.visual = transformers.Qwen3VLVisionModel(
        type(transformers.Qwen3VLConfig().vision_config)(**settings)
    )
    return model


def batch(*names: str) -> tuple[Any, Any]:
    """Patches and grids of images, each drawn from its name."""
    patches, grids = [], []
    for name in names:
        grid = GRIDS[name.partition("-")[0]]
        noise = torch.Generator().manual_seed(sum(name.encode()))
        patches.append(torch.randn(grid[1] * grid[2], WIDTH, generator=noise))
        grids.append(grid)
    return torch.cat(patches), torch.tensor(grids)


def outcome(model: Any, patches: Any, grids: Any) -> list[Any]:
    """All features, and the gradients when every feature is pulled another way."""
    model.zero_grad()
    out = model.visual(patches, grid_thw=grids, return_dict=True)
    features = [out.last_hidden_state, out.pooler_output, *out.deepstack_features]
    pull = torch.Generator().manual_seed(1)
    sum((part * torch.randn(part.shape, generator=pull)).sum() for part in features).backward()
    return [*features, *(one.grad.clone() for one in model.parameters() if one.grad is not None)]


@pytest.mark.parametrize(
    ("names", "looks"),
    [
        (("square-a", "wide-b", "square-c", "square-a", "wide-b", "square-c"), 2 * 16 + 12),
        (("wide-a", "square-b", "square-b", "square-b", "wide-a", "square-c"), 2 * 16 + 12),
        (("square-a", "square-b"), 32),
    ],
)
def test_it_is_the_same_for_less(tower: Any, names: tuple[str, ...], looks: int) -> None:
    patches, grids = batch(*names)
    plain = outcome(tower, patches, grids)
    assert look_once(tower)
    assert look_once(tower), "a second time changes nothing"
    seen: list[int] = []
    tower.visual.patch_embed.register_forward_hook(lambda _, given, __: seen.append(len(given[0])))
    for ours, theirs in zip(outcome(tower, patches, grids), plain, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
    assert seen == [looks]


def test_images_of_one_sum_are_told_apart(tower: Any) -> None:
    patches, grids = batch("square-a")
    both, two = torch.cat([patches, patches.flip(0)]), torch.cat([grids, grids])
    plain = outcome(tower, both, two)
    look_once(tower)
    for ours, theirs in zip(outcome(tower, both, two), plain, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_a_model_without_such_a_tower_is_left_alone() -> None:
    assert not look_once(torch.nn.Sequential(torch.nn.Linear(2, 2)))
