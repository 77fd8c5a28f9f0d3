"""An episode taken up again asks nobody what was answered before, whatever the strategy."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from editthinker.core.episode import Episode
from editthinker.core.errors import EditorError, Refused, ReplyError
from editthinker.core.events import (
    CallFailed,
    EditFinished,
    Event,
    JudgeFinished,
    PlanFinished,
    ThinkFinished,
)
from editthinker.core.images import Picture
from editthinker.core.limits import Limits
from editthinker.core.past import Past
from editthinker.core.types import Call, Sample, StopReason, Trajectory
from editthinker.testing.behaviour import photograph
from editthinker.testing.scripted import ScriptedEditor, ScriptedThinker
from peers.scripted_models import Comparing, Judging, Planning

SAMPLE = Sample((photograph(48, 32),), "make it warmer and add a hat")


@dataclass
class Memory:
    """A listener that remembers answers as a run does, and interrupts after so many calls."""

    stop_after: int = 10**6
    past: Past = field(default_factory=Past)
    live: int = 0

    def __call__(self, event: Event) -> None:
        call: Call | None
        match event:
            case EditFinished(call, answer, _):
                self._keep(call, answer)
            case ThinkFinished(call, answer):
                self._keep(call, answer)
            case JudgeFinished(call, score, preference):
                self._keep(call, score or preference)
            case PlanFinished(call, answer) if call:
                self._keep(call, answer)
            case CallFailed(call):
                self._keep(call, Refused(call.error) if call.outcome == "Refused" else None)

    def _keep(self, call: Call, answer: Any) -> None:
        if self.live >= self.stop_after:
            raise asyncio.CancelledError
        self.live += 1
        if answer is not None:
            self.past.answers[call.question] = len(self.past.calls), answer
        self.past.calls.append(call)


def play(options: Callable[[], dict[str, Any]], memory: Memory) -> Trajectory | None:
    made = options()
    past = Past(list(memory.past.calls), dict(memory.past.answers))
    episode = Episode(
        made.pop("sample", SAMPLE),
        made.pop("editor", None) or ScriptedEditor(),
        made.pop("thinker", None) or ScriptedThinker(),
        listener=memory,
        past=past,
        seed=7,
        **made,
    )
    try:
        return asyncio.run(episode.run())
    except asyncio.CancelledError:
        return None


class Moody(ScriptedEditor):
    """Refuses the user's words, and fails now and then in passing."""

    async def edit(self, request: Any) -> Any:
        if "hat" in request.instruction and "again" not in request.instruction:
            raise Refused("no hats")
        return await super().edit(request)


def newer(first: Picture, second: Picture) -> int:
    return 1 if first.sha256 < second.sha256 else -1


WAYS: dict[str, Callable[[], dict[str, Any]]] = {
    "loop": dict,
    "single": lambda: {"strategy": "single"},
    "rewrite first": lambda: {"strategy": "think-before-and-while"},
    "best of n": lambda: {"strategy": "best-of-n"},
    "candidates": lambda: {"candidates": 3},
    "candidates, judged": lambda: {"candidates": 3, "judge": Judging()},
    "candidates, compared": lambda: {"candidates": 3, "comparer": Comparing(newer)},
    "stacked, adaptive": lambda: {"stack": True, "policy": "adaptive"},
    "refused": lambda: {"editor": Moody(), "policy": "adaptive"},
    "planned": lambda: {
        "strategy": "plan-and-edit",
        "thinker": Planning("make it warmer", "add a hat"),
    },
}


@pytest.mark.parametrize("way", WAYS)
def test_wherever_it_is_interrupted_nothing_is_asked_twice_and_the_end_is_the_same(way: str) -> None:
    whole = Memory()
    expected = play(WAYS[way], whole)
    assert expected is not None
    asked = [call.question for call in whole.past.calls]
    assert len(set(asked)) == len(asked), "every question has a name of its own"
    for stop_after in range(len(asked)):
        memory = Memory(stop_after)
        assert play(WAYS[way], memory) is None
        kept = memory.live
        memory.stop_after = 10**6
        again = play(WAYS[way], memory)
        assert again is not None
        assert sorted(call.question for call in memory.past.calls) == sorted(asked)
        assert kept == stop_after
        assert memory.live == len(asked), "what was answered before was not asked again"
        assert (again.stop, again.chosen) == (expected.stop, expected.chosen)
        assert [turn.image.sha256 for turn in again.turns] == [turn.image.sha256 for turn in expected.turns]
        assert [turn.critique for turn in again.turns] == [turn.critique for turn in expected.turns]
        assert again.spend.editor_calls == expected.spend.editor_calls
        assert again.spend.thinker_calls == expected.spend.thinker_calls
        assert len(again.calls) == len(expected.calls)


def test_budgets_count_what_was_spent_before() -> None:
    ways = lambda: {"limits": Limits(turns=5, editor_calls=3)}  # noqa: E731
    memory = Memory(3)
    assert play(ways, memory) is None
    memory.stop_after = 10**6
    trajectory = play(ways, memory)
    assert trajectory is not None
    assert trajectory.stop.reason is StopReason.CALL_LIMIT
    assert trajectory.spend.editor_calls == 3
    assert len(trajectory.turns) == 3


def test_failed_attempts_are_asked_again_and_still_count() -> None:
    script = [None, EditorError("gone")]
    ways = lambda: {"editor": ScriptedEditor(*script), "limits": Limits(turns=2)}  # noqa: E731
    memory = Memory()
    first = play(ways, memory)
    assert first is not None
    assert first.failure
    script.clear()
    second = play(ways, memory)
    assert second is not None
    assert second.failure is None
    assert [call.outcome for call in second.calls] == ["ok", "ok", "EditorError", "ok", "ok"]
    assert second.spend.editor_calls == 3


def test_replies_that_could_not_be_read_count_as_calls_but_not_as_answers() -> None:
    memory = Memory(2)
    thinker = ScriptedThinker(ReplyError("no score"), (9, 9))
    ways = lambda: {"thinker": thinker}  # noqa: E731
    assert play(ways, memory) is None
    memory.stop_after = 10**6
    trajectory = play(ways, memory)
    assert trajectory is not None
    assert trajectory.spend.thinker_calls >= 2
    assert trajectory.turns[0].critique is not None


def test_an_answer_to_another_question_is_not_taken() -> None:
    memory = Memory()
    play(lambda: {"limits": Limits(turns=1)}, memory)
    editor = ScriptedEditor()
    other = Sample(SAMPLE.images, "something else")
    play(lambda: {"limits": Limits(turns=1), "editor": editor, "sample": other}, memory)
    assert len(editor.requests) == 1


def test_the_seconds_of_calls_made_before_count_too() -> None:
    memory = Memory()
    first = play(lambda: {"editor": ScriptedEditor(seconds=0.05), "limits": Limits(turns=1)}, memory)
    second = play(lambda: {"limits": Limits(turns=1)}, memory)
    assert first is not None
    assert second is not None
    assert second.spend.seconds >= 0.05
