"""What a rollout deserves: pure functions of a reply, of what it was about, and of what judges said.

    reward = form + critic * c + gain * g + gain_quality * q - turn_cost * t + preservation * p

with the weights of `recipe.Reward`, named as there, and

    term   what it is                                                               range
    form   1: the reply can be read and its instruction is one                      1, or the gate
    c      1 - (|S - E| in semantic + in quality) / 20, for the image it was shown   0 .. 1   equation 3
    g      (E' - E) / 10 in semantic, of the image that the new words made and of   -1 .. 1   equation 4
           the one that the old words made, by one judge and from one seed
    q      the same in quality                                                      -1 .. 1
    t      1 when another edit was asked for                                         0, 1
    p      how much liker to the source the new one is where nothing was to change  -1 .. 1

Gate: a reply that cannot be read, or whose instruction is a trick (`trick`), gets the lowest reward there is
(`bounds`) and nothing is edited for it. Masked: when an edit or a judgement is missing, the reward is None:
the rollout leaves its group, is not paid and not punished, and moves neither its mean nor its deviation.

To stop is neither better nor worse than to go on for nothing: a reply that leaves the instruction as it is
costs no edit and has g = q = p = t = 0. So stopping early loses what another edit would have gained (g > 0
on average), never stopping loses what it spoils (g < 0 on average, as a good image can hardly be improved),
and `turn_cost` says how large a gain must be to be worth an edit. It is not paid for a score that would stop
the loop either: that score is judged by c alone.

Deviations from the paper: c is equation 3 moved and scaled to 0..1, which only matters beside the gate;
equation 4 takes the image of the trajectory, whose seed was another: here both images are made with one seed,
so that words are rewarded and not luck; equation 5 has one g, the released weights name two.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import asdict, dataclass

from editthinker.core import reply
from editthinker.core.errors import ReplyError
from editthinker.core.types import Score
from editthinker.training.recipe import Reward

LONGEST, TIMES = 1000, 3
"""An instruction has at most so many characters, or so many times those of the longer one it comes from."""
SHINGLE = 4
"""Words in a row that are taken for copied when the question has them too."""
COPIED = 0.5
"""Share of an instruction's words in a row that may be the question's."""

_CLAUSE = re.compile(r"[,;.!?\n，；。、！？]+|\b(?:and|then)\b", re.IGNORECASE)
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Shown:
    """What a reply is about."""

    instruction: str
    """T_s."""
    sent: str
    """T_{t-1}: the words that made the image it was shown."""
    score: Score
    """Of that image, as the data has it."""
    question: str = ""
    """All words of the question; an instruction that repeats them is no instruction."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reply says."""

    score: Score | None = None
    words: str | None = None
    """What is to be edited with; None: nothing."""
    fault: str = ""
    """Why it is worth nothing, in one phrase; empty when it can be read."""


@dataclass(frozen=True, slots=True)
class Look:
    """What is known of one edited image."""

    score: Score
    kept: float | None = None
    """Likeness to the source where nothing was to change, 0..1; None: not measured, or nothing lies there."""


