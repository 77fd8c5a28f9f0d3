"""ImgEdit-Bench, basic suite (arXiv 2505.20275): 737 instructions of nine types, three marks of 1-5 each.

Source of every rule: PKU-YuanGroup/ImgEdit at 547185d, Benchmark/Basic: basic_bench.py,
step1_get_avgscore.py, step2_typescore.py. The code knows no overall figure; the published one is the mean of
the nine types. EditThinker takes the mean over samples instead; both are in every table. The code asks
gpt-4o, the published table was judged by GPT-4.1, EditThinker's by gpt-4o-2024-11-20.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from editthinker.benchmarks import prompts as judge_prompts
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
from editthinker.benchmarks.table import Over, Rules, Scored, Table, tabulate
from editthinker.core.errors import InputError
from editthinker.core.files import shown

TYPES: Final = ("add", "adjust", "extract", "replace", "remove", "background", "style", "compose", "action")
"""In the order of the paper's table, which calls compose "Hybrid"."""
RECORDS: Final = ("basic_edit.json", "Benchmark/Basic/basic_edit.json", "Basic/basic_edit.json")
TAR_RECORDS: Final = ("singleturn.json", "singleturn/singleturn.json", "Benchmark/singleturn/singleturn.json")
PROMPTS: Final = (
    "Benchmark/Basic/prompts.json",
    "Basic/prompts.json",
    "prompts.json",
    "judge_prompt.json",
    "singleturn/judge_prompt.json",
    "Benchmark/singleturn/judge_prompt.json",
)
JUDGES: Final = "gpt-4o or gpt-4.1"
"""The code asks the first; the authors' table was judged by the second, EditThinker's by the first."""
SOURCE: Final = "PKU-YuanGroup/ImgEdit 547185d"
_PLACE: Final = "<edit_prompt>"
_MARKS: Final = 3
_LOWEST, _HIGHEST = 1, 5

PROBES: Final = {
    "add": (
        "Add a dog walking beside the person on the snow-covered path.",
        "e11238217763b880850caff9bec0f6be409e13ef7ea0b3f00801f5cbbdc853a4",
    ),
    "adjust": (
        "Change the object color to a soft blue.",
        "8dc4cbbf350026cbfa392275e95965b122f01ed8b55d415c9e42f584f0a0d66e",
    ),
    "extract": (
        "Extract the animal in the image.",
        "031ccf6a9beee7947bcff80348aaaa09b036579c3bdef78a31c97364c94eda5d",
    ),
    "replace": (
        "Replace the giant boot in the image with a large coffee mug.",
        "e3aa95f8e38cc70be523322ac3e4a572ada6f21b6fc21b12cbbac15e7aeb82bb",
    ),
    "remove": (
        "Remove the armchair with wooden armrests and checkered upholstery from the image.",
        "bcc875da430d398a7f723b060b2fcac4541f35cd6f727edfe585a0d241438c9f",
    ),
    "background": (
        "Change the forest in the picture from autumn to spring.",
        "1bcc3e50902d867b7fabcd06b8a55cdfe97df4938b0659821dd6ec4a49385e93",
    ),
    "style": (
        "Transfer the image into a traditional ukiyo-e woodblock-print style.",
        "624b4bc56432df3958a8d9a7a89d96b8aeb78443d02010ad403ce3fda6ec1b62",
    ),
    "compose": (
        "Remove the gift box in the air held by the woman on the right, and adjust the lighting to brighten"
        " the scene.",
        "ca4113b7d60a279925b5528b48879c428ad89359cee1c95283bba37722677a4c",
    ),
    "action": (
        "Raise the person's right arm.",
        "8efab1014ea8b047718d40c164a1b8cd5c774c3e92bc0b7467a759f26b37d868",
    ),
}
"""Type -> an instruction, and the sha256 of the official prompt once that instruction is in it (547185d)."""

