"""RISEBench: 360 edits that need reasoning (temporal, causal, spatial, logical), or the older 64.

PhoenixZ810/RISEBench, commit 5f22651 (2026-05-18). In: `datav2_total_w_subtask.json` with its images, or
`data_total.json` of the 64. The headline is accuracy: the share of records with full marks in everything that
was asked; missing and failed rows count as 0. Three judge calls (logical: two), gpt-4.1-2025-04-14.

    official  consistency does not count for records marked consistency_free (rule since 2026-04-13)
    paper     it counts, so that those records can never be complete (before that date, and EditThinker)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from editthinker.benchmarks import prompts as texts
from editthinker.benchmarks.prompts import Prompts
from editthinker.benchmarks.reading import image_in, inside, json_of
from editthinker.benchmarks.records import checked, given, no_duplicates, plain
from editthinker.benchmarks.rise import figures, scoring
from editthinker.benchmarks.rise import prompts as rise_prompts
from editthinker.benchmarks.showing import Shown, Source
from editthinker.benchmarks.suite import Answers, Case, JudgeCall, Place, Scores, Unparsed
from editthinker.benchmarks.table import Rules, Table
from editthinker.core.errors import InputError
from editthinker.core.files import shown

FILES: Final = ("datav2_total_w_subtask.json", "data_total.json")
FIELDS: Final = ("index", "category", "instruction", "image")
MODEL: Final = "gpt-4.1-2025-04-14"
SUFFIXES: Final = ("png", "jpg", "jpeg")
"""In the order in which the official script looks."""
REFERENCE: Final = "reference"
OF_DATA: Final = ("consistency_free", "reasoning_img", "reasoning_wo_ins", "subtask")
"""Fields whose presence anywhere in the data changes what the official script does with every record."""


@dataclass(frozen=True, slots=True)
class Rise:
    """RISEBench, whichever release the data folder holds."""

    name = "rise"
    lowest = 1.0

    def load(self, data: Path) -> tuple[Case, ...]:
        """Every record, in the order of the data. Raises `InputError`."""
        path = _data_file(data)
        records = checked(json_of(path), FIELDS, path)
        no_duplicates([str(record["index"]) for record in records], path)
        present = " ".join(name for name in OF_DATA if any(name in record for record in records))
        roots = (path.parent, path.parent / "data")
        return tuple(_case(record, roots, present) for record in records)

    def prompts(self, checkout: Path | None) -> Prompts:
        """The templates of `utils.py`, or our own. Raises `InputError`."""
        if checkout is None:
            return texts.ours(rise_prompts.OURS)
        path = texts.located(checkout, "utils.py", "eval/rise/utils.py")
        return rise_prompts.official(path)

    def where(self, case: Case) -> Place:
        """`images/{category}/{index}.png`; EditThinker writes the same without `images/`."""
        stem = f"{case.category}/{case.id}"
        names = [f"images/{stem}.{suffix}" for suffix in SUFFIXES]
        names += [f"{folder}{stem}.{suffix}" for folder in ("", "final/") for suffix in SUFFIXES]
        return Place(names[0], also=tuple(names[1:]))

    def judge_calls(self, case: Case, edited: Source, prompts: Prompts) -> tuple[JudgeCall, ...]:
        """Consistency unless the record is free of it, reasoning, and quality unless it is logical."""
        if case.problem:
            return ()
        asked = []
        for kind, template, images in plan(case):
            text = rise_prompts.text(prompts.texts, template, _values(case))
            asked.append(judge_call(case.id, kind, text, [_image(case, name, edited) for name in images]))
        return tuple(asked)

    def parse(self, kind: str, text: str, rules: Rules) -> Scores | Unparsed:
        """Read one reply; logical records are judged 0 or 1, the others 1..5, `aggregate` knows which."""
        return parsed(text, rules, 0)

    def aggregate(self, cases: Sequence[Case], answers: Answers, rules: Rules) -> Table:
        """The official table with all its lines; figures are Accuracy (0..1) and the score, as in its CSV."""
        return figures.table(self.name, cases, answers, rules)


def plan(case: Case) -> list[tuple[str, str, tuple[str, ...]]]:
    """What is asked about a record: kind, name of the template, which images in which order.

    Whether a field stands in the record counts, not its value (the script asks `pd.isna`).
    """
    record, category = case.record, case.category
    first, seen = "input", False
    consistency, quality = "prompt_consist", "prompt_generation"
    if category in ("temporal_reasoning", "causal_reasoning"):
        seen = given(record, "reasoning_img")
        reasoning = "prompt_reasoning_w_input" if seen else "prompt_reasoning"
    elif category == "spatial_reasoning":
        consistency, quality = "prompt_spatial_cons", "prompt_spatial_qual"
        if given(record, "reference_img"):
            first, seen, reasoning = REFERENCE, True, "prompt_spatial_ref_img"
        else:
            seen = given(record, "reasoning_img")
            reasoning = "prompt_spatial_ref_w_input" if seen else "prompt_spatial_ref"
    elif given(record, "reference_txt"):
        consistency, reasoning = "prompt_logical_cons_ans", "prompt_logical_txt"
    else:
        first, seen, consistency = REFERENCE, True, "prompt_logical_cons"
        without = "reasoning_wo_ins" in case.tags["fields"].split()  # anywhere in the data: the script's slip
        reasoning = "prompt_logical_img_wo_q" if without else "prompt_logical_img"
    asked: list[tuple[str, str, tuple[str, ...]]] = []
    if not given(record, "consistency_free"):
        asked.append(("judge1", consistency, (first, "output")))
    asked.append(("judge2", reasoning, (first, "output") if seen else ("output",)))
    if category != scoring.LOGICAL:
        asked.append(("judge3", quality, ("output",)))
    return asked


def judge_call(case: str, kind: str, text: str, images: Sequence[Source]) -> JudgeCall:
    """One call as RISEBench and UniREditBench send it: images as JPEG, no side over 768, detail high."""
    parts = [Shown(image, quality=75, longest=768, detail="high") for image in images]
    return JudgeCall(case, kind, (text, *parts), MODEL, temperature=0, max_tokens=4096)


def parsed(text: str, rules: Rules, lowest: int) -> Scores | Unparsed:
    """A reply that ends in a "Final Score", of RISEBench or UniREditBench."""
    if rules == "strict":
        mark = scoring.final_score(text, lowest, 5)
        if mark is None:
            return Unparsed(f"it does not end in 'Final Score:' and one whole number from {lowest} to 5")
        return Scores((float(mark),))
    found = scoring.numbers(text)
    if not found:
        return Unparsed("no number follows 'Final Score'")
    return Scores(tuple(map(float, found)))


def _values(case: Case) -> dict[str, str]:
    """What stands in the places of a template; an absent reference is "nan" there, as pandas prints it."""
    name = "reference_txt" if case.category == scoring.LOGICAL else "reference"
    reference = case.record[name] if given(case.record, name) else "nan"
    return {"instruct": str(case.record["instruction"]), "reference": str(reference)}


def _image(case: Case, name: str, edited: Source) -> Source:
    if name == "output":
        return edited
    return case.references[REFERENCE] if name == REFERENCE else case.images[0]


def _case(record: dict[str, Any], roots: tuple[Path, ...], present: str) -> Case:
    index, category = str(record["index"]), str(record["category"])
    image, problem = image_in(roots, record["image"])
    references = {}
    if given(record, "reference_img"):
        references[REFERENCE], lacking = image_in(roots, record["reference_img"])
        problem = problem or lacking
    elif category == scoring.LOGICAL and not given(record, "reference_txt"):
        problem = "its record has neither reference_txt nor reference_img"
    if category not in scoring.CATEGORIES:
        problem = f"its category {shown(category[:60])} is none of {', '.join(scoring.CATEGORIES)}"
    if not plain(index, category):
        raise InputError(f"{shown(f'{category}/{index}'[:120])} cannot be the name of a result")
    return Case(
        id=index,
        instruction=str(record["instruction"]),
        images=(image,),
        category=category,
        references=references,
        tags={"subtask": str(record.get("subtask") or ""), "fields": present},
        record=record,
        problem=problem,
    )


def _data_file(data: Path) -> Path:
    """The JSON file of the records: a known name, or the only file that looks like one."""
    if data.is_file():
        return data
    folders = [folder for folder in (data, data / "data") if folder.is_dir()]
    for name in FILES:
        for folder in folders:
            if (folder / name).is_file():
                return folder / name
    others = [path for folder in folders for path in sorted(folder.glob("data*.json"))]
    if len(others) == 1:
        return others[0]
    if not data.exists():
        raise InputError(f"there is no data folder {shown(str(data))}")
    raise InputError(
        f"{shown(str(data))} is not RISEBench's data: expected {' or '.join(FILES)} in it or in its folder"
        f" data; {inside(data)}"
    )
