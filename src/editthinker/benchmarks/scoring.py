"""Tables out of stored judgements; nobody is asked, and neither the data nor the images are needed.

In: a run folder with judgements. Out: tables under any rules, of what was delivered, and of every turn; each
says what makes it uncomparable with published figures.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from editthinker.benchmarks.course import SOURCE, Course, Point, courses_of
from editthinker.benchmarks.judged import About, Asked, Judged
from editthinker.benchmarks.known import benchmark_named
from editthinker.benchmarks.prompts import Prompts, stamped
from editthinker.benchmarks.suite import Answers, Benchmark, Case, Reply
from editthinker.benchmarks.table import Rules, Table
from editthinker.core.errors import InputError
from editthinker.core.files import shown
from editthinker.runs.folder import RunFolder

Images = Mapping[str, int]
"""Case to the turn whose image is meant; 0: the source. Images that were judged only."""


@dataclass(frozen=True)
class Scoring:
    """What is stored of one judge's evaluation of a run."""

    judge: str
    about: About
    cases: list[Case]
    asked: list[Asked]
    replies: Mapping[str, list[Reply]]
    calls: Mapping[str, int]
    """Made over the whole run, by role, as far as known."""
    courses: Mapping[str, Course]
    """Case to how its turns went; empty if not every turn was judged."""

    @classmethod
    def of(cls, place: Path, judge: str = "") -> Scoring:
        """The evaluation in a run folder; without `judge`, the latest. Raises `InputError`, `StoreError`."""
        with RunFolder.open(place) as folder, Judged(place, write=False) as store:
            known = store.judges()
            if not known or (judge and judge not in known):
                told = ", ".join(known) or "nobody"
                raise InputError(f"{shown(str(place))} was not judged by {judge or 'anybody'}, but by {told}")
            judge = judge or known[-1]
            about = store.about(judge)
            calls = {role: number for role, (number, _) in folder.spent().items()}
            courses = courses_of(folder) if about.every_turn else {}
            return cls(
                judge,
                about,
                store.cases(judge),
                store.asked(judge),
                store.replies(judge),
                calls | {"judge": store.spent(judge)[0]},
                courses,
            )

    def table(self, rules: Rules) -> Table:
        """Of what was delivered."""
        table = self._table(self._delivered, rules)
        number = max(1, len(self.cases))
        return replace(table, per_sample={role: calls / number for role, calls in self.calls.items()})

    def turns(self, rules: Rules) -> list[Table]:
        """Of the images of every turn, whether they would be delivered or not; empty if not judged.

        A sample that stopped earlier counts with its last.
        """
        if not self.about.every_turn:
            return []
        last = max((one.turn for one in self.asked), default=0)
        return [self._table(self._reached(turn), rules) for turn in range(1, last + 1)]

    def points(self, rules: Rules) -> list[Point]:
        """What would have been delivered after each number of turns, and its price; empty if not judged."""
        number = max(1, len(self.cases))
        known = [self.courses[case.id] for case in self.cases if case.id in self.courses]
        last = max((len(course.delivered) for course in known), default=0)
        points = []
        for turns in range(1, last + 1):
            images, unjudged = self._after(turns)
            table = self._table(images, rules)
            if unjudged:
                words = f"{unjudged} samples: the source, given back, was not judged; the last image counts"
                table = replace(table, flags=(words, *table.flags))
            if any(course.compared and turns < len(course.delivered) for course in known):
                words = "the run compares images to choose among turns; here scores choose"
                table = replace(table, flags=(words, *table.flags))
            calls = [self._calls(place, turns, known) / number for place in (0, 1)]
            points.append(Point(turns, table, *calls))
        return points

    @cached_property
    def _judged(self) -> dict[str, dict[int, list[Asked]]]:
        """Case to turn to what was asked of the image."""
        judged: dict[str, dict[int, list[Asked]]] = {}
        for one in self.asked:
            judged.setdefault(one.case, {}).setdefault(one.turn, []).append(one)
        return judged

    @cached_property
    def _delivered(self) -> Images:
        return {one.case: one.turn for one in self.asked if one.delivered}

    def _reached(self, turn: int) -> Images:
        """The last image of each case up to this turn."""
        reached = {case: [one for one in turns if one <= turn] for case, turns in self._judged.items()}
        return {case: max(turns) for case, turns in reached.items() if turns}

    def _after(self, turns: int) -> tuple[Images, int]:
        """The images delivered after so many turns, and how many had to be replaced."""
        found, replaced = {}, 0
        for case, judged in self._judged.items():
            course = self.courses.get(case)
            if course is None or turns >= len(course.delivered):
                index = self._delivered.get(case)
            else:
                index = course.after(turns)
                if index == SOURCE and SOURCE not in judged:  # judged before the source was asked about too
                    replaced += 1
                    index = max((turn for turn in judged if turn <= turns), default=SOURCE)
            if index in judged:
                found[case] = index
        return found, replaced

    def _calls(self, place: int, turns: int, courses: Sequence[Course]) -> int:
        """Calls of the editor (0) or the thinker (1) by then; what samples without a turn cost counts too."""
        later = sum(one.calls(len(one.delivered))[place] - one.calls(turns)[place] for one in courses)
        return self.calls.get(("editor", "thinker")[place], 0) - later

    def _table(self, images: Images, rules: Rules) -> Table:
        """The table of these images; the same ones, such as those of the last turn, are counted once."""
        which = rules, frozenset(images.items())
        if which not in self._known:
            self._known[which] = self._counted(images, rules)
        return self._known[which]

    @cached_property
    def _known(self) -> dict[tuple[Rules, frozenset[tuple[str, int]]], Table]:
        return {}

    def _counted(self, images: Images, rules: Rules) -> Table:
        about = self.about
        asked = {case: self._judged[case][turn] for case, turn in images.items()}
        answers = {
            case: {one.kind: self.replies.get(one.question, []) for one in questions}
            for case, questions in asked.items()
        }
        table = self._benchmark.aggregate(self.cases, answers, rules)
        prompts = Prompts({}, about.origin, about.differences, about.unverified, about.source)
        table = stamped(table, prompts)
        flags = _unpublished(asked, answers)
        if about.cases > len(self.cases):
            flags.append(f"only the first {len(self.cases)} of {about.cases} samples")
        comparable = table.comparable and not flags
        if given_back := sum(turn == SOURCE for turn in images.values()):
            flags.append(
                f"{given_back} samples: no turn was better than the source, which was judged instead"
            )
        return replace(table, comparable=comparable, flags=(*flags, *table.flags))

    @cached_property
    def _benchmark(self) -> Benchmark:
        return benchmark_named(self.about.benchmark, self.about.options)


def _unpublished(asked: Mapping[str, Sequence[Asked]], answers: Answers) -> list[str]:
    """A sentence for each judge that is not the published one."""
    pairs = {
        (reply.model, one.published)
        for case, questions in asked.items()
        for one in questions
        for reply in answers[case][one.kind]
    }
    return [
        f"judged by {model}, published figures by {published}: not comparable"
        for model, published in sorted(pairs)
        if model and not is_model(model, published)
    ]


def is_model(answered: str, published: str) -> bool:
    """Whether an id names a published judge ("a or b"), or a dated version of it ("gpt-4o-2024-11-20")."""
    return any(
        re.fullmatch(re.escape(one) + r"(-\d{4}-\d\d-\d\d)?", answered) for one in published.split(" or ")
    )
