"""The person as the thinker: asked clearly, read tolerantly, never waited for when cancelled."""

from __future__ import annotations

import asyncio
import gc
import io
import re
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from editthinker.core.contracts import Priced, View
from editthinker.core.episode import Episode
from editthinker.core.errors import ThinkerError
from editthinker.core.limits import Limits
from editthinker.core.types import Sample, Score, StopReason
from editthinker.testing import ScriptedEditor, check_thinker, photograph
from editthinker.thinkers.human import HumanThinker, ask_at_terminal


class Person:
    """Gives its answers in order, then ends the input; remembers the questions."""

    def __init__(self, *answers: str) -> None:
        self.answers, self.questions = list(answers), []  # type: ignore[var-annotated]

    def __call__(self, question: str) -> str:
        self.questions.append(question)
        if not self.answers:
            raise EOFError
        return self.answers.pop(0)


def view(instruction: str = "make it red", sent: str = "", **more: str) -> View:
    return View(Sample((photograph(),), instruction), sent or instruction, photograph(seed=1), **more)  # type: ignore[arg-type]


def always(answer: str) -> Callable[[str], str]:
    return lambda question: answer


def test_it_keeps_every_promise() -> None:
    check_thinker(lambda: HumanThinker(always("7")))
    check_thinker(lambda: HumanThinker(Person()))


async def test_two_scores_and_the_next_instruction() -> None:
    person = Person("7\n", "8.5", "  make it  deep red\n")
    critique = (await HumanThinker(person).think(view())).critique
    assert (critique.score, critique.refined_instruction) == (Score(7, 8.5), "make it deep red")
    assert critique.satisfied is False


async def test_an_empty_instruction_is_satisfied() -> None:
    critique = (await HumanThinker(Person("7", "8", "")).think(view("a", "b"))).critique
    assert (critique.refined_instruction, critique.satisfied) == ("b", True)


@pytest.mark.parametrize(
    ("typed", "score"),
    [("7", 7), (" 7.5 ", 7.5), ("7,5", 7.5), ("7/10", 7), ("10", 10), ("0", 0), ("8 points", 8)],
)
async def test_numbers_are_read_tolerantly(typed: str, score: float) -> None:
    critique = (await HumanThinker(Person(typed, "5", "")).think(view())).critique
    assert critique.score == Score(score, 5)


async def test_what_is_no_number_is_asked_for_again() -> None:
    person = Person("", "good", "11", "-1", "nan", "7", "8", "x")
    critique = (await HumanThinker(person).think(view())).critique
    assert critique.score == Score(7, 8)
    assert person.questions[1:6] == ["Please type a number from 0 to 10: "] * 5


async def test_the_first_question_says_where_the_image_is() -> None:
    person, thinker = Person("7", "8", ""), None
    thinker = HumanThinker(person)
    shown = view("make it red", "make it very red")
    await thinker.think(shown)
    path = Path(re.findall(r"Edited image: (.*)", person.questions[0])[0])
    with Image.open(path) as image:
        assert image.size == shown.edited.size  # type: ignore[union-attr]
    assert "Asked for: make it red\nSent: make it very red\n" in person.questions[0]
    del thinker
    for _ in range(100):  # the worker thread may still be letting go of its last call
        gc.collect()
        if not path.parent.exists():
            break
        await asyncio.sleep(0.02)
    assert not path.parent.exists(), "the pictures go with the thinker"


async def test_words_that_command_a_terminal_are_not_shown_as_such() -> None:
    person = Person("7", "8", "")
    await HumanThinker(person).think(view("red\x1b[2J\u202e", "x\x07"))
    assert "\x1b" not in person.questions[0]
    assert "\u202e" not in person.questions[0]
    assert "\x07" not in person.questions[0]


async def test_before_any_edit_it_asks_for_better_words() -> None:
    before = View(Sample((photograph(),), "make it red"), "make it red", None)
    person = Person("make the car red")
    critique = (await HumanThinker(person).think(before)).critique
    assert (critique.score, critique.refined_instruction) == (None, "make the car red")
    assert "Photo: " in person.questions[0]
    assert (await HumanThinker(Person("")).think(before)).critique.refined_instruction == "make it red"


async def test_nobody_there() -> None:
    with pytest.raises(ThinkerError, match="nobody is there"):
        await HumanThinker(Person("7")).think(view())


async def test_an_episode_with_a_person() -> None:
    person = Person("3", "7", "make it deep red", "9", "9", "")
    thinker = HumanThinker(person)
    sample = Sample((photograph(),), "make it red")
    trajectory = await Episode(sample, ScriptedEditor(), thinker, limits=Limits(turns=5)).run()
    assert [turn.instruction for turn in trajectory.turns] == ["make it red", "make it deep red"]
    assert trajectory.stop.reason is StopReason.SATISFIED
    assert trajectory.chosen == 2


async def test_a_question_nobody_waits_for_is_dropped() -> None:
    asked, answered = threading.Event(), threading.Event()
    questions: list[str] = []

    def slow(question: str) -> str:
        questions.append(question)
        asked.set()
        answered.wait(5)
        return "5"

    thinker = HumanThinker(slow)
    waiting = asyncio.ensure_future(thinker.think(view()))
    assert await asyncio.to_thread(asked.wait, 2)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(waiting, 1)
    answered.set()
    critique = (await thinker.think(view())).critique
    assert critique.score == Score(5, 5)
    assert len(questions) == 4, "one that was dropped, then three"


async def test_one_question_at_a_time() -> None:
    busy = threading.Lock()

    def ask(question: str) -> str:
        assert busy.acquire(blocking=False), "two questions at once"
        time.sleep(0.005)
        busy.release()
        return "6"

    thinker = HumanThinker(ask)
    thoughts = await asyncio.gather(*(thinker.think(view()) for _ in range(4)))
    assert {thought.critique.score for thought in thoughts} == {Score(6, 6)}


def test_the_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("7\n"))
    assert ask_at_terminal("How good? ") == "7\n"
    with pytest.raises(EOFError):
        ask_at_terminal("And now? ")
    shown = capsys.readouterr()
    assert shown.err == "How good? And now? "
    assert shown.out == "", "standard output belongs to the result"


def test_a_person_is_free() -> None:
    assert isinstance(HumanThinker(), Priced)
    assert HumanThinker().price == 0