OURS: Final = """The first image is a photo, the second an edited version of it. What was asked: <edit_prompt>

Give three marks, whole numbers from 1 (bad) to 5 (perfect):
Instruction: was exactly this done?
Preservation: is everything else as it was?
Quality: is the second image free of faults and natural for what was asked?
Neither of the last two may be above the first.

Answer with one short line of reasons, then exactly these three lines:
Instruction: <number>
Preservation: <number>
Quality: <number>"""


@dataclass(frozen=True, slots=True)
class ImgEdit:
    """The basic suite. It has no options."""

    name = "imgedit"
    lowest = float(_LOWEST)

    def load(self, data: Path) -> tuple[Case, ...]:
        """The cases of `basic_edit.json` or `singleturn.json`. Raises `InputError`."""
        path = found_in(data, (*RECORDS, *TAR_RECORDS), "ImgEdit's basic suite")
        records = json_of(path)
        if not isinstance(records, dict) or not records:
            raise InputError(f"{shown(str(path))} is not ImgEdit's: expected an object of records by key")
        if any(
            isinstance(record, dict) and record.get("edit_type") == "alter" for record in records.values()
        ):
            raise InputError(
                f"{shown(str(path))} is an altered copy (its types say 'alter' for 'adjust');"
                " take basic_edit.json of PKU-YuanGroup/ImgEdit"
            )
        base = data if data.is_dir() else path.parent
        roots = [path.parent, path.parent / "singleturn"]
        roots += [base / name for name in ("", "singleturn", "Benchmark/singleturn")]
        return tuple(_case(key, record, roots) for key, record in records.items())

    def prompts(self, checkout: Path | None) -> Prompts:
        """One for each type. Raises `InputError`."""
        if checkout is None:
            return judge_prompts.ours(dict.fromkeys(TYPES, OURS))
        path = judge_prompts.located(checkout, *PROMPTS)
        texts = judge_prompts.chosen(judge_prompts.from_json(path), TYPES, path)
        probes = {name: _filled(texts[name], words) for name, (words, _) in PROBES.items()}
        known = {name: sha256 for name, (_, sha256) in PROBES.items()}
        return judge_prompts.compared(texts, path, known, SOURCE, probes)

    def where(self, case: Case) -> Place:
        """`{key}.png` in the official folder, `gen_image/{key}.png` in EditThinker's."""
        return Place(f"{case.id}.png", also=(f"gen_image/{case.id}.png", f"final/gen_image/{case.id}.png"))

    def judge_calls(self, case: Case, edited: Source, prompts: Prompts) -> tuple[JudgeCall, ...]:
        """One: the filled prompt, the source, the edited image, each as the bytes it has."""
        images = (Shown(image, media_type="image/png") for image in (case.images[0], edited))
        text = _filled(prompts.texts[case.category], case.instruction)
        return (JudgeCall(case.id, "marks", (text, *images), model=JUDGES),)

    def parse(self, kind: str, text: str, rules: Rules) -> Scores | Unparsed:
        """The marks of one reply: every line "words: digits". Strict wants exactly three, each of 1-5."""
        marks = []
        for line in text.splitlines():
            _, separator, mark = line.strip().partition(": ")
            if separator and ": " not in mark and mark.isdigit():
                marks.append(mark)
        if not marks:
            return Unparsed("no line reads 'name: number'")
        try:
            values = [int(mark) for mark in marks]
            mean_of(values)
        except (ValueError, OverflowError) as error:  # superscripts are digits too; so are 5,000 nines
            return Unparsed("a line has no proper number", f"step 1 stops with {type(error).__name__}")
        if rules == "strict":
            if len(values) != _MARKS:
                return Unparsed(f"it has {len(values)} lines 'name: number' instead of {_MARKS}")
            if not all(_LOWEST <= mark <= _HIGHEST for mark in values):
                return Unparsed(f"a mark is not within {_LOWEST} to {_HIGHEST}")
        return Scores(tuple(values))

    def aggregate(self, cases: Sequence[Case], answers: Answers, rules: Rules) -> Table:
        """One figure, `score`: `all` is the mean of the types (macro), `samples` the mean over samples."""
        flags: dict[str, int] = {}
        scored = [self._scored(case, answers, rules, flags) for case in cases]
        present = [name for name in TYPES if any(one.category == name for one in scored)]
        layout: list[tuple[str, Over]] = [("all", "categories"), ("samples", "samples")]
        layout += [(name, "samples") for name in present]
        exact = _exact(scored, present)
        words = [
            "the authors' code asks gpt-4o, their published table was judged by GPT-4.1,"
            " EditThinker's by gpt-4o-2024-11-20",
            *(f"{count} samples: {words}" for words, count in flags.items()),
        ]
        textless = sum(one.state in ("missing", "unanswered") for one in scored)
        if textless and rules == "official":
            words.append(f"{textless} samples: no reply; the official step 1 stops with an AttributeError")
        if strange := sum(not one.lines for one in scored):
            words.append(f"{strange} samples: of no known type, so in no figure")
        if lacking := [name for name in TYPES if name not in present]:
            words.append(f"no samples of {', '.join(lacking)}: `all` is the mean of the other types")
        return Table(
            benchmark=self.name,
            rules=rules,
            headline=("samples" if rules == "paper" else "all", "score"),
            lines=tabulate(scored, layout, ["score"], exact),
            scored=tuple(scored),
            flags=tuple(words),
            judge=judges_of(answers),
        )

    def _scored(self, case: Case, answers: Answers, rules: Rules, flags: dict[str, int]) -> Scored:
        texts = answered(answers, case.id, "marks")
        considered = texts if rules == "strict" else texts[:1]  # the official code asks once
        readings = [self.parse("marks", text, rules) for text in considered]
        read = next((reading for reading in readings if isinstance(reading, Scores)), None)
        for reading in readings[:1]:
            if isinstance(reading, Unparsed) and reading.flag and rules != "strict":
                words = f"the official code does not survive a reply: {reading.flag}"
                flags[words] = flags.get(words, 0) + 1
        values = {"score": mean_of(read.values)} if read else {}
        if read is None and rules == "strict":
            lenient = self.parse("marks", texts[0], "official") if texts else None
            # a reply that breaks the form gains nothing by it: 0 0 0 stays below the lowest mark
            bound = mean_of(lenient.values) if isinstance(lenient, Scores) else self.lowest
            values = {"score": min(self.lowest, bound)}
        state = state_of(answers, case.id, {"marks": read is not None})
        lines = ("all", "samples", case.category) if case.category in TYPES else ()
        return Scored(case.id, case.category, state, lines, values)


