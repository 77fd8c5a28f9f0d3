"""KRIS-Bench (arXiv 2505.16707): 1,267 edits in 20 categories that need knowledge; some have several inputs.

mercurystraw/Kris_Bench, `metrics_*.py`, as corrected in the later copy nameoffly/Kris_Bench_output 75e89ed:
the repository's own versions send an empty instruction and know old names of categories. In: `KRIS_Bench/
{category}/annotation.json` with its images. Three judge calls, gpt-4o; in the ten knowledge categories the
second brings two scores. There is no official script for the means:

    official  mean over samples of each sample's mean; it gives the co-authors' published table
    paper     EditThinker: mean over all scores, incomplete samples and temporal_prediction left out
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from editthinker.benchmarks.kris import figures, scoring
from editthinker.benchmarks.kris import prompts as kris_prompts
from editthinker.benchmarks.kris.scoring import COUNTS, INSTRUCTION, MULTI, QUALITY, TEMPORAL, VIEWPOINT
from editthinker.benchmarks.prompts import Prompts
from editthinker.benchmarks.reading import image_in, inside, json_of
from editthinker.benchmarks.records import filled, plain
from editthinker.benchmarks.showing import Shown, Source
from editthinker.benchmarks.suite import Answers, Case, JudgeCall, Place, Scores, Unparsed
from editthinker.benchmarks.table import Rules, Table
from editthinker.core.errors import InputError
from editthinker.core.files import shown

MODEL: Final = "gpt-4o"
FRAMES: Final = (1, 2, 3, 4)
TRUTH: Final = "truth"
_FRAME: Final = re.compile(r"\d+-(\d+)")
_ORIGINAL, _EDITED = "This is the original image:", "This is the edited image:"
_ALONE, _TRUTH = "This is the image to evaluate:", "This is the ground truth image:"

Labelled = list[tuple[str, Source]]


@dataclass(frozen=True, slots=True)
class Kris:
    """KRIS-Bench. It has no options."""

    name = "kris"
    lowest = 1.0

    def load(self, data: Path) -> tuple[Case, ...]:
        """Every record of every category there is. Raises `InputError`."""
        root = _root(data)
        cases = []
        for category in COUNTS:
            path = root / category / "annotation.json"
            if not path.is_file():
                continue
            content = json_of(path)
            if not isinstance(content, dict):
                raise InputError(
                    f"{shown(str(path))} is not KRIS-Bench's: expected an object of records by id"
                )
            cases += [_case(category, key, record, path.parent) for key, record in content.items()]
        return tuple(cases)

    def prompts(self, checkout: Path | None) -> Prompts:
        """The prompts of `utils/prompts.py`, or our own. Raises `InputError`."""
        return kris_prompts.official(checkout) if checkout else kris_prompts.ours()

    def where(self, case: Case) -> Place:
        """`{category}/{id}.jpg`; the later copy and EditThinker write .png."""
        stem = case.id
        return Place(f"{stem}.jpg", also=(f"{stem}.png", f"{stem}.jpeg", f"final/{stem}.png"))

    def judge_calls(self, case: Case, edited: Source, prompts: Prompts) -> tuple[JudgeCall, ...]:
        """Consistency, instruction (with knowledge, where there is such a score), quality."""
        if case.problem:
            return ()
        values = {"instruct": case.instruction, "explanation": str(case.record.get("explain_en") or "")}
        if case.category == TEMPORAL:
            values["N"] = str(generated_frame(case)[1])
        calls = []
        for call in scoring.CALLS:
            template = prompts.texts[kris_prompts.name_of(case.category, call)]
            parts: list[str | Shown] = [template if call == QUALITY else filled(template, values)]
            for label, image in _images(case, call, edited):
                parts += [label, Shown(image, quality=85 if case.category == TEMPORAL else None)]
            kind = scoring.kind_of(case.category, call)
            calls.append(JudgeCall(case.id, kind, tuple(parts), MODEL, max_tokens=1000))
        return tuple(calls)

    def parse(self, kind: str, text: str, rules: Rules) -> Scores | Unparsed:
        """One mark, or instruction and knowledge of a dual reply, NaN for the one that is not there."""
        marks = scoring.marks_of(kind, text, rules)
        unread = [name for name, mark in marks.items() if mark is None]
        if unread and (rules == "strict" or len(unread) == len(marks)):
            wanted = " and ".join(f'"{name}_score"' for name in unread)
            return Unparsed(f"it does not give {wanted} as one whole number from 1 to 5")
        return Scores(tuple(scoring.NAN if mark is None else float(mark) for mark in marks.values()))

    def aggregate(self, cases: Sequence[Case], answers: Answers, rules: Rules) -> Table:
        """Lines: all, knowledge types, dimensions, categories; figures AVG, VC, VQ, IF, KP in percent."""
        return figures.table(self.name, cases, answers, rules)


def generated_frame(case: Case) -> tuple[list[int], int]:
    """The numbers of the given frames, by their file names, and that of the one to be made.

    The one missing of 1..4; where that is not one, the next after the last, as the official script has it.
    """
    names = case.record["ori_img"]
    numbers = [int(found[1]) for name in names if (found := _FRAME.search(str(name)))]
    missing = set(FRAMES) - set(numbers)
    return numbers, missing.pop() if len(missing) == 1 else max(numbers, default=0) + 1


def _images(case: Case, call: str, edited: Source) -> Labelled:
    """The images of one call in order, each with the words before it."""
    several = case.category in (MULTI, TEMPORAL)
    if call == QUALITY:
        return [(_ALONE if several else _EDITED, edited)]
    if case.category == MULTI:
        labelled = [(f"Reference Image {number}:", image) for number, image in enumerate(case.images, 1)]
        return [*labelled, ("Predicted Image:", edited)]
    if case.category == TEMPORAL:
        numbers, made = generated_frame(case)
        frames = [(number, "Reference", image) for number, image in zip(numbers, case.images, strict=False)]
        frames.append((made, "Generated", edited))
        frames.sort(key=lambda frame: frame[0])
        return [(f"Frame {number} ({what}):", image) for number, what, image in frames]
    labelled = [(_ORIGINAL, case.images[0]), (_EDITED, edited)]
    if case.category == VIEWPOINT and call == INSTRUCTION:
        labelled.append((_TRUTH, case.references[TRUTH]))
    return labelled


def _case(category: str, key: str, record: Any, folder: Path) -> Case:
    if not plain(key):
        raise InputError(f"{shown(f'{category}/{key}'[:120])} cannot be the name of a result")
    record = record if isinstance(record, dict) else {}
    given = record.get("ori_img")
    names: list[Any] = given if isinstance(given, list) and given else [given]
    found = [image_in((folder,), name) for name in names]
    problems = [problem for _, problem in found]
    references = {}
    if record.get("gt_img"):
        references[TRUTH], lacking = image_in((folder,), record["gt_img"])
        problems.append(lacking if category == VIEWPOINT else "")
    words = record.get("ins_en")
    case = Case(
        id=f"{category}/{key}",
        instruction=words if isinstance(words, str) else "",
        images=tuple(path for path, _ in found),
        category=category,
        references=references,
        tags=_tags(category),
        record=record,
        problem=next((problem for problem in problems if problem), ""),
    )
    return case if case.problem else _checked(case, names)


def _checked(case: Case, names: Sequence[Any]) -> Case:
    """The case, saying what its category needs and its record lacks."""
    problem = ""
    if not case.instruction.strip():
        problem = "its record has no ins_en"
    elif case.category == VIEWPOINT and TRUTH not in case.references:
        problem = "its record names no ground truth (gt_img)"
    elif case.category == TEMPORAL and len(generated_frame(case)[0]) != len(names):
        problem = "its frames are not named by their number (7-2.jpg)"
    elif len(names) > 1 and case.category not in (MULTI, TEMPORAL):
        problem = f"its category has one image, its record {len(names)}"
    return replace(case, problem=problem)


def _tags(category: str) -> Mapping[str, str]:
    dimension = scoring.DIMENSION_OF[category]
    return {"dimension": dimension, "knowledge": scoring.KNOWLEDGE_OF[dimension]}


def _root(data: Path) -> Path:
    """The folder of the categories: the given one or `KRIS_Bench` in it."""
    for folder in (data, data / "KRIS_Bench"):
        if any((folder / category / "annotation.json").is_file() for category in COUNTS):
            return folder
    if not data.exists():
        raise InputError(f"there is no data folder {shown(str(data))}")
    raise InputError(
        f"{shown(str(data))} is not KRIS-Bench's data: expected folders like chemistry/annotation.json in it"
        f" or in its folder KRIS_Bench; {inside(data)}"
    )
