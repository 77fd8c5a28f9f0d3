"""Looks and causes: what people mean by a picture of the result instead of an operation.

Each look is a program and ways to say it (`looks.toml`). The darkroom's editor never reads these in training:
knowing that an old photograph is brown, pale and grainy is the thinker's part.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib import resources

from editthinker.darkroom.language.phrases import of_split
from editthinker.darkroom.program import Operation, Program, ordered


@dataclass(frozen=True, slots=True)
class Look:
    """A look, its program, and how people ask for it."""

    name: str
    program: Program
    wordings: tuple[str, ...]
    more: tuple[str, ...]
    """For the splits "more" and "fresh"."""
    held_out: tuple[str, ...]
    """For the test split only."""
    unseen: bool = False
    """The whole look is for the test split only."""


def _program(text: str) -> Program:
    operations = []
    for word in text.split():
        kind, value, region, strength = (*word.split(":"), "", "", "")[:4]
        operations.append(Operation(kind, value, region or "all", strength or "medium"))
    return ordered(operations)


def _read() -> tuple[Look, ...]:
    text = resources.files(__package__).joinpath("looks.toml").read_text(encoding="utf-8")
    return tuple(
        Look(
            name,
            _program(row["program"]),
            tuple(row["train"]),
            tuple(row.get("more", ())),
            tuple(row["held_out"]),
            row.get("unseen", False),
        )
        for name, row in tomllib.loads(text).items()
    )


LOOKS = _read()


def looks(split: str) -> tuple[Look, ...]:
    """The looks a split may ask for."""
    return tuple(look for look in LOOKS if split == "test" or not look.unseen)


def wordings(split: str, look: Look) -> tuple[str, ...]:
    """The wordings of a look in a split; an unseen look may use all of its own."""
    held_out = look.held_out + look.wordings if look.unseen else look.held_out
    return of_split(split, look.wordings, look.more, held_out)
