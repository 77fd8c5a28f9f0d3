"""A transformer decoder run by onnxruntime, one token at a time, with a cache of keys and values.

In: an ONNX file made by `training/darkroom/export.py`. Out: logits. Knows nothing of words or images; the
editor's and the thinker's models are both run by it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]


def open_session(model: Path | bytes) -> ort.InferenceSession:
    """A quiet single-threaded session: the models are too small for threads to pay."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    source = model if isinstance(model, bytes) else str(model)
    return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])


class Decoder:
    """The weights; `start` opens a sequence. Safe to share between threads."""

    def __init__(self, model: Path | bytes) -> None:
        self.session = open_session(model)
        self._inputs = {node.name: node for node in self.session.get_inputs()}
        self.layers = sum(name.startswith("past_key") for name in self._inputs)
        _, self._heads, _, self._width = self._inputs["past_key0"].shape
        self.axes: int = self._inputs["positions"].shape[0]
        self.no_images: dict[str, Any] = {}
        """What a decoder that takes images is fed when there are none."""
        if "visual" in self._inputs:
            deep, _, hidden = self._inputs["visual"].shape
            self.no_images = {
                "visual": np.zeros((deep, 0, hidden), np.float32),
                "places": np.zeros(0, np.int64),
            }

    def start(self) -> Sequence:
        """An empty sequence."""
        return Sequence(self)

    def empty_cache(self) -> list[Floats]:
        """Keys and values of no tokens."""
        return [np.zeros((1, self._heads, 0, self._width), np.float32) for _ in range(2 * self.layers)]


class Sequence:
    """One sequence being decoded: single use, not shared between threads."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._cache = decoder.empty_cache()
        self._length = 0
        self._position = 0

    def fork(self) -> Sequence:
        """A sequence that goes on from here on its own; nothing is copied but references."""
        twin = Sequence(self._decoder)
        twin._cache, twin._length, twin._position = self._cache, self._length, self._position
        return twin

    def feed(
        self, ids: list[int], positions: Ids | None = None, visual: dict[str, Any] | None = None
    ) -> Floats:
        """Append tokens and return the logits (vocabulary,) after the last one.

        `positions` (axes, n) defaults to counting on. `visual` replaces embeddings and adds to hidden states
        at the image tokens; only for decoders that have such inputs.
        """
        count = len(ids)
        if positions is None:
            counted = np.arange(self._position, self._position + count)
            positions = np.broadcast_to(counted, (self._decoder.axes, count))
        self._position = int(positions.max()) + 1
        past = self._length
        mask = np.triu(np.full((count, past + count), -1e9, np.float32), past + 1)[None, None]
        feeds: dict[str, Any] = {
            "ids": np.array([ids], np.int64),
            "positions": np.ascontiguousarray(positions[:, None]),
            "mask": mask,
        }
        feeds |= visual or self._decoder.no_images
        for layer in range(self._decoder.layers):
            feeds[f"past_key{layer}"] = self._cache[2 * layer]
            feeds[f"past_value{layer}"] = self._cache[2 * layer + 1]
        logits, *self._cache = self._decoder.session.run(None, feeds)
        self._length += count
        result: Floats = logits[0, -1]
        return result
