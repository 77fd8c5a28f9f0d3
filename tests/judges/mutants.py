"""Replies gone wrong: a good one, mutated in every way a model or a wire has been seen to."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

NOT_NUMBERS: tuple[Any, ...] = (
    *(True, False, None, "high", "", [], [7], {}, {"value": 7}),
    *(-1, -0.01, 10.01, 11, 99, 1e9, "7/10", "NaN", "8 of 10"),
)


def broken(good: dict[str, Any], marks: list[str], seed: int, count: int) -> Iterator[str]:
    """Texts of which none holds all of `marks` as they must be; deterministic."""
    rng = random.Random(seed)
    ways: list[Callable[[], str]] = [
        lambda: _cut(json.dumps(good), rng),
        lambda: json.dumps(_without(good, rng.choice(marks))),
        lambda: json.dumps({**good, rng.choice(marks): rng.choice(NOT_NUMBERS)}),
        lambda: _unlike(good, rng.choice(marks)),
        lambda: json.dumps(good).replace(f'"{(name := rng.choice(marks))}"', f'"{name[:-1]}"'),
        lambda: json.dumps(good).replace(":", rng.choice(["=", " ", "::"])),
        lambda: json.dumps(good).replace("}", "").replace("]", ""),
        lambda: " ".join(f"{name}: {good[name]}" for name in marks),
        lambda: _twice(good, rng.choice(marks)),
        lambda: rng.choice(
            ["", "   ", "\x00", "{}", "[]", "{", "}{", "null", "7", "[7, 8]", "I give it 7 of 10."]
        ),
        lambda: "".join(chr(rng.randrange(32, 0x2FFF)) for _ in range(rng.randrange(200))),
        lambda: _constant(good, rng, marks),
    ]
    for number in range(count):
        yield ways[number % len(ways)]()


def _cut(text: str, rng: random.Random) -> str:
    return text[: rng.randrange(len(text) - 1)]


def _without(good: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in good.items() if key != name}


def _unlike(good: dict[str, Any], name: str) -> str:
    """Two answers that disagree."""
    value = good[name]
    other = ["no"] if isinstance(value, list) else "neither" if isinstance(value, str) else value / 2 + 1.25
    return f"{json.dumps(good)}\nNo, wait:\n{json.dumps({**good, name: other})}"


def _twice(good: dict[str, Any], name: str) -> str:
    return json.dumps(good)[:-1] + f', "{name}": {json.dumps(good[name])}}}'


def _constant(good: dict[str, Any], rng: random.Random, marks: list[str]) -> str:
    held = {**good, rng.choice(marks): "@"}
    return json.dumps(held).replace(
        '"@"', rng.choice(["NaN", "Infinity", "-Infinity", "07", "1e", "undefined"])
    )
