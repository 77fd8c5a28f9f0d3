"""How the darkroom's thinker comes to a reply: it reads the wish, looks several times, and says it once.

In: patches of the views, the words asked and sent. Out: a `Reading` of the wish alone; a `Reply` in the
grammar of `core.reply`, with scores that are means over several looks.

The reply begins with the reading, which is surer without images. What is seen is then drawn several times
from the model's own odds, and each time it scores what it saw. One look tells "fine" or "wrong" where the
model wavers; their mean tells how much it does, so that turns can be compared (self-consistency: Wang et al.,
arXiv 2203.11171). The words are those of the commonest look. What looks have in common is computed once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from editthinker.darkroom import layout
from editthinker.darkroom.decoder import Decoder, Floats, Sequence, open_session
from editthinker.darkroom.wording import readable, token_id

LOOKS = 8
"""How often a sentence of what is seen is drawn."""
READINGS = 64
"""Wishes whose reading is kept: every turn of a sample needs the same one."""
LONGEST = 260
"""Tokens of one part of a reply."""
SEEN = " seen:"
"""How the second sentence of the reasoning begins (`expert.sight`)."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the model takes a wish to be, read without images."""

    ids: tuple[int, ...]
    text: str
    """In plain words after a colon."""
    odds: float
    """The model's own, of this reading; 0 for words in an alphabet it never learned."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply, its scores apart."""

    parts: tuple[str, ...]
    """Text before the semantic score, between the two, and after; one part when it has no scores."""
    semantic: float = 0.0
    quality: float = 0.0

    def text(self, semantic: float) -> str:
        """As a whole, with this semantic score in place of its own."""
        if len(self.parts) == 1:
            return self.parts[0]
        before, between, after = self.parts
        return f"{before}{semantic:.1f}{between}{self.quality:.1f}{after}"


@dataclass(slots=True)
class _Look:
    """One sentence of what is seen, and where the model goes on from it."""

    times: int
    odds: float
    ids: list[int]
    sequence: Sequence
    logits: Floats
    parts: list[str] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)


