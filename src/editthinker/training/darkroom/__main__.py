"""`python -m editthinker.training.darkroom STEP`: the darkroom's weights from nothing.

Steps, in order: editor, answers, thinker, export. Each goes on where it stopped and logs to its folder under
`--out` (default `checkpoints/`). `all` runs them one after the other.
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
from pathlib import Path

import cv2
import torch
from tokenizers import Tokenizer

from editthinker.darkroom.decoder import Decoder
from editthinker.darkroom.editor import ProgramWriter
from editthinker.training.darkroom import answers, editor, export, packing, thinker
from editthinker.training.darkroom.sources import draw_sources
from editthinker.training.darkroom.trajectories import Sources, Trajectories, read_requests

STEPS = ("editor", "answers", "thinker", "export")


def train_editor(arguments: argparse.Namespace) -> None:
    """Step 1: the language model that writes programs."""
    folder = arguments.out / "editor"
    editor.train(folder, editor.Recipe())
    export.export_decoder(export.load_editor(folder / "model"), folder / "editor.onnx")


def collect_answers(arguments: argparse.Namespace) -> None:
    """Step 2: what that editor makes of the training language."""
    folder = arguments.out / "editor"
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    writer = ProgramWriter(Decoder(folder / "editor.onnx"), tokenizer)
    answers.collect(writer, arguments.out / "answers.jsonl", arguments.answers)


def train_thinker(arguments: argparse.Namespace) -> None:
    """Step 3: the thinker, by SFT on the expert's critiques."""
    requests = read_requests(arguments.out / "answers.jsonl")
    sources = Sources(draw_sources(arguments.photos, arguments.sources))
    recipe = dataclasses.replace(thinker.Recipe(), minutes=arguments.minutes)
    thinker.train(arguments.out / "thinker", Trajectories(sources, requests), requests, recipe)


def pack(arguments: argparse.Namespace) -> None:
    """Step 4: ONNX files and manifest into the package."""
    packing.pack(arguments.out)


def main() -> None:
    """Run the steps asked for."""
    parser = argparse.ArgumentParser(prog="editthinker.training.darkroom", description=__doc__)
    parser.add_argument("step", choices=[*STEPS, "all"])
    parser.add_argument("--out", type=Path, default=Path("checkpoints"))
    parser.add_argument("--photos", type=Path, default=Path("training-photos"))
    parser.add_argument(
        "--minutes", type=float, default=thinker.Recipe().minutes, help="time for the thinker"
    )
    parser.add_argument("--sources", type=int, default=4000, help="small source pictures to draw")
    parser.add_argument("--answers", type=int, default=30_000, help="instructions to ask the editor")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(arguments.threads)
    cv2.setNumThreads(1)
    work = dict(zip(STEPS, (train_editor, collect_answers, train_thinker, pack), strict=True))
    for step in STEPS if arguments.step == "all" else (arguments.step,):
        logging.info("step %s, into %s", step, arguments.out)
        work[step](arguments)


if __name__ == "__main__":
    main()
