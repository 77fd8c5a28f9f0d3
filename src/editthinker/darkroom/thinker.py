"""The darkroom's thinker: a small Qwen3-VL that looks at source and edited image and writes a critique.

In: a `View`. Out: a `Thought` in the grammar of `core.reply`, like any other thinker's. onnxruntime only. The
`ExpertThinker` beside it knows the target program of a bench sample and is the upper bound.
"""

from __future__ import annotations

import asyncio
import html
from collections.abc import Mapping

from editthinker.core import reply
from editthinker.core.contracts import EditorInfo, View
from editthinker.core.errors import ThinkerError
from editthinker.core.types import Critique, Plan, Sample, Thought
from editthinker.darkroom import expert, judge, layout, planning, weights
from editthinker.darkroom.replying import Writer
from editthinker.darkroom.targets import said_of, target_of
from editthinker.darkroom.wording import fold_quotes, unfold_quotes

MAX_WORDS = 160
"""Tokens of an instruction the thinker reads; longer ones are cut, as in training none came near."""
EDITOR_READS = 0.6
"""How often the editor does what words say that the thinker cannot read; set before any bench."""
PRESENT = 0.8
"""How much of an operation the expert wants to see before calling it done."""
SURE_ENOUGH = 0.5
"""Odds of a reading below which a wish is not taken apart. Of 250 `fresh` wishes, 215 were read with at least
these odds, 76 % of them right; of the 35 others, 17 %. All 250 of validation were, 99.6 % of them right."""


class DarkroomThinker:
    """The thinker behind the name "darkroom". The same view gives the same critique."""

    price = 0.0

    def __init__(self, files: Mapping[str, bytes], *, name: str = "darkroom") -> None:
        """From the contents of the files `weights.THINKER`."""
        vision, decoder, tokenizer = (files[file] for file in weights.THINKER)
        self._writer, self.name = Writer(vision, decoder, tokenizer.decode()), name

    @classmethod
    def load(cls) -> DarkroomThinker:
        """The thinker with the package's weights. Raises `StoreError` when they do not match their hashes."""
        return cls(weights.verified("thinker"))

    async def think(self, view: View) -> Thought:
        """Critique in a worker thread; before any edit the source is shown. Raises `ReplyError`."""
        return await asyncio.to_thread(self._think, view)

    async def plan(self, sample: Sample, editor: EditorInfo) -> Plan:
        """The wish in plain words, one step for each operation, in a worker thread.

        A wish for one thing, and one that is not read with some certainty, stays whole, in the user's words.
        """
        return await asyncio.to_thread(self._plan, sample.instruction)

    def _plan(self, instruction: str) -> Plan:
        asked, strings = self._folded(instruction)
        reading = self._writer.read(asked)
        steps = planning.clauses(reading.text.partition(":")[2], strings)
        if reading.odds < SURE_ENOUGH or len(steps) < 2:
            return Plan((instruction,), "it asks for one thing" if steps else "")
        return Plan(steps, f"it asks for {len(steps)} things")

    def _think(self, view: View) -> Thought:
        asked, strings = self._folded(view.sample.instruction)
        sent = "" if view.edited is None else self._folded(view.instruction)[0]
        reading = self._writer.read(asked)
        source = view.sample.source
        patches = layout.patches(layout.views(source, view.edited or source))
        said = self._writer.reply(patches, asked, sent, reading)
        semantic = said.semantic if view.edited is None else _weighed(said.semantic, reading.odds, view)
        quoted = [html.escape(string, quote=False) for string in strings]
        text = unfold_quotes(said.text(semantic), quoted)
        return Thought(reply.parse(text, previous_instruction=view.instruction))

    def _folded(self, words: str) -> tuple[str, list[str]]:
        folded, strings = fold_quotes(words)
        return self._writer.cut(folded, MAX_WORDS), strings


def _weighed(semantic: float, odds: float, view: View) -> float:
    """The score, given the odds that the wish was read right at all.

    If it was misread, what was said is void: then the user's own words, as the editor read them, are right in
    `EDITOR_READS` of cases, and the thinker's rewording is wrong.
    """
    own_words = view.instruction == view.sample.instruction
    return odds * semantic + (1 - odds) * (10 * EDITOR_READS if own_words else 0.0)


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
