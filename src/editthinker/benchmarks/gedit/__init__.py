"""GEdit-Bench (arXiv 2504.17761): 606 instructions of eleven tasks, English and Chinese, marked by VIEScore.

Source of every rule: stepfun-ai/Step1X-Edit at 570eba6, GEdit-Bench. Two calls a sample, each giving two
numbers of 0-10: SC (the edit is done, nothing else is) and PQ (natural, no artefacts). A sample's SC and PQ
are the lower of their two, O is the root of their product; a figure is the mean of the eleven task means.
Where the official code draws random scores or never ends (see `viescore`), nothing is drawn: such samples are
left out under `official` and `paper`, and the flags count them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

import numpy as np

from editthinker.benchmarks import prompts as judge_prompts
from editthinker.benchmarks.gedit import viescore
from editthinker.benchmarks.gedit.data import TASKS, load_cases
from editthinker.benchmarks.prompts import Prompts
from editthinker.benchmarks.showing import Shown, Source
from editthinker.benchmarks.suite import (
    Answers,
    Case,
    JudgeCall,
    Place,
    Scores,
    Unparsed,
    judges_of,
    replies_to,
    state_of,
)
from editthinker.benchmarks.table import Over, Rules, Scored, Table, tabulate

FIGURES: Final = ("SC", "PQ", "O")
PROMPTS: Final = ("GEdit-Bench/viescore/vie_prompts.py", "viescore/vie_prompts.py", "vie_prompts.py")
_PLACE: Final = "<instruction>"

KNOWN: Final = {
    "_context_no_delimit": "446482c9035af15092f48235470d6daf29c9930e3f9faa2cd0f722363c74adde",
    "_prompts_0shot_two_image_edit_rule": "369c6b21479e6a853ffe85b11186c9d5ee3ef7388b8c9b5866a434bf113d0f8f",
    "_prompts_0shot_tie_rule_SC": "5b9aa479977bc3175329e9ee14d75b55773080e87e3e2181721985be30db6cc6",
    "_prompts_0shot_rule_PQ": "cd929b5619a3ad9311e3054b80afca75f8ee407be89345c324be0b0ca8b5c96b",
}
"""sha256 of the four constants that make both prompts."""
SOURCE: Final = "EvolvingLMMs-Lab/lmms-eval 2bb5e98 (Step1X-Edit's own file was not at hand)"
"""Whose copy the sums are of."""

_ASKED_AGAIN: Final = "read from a later reply; the official code asks both questions again, word for word"
_FORM: Final = '\nAnswer with nothing but JSON: {"score": [first, second], "reasoning": "a few words"}'
OURS: Final = {
    "SC": "The first image is a photo, the second an edited version of it. What was asked: <instruction>\n"
    "Give two numbers from 0 to 10. First: how completely was it done? Second: how much of everything else"
    " stayed as it was?" + _FORM,
    "PQ": "Look at this image. Give two numbers from 0 to 10. First: how natural is it (light, shadow, space,"
    " proportion)? Second: how free is it of faults (distortion, smears, marks, broken bodies or letters)?"
    + _FORM,
}


@dataclass(frozen=True, slots=True)
class GEdit:
    """One language of GEdit-Bench, all of it or the rows of the intersection subset only."""

    language: Literal["en", "cn"] = "en"
    subset: Literal["full", "intersection"] = "full"
    name = "gedit"
    lowest = 0.0

    def load(self, data: Path) -> tuple[Case, ...]:
        """The cases of this language. Raises `InputError` or `MissingExtra`."""
        return load_cases(data, self.language, intersection=self.subset == "intersection")

    def prompts(self, checkout: Path | None) -> Prompts:
        """`SC` and `PQ`. Raises `InputError`."""
        if checkout is None:
            return judge_prompts.ours(OURS)
        path = judge_prompts.located(checkout, *PROMPTS)
        constants = judge_prompts.chosen(judge_prompts.from_python(path), KNOWN, path)
        context, edit_rule, sc, pq = (constants[name] for name in KNOWN)
        texts = {"SC": "\n".join((context, edit_rule, sc)), "PQ": "\n".join((context, pq))}
        return replace(judge_prompts.compared(constants, path, KNOWN, SOURCE), texts=texts)

    def where(self, case: Case) -> Place:
        """Below the folder of one model: `fullset/{task}/{language}/{key}.png`, the source beside it."""
        stem = f"fullset/{case.category}/{case.tags['language']}/{case.record['key']}"
        return Place(f"{stem}.png", f"{stem}_SRCIMG.png", (f"final/{stem}.png",))

    def judge_calls(self, case: Case, edited: Source, prompts: Prompts) -> tuple[JudgeCall, ...]:
        """SC sees source and edited image, PQ the edited one, brought to the source's size."""
        source = Shown(case.images[0], quality=75, upright=True)
        result = Shown(edited, quality=75, upright=True, size_of=case.images[0])
        text = prompts.texts["SC"].replace(_PLACE, case.instruction)
        return (
            JudgeCall(case.id, "SC", (text, source, result), model="gpt-4.1", max_tokens=1400),
            JudgeCall(case.id, "PQ", (prompts.texts["PQ"], result), model="gpt-4.1", max_tokens=1400),
        )

    def parse(self, kind: str, text: str, rules: Rules) -> Scores | Unparsed:
        """The scores of one reply, as read the first time it is asked for."""
        if rules == "strict":
            read = viescore.two_scores(text)
            return Unparsed(read) if isinstance(read, str) else Scores(read)
        found = viescore.scores_in(text)
        if isinstance(found, str):
            return Unparsed("it holds no scores", viescore.FATES[found])
        if viescore.lowest(found) is None:
            return Unparsed("its scores are no numbers", viescore.FATES["stops"])
        return Scores(tuple(found))

    def aggregate(self, cases: Sequence[Case], answers: Answers, rules: Rules) -> Table:
        """SC, PQ and O: for `all` and `intersection` the mean of the task means, and for each task."""
        flags: Counter[str] = Counter()
        scored = [self._scored(case, answers, rules, flags) for case in cases]
        names = {name for one in scored for name in one.lines}
        tasks: list[tuple[str, Over]] = [(task, "samples") for task in TASKS]
        shared: list[tuple[str, Over]] = [(f"intersection/{task}", "samples") for task in TASKS]
        whole: list[tuple[str, Over]] = [("all", "categories"), *tasks]
        whole += [("intersection", "categories"), *shared]
        layout = [line for line in whole if line[0] in names]
        words = [f"{count} samples: {words}" for words, count in flags.items()]
        headline = "all" if self.subset == "full" else "intersection"
        exact = {}
        if rules != "strict":
            exact = _means(scored)
            if empty := [
                task for task in TASKS if math.isnan(exact.get((_in(headline, task), "O"), math.nan))
            ]:
                words.append(f"no scored sample of {', '.join(empty)}: the official average is NaN")
        elif empty := [task for task in TASKS if _in(headline, task) not in names]:
            words.append(f"no sample of {', '.join(empty)}: `{headline}` is the mean of the other tasks")
        if strange := sum(one.category not in TASKS for one in scored):
            words.append(f"{strange} samples: of no known task, so in no figure")
        if rules == "paper" and self.language != "en":
            words.append("EditThinker measured English only")
        return Table(
            benchmark=self.name,
            rules=rules,
            headline=(headline, "O"),
            lines=tabulate(scored, layout, FIGURES, exact),
            scored=tuple(scored),
            flags=tuple(words),
            judge=judges_of(answers),
        )

    def _scored(self, case: Case, answers: Answers, rules: Rules, flags: Counter[str]) -> Scored:
        sc, pq = (replies_to(answers, case.id, kind) for kind in ("SC", "PQ"))
        sample = None
        if sc and pq:
            sample = viescore.strict(sc, pq) if rules == "strict" else viescore.official(sc, pq)
            if rules != "strict" and (sample.fate or sample.rounds > 1):
                flags[viescore.FATES[sample.fate] if sample.fate else _ASKED_AGAIN] += 1
        usable = sample is not None and sample.fate is None
        readable = (usable, usable) if usable or sample is None else sample.readable
        values = {}
        if usable and sample is not None:
            values = {"SC": sample.sc, "PQ": sample.pq, "O": sample.overall}
        elif rules == "strict":
            values = dict.fromkeys(FIGURES, self.lowest)
        known = case.category in TASKS
        lines: tuple[str, ...] = ("all", case.category) if known and self.subset == "full" else ()
        if known and case.tags.get("intersection") == "yes":
            lines += ("intersection", f"intersection/{case.category}")
        state = state_of(answers, case.id, dict(zip(("SC", "PQ"), readable, strict=True)))
        return Scored(case.id, case.category, state, lines, values)


def _in(headline: str, task: str) -> str:
    return task if headline == "all" else f"intersection/{task}"


def _means(scored: Sequence[Scored]) -> dict[tuple[str, str], float]:
    """Printed values: a task without a scored sample makes the official average NaN."""
    exact: dict[tuple[str, str], float] = {}
    for headline in ("all", "intersection"):
        for figure in FIGURES:
            means = []
            for task in TASKS:
                line = _in(headline, task)
                values = [one.values[figure] for one in scored if line in one.lines and one.values]
                means.append(float(np.mean(values)) if values else math.nan)
                exact[line, figure] = means[-1]
            exact[headline, figure] = float(np.mean(means))
    return exact
