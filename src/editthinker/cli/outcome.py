"""How an edit ended: sentences for people, one document for programs, an exit code for the shell."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from editthinker.cli.exits import Exit
from editthinker.cli.places import Destination
from editthinker.cli.terminal import inert, say
from editthinker.core.records import TrajectoryRecord, TurnRecord
from editthinker.core.types import Plan, StopReason

if TYPE_CHECKING:
    from editthinker.api import Outlook

EXITS = {
    "delivered": Exit.DELIVERED,
    "nothing_better": Exit.NOT_DELIVERED,
    "failed": Exit.NOT_DELIVERED,
    "interrupted": Exit.INTERRUPTED,
}
UNDOABLE = (StopReason.REFUSED, StopReason.IMPOSSIBLE)
"""Somebody said that what was asked for cannot be had; the reason is the user's to read."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is there after an edit."""

    trajectory: TrajectoryRecord
    run: Path
    report: Path
    place: Destination
    interrupted: bool
    unchanged: bool = False
    """Whether every turn gave the photo back as it was."""

    @property
    def name(self) -> str:
        """A key of `EXITS`. A failed edit may still have delivered an earlier turn."""
        if self.interrupted:
            return "interrupted"
        if self.trajectory.failure:
            return "failed"
        return "delivered" if self.best else "nothing_better"

    @property
    def exit(self) -> Exit:
        """What the shell is told."""
        return EXITS[self.name]

    @property
    def best(self) -> TurnRecord | None:
        """The chosen turn."""
        return next((turn for turn in self.trajectory.turns if turn.index == self.trajectory.chosen), None)

    @property
    def result(self) -> str | None:
        """Where the result is: a path, "-" for stdout, None when nothing was written."""
        if self.interrupted or not self.best:
            return None
        return str(self.place.path or "-")


def print_document(outcome: Outcome) -> None:
    """Print the one JSON document; ASCII, so that any text survives any pipe."""
    document = {
        "schema_version": 1,
        "outcome": outcome.name,
        "exit_code": int(outcome.exit),
        "result": outcome.result,
        "run": str(outcome.run),
        "report": str(outcome.report),
        "trajectory": outcome.trajectory.model_dump(mode="json"),
    }
    print(json.dumps(document, indent=2))


def print_plan(plan: Plan, *, json_wanted: bool) -> None:
    """Print the steps on stdout, one a line, as --plan reads them; or as JSON, which it reads too."""
    if json_wanted:
        print(json.dumps({"steps": plan.steps, "reasoning": plan.reasoning}, indent=2))
    else:
        print("\n".join(inert(step) for step in plan.steps))


def print_outlook(told: Outlook, *, json_wanted: bool) -> None:
    """Print what an edit would be: who, how often at most, and for how much."""
    from editthinker.wire.prices import dated

    guess, sample = told.estimate, told.sample
    models = {"thinker": told.thinker, "judge": told.judge, "comparer": told.comparer}
    document = {
        "schema_version": 1,
        "images": [list(image.size) for image in sample.images],
        "mask": sample.mask is not None,
        "editors": [{"name": info.name, "price": info.price} for info in told.editors],
        **{
            role: model and {"name": model.name, "price": getattr(model, "price", None)}
            for role, model in models.items()
        },
        "strategy": told.method.strategy,
        "turns": told.limits.turns,
        "most_editor_calls": guess.editor_calls,
        "most_thinker_calls": guess.thinker_calls,
        "most_judge_calls": guess.judge_calls,
        "most_cost": guess.cost,
        "prices_unknown": list(guess.unknown),
        "max_cost": told.limits.cost,
        "prices_checked": dated(),
    }
    print(json.dumps(document, indent=2) if json_wanted else "\n".join(map(inert, _foreseen(document))))


def _foreseen(told: dict[str, Any]) -> Iterator[str]:
    """The document of an outlook for a person."""
    sizes = ", ".join(f"{width} x {height}" for width, height in told["images"])
    yield f"images:   {sizes}{' and a mask' if told['mask'] else ''}"
    for info in told["editors"]:
        yield f"editor:   {info['name']}, {_price(info['price'])} an edit"
    for role in ("thinker", "judge", "comparer"):
        if model := told[role]:
            yield f"{role + ':':10}{model['name']}, {_price(model['price'])} a call"
    yield f"strategy: {told['strategy']}, at most {told['turns']} turns"
    calls = [f"{told[f'most_{role}_calls']} of the {role}" for role in ("editor", "thinker", "judge")]
    yield f"calls:    at most {', '.join(calls)}, repeated ones not counted"
    if told["prices_unknown"]:
        unknown = ", ".join(told["prices_unknown"])
        yield f"cost:     unknown, without a price of {unknown}; [prices] of a configuration can hold one"
    else:
        yield f"cost:     at most {_price(told['most_cost'])}; prices of {told['prices_checked']}"
    if told["max_cost"] is not None:
        yield f"limit:    no call starts once ${told['max_cost']:g} are spent"
    yield "nothing was called"


def _price(dollars: float | None) -> str:
    if dollars is None:
        return "at an unknown price"
    return f"${dollars:.4f}" if dollars else "free"


def tell(outcome: Outcome, *, quiet: bool) -> None:
    """Say how it ended; when quiet, only if nothing came of it."""
    if quiet and outcome.name == "delivered":
        return
    say(_verdict(outcome))
    if outcome.best:
        say(f"{'result' if outcome.result else 'best  '}: {_best(outcome, outcome.best)}")
    if outcome.trajectory.spend.cost:
        say(f"cost:   ${outcome.trajectory.spend.cost:.4f}")
    say(f"report: {outcome.report}")


def _verdict(outcome: Outcome) -> str:
    turns = f"{len(outcome.trajectory.turns)} finished turn{'s' * (len(outcome.trajectory.turns) != 1)}"
    failure, stop = outcome.trajectory.failure, outcome.trajectory.stop
    match outcome.name:
        case "interrupted":
            return f"interrupted; the run folder {outcome.run} keeps {turns}; nothing else was written"
        case "failed" if failure:
            kept = "the best turn before that is delivered" if outcome.best else "nothing was written"
            return f"error: {failure.message}; {kept}"
        case "nothing_better" if stop.reason in UNDOABLE and not outcome.trajectory.turns:
            return f"{stop.sentence}; nothing was written"
        case "nothing_better":
            same = "the editor gave the photo back unchanged; " if outcome.unchanged else ""
            return f"{same}no turn is better than the photo itself ({stop.sentence}); nothing was written"
    return f"{'not all of it' if stop.reason in UNDOABLE else 'done'}: {stop.sentence}"


def _best(outcome: Outcome, turn: TurnRecord) -> str:
    score = f", overall {turn.score.overall:.1f}" if turn.score else ""
    score += f"; {outcome.trajectory.chosen_by}" if outcome.trajectory.chosen_by else ""
    where = "stdout" if outcome.result == "-" else outcome.result
    return f"{where + ' ' if where else ''}(turn {turn.index} of {len(outcome.trajectory.turns)}{score})"