Looks = tuple[Look, Look]
"""Of the image that the old words made and of that of the new ones: one seed, one judge."""


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of one reward, unweighted."""

    form: float
    critic: float = 0.0
    gain: float = 0.0
    gain_quality: float = 0.0
    turns: float = 0.0
    preservation: float = 0.0

    def named(self) -> dict[str, float]:
        """By name."""
        return asdict(self)


def read(text: str, shown: Shown, rule: str = "paper") -> Reading:
    """What a reply says and asks for."""
    if rule == "official":
        return _read_officially(text)
    try:
        critique = reply.parse(text, previous_instruction=shown.sent)
    except ReplyError as error:
        return Reading(fault=str(error))
    words = critique.refined_instruction
    if words.split() == shown.sent.split():  # as the loop has it: `core.policies.refine`
        return Reading(critique.score)
    if fault := trick(words, shown):
        return Reading(critique.score, fault=fault)
    return Reading(critique.score, words)


def trick(words: str, shown: Shown) -> str:
    """Why these words are no instruction, in one phrase; empty when they may be one.

    A clause may come as often as the user's own words have it ("ha, ha" to be written on a sign).
    """
    longest = max(LONGEST, TIMES * max(len(shown.instruction), len(shown.sent)))
    if not any(character.isalnum() for character in words):
        return "the instruction has no words"
    if len(words) > longest:
        return f"the instruction has {len(words)} characters; {longest} are enough"
    allowed = [_clauses(text) for text in (shown.instruction, shown.sent)]
    for clause, count in _clauses(words).items():
        if count > max(1, *(known[clause] for known in allowed)):
            return f"the instruction says {' '.join(clause)!r} {count} times"
    if _copied(words, shown):
        return "the instruction is copied from the question"
    return ""


def terms(reading: Reading, shown: Shown, looks: Looks | None) -> Terms | None:
    """The terms of a reply, None when it asked for an edit and there are no looks: it is masked."""
    if reading.fault or reading.score is None:
        return Terms(0.0)
    critic = 1 - _apart(reading.score, shown.score) / 20
    if reading.words is None:
        return Terms(1.0, critic)
    if looks is None:
        return None
    before, after = looks
    return Terms(
        form=1.0,
        critic=critic,
        gain=(after.score.semantic - before.score.semantic) / 10,
        gain_quality=(after.score.quality - before.score.quality) / 10,
        turns=1.0,
        preservation=0.0 if before.kept is None or after.kept is None else after.kept - before.kept,
    )


def total(worth: Terms, weights: Reward) -> float:
    """The reward, within `bounds`."""
    if not worth.form:
        return bounds(weights)[0]
    return (
        weights.form
        + weights.critic * worth.critic
        + weights.gain * worth.gain
        + weights.gain_quality * worth.gain_quality
        - weights.turn_cost * worth.turns
        + weights.preservation * worth.preservation
    )


def bounds(weights: Reward) -> tuple[float, float]:
    """The lowest reward, which what cannot be read gets, and the highest."""
    moves = weights.gain + weights.gain_quality + weights.preservation
    return min(0.0, weights.form - moves - weights.turn_cost), weights.form + weights.critic + moves


def reward(reading: Reading, shown: Shown, looks: Looks | None, weights: Reward) -> float | None:
    """The reward of a reply, None when it is masked."""
    if weights.rule == "official":
        return official(reading, shown, looks)
    worth = terms(reading, shown, looks)
    return None if worth is None else total(worth, weights)


def official(reading: Reading, shown: Shown, looks: Looks | None) -> float:
    """The released formula, faults included: what it is compared with, never what a thinker should learn by.

    Success is 0.5 form + 0.5 edit, edit = ((E' - E) / 10 + 1) / 2 in semantic: critic and quality do not
    count, and E is the stored score. Without an image it is 0.5 form + 0.5 (0.2 critic + 0.4): more than for
    an edit that changed nothing, as soon as the critic is good. The critic is 1 less the mean square error
    over 10, at least 0. Here a reply without the format counts as a failed edit (there, an empty
    instruction is edited and judged); crashes and damaged prompts of the released code are left out.
    """
    form = 0.0 if reading.fault else 1.0
    if looks is not None and not reading.fault:
        moved = (looks[1].score.semantic - shown.score.semantic) / 10
        return 0.5 * form + 0.5 * (moved + 1) / 2
    critic = 0.0
    if reading.score is not None:
        error = (reading.score.semantic - shown.score.semantic) ** 2
        error += (reading.score.quality - shown.score.quality) ** 2
        critic = max(0.0, 10 - error / 2) / 10
    return 0.5 * form + 0.5 * (0.2 * critic + 0.6 * 0.5 + 0.2 * 0.5)


_OFFICIAL = re.compile(r"<think>.*?</think>.*?<score>(.*?)</score>.*?<answer>(.*?)</answer>", re.DOTALL)


def _read_officially(text: str) -> Reading:
    """Three blocks in order and two numbers; any words are edited with, those that were sent too."""
    found = _OFFICIAL.search(text)
    try:
        said = json.loads(found[1]) if found else {}
        score = Score(float(said["semantic"]), float(said["quality"]))
    except (ValueError, TypeError, KeyError, RecursionError):
        return Reading(fault="the released format check fails")
    return Reading(score, found[2].strip() if found else "")


def _apart(one: Score, other: Score) -> float:
    return abs(one.semantic - other.semantic) + abs(one.quality - other.quality)


def _clauses(text: str) -> Counter[tuple[str, ...]]:
    parts = (tuple(_WORD.findall(part.lower())) for part in _CLAUSE.split(text))
    return Counter(part for part in parts if part)


def _copied(words: str, shown: Shown) -> bool:
    """Whether most of an instruction is the question's frame: neither T_s nor the words that were sent."""
    mine = _WORD.findall(words.lower())
    if len(mine) < SHINGLE:
        return False
    frame = shown.question
    for own in filter(None, (shown.instruction, shown.sent)):
        frame = frame.replace(own, "\n")
    known = set(_shingles(_WORD.findall(frame.lower())))
    own_words = set(_shingles(_WORD.findall(f"{shown.instruction} {shown.sent}".lower())))
    shared = [shingle in known and shingle not in own_words for shingle in _shingles(mine)]
    return sum(shared) > COPIED * len(shared)


def _shingles(words: list[str]) -> list[tuple[str, ...]]:
    return [tuple(words[at : at + SHINGLE]) for at in range(len(words) - SHINGLE + 1)]
