"""Whole instructions: programs drawn at random and said the way people say them.

In: a random generator, a split (`phrases.of_split`), a group, the colours a photo has. Out: an `Utterance`.
Four groups mirror the benchmarks: direct (one operation), compound (two to four), preserve (regions, "only",
"leave the rest"), reasoning (looks and causes).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from editthinker.darkroom.language import framing, looks, phrases
from editthinker.darkroom.language.slips import slip
from editthinker.darkroom.program import AREAS, COLOURS, KINDS, Operation, Program, ordered

GROUPS = ("direct", "compound", "preserve", "reasoning")


@dataclass(frozen=True, slots=True)
class Utterance:
    """An instruction, what it means, and where it comes from."""

    instruction: str
    said: Program
    """The operations in the order in which they were said; those of a look in execution order."""
    group: str
    look: str = ""
    """Name of the look; empty outside the reasoning group."""

    @property
    def program(self) -> Program:
        """What is executed."""
        return ordered(self.said)


TEXTS = (
    "Hello",
    "Happy birthday",
    "Summer 2024",
    "Best friends",
    "SALE",
    "Good morning",
    "Paris",
    "Thank you!",
    "Open 24/7",
    "The end",
    "Class of '99",
    "Made with love",
)

WEIGHTS = {
    "exposure": 6,
    "contrast": 4,
    "saturation": 4,
    "warmth": 4,
    "tint": 4,
    "recolour": 2,
    "black_and_white": 3,
    "blur": 4,
    "pixelate": 2,
    "frame": 3,
    "sticker": 3,
    "text": 3,
    "crop": 2,
    "flip": 2,
    "rotate": 2,
}
"""How often a kind is asked for, relative to 2 for the others."""

ONE_OF = (
    {"black_and_white", "sepia", "duotone", "recolour"},
    {"black_and_white", "saturation"},
    {"sepia", "tint"},
    {"sepia", "saturation"},
    {"sepia", "warmth"},
    {"duotone", "saturation"},
    {"duotone", "warmth"},
    {"duotone", "tint"},
    {"warmth", "tint"},
    {"sketch", "sepia"},
    {"sketch", "saturation"},
    {"sketch", "black_and_white"},
    {"sketch", "duotone"},
    {"sketch", "posterise"},
    {"sketch", "warmth"},
    {"sketch", "recolour"},
    {"sketch", "blur"},
    {"sketch", "sharpen"},
    {"sketch", "contrast"},
    {"blur", "sharpen"},
    {"blur", "pixelate"},
    {"sharpen", "pixelate"},
    {"fade", "contrast"},
    {"crop", "rotate"},
    {"flip", "rotate"},
    {"black_and_white", "tint"},
    {"black_and_white", "warmth"},
    {"invert", "fade"},
    {"sketch", "fade"},
    {"sketch", "glow"},
    {"sketch", "invert"},
)
"""Kinds that undo or hide each other and are not asked for together."""


def draw_operation(rng: random.Random, *, colours: Sequence[str] = COLOURS, where: str = "any") -> Operation:
    """One operation. `where`: "all" for the whole photo, "part" for a region, "any" for mostly the whole."""
    kinds = [
        kind
        for kind, table in KINDS.items()
        if (where != "part" or len(table.regions) > 1) and (kind != "recolour" or colours)
    ]
    kind = rng.choices(kinds, [WEIGHTS.get(kind, 2) for kind in kinds])[0]
    table = KINDS[kind]
    value = rng.choice(table.values)
    if kind == "recolour":
        value = rng.choice([v for v in table.values if v.partition(">")[0] in colours])
    parts = [r for r in table.regions[1:] if r in AREAS or r in colours]
    part = where == "part" or (where == "any" and parts and rng.random() < 0.2)
    strength = "medium" if len(table.strengths) == 1 else rng.choices(table.strengths, (2, 5, 2))[0]
    text = rng.choice(TEXTS) if kind == "text" else ""
    return Operation(kind, value, rng.choice(parts) if part else "all", strength, text)


def compatible(operation: Operation, others: Sequence[Operation]) -> bool:
    """Whether asking for this beside the others makes sense."""
    for other in others:
        if other.kind == operation.kind or any({operation.kind, other.kind} <= pair for pair in ONE_OF):
            return False
    return True


def draw_program(
    rng: random.Random, count: int, *, colours: Sequence[str] = COLOURS, where: str = "any"
) -> Program:
    """`count` compatible operations in execution order."""
    chosen: list[Operation] = []
    while len(chosen) < count:
        operation = draw_operation(rng, colours=colours, where=where)
        if compatible(operation, chosen):
            chosen.append(operation)
    return ordered(chosen)


def say(rng: random.Random, program: Program, split: str) -> tuple[str, Program]:
    """The program in words, one clause an operation, in any order; and that order."""
    clauses = [(phrases.fill(_wording(rng, one, split), one, rng), one) for one in program]
    rng.shuffle(clauses)
    text = framing.join(rng, [clause for clause, _ in clauses], split)
    return text, tuple(one for _, one in clauses)


def _wording(rng: random.Random, operation: Operation, split: str) -> str:
    options = phrases.wordings(split, operation)
    if split in phrases.SPOKEN_PLAINLY and rng.random() < 0.15:
        return options[0]
    return rng.choice(options)


def _preserve(rng: random.Random, split: str, colours: Sequence[str]) -> tuple[str, Program]:
    """Regions with a wish about the rest, or the complement of a region ("everything except ...")."""
    operation = draw_operation(rng, colours=colours, where="part")
    style = rng.random()
    rest = framing.rest(rng, split)
    if style < 0.25 and operation.region in ("subject", "background"):
        other = "background" if operation.region == "subject" else "subject"
        whole = Operation(operation.kind, operation.value, "all", operation.strength)
        clause = phrases.fill(_wording(rng, whole, split), whole, rng)
        return framing.excepting(rng, clause, rng.choice(phrases.WHERE[other]), split), (operation,)
    if style < 0.65:
        clause = phrases.fill(_wording(rng, operation, split), operation, rng)
        frame = rng.choice(("{}, {}", "{} and {}", "{}; {}", "{}. {}", "only {}, {}"))
        return frame.format(clause, rest), (operation,)
    second = draw_operation(rng, colours=colours, where=rng.choice(("part", "all")))
    program = (operation, second) if compatible(second, (operation,)) else (operation,)
    text, said = say(rng, ordered(program), split)
    return f"{text}, {rest}", said


def _reasoning(rng: random.Random, split: str, colours: Sequence[str]) -> tuple[str, Program, str]:
    look = rng.choice(looks.looks(split))
    text, said = rng.choice(looks.wordings(split, look)), look.program
    if rng.random() < 0.25 and len(said) <= 2:
        extra = draw_operation(rng, colours=colours, where="all")
        if compatible(extra, said):
            text = framing.join(rng, [text, phrases.fill(_wording(rng, extra, split), extra, rng)], split)
            said = (*said, extra)
    return text, said, look.name


def draw(rng: random.Random, split: str, group: str, *, colours: Sequence[str] = COLOURS) -> Utterance:
    """An instruction of `group`; `colours` are those the photo shows enough of."""
    look = ""
    if group == "direct":
        text, said = say(rng, draw_program(rng, 1, colours=colours), split)
    elif group == "compound":
        text, said = say(rng, draw_program(rng, rng.choice((2, 2, 3, 3, 4)), colours=colours), split)
    elif group == "preserve":
        text, said = _preserve(rng, split, colours)
    elif group == "reasoning":
        text, said, look = _reasoning(rng, split, colours)
    else:
        raise ValueError(f"unknown group {group!r}; known: {', '.join(GROUPS)}")
    text = slip(rng, framing.framed(rng, text, split))
    return Utterance(_quoted(rng, text, said), said, group, look)


def draw_list(rng: random.Random, split: str, *, colours: Sequence[str] = COLOURS) -> Utterance:
    """Two to four things in a row, many of them in plain words, joined alike and with nothing around them."""
    said = list(draw_program(rng, rng.choice((2, 3, 3, 4)), colours=colours))
    rng.shuffle(said)
    clauses = []
    for one in said:
        worded = phrases.fill(_wording(rng, one, split), one, rng)
        clauses.append(rng.choice((phrases.plain(one), phrases.plainer(one), worded)))
    between = rng.choice((", ", ", ", ", ", "; ", ". ", " and ", ", then "))
    text = between.join(clauses[:-1]) + rng.choice((between, " and ", ", and ", ", then ")) + clauses[-1]
    return Utterance(_quoted(rng, text, said), tuple(said), "compound", "")


def _quoted(rng: random.Random, text: str, said: Sequence[Operation]) -> str:
    for operation in said:
        if operation.kind == "text":
            text = text.replace("<text>", rng.choice(('"{}"', "'{}'", "“{}”")).format(operation.text))
    return text


def plain(program: Program, *, first: Sequence[Operation] = ()) -> str:
    """The program in plain words, in the order given; operations in `first` lead, said in a second way.

    Those failed before.
    """
    order = {operation: place for place, operation in enumerate(first)}
    operations = sorted(program, key=lambda o: order.get(o, len(order)))
    clauses = [phrases.plainer(o) if o in order else phrases.plain(o) for o in operations]
    return ", ".join(clauses)
