"""The darkroom's thinker: a small Qwen3-VL that looks at source and edited image and writes a critique.

In: a `View`. Out: a `Thought` in the grammar of `core.reply`, like any other thinker's. onnxruntime only. The
`ExpertThinker` beside it knows the target program of a bench sample and is the upper bound.
"""

from __future__ import annotations

import asyncio
import html

import numpy as np
from tokenizers import Tokenizer

from editthinker.core import reply
from editthinker.core.contracts import EditorInfo, View
from editthinker.core.errors import ThinkerError
from editthinker.core.types import Critique, Plan, Sample, Thought
from editthinker.darkroom import expert, judge, layout, planning, weights
from editthinker.darkroom.decoder import Decoder, Floats, Sequence, open_session
from editthinker.darkroom.targets import said_of, target_of
from editthinker.darkroom.wording import fold_quotes, token_id, unfold_quotes

MAX_WORDS = 160
"""Tokens of an instruction the thinker reads; longer ones are cut, as in training none came near."""
MAX_REPLY = 260
"""Tokens of a reply."""
EDITOR_READS = 0.6
"""How often the editor does what words say that the thinker cannot read; set before any bench."""
PRESENT = 0.8
"""How much of an operation the expert wants to see before calling it done."""
SURE_ENOUGH = 0.5
"""Odds of a reading below which a wish is not taken apart. Of 250 validation wishes, 220 were read with at
least these odds and 98 % of them right; of the 30 others, 33 %."""