class Writer:
    """The two halves of a thinker's model, and its words. Safe to share between threads."""

    def __init__(self, vision: bytes, decoder: bytes, tokenizer: str) -> None:
        self._vision, self._decoder = open_session(vision), Decoder(decoder)
        self._tokenizer = Tokenizer.from_str(tokenizer)
        self._end, self._pad, self._stop, self._one = (
            token_id(self._tokenizer, token) for token in (layout.IM_END, layout.IMAGE_PAD, ".", "1")
        )
        self._digits = [token_id(self._tokenizer, str(digit)) for digit in range(10)]
        pieces = [token_id(self._tokenizer, piece) for piece in layout.frame()]
        self._before_score, self._after_score = pieces[1:3], pieces[2:4]
        self.read = lru_cache(READINGS)(self._read)

    def cut(self, words: str, longest: int) -> str:
        """Words, at most so many tokens of them."""
        encoding = self._tokenizer.encode(words)
        return words if len(encoding.ids) <= longest else words[: encoding.offsets[longest][0]]

    def _read(self, asked: str) -> Reading:
        """The likeliest reading of a wish."""
        sequence, odds = self._decoder.start(), 1.0
        logits = sequence.feed(self._ids(layout.prompt(asked, "", images=0)))
        ids: list[int] = []
        while len(ids) < LONGEST and (token := int(logits.argmax())) != self._end:
            odds *= float(_softmax(logits)[token])
            ids.append(token)
            logits = sequence.feed([token])
        odds *= float(_softmax(logits)[self._end])
        return Reading(tuple(ids), self._text(ids), odds if readable(asked) else 0.0)

    def reply(self, patches: Floats, asked: str, sent: str, reading: Reading) -> Reply:
        """A critique of what the patches show; the same in, the same out."""
        opening = [*self._ids(layout.frame()[0]), *reading.ids, *self._ids(SEEN)]
        sequence = self._shown(patches, asked, sent)
        looks = list(self._looks(sequence, sequence.feed(opening)))
        for look in looks:
            self._judge(look, opening)
        looks = [look for look in looks if len(look.scores) == len(self._before_score)]
        if not looks:
            return Reply((self._text(opening),))
        times = [look.times for look in looks]
        semantic, quality = (
            float(np.average(scores, weights=times))
            for scores in zip(*(look.scores for look in looks), strict=True)
        )
        commonest = max(looks, key=lambda look: (look.times, look.odds))
        rest = self._text(self._greedy(commonest))
        return Reply((*commonest.parts, rest), semantic, quality)

    def _shown(self, patches: Floats, asked: str, sent: str) -> Sequence:
        """A sequence up to where the reply begins."""
        visual = self._vision.run(None, {"pixels": patches})[0]
        ids = self._ids(layout.prompt(asked, sent))
        places = np.flatnonzero(np.array(ids) == self._pad)
        positions = layout.positions([int(place) for place in places[:: layout.TOKENS]], len(ids))
        sequence = self._decoder.start()
        sequence.feed(ids, positions, {"visual": visual, "places": places})
        return sequence

    def _looks(self, sequence: Sequence, logits: Floats) -> Iterator[_Look]:
        """Sentences drawn from the model's odds, `LOOKS` in all, equal ones together."""
        rng = np.random.default_rng(0)
        growing = [_Look(LOOKS, 1.0, [], sequence, logits)]
        while growing:
            look = growing.pop()
            odds = _softmax(look.logits)
            drawn = rng.multinomial(look.times, odds)
            for token in map(int, np.flatnonzero(drawn)):
                twin = look.sequence.fork()
                ids, times = [*look.ids, token], int(drawn[token])
                grown = _Look(times, look.odds * float(odds[token]), ids, twin, twin.feed([token]))
                if token in (self._stop, self._end) or len(ids) >= LONGEST:
                    yield grown
                else:
                    growing.append(grown)

    def _judge(self, look: _Look, opening: list[int]) -> None:
        """Go on from what was seen to both scores, as far as the model gets."""
        written = [*opening, *look.ids]
        for _ in self._before_score:
            written += self._greedy(look, self._before_score)
            if written[-1] not in self._before_score:
                return
            look.parts.append(self._text(written))
            score, digits = self._score(look.sequence, look.logits)
            look.scores.append(score)
            for digit in digits:
                look.logits = look.sequence.feed([digit])
            written = []

    def _greedy(self, look: _Look, until: list[int] | None = None) -> list[int]:
        """The likeliest tokens, the last of which is one of `until` or comes before the end."""
        written: list[int] = []
        while len(written) < LONGEST and (token := int(look.logits.argmax())) != self._end:
            written.append(token)
            look.logits = look.sequence.feed([token])
            if token in (until or ()):
                break
        return written

    def _score(self, sequence: Sequence, logits: Floats) -> tuple[float, list[int]]:
        """The mean score under the model's own odds of 0..10, and the likeliest score's tokens.

        A mean tells "probably right" from "certainly right" where the likeliest whole number says 10 to both.
        """
        odds = _softmax(logits)[self._digits]
        odds /= odds.sum()
        after_one = _softmax(sequence.fork().feed([self._one]))[[self._digits[0], *self._after_score]]
        ten = odds[1] * after_one[0] / after_one.sum()
        chances = [*odds, ten]
        chances[1] -= ten
        likeliest = int(np.argmax(chances))
        mean = float(sum(number * chance for number, chance in enumerate(chances)))
        return mean, [self._digits[int(digit)] for digit in str(likeliest)]

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text).ids
        return ids

    def _text(self, ids: list[int]) -> str:
        text: str = self._tokenizer.decode(ids, skip_special_tokens=False)
        return text


def _softmax(logits: Floats) -> npt.NDArray[np.float64]:
    odds = np.exp(logits.astype(np.float64) - float(logits.max()))
    shares: npt.NDArray[np.float64] = odds / odds.sum()
    return shares
