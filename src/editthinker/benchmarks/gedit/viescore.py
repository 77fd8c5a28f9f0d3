"""VIEScore's way of reading a reply (arXiv 2312.14867), with every accident, and a strict one.

In: a reply. Out: the list of scores it holds, or what becomes of it. Source: viescore/utils.py and
viescore/__init__.py in stepfun-ai/Step1X-Edit 570eba6, where an unusable reply is asked for again once; after
that one without braces is replaced by a random score, and one with broken braces is asked for without end.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

Fate = Literal["drawn", "endless", "stops"]
"""drawn: after asking again, a random 0-10; endless: asked again for ever; stops: an exception, after which
the caller starts over, up to 10,000 times."""
FATES: Final[dict[str, str]] = {
    "drawn": "the official code asks again and then draws a random score; left out",
    "endless": "the official code asks again for ever; left out",
    "stops": "the official code stops with an exception and starts over; left out",
}

_FENCE: Final = "||V^=^V||"
_LONGEST: Final = 100_000
"""Characters; a judge is asked for at most 1,400 tokens, and the repair takes quadratic time."""


def scores_in(text: str, *, again: bool = False) -> Any:
    """What the official code takes for the scores (a list when all is well), or a `Fate`.

    `again`: the question was asked before, and what has no braces is not looked at any more.
    """
    if text == "rate_limit_exceeded":
        return "stops"
    if text.count(_FENCE) == 2:
        inner = text[text.find(_FENCE) + len(_FENCE) : text.rfind(_FENCE)]
        return _decoded(inner) if inner else "endless"
    start, end = text.find("{"), text.rfind("}") + 1
    if start >= 0 and end > 0:
        return _decoded(text[start:end]) if start != end else "endless"
    return "drawn" if again else _bare(text)


def _bare(text: str) -> Any:
    """A reply without braces: a list of two whole numbers, or one number."""
    listed = text[text.find("[") : text.rfind("]") + 1]
    if re.match(r"^\[\d+, ?\d+\]$", listed):
        try:
            return json.loads(listed)
        except ValueError:  # [08, 7]
            return "stops"
    try:
        number = int(text)
    except ValueError:
        return "drawn"
    return [number] if 0 <= number <= 10 else "drawn"


def _decoded(inner: str) -> Any:
    if len(inner) > _LONGEST:
        return "endless"
    inner = inner.strip().replace("\n", "")
    try:
        scores = json.loads(inner)["score"]
    except (ValueError, KeyError, TypeError, IndexError, RecursionError):
        pass
    else:
        return scores if isinstance(scores, list) else [scores]
    try:
        repaired = json.loads(_repaired(inner))
    except (ValueError, RecursionError):
        return "endless"
    try:
        scores = repaired["score"]
    except (KeyError, TypeError, IndexError):
        return "stops"
    return scores if isinstance(scores, list) else "stops"


def _repaired(text: str) -> str:
    """Names get quotes, lone numbers brackets, everything else quotes: it rescues single scores only."""

    def value(match: re.Match[str]) -> str:
        name, held, end = match.groups()
        held = held.strip()
        if re.match(r"^-?\d+(\.\d+)?$", held):
            held = f"[{held}]"
        elif not re.match(r"^(true|false|null)$", held, re.IGNORECASE):
            held = f'"{held}"'
        return f"{name}: {held}{end}"

    return re.sub(r'(".*?"):(.*?)(,|})', value, re.sub(r"(\w+):", r'"\1":', text))


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample's scores, or what became of it and which of its two questions were answered."""

    sc: float = math.nan
    pq: float = math.nan
    fate: Fate | None = None
    readable: tuple[bool, bool] = (True, True)
    rounds: int = 1
    """How many rounds of replies it took."""

    @property
    def overall(self) -> float:
        """`sqrt(SC * PQ)`."""
        return math.sqrt(self.sc * self.pq)


def lowest(scores: Any) -> float | None:
    """The lower of a reply's scores; None where the official code stops with an exception."""
    try:
        value = min(scores)
        return None if isinstance(value, bool) else float(value + 0)
    except (TypeError, ValueError, OverflowError):  # words, nothing, a number of 400 digits
        return None


def official(sc: Sequence[str], pq: Sequence[str]) -> Sample:
    """The sample as the official code goes through the rounds of replies; at least one of each."""
    again, sample = False, Sample(fate="drawn", readable=(False, False))
    for number, (first, second) in enumerate(_rounds(sc, pq), 1):
        read = scores_in(first, again=again), scores_in(second, again=again)
        fates = [one for one in read if isinstance(one, str)]
        if not fates:
            low = lowest(read[0]), lowest(read[1])
            if low[0] is not None and low[1] is not None and not low[0] * low[1] < 0:
                return Sample(low[0], low[1], rounds=number)
            fates = ["stops"]
        worst = next(fate for fate in ("stops", "endless", "drawn") if fate in fates)
        readable = (not isinstance(read[0], str), not isinstance(read[1], str))
        sample = Sample(fate=worst, readable=readable if not all(readable) else (False, False))
        if worst == "drawn" and again:
            return sample  # from here on the official score is chance, whatever comes next
        again = worst != "stops"
    return sample


def strict(sc: Sequence[str], pq: Sequence[str]) -> Sample:
    """The first round in which both replies hold exactly two numbers of 0-10."""
    readable = (False, False)
    for first, second in _rounds(sc, pq):
        read = two_scores(first), two_scores(second)
        if not isinstance(read[0], str) and not isinstance(read[1], str):
            return Sample(min(read[0]), min(read[1]))
        readable = (not isinstance(read[0], str), not isinstance(read[1], str))
    return Sample(readable=readable, fate="drawn")


def two_scores(text: str) -> tuple[float, float] | str:
    """The two scores of a reply, or why it has not just these."""
    read = scores_in(text)
    if isinstance(read, str):
        return 'it is no JSON object {"score": [a, b], "reasoning": "..."}'
    if len(read) != 2:
        return f"its list of scores has {len(read)} entries instead of 2"
    for one in read:
        if isinstance(one, bool) or not isinstance(one, int | float) or not 0 <= one <= 10:
            return "a score is no number within 0 to 10"
    return float(read[0]), float(read[1])


def _rounds(sc: Sequence[str], pq: Sequence[str]) -> list[tuple[str, str]]:
    """Both replies of each round; where only one question was asked again, the other's last stands."""
    return [
        (sc[min(place, len(sc) - 1)], pq[min(place, len(pq) - 1)]) for place in range(max(len(sc), len(pq)))
    ]
