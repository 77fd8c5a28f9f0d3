"""Where a strategy works: one verb for each thing that can be asked of a model, and the turns they make.

In: a sample, the models, the method, the calls with their limits. Out: turns, judged or not. It does not know
in which order a strategy does things, when it is content, nor how one of several images is chosen. What was
answered before an interruption is recalled here, call by call, so no strategy knows of resuming.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from editthinker.core.calls import Calls, Closed
from editthinker.core.contracts import Comparer, Editor, Judge, Planner, Thinker, View
from editthinker.core.errors import (
    EditorError,
    EditThinkerError,
    InputError,
    JudgeError,
    ReplyError,
    ThinkerError,
)
from editthinker.core.events import (
    EditFinished,
    EditStarted,
    JudgeFinished,
    JudgeStarted,
    PlanFinished,
    ThinkFinished,
    ThinkStarted,
)
from editthinker.core.images import Picture
from editthinker.core.limits import LimitReached, Limits
from editthinker.core.method import MOST_STEPS, Method
from editthinker.core.past import question
from editthinker.core.policies import Move
from editthinker.core.types import (
    Candidate,
    Critique,
    Edited,
    EditRequest,
    Judged,
    Plan,
    Preference,
    Role,
    Sample,
    Score,
    Spend,
    Stop,
    Thought,
    Turn,
)

__all__ = ["Closed", "Desk", "Goal"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Goal:
    """What a stretch of turns works at: the whole instruction, or one step of a plan."""

    sample: Sample
    """What thinker and judge are shown: the instruction, and the image to compare with."""
    start: int = 0
    """The image the first turn edits: 0 the source, else that of a turn."""
    step: int = 0
    """Number of the step, from 1; 0 is the whole."""


@dataclass(slots=True, eq=False, kw_only=True)
class Desk:
    """The execution context of one episode. Single-use."""

    sample: Sample
    editors: Sequence[Editor]
    """The usual one, then those a policy may switch to."""
    thinker: Thinker | None
    calls: Calls
    method: Method
    seed: int = 0
    judge: Judge | None = None
    """Scores every image in the thinker's place, when there is one."""
    comparer: Comparer | None = None
    turns: list[Turn] = field(default_factory=list)
    """Finished turns, oldest first; the episode appends to it."""
    pending: Turn | None = None
    """The turn in hand: its image is there, its critique perhaps, and it is not finished."""
    steps: Plan | None = None
    """The plan, once there is one."""
    accepted: list[int | None] = field(default_factory=list)
    """As `Trajectory.accepted`."""
    stop: Stop | None = None
    """Set by the strategy when it is done."""

    @property
    def limits(self) -> Limits:
        """The limits of this episode."""
        return self.calls.limits

    @property
    def spend(self) -> Spend:
        """What was spent until now, failed attempts included."""
        return self.calls.spend

    @property
    def whole(self) -> Goal:
        """The user's instruction, from the source."""
        return Goal(self.sample)

    @property
    def roles(self) -> tuple[Role, ...]:
        """Who is asked for every turn."""
        asked: tuple[tuple[Role, object], ...] = (("thinker", self.thinker), ("judge", self.judge))
        return ("editor", *(role for role, model in asked if model is not None))

    def picture(self, base: int) -> Picture:
        """The source (0), or the image of a finished turn."""
        return self.turns[base - 1].image if base else self.sample.source

    def pursuing(self, goal: Goal) -> list[Turn]:
        """The finished turns that work at a goal, oldest first."""
        return [turn for turn in self.turns if turn.step == goal.step]

    async def edit(self, goal: Goal, move: Move) -> Turn:
        """The next turn, not yet judged: the first image that came, those of other seeds beside it.

        Turn t of n candidates uses the seeds from seed + (t - 1) * n: with one seed for all, an editor that
        ignores a small change of words would return the same image again, and n candidates would be one.
        Fewer are made when the limits allow fewer. Raises what the first of them failed with if all failed.
        """
        index, wanted = len(self.turns) + 1, self.method.candidates
        first = self.seed + (index - 1) * wanted
        editor = self.editors[move.editor]
        starts = [
            EditStarted(index, move.instruction, seed, move.base, goal.step, editor.info.name, move.why)
            for seed in range(first, first + wanted)
        ]
        made = self.calls.past.knows(map(_edit_question, starts))
        count = int(max(1, made, min(wanted, self.calls.room("editor"), self._can_be_scored())))
        del starts[count:]
        outcomes = await self.calls.together([partial(self._edit, editor, start) for start in starts])
        if self.pending is None:
            raise_first(outcomes)
        raise_first(outcomes, bearable=(EditorError, LimitReached))
        assert self.pending is not None  # noqa: S101 - or the first failure was raised
        return self.pending

    def check(self, base: int, instruction: str, why: str) -> Turn:
        """A turn that edits nothing: the image of an earlier one, to be judged as an answer to the whole."""
        seen = self.turns[base - 1]
        edited = replace(seen.edited, cost=0.0)
        turn = Turn(len(self.turns) + 1, instruction, seen.seed, edited, None)
        self.pending = replace(turn, base=base, editor=seen.editor, why=why)
        return self.pending

    async def think(self, goal: Goal, turn: Turn) -> Turn:
        """The same turn with the judge's score, where there is a judge, and the thinker's critique.

        Both look at the same image at the same time; what one of them said stays when the other fails.
        """
        asked: list[Callable[[], object]] = []
        if self.judge is not None and turn.judged is None:
            asked.append(partial(self.score, goal, turn.index, turn.image))
        if self.thinker is not None:
            asked.append(partial(self.critique, goal, turn))
        outcomes = await self.calls.together(asked)  # type: ignore[arg-type]  # two kinds of answer
        for outcome in outcomes:
            if isinstance(outcome, Score):
                turn = replace(turn, judged=outcome)
            elif isinstance(outcome, Critique):
                turn = replace(turn, critique=outcome)
        self.pending = turn
        raise_first(outcomes)
        return turn

    async def critique(self, goal: Goal, turn: Turn) -> Critique:
        """What the thinker says of an image."""
        asked = question(
            "critique", turn.index, turn.seed, turn.step, turn.base, turn.editor, turn.instruction
        )
        stacked = self.method.stack or bool(goal.start and not goal.step)
        view = View(goal.sample, turn.instruction, turn.image, stacked=stacked)
        return await self._think(goal, view, turn.index, asked, turn.editor)

    async def rewrite(self, goal: Goal, instruction: str, complaint: str = "") -> str:
        """The thinker's wording of an instruction, from the goal's first image alone."""
        asked = question("rewrite", len(self.turns), goal.step, goal.start, instruction, complaint)
        view = View(goal.sample, instruction, None, complaint=complaint)
        return (await self._think(goal, view, 0, asked)).refined_instruction

    async def score(self, goal: Goal, turn: int, image: Picture) -> Score:
        """The judge's score of an image."""
        judge = self.judge
        if judge is None:
            raise JudgeError("there is no judge to ask")
        asked = question("score", turn, goal.step, image.sha256)
        if known := self.calls.recall(asked, Score):
            return known
        check = _checked(Judged, JudgeError, "judge")
        verb = partial(judge.score, goal.sample, image)
        judged, call = await self.calls.make("judge", judge.name, JudgeStarted(turn), verb, check, asked)
        await self.calls.tell(JudgeFinished(call, judged.score))
        return judged.score

    async def prefer(self, goal: Goal, turn: int, first: Picture, second: Picture) -> Preference:
        """Which of two images the comparer prefers."""
        comparer = self.comparer
        if comparer is None:
            raise JudgeError("there is nobody to compare two images")
        asked = question("prefer", turn, goal.step, first.sha256, second.sha256)
        if known := self.calls.recall(asked, Preference):
            return known
        check = _checked(Preference, JudgeError, "judge")
        verb = partial(comparer.prefer, goal.sample, first, second)
        preference, call = await self.calls.make(
            "judge", comparer.name, JudgeStarted(turn), verb, check, asked
        )
        await self.calls.tell(JudgeFinished(call, None, preference))
        return preference

    async def plan(self) -> Plan:
        """The plan that was given, else the thinker's. Raises `InputError` when the thinker cannot plan."""
        self.steps = self.method.plan
        if self.steps is not None:
            await self.calls.tell(PlanFinished(None, self.steps))
            return self.steps
        thinker = self.thinker
        if not isinstance(thinker, Planner):
            raise InputError(f"thinker {thinker.name if thinker else 'none'!r} cannot plan; give a plan")
        asked, start = question("plan"), ThinkStarted(0)
        self.steps = self.calls.recall(asked, Plan)
        if self.steps is not None:
            return self.steps
        verb = partial(thinker.plan, self.sample, self.editors[0].info)
        for again in range(self.limits.reasks + 1):
            try:
                self.steps, call = await self.calls.make(
                    "thinker", thinker.name, start, verb, _checked_plan, asked
                )
            except ReplyError:
                if again == self.limits.reasks:
                    raise
            else:
                await self.calls.tell(PlanFinished(call, self.steps))
                return self.steps
        raise AssertionError("unreachable: the last ask returns or raises")

    async def _edit(self, editor: Editor, start: EditStarted) -> Edited:
        asked = _edit_question(start)
        if known := self.calls.recall(asked, Edited):
            self.pending = _with_candidate(self.pending, start, known)
            return known
        images = (self.picture(start.base), *self.sample.images[1:])
        mask = self.sample.mask if editor.info.mask else None
        request = EditRequest(images, start.instruction, start.seed, mask)
        verb = partial(self._edited, editor, request)
        edited, call = await self.calls.make("editor", editor.info.name, start, verb, _checked_edit, asked)
        self.pending = _with_candidate(self.pending, start, edited)
        await self.calls.tell(EditFinished(call, edited, start))
        return edited

    async def _edited(self, editor: Editor, request: EditRequest) -> Edited:
        edited = _checked_edit(editor.info.name, await editor.edit(request))
        if not self.method.paste_back:
            return edited
        return await asyncio.to_thread(_pasted_back, request.images[0], edited, self.sample.mask)

    async def _think(self, goal: Goal, view: View, turn: int, asked: str, editor: str = "") -> Critique:
        thinker = self.thinker
        if thinker is None:
            raise ThinkerError("there is no thinker to ask")
        if known := self.calls.recall(asked, Critique):
            return known
        info = next((e.info for e in self.editors if e.info.name == editor), self.editors[0].info)
        view = replace(view, turns=tuple(self.pursuing(goal)), editor=info)
        for again in range(self.limits.reasks + 1):
            try:
                thought, call = await self.calls.make(
                    "thinker",
                    thinker.name,
                    ThinkStarted(turn, view.complaint),
                    partial(thinker.think, view),
                    _checked_thought,
                    asked,
                )
            except ReplyError as error:
                if again == self.limits.reasks:
                    raise
                view = replace(view, complaint=str(error))
            else:
                await self.calls.tell(ThinkFinished(call, thought.critique))
                return thought.critique
        raise AssertionError("unreachable: the last ask returns or raises")

    def _can_be_scored(self) -> float:
        """For how many candidates the limits leave room to choose among them."""
        if self.comparer is not None:
            return self.calls.room("judge") + (self.judge is None)
        if self.judge is not None:
            return self.calls.room("judge")
        return self.calls.room("thinker") if self.thinker is not None else 1


