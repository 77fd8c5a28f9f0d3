"""The expert: knows the target program, sees by the exact judge, and writes what a good thinker would write.

In: the target program in the order of the wish, the program that was executed, the judge's score. Out: the
reasoning and the refined instruction (paper section 4: the expert of the trajectories), in the order of the
wish too. Its text is the training target of the thinker, and as a thinker itself it is the upper bound of the
bench.
"""

from __future__ import annotations

from dataclasses import dataclass

from editthinker.core.types import Score
from editthinker.darkroom.language import sentences
from editthinker.darkroom.program import STRENGTHS, Operation, Program

SATISFIED = 8.0


@dataclass(frozen=True, slots=True)
class Difference:
    """How an executed program differs from the wanted one."""

    missing: Program
    too_weak: Program
    too_strong: Program
    unasked: Program

    @property
    def wrong(self) -> Program:
        """The wanted operations that did not come out as wanted."""
        return self.missing + self.too_weak + self.too_strong


def compare(wanted: Program, seen: Program) -> Difference:
    """Match operations by kind, value and region; what matches may still differ in strength."""
    done = {_key(operation): operation for operation in seen}
    asked = {_key(operation) for operation in wanted}
    missing, weak, strong = [], [], []
    for operation in wanted:
        match = done.get(_key(operation))
        if match is None:
            missing.append(operation)
        elif STRENGTHS.index(match.strength) < STRENGTHS.index(operation.strength):
            weak.append(operation)
        elif STRENGTHS.index(match.strength) > STRENGTHS.index(operation.strength):
            strong.append(operation)
    extra = tuple(operation for operation in seen if _key(operation) not in asked)
    return Difference(tuple(missing), tuple(weak), tuple(strong), extra)


def reasoning(wanted: Program, seen: Program) -> str:
    """What was wanted, what can be seen, and the difference, in the editor's own plain words."""
    difference = compare(wanted, seen)
    parts = [wish(wanted), sight(seen, wanted)]
    for label, operations in (
        ("missing", difference.missing),
        ("too weak", difference.too_weak),
        ("too strong", difference.too_strong),
        ("unasked", difference.unasked),
    ):
        if operations:
            parts.append(f"{label}: {_list(operations)}.")
    if not difference.wrong and not difference.unasked:
        parts.append("nothing is wrong.")
    return " ".join(parts)


def wish(wanted: Program) -> str:
    """What was wanted, the first sentence of the reasoning."""
    return f"wanted: {_list(wanted)}."


def sight(seen: Program, wanted: Program = ()) -> str:
    """What can be seen, the second sentence: in the order of the wish, what nobody asked for last."""
    places = {_key(operation): place for place, operation in enumerate(wanted)}
    in_order = sorted(seen, key=lambda operation: places.get(_key(operation), len(places)))
    return f"seen: {_list(tuple(in_order))}."


def _key(operation: Operation) -> tuple[str, str, str]:
    return (operation.kind, operation.value, operation.region)


def _list(program: Program) -> str:
    return sentences.plain(program) if program else "nothing"


def refine(
    wanted: Program, wrong: Program, score: Score, *, sent: str, first_words: bool, unasked: bool = False
) -> str:
    """The next instruction, given what came out wrong and whether something unasked came too.

    `first_words`: what was sent are still the user's own words. Satisfied: what was sent is
    repeated, a user's wording put plainly. Otherwise the operations that failed go first; if
    plain words already failed, they are said in a second way.
    """
    if score.semantic >= SATISFIED and score.quality >= SATISFIED:
        return sentences.plain(wanted) if first_words else sent
    if first_words:
        failed = tuple(o for o in wanted if o in wrong)
        rest = tuple(o for o in wanted if o not in wrong)
        text = ", ".join(sentences.plain(part) for part in (failed, rest) if part)
    else:
        text = sentences.plain(wanted, first=wrong)
    return f"{text}, nothing else" if unasked and not wrong else text