def _case(key: str, record: Any, roots: Sequence[Path]) -> Case:
    if not isinstance(record, dict):
        return Case(key, "", (), "", problem="its record is no JSON object")
    path, problem = image_in(roots, record.get("id"))
    words, kind = record.get("prompt"), record.get("edit_type")
    if not isinstance(words, str) or not words.strip():
        words, problem = "", "its record has no prompt"
    if not plain(key):
        problem = f"its key {shown(key[:40])} cannot be a file name"
    if kind not in TYPES:
        kind, problem = str(kind), f"its edit type {shown(str(kind)[:40])} is none of {', '.join(TYPES)}"
    return Case(key, words, (path,), kind, record=record, problem=problem)


def _filled(template: str, instruction: str) -> str:
    return template.replace(_PLACE, instruction)


def mean_of(marks: Sequence[float]) -> float:
    """As step 1 writes it."""
    return round(sum(marks) / len(marks), 2)


def _exact(scored: Sequence[Scored], present: Sequence[str]) -> dict[tuple[str, str], float]:
    """Step 2 rounds the mean of each type; `all` is the mean of these."""
    types = {}
    for name in present:
        values = [one.values["score"] for one in scored if one.category == name and one.values]
        if values:
            types[name] = round(sum(values) / len(values), 2)
    exact = {(name, "score"): value for name, value in types.items()}
    return {**exact, ("all", "score"): math.fsum(types.values()) / len(types)} if types else exact
