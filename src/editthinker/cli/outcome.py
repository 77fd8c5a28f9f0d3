"""How an edit ended: sentences for people, one document for programs, an exit code for the shell."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from editthinker.cli.exits import Exit
from editthinker.cli.places import Destination
from editthinker.cli.terminal import say
from editthinker.core.records import TrajectoryRecord, TurnRecord

EXITS = {
    "delivered": Exit.DELIVERED,
    "nothing_better": Exit.NOT_DELIVERED,
    "failed": Exit.NOT_DELIVERED,
    "interrupted": Exit.INTERRUPTED,
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is there after an edit."""

    trajectory: TrajectoryRecord
    run: Path
    report: Path
    place: Destination
    interrupted: bool

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


def tell(outcome: Outcome, *, quiet: bool) -> None:
    """Say how it ended; when quiet, only if nothing came of it."""
    if quiet and outcome.name == "delivered":
        return
    say(_verdict(outcome))
    if outcome.best:
        say(f"{'result' if outcome.result else 'best  '}: {_best(outcome, outcome.best)}")
    say(f"report: {outcome.report}")


def _verdict(outcome: Outcome) -> str:
    turns = f"{len(outcome.trajectory.turns)} finished turn{'s' * (len(outcome.trajectory.turns) != 1)}"
    failure = outcome.trajectory.failure
    match outcome.name:
        case "interrupted":
            return f"interrupted; the run folder {outcome.run} keeps {turns}; nothing else was written"
        case "failed" if failure:
            kept = "the best turn before that is delivered" if outcome.best else "nothing was written"
            return f"error: {failure.message}; {kept}"
        case "nothing_better":
            reason = outcome.trajectory.stop.sentence
            return f"no turn is better than the photo itself ({reason}); nothing was written"
    return f"done: {outcome.trajectory.stop.sentence}"


def _best(outcome: Outcome, turn: TurnRecord) -> str:
    score = f", overall {turn.critique.score.overall:.1f}" if turn.critique else ""
    where = "stdout" if outcome.result == "-" else outcome.result
    return f"{where + ' ' if where else ''}(turn {turn.index} of {len(outcome.trajectory.turns)}{score})"
