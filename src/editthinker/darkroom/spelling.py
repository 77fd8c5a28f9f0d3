"""Programs as token sequences, and which token may come next.

The editor's model speaks in these tokens. `Grammar` allows only continuations that stay a valid program, so
whatever is sampled can be executed; being valid is not being right.
"""

from __future__ import annotations

from editthinker.darkroom.program import KINDS, REGIONS, STRENGTHS, Operation, Program, ordered

END = "<end>"
MAX_OPERATIONS = 6


def _kind(name: str) -> str:
    return f"<{name}>"


def _value(part: str) -> str:
    return f"<={part}>"


def _region(name: str) -> str:
    return f"<@{name}>"


def _strength(name: str) -> str:
    return f"<~{name}>"


def _parts(value: str) -> list[str]:
    return value.replace("@", ">").split(">") if value else []


VALUE_PARTS = sorted({part for table in KINDS.values() for value in table.values for part in _parts(value)})
TOKENS: tuple[str, ...] = (
    END,
    *(_kind(k) for k in KINDS),
    *(_value(p) for p in VALUE_PARTS),
    *(_region(r) for r in REGIONS),
    *(_strength(s) for s in STRENGTHS),
)
"""Every program token; the model's vocabulary ends with these."""


def spell_operation(operation: Operation) -> list[str]:
    """The tokens of one operation; region and strength only where the kind has a choice."""
    table = KINDS[operation.kind]
    tokens = [_kind(operation.kind), *(_value(part) for part in _parts(operation.value))]
    if len(table.regions) > 1:
        tokens.append(_region(operation.region))
    if len(table.strengths) > 1:
        tokens.append(_strength(operation.strength))
    return tokens


def spell(program: Program) -> list[str]:
    """The tokens of a program, `END` included."""
    return [token for operation in program for token in spell_operation(operation)] + [END]


_BY_SPELLING: dict[tuple[str, ...], Operation] = {
    tuple(spell_operation(operation)): operation
    for kind, table in KINDS.items()
    for value in table.values
    for region in table.regions
    for strength in table.strengths
    for operation in (Operation(kind, value, region, strength),)
}


class Grammar:
    """Walks along a program being spelled; `allowed()` are the tokens that may come next."""

    def __init__(self) -> None:
        self._operations: list[Operation] = []
        self._open: tuple[str, ...] = ()
        self.ended = False

    def allowed(self) -> frozenset[str]:
        """The next tokens that keep the program valid."""
        if self.ended:
            return frozenset()
        if not self._open and len(self._operations) >= MAX_OPERATIONS:
            return frozenset({END})
        return _NEXT[self._open] | (frozenset() if self._open else frozenset({END}))

    def feed(self, token: str) -> None:
        """Take one allowed token. Raises ValueError for any other."""
        if token not in self.allowed():
            raise ValueError(f"{token} cannot follow {self._open}")
        if token == END:
            self.ended = True
            return
        self._open = (*self._open, token)
        if self._open in _BY_SPELLING:
            self._operations.append(_BY_SPELLING[self._open])
            self._open = ()

    @property
    def program(self) -> Program:
        """The program spelled so far, in execution order."""
        return ordered(self._operations)


def _continuations() -> dict[tuple[str, ...], frozenset[str]]:
    following: dict[tuple[str, ...], set[str]] = {}
    for spelling in _BY_SPELLING:
        for length in range(len(spelling)):
            following.setdefault(spelling[:length], set()).add(spelling[length])
    return {prefix: frozenset(tokens) for prefix, tokens in following.items()}


_NEXT = _continuations()


def read(tokens: list[str]) -> Program:
    """The program that `tokens` spell. Raises ValueError when they spell none."""
    grammar = Grammar()
    for token in tokens:
        grammar.feed(token)
    return grammar.program