class DarkroomThinker:
    """The thinker behind the name "darkroom". Greedy, so the same view gives the same critique."""

    name = "darkroom"
    price = 0.0

    def __init__(self, vision: bytes, decoder: bytes, tokenizer: str) -> None:
        self._vision = open_session(vision)
        self._decoder = Decoder(decoder)
        self._tokenizer = Tokenizer.from_str(tokenizer)
        self._end = token_id(self._tokenizer, layout.IM_END)
        self._pad = token_id(self._tokenizer, layout.IMAGE_PAD)
        self._digits = [token_id(self._tokenizer, str(digit)) for digit in range(10)]
        pieces = [token_id(self._tokenizer, piece) for piece in layout.frame()]
        self._before_score, self._after_score = pieces[1:3], pieces[2:4]

    @classmethod
    def load(cls) -> DarkroomThinker:
        """The thinker with the package's weights. Raises `StoreError` when they do not match their hashes."""
        files = weights.verified("thinker")
        tokenizer = files["thinker.tokenizer.json"].decode()
        return cls(files["thinker.vision.onnx"], files["thinker.decoder.onnx"], tokenizer)

    async def think(self, view: View) -> Thought:
        """Critique in a worker thread; before any edit the source is shown. Raises `ReplyError`."""
        return await asyncio.to_thread(self._think, view)

    async def plan(self, sample: Sample, editor: EditorInfo) -> Plan:
        """The wish in plain words, one step for each operation, in a worker thread.

        A wish for one thing, and one that is not read with some certainty, stays whole, in the user's words.
        """
        return await asyncio.to_thread(self._plan, sample.instruction)

    def _plan(self, instruction: str) -> Plan:
        asked, strings = fold_quotes(instruction)
        reading, odds = self._reading(self._cut(asked))
        steps = planning.clauses(reading.partition(":")[2], strings)
        if odds < SURE_ENOUGH or len(steps) < 2:
            return Plan((instruction,), "it asks for one thing" if steps else "")
        return Plan(steps, f"it asks for {len(steps)} things")

    def _think(self, view: View) -> Thought:
        asked, strings = fold_quotes(view.sample.instruction)
        asked = self._cut(asked)
        sent = "" if view.edited is None else self._cut(fold_quotes(view.instruction)[0])
        text = self._complete(asked, sent, view)
        quoted = [html.escape(string, quote=False) for string in strings]
        critique = reply.parse(unfold_quotes(text, quoted), previous_instruction=view.instruction)
        return Thought(critique)

    def _complete(self, asked: str, sent: str, view: View) -> str:
        source = view.sample.source
        images = layout.views(source, view.edited or source)
        visual = self._vision.run(None, {"pixels": layout.patches(images)})[0]
        ids = self._tokenizer.encode(layout.prompt(asked, sent)).ids
        places = np.flatnonzero(np.array(ids) == self._pad)
        positions = layout.positions([int(p) for p in places[:: layout.TOKENS]], len(ids))
        sequence = self._decoder.start()
        logits = sequence.feed(ids, positions, {"visual": visual, "places": places})
        pieces: list[str] = []
        written: list[int] = []
        while len(written) < MAX_REPLY and (token := int(logits.argmax())) != self._end:
            written.append(token)
            logits = sequence.feed([token])
            if token in self._before_score:
                value, digits = self._score(sequence, logits)
                if token == self._before_score[0] and view.edited is not None:
                    value = self._weighed(value, asked, view)
                pieces += [self._decode(written), f"{value:.1f}"]
                written = []
                for digit in digits:
                    logits = sequence.feed([digit])
        return "".join([*pieces, self._decode(written)])

    def _score(self, sequence: Sequence, logits: Floats) -> tuple[float, list[int]]:
        """The mean score under the model's own odds of 0..10, and the likeliest score's tokens.

        A mean tells "probably right" from "certainly right" where the likeliest whole number says 10 to both.
        """
        odds = _softmax(logits[self._digits])
        after_one = sequence.fork().feed([self._digits[1]])
        ten = odds[1] * _softmax(after_one[[self._digits[0], *self._after_score]])[0]
        chances = [*odds, ten]
        chances[1] -= ten
        likeliest = int(np.argmax(chances))
        mean = sum(number * chance for number, chance in enumerate(chances))
        return mean, [self._digits[int(digit)] for digit in str(likeliest)]

    def _weighed(self, semantic: float, asked: str, view: View) -> float:
        """The score, given how likely the wish was read right at all.

        If it was misread, what was said is void: then the user's own words, as the editor read them, are
        right in `EDITOR_READS` of cases, and the thinker's rewording is wrong.
        """
        _, sure = self._reading(asked)
        own_words = view.instruction == view.sample.instruction
        return sure * semantic + (1 - sure) * (10 * EDITOR_READS if own_words else 0.0)

    def _reading(self, asked: str) -> tuple[str, float]:
        """What the model takes the wish to be, in plain words after a colon, and its odds of being right."""
        sequence, sure = self._decoder.start(), 1.0
        logits = sequence.feed(self._tokenizer.encode(layout.prompt(asked, "", images=0)).ids)
        written: list[int] = []
        while len(written) < MAX_REPLY:
            token = int(logits.argmax())
            sure *= float(_softmax(logits)[token])
            if token == self._end:
                break
            written.append(token)
            logits = sequence.feed([token])
        return self._decode(written), sure

    def _decode(self, ids: list[int]) -> str:
        text: str = self._tokenizer.decode(ids, skip_special_tokens=False)
        return text

    def _cut(self, words: str) -> str:
        encoding = self._tokenizer.encode(words)
        return words if len(encoding.ids) <= MAX_WORDS else words[: encoding.offsets[MAX_WORDS][0]]


def _softmax(logits: Floats) -> Floats:
    odds = np.exp(logits - logits.max())
    shares: Floats = odds / odds.sum()
    return shares


class ExpertThinker:
    """Knows the target (`targets`) and the judge's score: the paper's expert, and a bound."""

    name = "darkroom-expert"
    price = 0.0

    async def think(self, view: View) -> Thought:
        """Critique from the truth. Raises `ThinkerError` for a sample without one."""
        return await asyncio.to_thread(self._think, view)

    @staticmethod
    def _think(view: View) -> Thought:
        target, said = target_of(view.sample), said_of(view.sample)
        if target is None or said is None:
            raise ThinkerError(
                "the expert needs samples with a known target program, as 'data generate darkroom' has"
            )
        found = judge.verdict(view.sample.source, view.edited or view.sample.source, target)
        shown = dict(zip(target, found.presence, strict=True))
        wrong = tuple(o for o in said if shown[o] < PRESENT)
        _, strings = fold_quotes(view.sample.instruction)
        refined = expert.refine(
            said,
            wrong,
            found.score,
            sent=view.instruction,
            first_words=not view.turns,
            unasked=found.preservation < PRESENT,
        )
        done = tuple(o for o in target if o not in wrong)  # in execution order, as they can be seen
        return Thought(Critique(found.score, expert.reasoning(said, done), unfold_quotes(refined, strings)))
