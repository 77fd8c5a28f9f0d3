"""A run as it happens, on stderr: live on a terminal, now and then a line in a pipe or a log; and its end."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol

from editthinker.cli.terminal import inert, say
from editthinker.runs.runner import Runner
from editthinker.runs.tally import SUMMARY, Tally

if TYPE_CHECKING:
    from editthinker.cli.run import BatchOrder
    from editthinker.wire.pool import MemberState

LINE_SECONDS = 10.0
LIVE_SECONDS = 0.5
MOST_FAILURES = 20
"""That are told one by one; all are in the summary."""


class Watch(Protocol):
    """Somebody who watches a run."""

    def watching(self) -> AbstractContextManager[object]:
        """Entered before the run, left after it."""
        ...

    async def follow(self) -> None:
        """Show how far it is, until cancelled."""
        ...

    def say(self, sentence: str) -> None:
        """Show one line."""
        ...


def watch(runner: Runner, *, quiet: bool) -> Watch:
    """The view that suits where stderr goes."""
    if quiet:
        return Silent()
    return Live(runner.tally) if sys.stderr.isatty() else Plain(runner.tally)


class Silent:
    """Shows nothing but what must be known."""

    def watching(self) -> AbstractContextManager[object]:
        """Nothing to set up."""
        return nullcontext()

    async def follow(self) -> None:
        """Look away."""

    def say(self, sentence: str) -> None:
        """Let it pass."""


class Plain(Silent):
    """A line every few seconds, and one for each failure."""

    def __init__(self, tally: Tally) -> None:
        self._tally, self._told = tally, 0

    async def follow(self) -> None:
        """One line at a time."""
        tally = self._tally
        already = f", {tally.before} of them ended before" if tally.before else ""
        self.say(f"{tally.inputs} samples{already}")
        self._told = len(tally.failures)
        while True:
            for _ in range(int(LINE_SECONDS)):
                await asyncio.sleep(1.0)
                for failed in tally.failures[self._told :]:
                    self.say(f"{failed.id}: {failed.ending}: {failed.message}")
                self._told = len(tally.failures)
            self.say("; ".join(state(tally)))

    def say(self, sentence: str) -> None:
        """On stderr."""
        say(sentence)


class Live:
    """A few lines that change in place."""

    def __init__(self, tally: Tally) -> None:
        from rich.console import Console
        from rich.live import Live as Display

        self._tally = tally
        self._console = Console(stderr=True, highlight=False)
        self._display = Display(console=self._console, auto_refresh=False, transient=True)

    def watching(self) -> AbstractContextManager[object]:
        """The display."""
        return self._display

    async def follow(self) -> None:
        """Redraw twice a second."""
        from rich.text import Text

        told = len(self._tally.failures)
        while True:
            for failed in self._tally.failures[told:]:
                self.say(f"{failed.id}: {failed.ending}: {failed.message}")
            told = len(self._tally.failures)
            self._display.update(Text("\n".join(map(inert, state(self._tally)))), refresh=True)
            await asyncio.sleep(LIVE_SECONDS)

    def say(self, sentence: str) -> None:
        """Above the display."""
        from rich.text import Text

        self._console.print(Text(inert(sentence)))


def state(tally: Tally) -> list[str]:
    """How far the run is, in a few phrases."""
    failed, refused = tally.endings["failed"], tally.endings["refused"]
    unhappy = [f"{failed} failed"] * bool(failed) + [f"{refused} refused"] * bool(refused)
    eta = f", about {_time(tally.eta)} left" if tally.eta is not None and tally.inputs > tally.ended else ""
    phrases = [
        f"{tally.ended} of {tally.inputs} samples{''.join(f', {word}' for word in unhappy)}, "
        f"{tally.samples_in_flight} at work{eta}"
    ]
    for role in tally.calls:
        phrases.append(
            f"{role}: {tally.calls[role]} calls, {tally.rate(role):.1f}/s, "
            f"{tally.in_flight[role]} of {tally.room.get(role, 0)} under way"
        )
        servers = tally.servers.get(role, ())
        phrases += [_server(server) for server in servers if len(servers) > 1]
    phrases += [f"${tally.cost:.4f}"] * bool(tally.cost)
    if tally.stops:
        ends = ", ".join(
            f"{number} {reason.replace('_', ' ')}" for reason, number in tally.stops.most_common()
        )
        phrases.append(f"stopped: {ends}")
    phrases += [tally.trouble] * bool(tally.trouble)
    return phrases


def _server(server: MemberState) -> str:
    """One of several servers of a role."""
    speed = "" if server.latency is None else f", {server.latency:.1f} s a call"
    failed = f", {server.failed} failed ({server.trouble})" if server.failed else ""
    return (
        f"  {server.name}: {server.state}, {server.in_flight} of {server.limit} under way{speed}, "
        f"{server.answered} answered{failed}"
    )


def tell_end(runner: Runner, order: BatchOrder, *, resume: str) -> None:
    """Say how the run ended, and what to do about what did not."""
    tally: Tally = runner.tally
    endings, left = tally.endings, tally.inputs - tally.ended
    if order.quiet and endings["finished"] == tally.inputs:
        return
    for failed in tally.failures[:MOST_FAILURES]:
        say(f"{failed.id}: {failed.ending} ({failed.blame}): {failed.message}")
    if len(tally.failures) > MOST_FAILURES:
        say(f"... and {len(tally.failures) - MOST_FAILURES} more, in {order.run / SUMMARY}")
    if runner.halted:
        say(f"stopped: {runner.halted}")
    counts: list[tuple[Any, str]] = [
        (endings["finished"], f"finished ({tally.delivered} delivered)"),
        (endings["failed"], "failed"),
        (endings["refused"], "refused"),
        (left, "not finished"),
    ]
    told = ", ".join(f"{number} {word}" for number, word in counts if number)
    say(f"{tally.inputs} samples: {told or 'none'}, in {_time(tally.seconds)}")
    if tally.cost:
        say(f"cost:   ${tally.cost:.4f}")
    if left:
        say(f"resume: {resume}")
    elif endings["failed"]:
        say("--retry-failed takes up again what failed")
    say(f"run:    {order.run}; 'editthinker show {order.run}' shows it")


def _time(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
