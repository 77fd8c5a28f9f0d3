"""An episode as it happens, on stderr: live on a terminal, one line per turn in a pipe or a log.

In: the events of `core.events`. rich is imported only for a terminal, and is given `Text`, never strings, in
which it would read markup.
"""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Protocol

from editthinker.cli.terminal import inert, say
from editthinker.core.events import (
    CallFailed,
    EditFinished,
    EditStarted,
    Event,
    ThinkFinished,
    ThinkStarted,
    TurnFinished,
)
from editthinker.core.types import Score, Turn

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from editthinker.core.records import ScoreRecord

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
    """One line per turn, and one per failed call."""

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
                score = in_words(turn.critique.score if turn.critique else None)
                say(f"turn {turn.index}: {score} ({self._clock.lap():.1f} s): {turn.instruction}")
            case CallFailed(call):
                say(f"turn {call.turn}: {call.role} failed: {call.error}")


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
            case EditStarted(turn=index):
                self._status.update(f"turn {index}: editing")
            case ThinkStarted(turn=index, complaint=complaint):
                work = (
                    "thinking" if not index else "looking at the result" if not complaint else "asking again"
                )
                self._status.update(f"turn {max(index, 1)}: {work}")
            case CallFailed(call):
                self._print(_line(f"{call.role} failed  ", inert(call.error, 400)))
            case TurnFinished(turn):
                self._print(_turn(turn, self._clock.lap()))

    def _print(self, what: RenderableType) -> None:
        self._console.print(what, soft_wrap=False)


class TurnClock:
    """Adds up what the calls of a turn took; a lap ends with the turn."""

    def __init__(self) -> None:
        self._seconds = 0.0

    def hear(self, event: Event) -> None:
        """Count calls, failed ones too."""
        match event:
            case EditFinished(call=call) | ThinkFinished(call=call) | CallFailed(call=call):
                self._seconds += call.seconds

    def lap(self) -> float:
        """Seconds since the last lap spent in calls."""
        seconds, self._seconds = self._seconds, 0.0
        return seconds


def in_words(score: Score | ScoreRecord | None) -> str:
    """A score on one line."""
    if score is None:
        return "not judged"
    return f"semantic {score.semantic:.1f}, quality {score.quality:.1f}, overall {score.overall:.1f}"


def _turn(turn: Turn, seconds: float) -> Text:
    text = _line(f"turn {turn.index}  ", inert(turn.instruction, 400))
    text.append(f"  {seconds:.1f} s", style="dim")
    if turn.critique is None:
        return text.append(f"\n{INDENT}not judged", style="dim")
    text.append_text(_bars(turn.critique.score))
    if turn.critique.reasoning.strip():
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
