"""The package's thinker as a folder to train on, or to load with torch: what `export` does, undone.

In: the ONNX files of the package. Out: a folder as any training writes it, as exact as the files are: half
precision, norms and biases in full. Exported again it gives the same files.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import numpy_helper
from tokenizers import Tokenizer
from transformers import Qwen3VLForConditionalGeneration

from editthinker.core.errors import ThinkerError
from editthinker.darkroom import weights
from editthinker.training.darkroom import export, nets, packing

SIZE = "base"
"""Of `nets.SIZES`: the one that ships."""
VISION, DECODER, TOKENIZER = weights.THINKER


def unpack(folder: Path) -> None:
    """Write the shipped thinker into `folder`, with its processor."""
    files = weights.verified("thinker")
    tokenizer = Tokenizer.from_str(files[TOKENIZER].decode())
    net = nets.untrained(tokenizer, nets.SIZES[SIZE])
    restore(net, files)
    net.save_pretrained(folder)
    nets.processor(tokenizer).save_pretrained(folder)
    trainings = json.dumps(weights.manifest()["thinker"]["trainings"], indent=1)
    (folder / packing.TRAININGS).write_text(trainings, encoding="utf-8")


def restore(net: Qwen3VLForConditionalGeneration, files: Mapping[str, bytes]) -> None:
    """Fill `net` with the weights of these ONNX files.

    An export renames weights and turns some of them over, but two models of one architecture are exported
    alike: `net` is exported with a mark in every weight, and what lies in the file where a mark comes to lie
    belongs to that weight. The two files share none. Raises `ThinkerError` for files of another architecture.
    """
    targets = list(net.parameters())
    net.set_attn_implementation("eager")
    with torch.no_grad(), tempfile.TemporaryDirectory() as scratch:
        _mark(targets)
        for file, write in ((DECODER, export.export_decoder), (VISION, export.export_vision)):
            write(net, Path(scratch) / file)
            marked, found = _arrays((Path(scratch) / file).read_bytes()), _arrays(files[file])
            if [one.shape for one in marked] != [one.shape for one in found]:
                raise ThinkerError(f"{file} is not of the architecture that ships")
            for mark, array in zip(marked, found, strict=True):
                turned = mark.ndim == 2 and mark[0, -1] == mark.min()
                right = torch.from_numpy((array.T if turned else array).astype(np.float32))
                targets[int(mark.min())].copy_(right)


def _mark(targets: list[torch.nn.Parameter]) -> None:
    """Fill each with its number, its first row with a quarter more, which half precision still holds."""
    for number, weight in enumerate(targets):
        weight.fill_(number)
        if weight.ndim > 1:
            weight[0] += 0.25


def _arrays(file: bytes) -> list[npt.NDArray[np.floating]]:
    """The weights of an ONNX file, in its order."""
    return [numpy_helper.to_array(one) for one in onnx.load_from_string(file).graph.initializer]
