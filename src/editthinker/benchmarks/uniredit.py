"""UniREditBench: 2,700 edits of photos and of game worlds that need reasoning; judged like RISEBench.

Maplebb/UniREditBench, commit a7015c5 (`eval/gpt_eval_uniredit.py`). In: the `data.json` of the data set
maplebb/UniREditBench with its images. Three judge calls, gpt-4.1-2025-04-14. The headline is the mean
weighted score in percent. The official script leaves missing and failed rows out, of the accuracy too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from editthinker.benchmarks import prompts as judge_prompts
from editthinker.benchmarks.prompts import Prompts
from editthinker.benchmarks.reading import found_in, image_in, json_of
from editthinker.benchmarks.records import checked, no_duplicates, plain
from editthinker.benchmarks.rise import REFERENCE, figures, judge_call, parsed, scoring
from editthinker.benchmarks.rise import prompts as rise_prompts
from editthinker.benchmarks.rise.scoring import FAILED, Marks
from editthinker.benchmarks.showing import Source
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
from editthinker.benchmarks.table import Over, Rules, Scored, Table, tabulate
from editthinker.core.errors import InputError
from editthinker.core.files import shown

FIELDS: Final = ("name", "idx", "instruction", "original_image_path", "reference_image_path")
CALLS: Final = {
    "judge1": ("prompt_consist", ("input", "output")),
    "judge2": ("prompt_reasoning_w_ref_image", ("input", REFERENCE, "output")),
    "judge3": ("prompt_generation", ("output",)),
}
"""Kind -> name of the template, images in order."""
TEMPLATES: Final = tuple(template for template, _ in CALLS.values())
OURS: Final = {
    "prompt_consist": rise_prompts.OURS["prompt_consist"],
    "prompt_reasoning_w_ref_image": (
        "The first image was edited. The second shows what the result may look like, the third the result. "
        + rise_prompts.OURS["prompt_reasoning_w_input"].partition("the last image is the result. ")[2]
    ),
    "prompt_generation": rise_prompts.OURS["prompt_generation"],
}


@dataclass(frozen=True, slots=True)
class UniREdit:
    """UniREditBench. It has no options; `paper` counts as `official`, EditThinker did not use it."""

    name = "uniredit"
    lowest = 1.0

    def load(self, data: Path) -> tuple[Case, ...]:
        """Every record, in the order of the data. Raises `InputError`."""
        path = found_in(data, ("data.json", "data/data.json"), "UniREditBench's data")
        records = checked(json_of(path), FIELDS, path)
        no_duplicates([_id(record) for record in records], path)
        return tuple(_case(record, path.parent) for record in records)

    def prompts(self, checkout: Path | None) -> Prompts:
        """The templates of `eval/utils.py`, or our own. Raises `InputError`."""
        if checkout is None:
            return judge_prompts.ours(OURS)
        path = judge_prompts.located(checkout, "eval/utils.py", "utils.py")
        texts = judge_prompts.chosen(judge_prompts.from_python(path), TEMPLATES, path)
        return judge_prompts.unverified(texts, path, "UniREditBench")

    def where(self, case: Case) -> Place:
        """`{name}/{idx}.png`."""
        stem = f"{case.category}/{case.record['idx']}"
        return Place(f"{stem}.png", also=(f"{stem}.jpg", f"{stem}.jpeg"))

    def judge_calls(self, case: Case, edited: Source, prompts: Prompts) -> tuple[JudgeCall, ...]:
        """Consistency, reasoning with the reference image, quality; the rules of a game stand first."""
        if case.problem:
            return ()
        rules = case.record.get("rules")
        effect = case.record.get("reference_effect")
        values = {
            "instruct": f"{rules}\n{case.instruction}"
            if isinstance(rules, str) and rules
            else case.instruction,
            "reference": str(effect) if effect else "",
        }
        sources = {"input": case.images[0], REFERENCE: case.references[REFERENCE], "output": edited}
        return tuple(
            judge_call(
                case.id,
                kind,
                rise_prompts.text(prompts.texts, template, values),
                [sources[name] for name in images],
            )
            for kind, (template, images) in CALLS.items()
        )

    def parse(self, kind: str, text: str, rules: Rules) -> Scores | Unparsed:
        """Read one reply."""
        return parsed(text, rules, 1)

    def aggregate(self, cases: Sequence[Case], answers: Answers, rules: Rules) -> Table:
        """Lines: all and one for each name; figures as of RISEBench."""
        flags = figures.Flags()
        scored = tuple(_row(case, answers, rules, flags) for case in cases)
        groups = sorted({case.category for case in cases})
        layout: list[tuple[str, Over]] = [(line, "samples") for line in (figures.ALL, *groups)]
        exact = figures.exact(scored, [figures.ALL], groups)
        return Table(
            benchmark=self.name,
            rules=rules,
            headline=(figures.ALL, "percent"),
            lines=tabulate(scored, layout, figures.FIGURES, exact),
            scored=scored,
            flags=flags.sentences,
            judge=judges_of(answers),
        )


def _row(case: Case, answers: Answers, rules: Rules, flags: figures.Flags) -> Scored:
    strict = rules == "strict"
    texts = {kind: answered(answers, case.id, kind) for kind in CALLS}
    if strict:
        found = {
            kind: next((text for text in given if scoring.final_score(text, 1, 5) is not None), None)
            for kind, given in texts.items()
        }
        marks = scoring.strict_marks(case.category, False, found)
        read = {kind: text is not None for kind, text in found.items()}
    else:
        numbers = {kind: scoring.numbers(next(iter(given), "")) for kind, given in texts.items()}
        read = {kind: bool(given) for kind, given in numbers.items()}
        marks = _marks(numbers) if all(read.values()) else FAILED
    state = state_of(answers, case.id, read)
    if state != "scored":
        words = "the lowest mark for what is not there" if strict else "left out of score and accuracy"
        flags.add(f"{state}: {words}")
    elif not strict and not figures.on_scale(marks):
        flags.add("a mark off the scale is accepted")
    values: dict[str, float] = {}
    if not marks.failed:
        complete = float(marks.consistency == marks.reasoning == marks.quality == 5)
        score = 0.3 * marks.consistency + 0.5 * marks.reasoning + 0.2 * marks.quality
        values = figures.values_of(marks, score, complete)
    return Scored(case.id, case.category, state, (figures.ALL, case.category), values)


def _marks(numbers: Mapping[str, Sequence[int]]) -> Marks:
    """The first number of each reply; a second one does no harm here, unlike at RISEBench."""
    consistency, reasoning, quality = (float(numbers[kind][0]) for kind in CALLS)
    return Marks(consistency, reasoning, quality)


def _id(record: Mapping[str, Any]) -> str:
    """As the official script joins them."""
    return f"{record['name']}#{record['idx']}"


def _case(record: dict[str, Any], root: Path) -> Case:
    if not plain(record["name"], record["idx"]):
        raise InputError(f"{shown(_id(record)[:120])} cannot be the name of a result")
    image, problem = image_in((root,), record["original_image_path"])
    reference, lacking = image_in((root,), record["reference_image_path"])
    return Case(
        id=_id(record),
        instruction=str(record["instruction"]),
        images=(image,),
        category=str(record["name"]),
        references={REFERENCE: reference},
        record=record,
        problem=problem or lacking,
    )
