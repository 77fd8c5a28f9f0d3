"""Torch weights to ONNX: a decoder with a cache, and the thinker's vision tower at a fixed grid.

Weights are stored in half precision and widened when the file is loaded, so the files are half the size and
arithmetic stays in float32.
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from transformers import Qwen3ForCausalLM, Qwen3VLForConditionalGeneration
from transformers.cache_utils import DynamicCache

from editthinker.darkroom import layout


class _Decoder(torch.nn.Module):  # type: ignore[misc]  # torch is untyped here
    """ids (1, S), positions (axes, 1, S), mask (1, 1, S, T), past keys and values (1, heads, P, width)."""

    def __init__(self, language_model: torch.nn.Module, head: torch.nn.Module, *, visual: bool) -> None:
        super().__init__()
        self.model, self.head, self.visual = language_model, head, visual

    def forward(
        self, ids: torch.Tensor, positions: torch.Tensor, mask: torch.Tensor, *rest: torch.Tensor
    ) -> Any:
        hidden = self.model.embed_tokens(ids)
        past, deep = list(rest), None
        if self.visual:
            visual, places, *past = rest
            hidden = hidden.index_copy(1, places, visual[:1])
            deep = [visual[1:2], visual[2:3]]
        cache = DynamicCache()
        for layer in range(len(self.model.layers)):
            cache.update(past[2 * layer], past[2 * layer + 1], layer)
        rotary = self.model.rotary_emb(hidden, positions if self.visual else positions[0])
        for number, layer in enumerate(self.model.layers):
            hidden = layer(hidden, attention_mask=mask, position_embeddings=rotary, past_key_values=cache)
            hidden = hidden[0] if isinstance(hidden, tuple) else hidden
            if deep is not None and number < len(deep):
                hidden = hidden.index_add(1, places, deep[number])
        logits = self.head(self.model.norm(hidden[:, -1:]))
        new = [tensor for layer in cache.layers for tensor in (layer.keys, layer.values)]
        return (logits, *new)


class _Vision(torch.nn.Module):  # type: ignore[misc]  # torch is untyped here
    """patches (n * 64, 1536) of three images to (3, 48, hidden): embeddings and two deepstack features."""

    def __init__(self, tower: torch.nn.Module) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        grid = torch.tensor([[1, layout.GRID, layout.GRID]] * layout.IMAGES)
        out = self.tower(pixels, grid_thw=grid)
        embeddings, deep = out if isinstance(out, tuple) else (out.pooler_output, out.deepstack_features)
        return torch.stack([embeddings, *deep])


def export_decoder(model: Qwen3ForCausalLM | Qwen3VLForConditionalGeneration, file: Path) -> None:
    """Write the language half of `model` with cached keys and values."""
    visual = isinstance(model, Qwen3VLForConditionalGeneration)
    language = model.model.language_model if visual else model.model
    settings = model.config.text_config if visual else model.config
    layers, heads, width = settings.num_hidden_layers, settings.num_key_value_heads, settings.head_dim
    new, past, axes, images = 5, 4, 3 if visual else 1, 2
    example: list[torch.Tensor] = [
        torch.ones(1, new, dtype=torch.long),
        torch.arange(new).expand(axes, 1, new).contiguous(),
        torch.zeros(1, 1, new, new + past),
    ]
    names, dynamic = (
        ["ids", "positions", "mask"],
        {"ids": {1: "S"}, "positions": {2: "S"}, "mask": {2: "S", 3: "T"}},
    )
    if visual:
        example += [torch.zeros(3, images, settings.hidden_size), torch.arange(images)]
        names += ["visual", "places"]
        dynamic |= {"visual": {1: "V"}, "places": {0: "V"}}
    outputs = ["logits"]
    for layer in range(layers):
        for part in ("key", "value"):
            example.append(torch.randn(1, heads, past, width))
            names.append(f"past_{part}{layer}")
            outputs.append(f"new_{part}{layer}")
            dynamic |= {f"past_{part}{layer}": {2: "P"}, f"new_{part}{layer}": {2: "T"}}
    wrapped = _Decoder(language, model.lm_head, visual=visual).eval()
    _export(wrapped, tuple(example), file, names, outputs, dynamic)


def export_vision(model: Qwen3VLForConditionalGeneration, file: Path) -> None:
    """Write the vision tower for three images of the layout's size."""
    pixels = torch.randn(layout.IMAGES * layout.GRID**2, 3 * layout.FRAMES * layout.PATCH**2)
    _export(_Vision(model.model.visual).eval(), (pixels,), file, ["pixels"], ["visual"], {})


def _export(
    module: torch.nn.Module, example: Any, file: Path, inputs: list[str], outputs: list[str], dynamic: Any
) -> None:
    buffer = io.BytesIO()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns about itself, and of each constant that is meant to be one
        # The tracing exporter: the newer one stops at the data-dependent split in the vision attention.
        torch.onnx.export(
            module,
            example,
            buffer,
            dynamo=False,
            input_names=inputs,
            output_names=outputs,
            dynamic_axes=dynamic,
        )
    model = onnx.load_from_string(buffer.getvalue())
    halve(model)
    file.write_bytes(model.SerializeToString())


def halve(model: onnx.ModelProto, *, smallest: int = 1024) -> None:
    """Store large weights as float16 with a cast behind each; onnxruntime folds the cast when loading."""
    casts = []
    for weight in model.graph.initializer:
        array = numpy_helper.to_array(weight)
        if weight.data_type == TensorProto.FLOAT and array.size >= smallest:
            name = weight.name
            weight.CopyFrom(numpy_helper.from_array(array.astype(np.float16), name + ".half"))
            casts.append(helper.make_node("Cast", [name + ".half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def load_editor(folder: Path) -> Qwen3ForCausalLM:
    """The trained editor, ready for export."""
    return Qwen3ForCausalLM.from_pretrained(folder, attn_implementation="eager").eval()


def load_thinker(folder: Path) -> Qwen3VLForConditionalGeneration:
    """The trained thinker, ready for export."""
    return Qwen3VLForConditionalGeneration.from_pretrained(folder, attn_implementation="eager").eval()
