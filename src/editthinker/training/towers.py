"""A vision tower that looks at an image once, however many rows of a batch have it.

In: a model with a tower of the Qwen-VL kind, which takes the patches of all images in one row. Out: the same
model, which gives the tower each different image only once and hands its features to every row. The replies
of one prompt all are about the same images, so in GRPO the tower has as many times less to do as a prompt has
replies. Values are those of the plain tower up to rounding, gradients likewise: what the rows send back is
added up before it goes through the tower.
"""

from __future__ import annotations

import inspect
from typing import Any

import torch


def look_once(model: Any) -> bool:
    """Make the tower of `model` do so; whether it has one that can. Doing it twice changes nothing."""
    tower = next((part for name, part in model.named_modules() if name.rpartition(".")[2] == "visual"), None)
    if tower is None or "grid_thw" not in inspect.signature(tower.forward).parameters:
        return False
    if isinstance(tower.forward, _Once):
        return True
    tower.forward = _Once(tower.forward, tower.spatial_merge_size**2)
    return True


class _Once:
    """In place of the tower's `forward`."""

    def __init__(self, forward: Any, merged: int) -> None:
        """`merged`: patches that become one feature."""
        self._forward, self._merged = forward, merged

    def __call__(self, hidden_states: torch.Tensor, grid_thw: torch.Tensor, **more: Any) -> Any:
        """The features of all images, in order; `hidden_states` (patches, width), `grid_thw` (images, 3)."""
        patches = grid_thw.prod(-1).tolist()
        images = torch.split(hidden_states, patches)
        firsts = _firsts(images)
        kept = sorted(set(firsts))
        if len(kept) == len(images):
            return self._forward(hidden_states, grid_thw=grid_thw, **more)
        out = self._forward(torch.cat([images[at] for at in kept]), grid_thw=grid_thw[kept], **more)
        places = [kept.index(first) for first in firsts]
        sizes = [patches[at] for at in kept]

        def handed_out(rows: torch.Tensor, merged: int) -> torch.Tensor:
            """The rows of each image again as often as it came."""
            parts = torch.arange(len(rows), device=rows.device).split([size // merged for size in sizes])
            return rows.index_select(0, torch.cat([parts[place] for place in places]))

        for name, value in list(out.items()):
            if name == "last_hidden_state":
                out[name] = handed_out(value, 1)
            elif name == "pooler_output":
                out[name] = handed_out(value, self._merged)
            elif name == "deepstack_features":
                out[name] = [handed_out(rows, self._merged) for rows in value]
        return out


def _firsts(images: tuple[torch.Tensor, ...]) -> list[int]:
    """For each image, the number of the first that is the same."""
    sums = torch.stack([image.double().sum() for image in images]).tolist()
    seen: dict[tuple[int, float], list[int]] = {}
    firsts = []
    for at, (image, total) in enumerate(zip(images, sums, strict=True)):
        alike = seen.setdefault((len(image), total), [])
        first = next((other for other in alike if torch.equal(images[other], image)), at)
        if first == at:
            alike.append(at)
        firsts.append(first)
    return firsts
