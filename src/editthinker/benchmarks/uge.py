"""ImgEdit-Bench, UGE suite (arXiv 2505.20275): 47 edits to be understood and grounded, one mark of 1-5.

Source of every rule: PKU-YuanGroup/ImgEdit, Benchmark/UGE: UGE_bench.py, get_average_score.py. The prompt
wants "Brief reasoning" alone, and the answers that its README documents ("... Score: 2.") have no line that
the script reads, so under `official` such samples drop out and the flags count them; `strict` reads the
stated score. The third suite, multi-turn, is judged by people: its authors say that a model cannot.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from editthinker.benchmarks import prompts as judge_prompts
from editthinker.benchmarks.imgedit import JUDGES, ImgEdit, mean_of
from editthinker.benchmarks.prompts import Prompts
from editthinker.benchmarks.reading import found_in, image_in, json_of
from editthinker.benchmarks.records import plain
from editthinker.benchmarks.showing import Shown, Source
from editthinker.benchmarks.suite import (
    Answers,
    Case,
    JudgeCall,
    Place,
    Scores,
    Unparsed,
    answered,
    judges_of,
    state_of,
)
from editthinker.benchmarks.table import Rules, Scored, Table, tabulate
from editthinker.core.errors import InputError
from editthinker.core.files import shown

RECORDS: Final = ("UGE_edit.json", "Benchmark/UGE/UGE_edit.json", "UGE/UGE_edit.json")
PROMPTS: Final = ("Benchmark/UGE/UGE_bench.py", "UGE/UGE_bench.py", "UGE_bench.py")
FOLDERS: Final = ("", "hard", "Benchmark/hard", "original_images")
"""Of the sources: beside the records, or where `Benchmark.tar` has them."""
_LOWEST, _HIGHEST = 1, 5
_STATED: Final = re.compile(
    r"\b(?:score|rating)\b[\"'*_`]*\s*(?:is|of)?\s*[:：=]?[\s\"'*_`(\[]*"
    r"(?P<mark>-?\d+(?:[.,]\d+)?)(?!\w|[.,]\d)(?:\s*(?:/|out of)\s*(?P<full>\d+))?",
    re.IGNORECASE,
)
OURS: Final = (
    "The first image was edited; the second is the result. What was asked for: <edit_prompt>\n"
    "How well was exactly this done, and nothing else, so that it looks natural? Give a few words of reasons,"
    " then one whole number from 1 (not at all) to 5 (completely) on a line of its own, written exactly so:\n"
    "Score: <number>"
)


@dataclass(frozen=True, slots=True)
class Uge:
    """The UGE suite. It has no options; `paper` counts as `official`, EditThinker did not use it."""

    name = "uge"
    lowest = 1.0

    def load(self, data: Path) -> tuple[Case, ...]:
        """Every record of `UGE_edit.json`, in its order. Raises `InputError`."""
        path = found_in(data, RECORDS, "ImgEdit-Bench's UGE suite")
        records = json_of(path)
        if not isinstance(records, dict) or not records:
            raise InputError(f"{shown(str(path))} holds no object of records by key, as UGE_edit.json is")
        base = data if data.is_dir() else path.parent
        roots = [path.parent, *(base / name for name in FOLDERS)]
        return tuple(_case(key, record, roots) for key, record in records.items())

    def prompts(self, checkout: Path | None) -> Prompts:
        """The constant `prompt` of `UGE_bench.py`, or our own. Raises `InputError`."""
        if checkout is None:
            return judge_prompts.ours({"prompt": OURS})
        path = judge_prompts.located(checkout, *PROMPTS)
        texts = judge_prompts.chosen(judge_prompts.from_python(path), ["prompt"], path)
        return judge_prompts.unverified(texts, path, "ImgEdit's UGE suite")

    def where(self, case: Case) -> Place:
        """`{key}.png`."""
        return Place(f"{case.id}.png", also=(f"gen_image/{case.id}.png",))

    def judge_calls(self, case: Case, edited: Source, prompts: Prompts) -> tuple[JudgeCall, ...]:
        """One: the filled prompt, the source, the edited image, each as the bytes it has."""
        if case.problem:
            return ()
        images = (Shown(image, media_type="image/png") for image in (case.images[0], edited))
        text = prompts.texts["prompt"].replace("<edit_prompt>", case.instruction)
        return (JudgeCall(case.id, "mark", (text, *images), model=JUDGES),)

    def parse(self, kind: str, text: str, rules: Rules) -> Scores | Unparsed:
        """The marks of one reply: every line "words: digits", as of the basic suite. Strict: its score."""
        if rules != "strict":
            return ImgEdit().parse("marks", text, rules)
        stated = {(found["mark"], found["full"] or "5") for found in _STATED.finditer(text)}
        marks = {mark for mark, _ in stated}
        if len(marks) != 1 or {full for _, full in stated} != {"5"}:
            return Unparsed("it does not state one score from 1 to 5, as in 'Score: 3'")
        mark = marks.pop()
        if not re.fullmatch(r"[1-5]", mark):
            return Unparsed(f"its score {mark[:20]} is no whole number within {_LOWEST} to {_HIGHEST}")
        return Scores((float(mark),))

    def aggregate(self, cases: Sequence[Case], answers: Answers, rules: Rules) -> Table:
        """One line, `all`, and one figure, `score`: the mean of the samples, rounded as their script does."""
        flags: dict[str, int] = {}
        scored = [self._scored(case, answers, rules, flags) for case in cases]
        values = [one.values["score"] for one in scored if one.values]
        mean = mean_of(values) if values else math.nan
        return Table(
            benchmark=self.name,
            rules=rules,
            headline=("all", "score"),
            lines=tabulate(scored, [("all", "samples")], ["score"], {("all", "score"): mean}),
            scored=tuple(scored),
            flags=tuple(f"{count} samples: {words}" for words, count in flags.items()),
            judge=judges_of(answers),
        )

    def _scored(self, case: Case, answers: Answers, rules: Rules, flags: dict[str, int]) -> Scored:
        texts = answered(answers, case.id, "mark")
        considered = texts if rules == "strict" else texts[:1]  # the official code asks once
        readings = [self.parse("mark", text, rules) for text in considered]
        read = next((reading for reading in readings if isinstance(reading, Scores)), None)
        state = state_of(answers, case.id, {"mark": read is not None})
        values = {"score": mean_of(read.values)} if read else {}
        if read is None and rules == "strict":
            lenient = self.parse("mark", texts[0], "official") if texts else None
            # a reply that breaks the form gains nothing by it: 0 stays below the lowest mark
            bound = mean_of(lenient.values) if isinstance(lenient, Scores) else self.lowest
            values = {"score": min(self.lowest, bound)}
        elif read is None:
            words = _lost(state, readings)
            flags[words] = flags.get(words, 0) + 1
        return Scored(case.id, "uge", state, ("all",), values)


def _lost(state: str, readings: Sequence[Scores | Unparsed]) -> str:
    """What the authors' scripts make of a sample without marks."""
    if state in ("missing", "unanswered"):
        return "no reply; the official script stops with an AttributeError"
    flag = next((one.flag for one in readings if isinstance(one, Unparsed) and one.flag), "")
    if flag:
        return f"the official code does not survive a reply: {flag}"
    return "no line of the reply is 'name: number', so the official script leaves it out"


def _case(key: str, record: Any, roots: Sequence[Path]) -> Case:
    if not isinstance(record, dict):
        return Case(key, "", (), "uge", problem="its record is no JSON object")
    path, problem = image_in(roots, record.get("id"))
    words = record.get("prompt")
    if not isinstance(words, str) or not words.strip():
        words, problem = "", "its record has no prompt"
    if not plain(key):
        problem = f"its key {shown(key[:40])} cannot be a file name"
    return Case(key, words, (path,), "uge", record=record, problem=problem)
