"""An episode as it happens, on stderr: live on a terminal, one line per turn in a pipe or a log.

In: the events of `core.events`. rich is imported only for a terminal, and is given `Text`, never strings, in
which it would read markup.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Protocol

from editthinker.cli.terminal import inert, say
from editthinker.core.events import (
    CallFailed,
    EditFinished,
    EditStarted,
    Event,
    JudgeFinished,
    JudgeStarted,
    PlanFinished,
    ThinkFinished,
    ThinkStarted,
    TurnFinished,
)
from editthinker.core.types import Call, Plan, Score, Turn

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from editthinker.core.records import PlanRecord, ScoreRecord, TurnRecord

BAR_CELLS = 10
INDENT = " " * 8


class Progress(Protocol):
    """Somebody who watches an episode."""

    def watching(self) -> AbstractContextManager[object]:
        """Entered before the first event, left after the last."""
        ...

    def hear(self, event: Event) -> None:
        """Show what happened."""
        ...


def progress(*, quiet: bool) -> Progress:
    """The view that suits where stderr goes."""
    if quiet:
        return Silent()
    return Live() if sys.stderr.isatty() else Plain()


class Silent:
    """Shows nothing."""

    def watching(self) -> AbstractContextManager[object]:
        """Nothing to set up."""
        return nullcontext()

    def hear(self, event: Event) -> None:
        """Let it pass."""


class Plain:
    """One line per turn, with its reason if it has one, and one per failed call; the plan before them."""

    def __init__(self) -> None:
        self._clock = TurnClock()

    def watching(self) -> AbstractContextManager[object]:
        """Nothing to set up."""
        return nullcontext()

    def hear(self, event: Event) -> None:
        """`turn 1: semantic 3.0, quality 8.0, overall 4.9 (0.8 s): the instruction`."""
        self._clock.hear(event)
        match event:
            case TurnFinished(turn):
                if turn.why:
                    say(f"turn {turn.index}: {turn.why}")
                took = f"{chosen_of(turn)}{self._clock.lap():.1f} s"
                say(f"{place(turn)}: {in_words(turn.score)} ({took}): {turn.instruction}")
            case CallFailed(call, again_in):
                say(f"turn {call.turn}: {call.role} failed: {call.error}{again(again_in)}")
            case PlanFinished(plan=plan):
                for line in steps(plan):
                    say(line)


class Live:
    """A spinner says who is at work; finished turns stay above it with bars, time and the thinker's words."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True, highlight=False)
        self._status = self._console.status("starting")
        self._clock = TurnClock()

    def watching(self) -> AbstractContextManager[object]:
        """Spin while inside."""
        return self._status

    def hear(self, event: Event) -> None:
        """Update the spinner, or print a finished turn above it."""
        self._clock.hear(event)
        match event:
            case EditStarted(turn=index, step=step):
                self._status.update(f"turn {index}{f', step {step}' if step else ''}: editing")
            case JudgeStarted(turn=index):
                self._status.update(f"turn {max(index, 1)}: judging")
            case ThinkStarted(turn=index, complaint=complaint):
                work = (
                    "thinking" if not index else "looking at the result" if not complaint else "asking again"
                )
                self._status.update(f"turn {max(index, 1)}: {work}")
            case CallFailed(call, again_in):
                self._print(_line(f"{call.role} failed  ", f"{inert(call.error, 400)}{again(again_in)}"))
            case PlanFinished(plan=plan):
                for line in steps(plan):
                    self._print(_line("", inert(line, 400)))
            case TurnFinished(turn):
                self._print(_turn(turn, self._clock.lap()))

    def _print(self, what: RenderableType) -> None:
        self._console.print(what, soft_wrap=False)


class TurnClock:
    """From the beginning of a turn's first call to the end of its last; a lap ends with the turn."""

    def __init__(self) -> None:
        self._spans: list[tuple[float, float]] = []

    def hear(self, event: Event) -> None:
        """Count calls, failed ones too; those made at the same time count once."""
        match event:
            case EditFinished(call=call) | ThinkFinished(call=call) | JudgeFinished(call=call):
                self._count(call)
            case CallFailed(call=call):
                self._count(call)

    def lap(self) -> float:
        """Seconds the turn took."""
        spans, self._spans = self._spans, []
        return max(end for _, end in spans) - min(start for start, _ in spans) if spans else 0.0

    def _count(self, call: Call) -> None:
        self._spans.append((call.started, call.started + call.seconds))


def in_words(score: Score | ScoreRecord | None) -> str:
    """A score on one line."""
    if score is None:
        return "not judged"
    return f"semantic {score.semantic:.1f}, quality {score.quality:.1f}, overall {score.overall:.1f}"


def place(turn: Turn | TurnRecord) -> str:
    """Which turn it is, and of which step of the plan."""
    return f"turn {turn.index}{f' (step {turn.step})' if turn.step else ''}"


def chosen_of(turn: Turn | TurnRecord) -> str:
    """From how many candidates it was chosen, if there were several."""
    return f"best of {len(turn.others) + 1}, " if turn.others else ""


def again(seconds: float | None) -> str:
    """When a failed call is repeated, if it is."""
    if seconds is None:
        return ""
    return f"; again in {seconds:.0f} s" if seconds >= 1 else "; again at once"


def steps(plan: Plan | PlanRecord) -> Iterator[str]:
    """A plan, line by line."""
    number = len(plan.steps)
    yield f"plan: {number} step{'s' * (number != 1)}{f' ({plan.reasoning})' if plan.reasoning else ''}"
    for count, words in enumerate(plan.steps, 1):
        yield f"  {count}. {words}"


def _turn(turn: Turn, seconds: float) -> Text:
    text = _line(f"{place(turn)}  ", inert(turn.instruction, 400))
    text.append(f"  {chosen_of(turn)}{seconds:.1f} s", style="dim")
    if turn.why:
        text.append(f"\n{INDENT}{inert(turn.why, 400)}", style="italic dim")
    if turn.score is None:
        text.append(f"\n{INDENT}not judged", style="dim")
    else:
        text.append_text(_bars(turn.score))
    if turn.critique and turn.critique.reasoning.strip():
        text.append(f"\n{INDENT}{inert(turn.critique.reasoning, 400)}", style="dim")
    return text


def _line(label: str, words: str) -> Text:
    from rich.text import Text

    return Text.assemble((label, "bold"), words)


def _bars(score: Score) -> Text:
    """One bar for each part of the score."""
    from rich.text import Text

    text = Text()
    for name in ("semantic", "quality", "overall"):
        value: float = getattr(score, name)
        filled = round(value / 10 * BAR_CELLS)
        colour = "green" if value >= 8 else "yellow" if value >= 5 else "red"
        text.append(f"\n{INDENT}{name:9}")
        text.append("█" * filled, style=colour).append("░" * (BAR_CELLS - filled), style="dim")
        text.append(f" {value:.1f}")
    return text