def raise_first(outcomes: Sequence[object], bearable: tuple[type[Exception], ...] = ()) -> None:
    """Raise the first failure among the outcomes of several calls that is not bearable."""
    for outcome in outcomes:
        if isinstance(outcome, Exception) and not isinstance(outcome, bearable):
            raise outcome


def _edit_question(start: EditStarted) -> str:
    return question("edit", start.turn, start.seed, start.base, start.step, start.editor, start.instruction)


def _with_candidate(turn: Turn | None, start: EditStarted, edited: Edited) -> Turn:
    """The turn in hand with one more image: candidates lie in the order of their seeds."""
    made = [Candidate(turn.seed, turn.edited), *turn.others] if turn else []
    first, *others = sorted([*made, Candidate(start.seed, edited)], key=lambda candidate: candidate.seed)
    return Turn(
        start.turn,
        start.instruction,
        first.seed,
        first.edited,
        None,
        base=start.base,
        step=start.step,
        editor=start.editor,
        why=start.why,
        others=tuple(others),
    )


def _pasted_back(source: Picture, edited: Edited, mask: Picture | None) -> Edited:
    from editthinker.core.pasteback import paste_back

    if edited.image.size != source.size:
        report = {"applied": False, "why": "the edited image has another size than its source"}
        return replace(edited, notes={**edited.notes, "paste_back": report})
    pasted = paste_back(source, edited.image, mask)
    return replace(edited, image=pasted.image, notes={**edited.notes, "paste_back": dict(pasted.report)})


