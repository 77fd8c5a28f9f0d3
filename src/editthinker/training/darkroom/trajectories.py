"""Expert trajectories for the thinker, one step at a time (paper section 4, in miniature).

In: training photographs and scenes, the trained editor's answers (`answers`), a seed. Out: steps: three
views, the prompt, and the expert's reply. The same index always gives the same step.

A step is one of: before any edit (the source shown as result), the first turn (the user's words were sent), a
later turn (the expert's plain words were sent). The executed program is the editor's own answer in a third of
the steps, one that has nothing to do with the wish in a fifth, and a disturbed copy of the target in the
others, so that what was sent does not give away what happened and the thinker has to look.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from editthinker.core.types import Critique, Score
from editthinker.darkroom import expert, spelling
from editthinker.darkroom.cases import named_colours
from editthinker.darkroom.judge import Case
from editthinker.darkroom.language import sentences
from editthinker.darkroom.operations import render
from editthinker.darkroom.program import COLOURS, KINDS, Operation, Program, ordered, written
from editthinker.darkroom.wording import fold_quotes
from editthinker.training.darkroom.sources import Pixels, Sources, views

OWN = 0.35
"""Share of steps that show the editor's own answer; it is right too often to teach what wrong looks like."""
UNRELATED = 0.2
"""Share of steps that show an edit drawn without the wish, or none: what was read is not what is seen."""
MISUNDERSTOOD = 0.3
"""Share of later turns whose sent words mean something else than the user's."""
GROUP_WEIGHTS = {"direct": 3, "compound": 7, "preserve": 3, "reasoning": 4}


@dataclass(frozen=True)
class Step:
    """One training row."""

    images: Pixels
    """uint8 (3, 128, 128, 3)."""
    instruction: str
    sent: str
    critique: Critique
    wanted: Program
    """In the order of the wish."""


@dataclass(frozen=True)
class Request:
    """An utterance and what the trained editor made of it, at turn 1 and when put plainly."""

    instruction: str
    group: str
    said: Program
    """In the order of the wish."""
    answers: tuple[Program, ...]
    plain_answers: tuple[Program, ...]

    @property
    def target(self) -> Program:
        """What is to be executed."""
        return ordered(self.said)


def disturb(rng: random.Random, target: Program, colours: list[str]) -> Program:
    """The target with something wrong: an operation lost, weakened, moved, replaced, or one too many."""
    operations = list(target)
    kind = rng.random()
    if kind < 0.12:
        return target
    if kind < 0.22:
        return sentences.draw_program(rng, rng.choice((1, 1, 2, 3)), colours=colours)
    if kind < 0.55 and len(operations) > 1:
        operations.pop(rng.randrange(len(operations)))
    if rng.random() < 0.45:
        place = rng.randrange(len(operations))
        operations[place] = _altered(rng, operations[place], colours)
    if rng.random() < 0.35:
        extra = sentences.draw_operation(rng, colours=colours)
        if sentences.compatible(extra, operations):
            operations.append(extra)
    return ordered(operations)


def _altered(rng: random.Random, operation: Operation, colours: list[str]) -> Operation:
    table = KINDS[operation.kind]
    aspect = rng.choice(("strength", "region", "value"))
    if aspect == "strength" and len(table.strengths) > 1:
        return Operation(
            operation.kind, operation.value, operation.region, rng.choice(table.strengths), operation.text
        )
    regions = [r for r in table.regions if r not in COLOURS or r in colours]
    if aspect == "region" and len(regions) > 1:
        return Operation(operation.kind, operation.value, rng.choice(regions), operation.strength)
    if aspect == "value" and len(table.values) > 1 and operation.kind != "recolour":
        return Operation(
            operation.kind, rng.choice(table.values), operation.region, operation.strength, operation.text
        )
    return sentences.draw_operation(rng, colours=colours)


def read_requests(path: Path) -> list[Request]:
    """The utterances with the editor's answers, as `answers` wrote them."""

    def programs(rows: list[list[str]]) -> tuple[Program, ...]:
        return tuple(spelling.read(row) for row in rows)

    with path.open() as lines:
        rows = [json.loads(line) for line in lines]
    return [
        Request(
            r["instruction"],
            r["group"],
            tuple(spelling.read([*one, spelling.END])[0] for one in r["said"]),
            programs(r["answers"]),
            programs(r["plain"]),
        )
        for r in rows
    ]


class Trajectories:
    """Draws steps by index."""

    def __init__(self, sources: Sources, requests: list[Request], *, seed: int = 0) -> None:
        self._sources, self._seed = sources, seed
        self._requests: dict[str, list[Request]] = {group: [] for group in sentences.GROUPS}
        for request in requests:
            self._requests[request.group].append(request)

    def __call__(self, index: int) -> Step:
        rng = random.Random(f"{self._seed}:{index}")
        while True:
            step = self._draw(rng)
            if step is not None:
                return step

    def _draw(self, rng: random.Random) -> Step | None:
        source, masks, colours = self._sources[rng.randrange(len(self._sources))]
        group = rng.choices(list(GROUP_WEIGHTS), list(GROUP_WEIGHTS.values()))[0]
        request = rng.choice(self._requests[group])
        if not named_colours(request.target) <= colours:
            return None
        words, strings = fold_quotes(request.instruction)
        case = Case(source, written(request.target, strings), masks=masks)
        if not case.visible:
            return None
        stage = rng.choices(("before", "first", "later"), (8, 52, 40))[0]
        if stage == "before":
            seen: Program = ()
            sent = ""
        else:
            answers = request.answers if stage == "first" else request.plain_answers
            seen = happened(rng, request.target, answers, sorted(colours))
            seen = written(seen, strings or [rng.choice(sentences.TEXTS)])
            sent = words if stage == "first" else plain_words(rng, request.said, sorted(colours))
        edited = render(source, seen, masks)
        score = case.verdict(edited).score
        score = Score(round(score.semantic), round(score.quality))
        difference = expert.compare(request.said, seen)
        refined = expert.refine(
            request.said,
            difference.wrong,
            score,
            sent=sent,
            first_words=stage != "later",
            unasked=bool(difference.unasked),
        )
        critique = Critique(score, expert.reasoning(request.said, seen), refined)
        return Step(views(source, edited), words, sent, critique, request.said)


def happened(rng: random.Random, target: Program, answers: Sequence[Program], colours: list[str]) -> Program:
    """What was executed: an answer of the editor, something unrelated or nothing, or the target disturbed."""
    how = rng.random()
    if how < OWN and answers:
        return rng.choice(answers)
    if how > 1 - UNRELATED:
        return sentences.draw_program(rng, rng.choice((0, 1, 1, 2, 2, 3)), colours=colours)
    return disturb(rng, target, colours)


def plain_words(
    rng: random.Random, target: Program, colours: list[str], *, misunderstood: float = MISUNDERSTOOD
) -> str:
    """What may have been sent before: plain words, at times of a wish misunderstood.

    If what was sent were always right, the thinker would learn to believe it and stop reading the wish.
    """
    meant = disturb(rng, target, colours) if rng.random() < misunderstood else target
    if rng.random() < 0.7:
        operations = list(meant)
        rng.shuffle(operations)
        cut = rng.randrange(len(operations) + 1)
        parts = (sentences.plain(tuple(operations[:cut])), sentences.plain(tuple(operations[cut:])))
        return ", ".join(part for part in parts if part)
    failed = [operation for operation in meant if rng.random() < 0.5]
    return sentences.plain(meant, first=failed)
