"""What may stand beside what in one set of training rows, by the licences of the samples.

In: how often each licence occurs. Out: a sentence for each mixture that is not allowed. The rules are those
of Creative Commons' own compatibility chart, for adaptations, which edited images are: "no derivatives" may
stand with nothing else; "share alike" with "non-commercial" only if it is the same licence. Everything else
may be mixed. A licence that nobody named is said, not refused: it is the owner's to know. This is a check
against accidents, not legal advice.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from editthinker.core.errors import InputError
from editthinker.data.records import StepRow, TrajectoryRow

UNKNOWN = "not said"
MOST_ORIGINS = 1000
"""Different ones that are counted apart."""
R = TypeVar("R", TrajectoryRow, StepRow)


def folded(name: str) -> str:
    """A licence as it is compared: "cc by-nc 4.0" is CC-BY-NC-4.0."""
    return re.sub(r"[\s_/]+", "-", name.strip()).upper().strip("-") or UNKNOWN


def traits(name: str) -> frozenset[str]:
    """Of "ND", "NC" and "SA", those that the licence has; spelled out or as letters."""
    name = folded(name)
    words = name.replace("NON-COMMERCIAL", "NC").replace("NONCOMMERCIAL", "NC")
    words = re.sub(r"NO-?DERIV(ATIVES|ATIVE|S)?(-WORKS)?", "ND", words).replace("SHARE-ALIKE", "SA")
    return frozenset({"ND", "NC", "SA"} & set(re.split(r"[-+.]", words.replace("SHAREALIKE", "SA"))))


def conflicts(found: Mapping[str, int], allowed: Collection[str] = ()) -> list[str]:
    """What must not be mixed, a sentence each; licences in `allowed` are not looked at."""
    told = {folded(name) for name in allowed}
    names = sorted({folded(name) for name, count in found.items() if count} - told)
    others = sorted({folded(name) for name, count in found.items() if count})
    sentences = [
        f"{name} allows no derivatives and must not be mixed with {_listed(others, name)}"
        for name in names
        if "ND" in traits(name) and len(others) > 1
    ]
    alike = [name for name in names if traits(name) == {"SA"}]
    limited = [name for name in names if "NC" in traits(name) and "ND" not in traits(name)]
    sentences += [
        f"{one} (share alike) and {other} (non-commercial) contradict each other"
        for one in alike
        for other in limited
    ]
    return sentences


class Origins:
    """Whose the rows are: licence and provenance."""

    def __init__(self) -> None:
        self._found: Counter[tuple[str, str]] = Counter()
        self.licences: Counter[str] = Counter()

    def watched(self, rows: Iterable[R]) -> Iterator[R]:
        """The same rows; each is counted."""
        for row in rows:
            origin = folded(row.licence), row.provenance or UNKNOWN
            if origin not in self._found and len(self._found) >= MOST_ORIGINS:
                origin = origin[0], "others"
            self._found[origin] += 1
            self.licences[origin[0]] += 1
            yield row

    def as_json(self) -> list[dict[str, Any]]:
        """For the manifest, most frequent first."""
        rows = sorted(self._found.items(), key=lambda item: (-item[1], item[0]))
        return [{"licence": licence, "provenance": origin, "rows": n} for (licence, origin), n in rows]

    def check(self, allowed: Collection[str]) -> None:
        """Raises `InputError` when these rows must not stand together."""
        if found := conflicts(self.licences, allowed):
            raise InputError(
                f"{'; '.join(found)}; leave them out, or say that it is allowed: --allow LICENCE"
            )


def _listed(names: Collection[str], without: str) -> str:
    rest = [name for name in names if name != without]
    return ", ".join(rest[:4]) + (f" and {len(rest) - 4} more" if len(rest) > 4 else "")
