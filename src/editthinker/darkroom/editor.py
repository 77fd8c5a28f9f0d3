"""The darkroom's editor: reads an instruction, writes an edit program, executes it at full resolution.

In: a source image and an instruction. Out: the edited image, with the program in its notes. It is a language
model: sampled, seeded, and wrong at times; it never sees the image it edits.
"""

from __future__ import annotations

import asyncio
from functools import cached_property

import numpy as np
from tokenizers import Tokenizer

from editthinker.core.contracts import EditorInfo
from editthinker.core.errors import EditorError, Refused
from editthinker.core.images import Picture
from editthinker.core.types import Edited, EditRequest
from editthinker.darkroom import spelling, weights
from editthinker.darkroom.decoder import Decoder, Floats
from editthinker.darkroom.program import Program, written
from editthinker.darkroom.wording import PROGRAM, fold_quotes, readable, token_id

MAX_TOKENS = 320
"""Instruction tokens read; the model was trained on far shorter ones."""


class ProgramWriter:
    """Instruction to program: the learned half of the editor. Safe to share between threads."""

    def __init__(self, decoder: Decoder, tokenizer: Tokenizer) -> None:
        self._decoder, self._tokenizer = decoder, tokenizer
        self._ids = {token: token_id(tokenizer, token) for token in spelling.TOKENS}
        self._tokens = {place: token for token, place in self._ids.items()}

    def write(self, instruction: str, *, seed: int = 0, temperature: float = 0.7) -> Program:
        """Sample a program; temperature 0 takes the likeliest token each time."""
        folded, strings = fold_quotes(instruction)
        ids = self._tokenizer.encode(folded).ids[:MAX_TOKENS]
        sequence, grammar = self._decoder.start(), spelling.Grammar()
        logits = sequence.feed([*ids, token_id(self._tokenizer, PROGRAM)])
        rng = np.random.default_rng(seed)
        while True:
            allowed = [self._ids[token] for token in sorted(grammar.allowed())]
            choice = _choose(logits, allowed, temperature, rng)
            grammar.feed(self._tokens[choice])
            if grammar.ended:
                return written(grammar.program, strings)
            logits = sequence.feed([choice])


def _choose(logits: Floats, allowed: list[int], temperature: float, rng: np.random.Generator) -> int:
    scores = logits[allowed].astype(np.float64)
    if temperature <= 0:
        return allowed[int(scores.argmax())]
    chances = np.exp((scores - scores.max()) / temperature)
    return allowed[int(rng.choice(len(allowed), p=chances / chances.sum()))]


class DarkroomEditor:
    """The editor behind the names "darkroom", "darkroom:small" and "darkroom:large"."""

    def __init__(self, writer: ProgramWriter, *, temperature: float = 0.7, name: str = "darkroom") -> None:
        self._writer, self._temperature, self._name = writer, temperature, name

    @classmethod
    def load(cls, size: str = "") -> DarkroomEditor:
        """The editor of a size with the package's weights; without one the usual editor.

        Raises `StoreError` when they do not match their hashes.
        """
        model = f"editor-{size}" if size else "editor"
        files = weights.verified(model)
        tokenizer = Tokenizer.from_str(files[f"{model}.tokenizer.json"].decode())
        name = f"darkroom:{size}" if size else "darkroom"
        return cls(ProgramWriter(Decoder(files[f"{model}.onnx"]), tokenizer), name=name)

    @classmethod
    def small(cls) -> DarkroomEditor:
        """A weaker one, to measure with."""
        return cls.load("small")

    @classmethod
    def large(cls) -> DarkroomEditor:
        """A stronger one, which also read the wordings that thinkers read."""
        return cls.load("large")

    @cached_property
    def info(self) -> EditorInfo:
        """Facts for the thinker and the loop."""
        return EditorInfo(self._name, price=0.0, prompt_hint="short plain clauses, one for each edit")

    async def edit(self, request: EditRequest) -> Edited:
        """Edit in a worker thread. Raises `Refused` for a language it does not read."""
        return await asyncio.to_thread(self._edit, request)

    def _edit(self, request: EditRequest) -> Edited:
        from editthinker.darkroom.operations import execute

        _readable(request.instruction)
        program = self._writer.write(request.instruction, seed=request.seed, temperature=self._temperature)
        try:
            image: Picture = execute(request.images[0], program)
        except MemoryError as error:
            raise EditorError("the photo is too large for this machine's memory") from error
        return Edited(image, notes={"program": [" ".join(spelling.spell_operation(o)) for o in program]})


def _readable(instruction: str) -> None:
    if not readable(fold_quotes(instruction)[0]):
        raise Refused(
            "the darkroom editor reads English only; put the instruction in English or name another --editor"
        )