def _checked(wanted: type[T], blamed: type[EditThinkerError], role: str) -> Callable[[str, T], T]:
    def check(name: str, answer: T) -> T:
        if not isinstance(answer, wanted):
            raise blamed(f"{role} {name!r} returned no {wanted.__name__}, but {type(answer).__name__}")
        return answer

    return check


def _checked_edit(name: str, edited: Edited) -> Edited:
    if not isinstance(edited, Edited) or not isinstance(edited.image, Picture):
        raise EditorError(f"editor {name!r} returned no Edited with a Picture, but {type(edited).__name__}")
    return edited


def _checked_thought(name: str, thought: Thought) -> Thought:
    if not isinstance(thought, Thought):
        raise ThinkerError(f"thinker {name!r} returned no Thought, but {type(thought).__name__}")
    if not thought.critique.refined_instruction.strip():
        raise ReplyError("the refined instruction is empty; repeat the last one when nothing should change")
    return thought


def _checked_plan(name: str, plan: Plan) -> Plan:
    if not isinstance(plan, Plan):
        raise ThinkerError(f"thinker {name!r} returned no Plan, but {type(plan).__name__}")
    if len(plan.steps) > MOST_STEPS:
        raise ReplyError(f"the plan has {len(plan.steps)} steps; at most {MOST_STEPS} make sense")
    return plan
