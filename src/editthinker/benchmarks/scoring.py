"""Tables out of stored judgements; nobody is asked, and neither the data nor the images are needed.

In: a run folder with judgements. Out: tables under any rules, of what was delivered, and of every turn; each
says what makes it uncomparable with published figures.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from editthinker.benchmarks.judged import About, Asked, Judged
from editthinker.benchmarks.known import benchmark_named
from editthinker.benchmarks.prompts import Prompts, stamped
from editthinker.benchmarks.suite import Answers, Benchmark, Case, Reply
from editthinker.benchmarks.table import Rules, Table
from editthinker.core.errors import InputError
from editthinker.core.files import shown
from editthinker.runs.folder import RunFolder


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

    @classmethod
    def of(cls, place: Path, judge: str = "") -> Scoring:
        """The evaluation in a run folder; without `judge`, the latest. Raises `InputError`, `StoreError`."""
        with RunFolder.open(place) as folder:
            calls = {role: number for role, (number, _) in folder.spent().items()}
        with Judged(place, write=False) as store:
            known = store.judges()
            if not known or (judge and judge not in known):
                told = ", ".join(known) or "nobody"
                raise InputError(f"{shown(str(place))} was not judged by {judge or 'anybody'}, but by {told}")
            judge = judge or known[-1]
            return cls(
                judge,
                store.about(judge),
                store.cases(judge),
                store.asked(judge),
                store.replies(judge),
                calls | {"judge": store.spent(judge)[0]},
            )

    def table(self, rules: Rules) -> Table:
        """Of what was delivered."""
        table = self._table([one for one in self.asked if one.delivered], rules)
        number = max(1, len(self.cases))
        return replace(table, per_sample={role: calls / number for role, calls in self.calls.items()})

    def turns(self, rules: Rules) -> list[Table]:
        """Of every turn, counting samples that stopped before it with their last; empty if not judged."""
        if not self.about.every_turn:
            return []
        last = max((one.turn for one in self.asked), default=0)
        tables = []
        for turn in range(1, last + 1):
            reached: dict[str, int] = {}
            for one in self.asked:
                if one.turn <= turn:
                    reached[one.case] = max(one.turn, reached.get(one.case, 0))
            tables.append(
                self._table([one for one in self.asked if one.turn == reached.get(one.case)], rules)
            )
        return tables

    def _table(self, asked: list[Asked], rules: Rules) -> Table:
        about = self.about
        answers: dict[str, dict[str, list[Reply]]] = {}
        for one in asked:
            answers.setdefault(one.case, {})[one.kind] = self.replies.get(one.question, [])
        table = self._benchmark.aggregate(self.cases, answers, rules)
        table = stamped(table, Prompts({}, about.origin, about.differences))
        flags = [*self._unpublished(asked, answers)]
        if about.cases > len(self.cases):
            flags.append(f"only the first {len(self.cases)} of {about.cases} samples")
        comparable = table.comparable and not flags
        if given_back := sum(one.turn == 0 for one in {(one.case, one.turn): one for one in asked}.values()):
            flags.append(
                f"{given_back} samples: no turn was better than the source, which was judged instead"
            )
        return replace(table, comparable=comparable, flags=(*flags, *table.flags))

    @cached_property
    def _benchmark(self) -> Benchmark:
        return benchmark_named(self.about.benchmark, self.about.options)

    def _unpublished(self, asked: list[Asked], answers: Answers) -> list[str]:
        """A sentence for each judge that is not the published one."""
        pairs = {
            (reply.model, one.published)
            for one in asked
            for reply in answers[one.case][one.kind]
            if reply.model and not is_model(reply.model, one.published)
        }
        return [
            f"judged by {model}, published figures by {published}: not comparable"
            for model, published in sorted(pairs)
        ]


def is_model(answered: str, published: str) -> bool:
    """Whether an id names the published judge: the same, or a dated version of it ("gpt-4o-2024-11-20")."""
    return re.fullmatch(re.escape(published) + r"(-\d{4}-\d\d-\d\d)?", answered) is not None
