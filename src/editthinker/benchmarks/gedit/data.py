"""GEdit-Bench's cases, from whichever form of the data is at hand.

In: a dataset saved to disk, Parquet files as the hub has them, or a folder with images and a file of records.
Out: cases of one language, nothing decoded.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from editthinker.benchmarks.reading import image_in, inside, json_of, text_of
from editthinker.benchmarks.records import plain
from editthinker.benchmarks.showing import Source
from editthinker.benchmarks.suite import Case
from editthinker.core.errors import InputError
from editthinker.core.files import shown
from editthinker.runs.tables import Cell, is_saved, parquet, saved

TASKS: Final = (
    "background_change",
    "color_alter",
    "material_alter",
    "motion_change",
    "ps_human",
    "style_change",
    "subject-add",
    "subject-remove",
    "subject-replace",
    "text_change",
    "tone_transfer",
)
RECORDS: Final = ("metadata.jsonl", "gedit_edit.json")
_EXPECTED = (
    f"a saved dataset, .parquet files, or a folder with {' or '.join(RECORDS)}"
    " (fields key, task_type, instruction, instruction_language, input_image)"
)
Row = Mapping[str, Any]


def load_cases(data: Path, language: str, *, intersection: bool) -> tuple[Case, ...]:
    """The cases of one language, only those of the intersection subset if asked. Raises `InputError`."""
    if not data.exists():
        raise InputError(f"there is no data folder {shown(str(data))}")
    seen: Counter[str] = Counter()
    cases, languages = [], Counter[str]()
    for row, image, problem in _rows(data):
        spoken = str(row.get("instruction_language", ""))
        languages[spoken] += 1
        if spoken == language and (row.get("Intersection_exist") is True or not intersection):
            cases.append(_case(row, image, problem, seen))
    if not cases:
        held = ", ".join(f"{count} of {shown(name)}" for name, count in languages.items()) or "none"
        which = "intersection " if intersection else ""
        raise InputError(f"{shown(str(data))} has no {which}records of language {language!r}; it has {held}")
    return tuple(cases)


def _case(row: Row, image: Source, problem: str, seen: Counter[str]) -> Case:
    task, key, words = (row.get(name) for name in ("task_type", "key", "instruction"))
    if not isinstance(key, str) or not plain(key):
        problem, key = f"its key {shown(str(key)[:40])} cannot be a file name", f"row-{sum(seen.values())}"
    if task not in TASKS:
        problem = f"its task {shown(str(task)[:40])} is none of {', '.join(TASKS)}"
    if not isinstance(words, str) or not words.strip():
        words, problem = "", "its record has no instruction"
    name = f"{task}/{key}"
    seen[name] += 1
    if seen[name] > 1:  # the English part has 604 different keys in 606 rows; the official scorer counts both
        name = f"{name}#{seen[name]}"
    inside = row.get("Intersection_exist")
    tags = {"language": str(row.get("instruction_language", ""))}
    tags |= {"intersection": "yes" if inside else "no"} if isinstance(inside, bool) else {}
    record = {field: value for field, value in row.items() if not isinstance(value, Cell)}
    return Case(name, words, (image,), str(task), tags=tags, record={**record, "key": key}, problem=problem)


def _rows(data: Path) -> Iterator[tuple[Row, Source, str]]:
    """Record, source image, and what is wrong with the image."""
    if tables := list(_tables(data)):
        for table in tables:
            for row in table:
                image = row.get("input_image")
                if not isinstance(image, Cell):
                    raise InputError(f"{shown(str(data))} has no images in a column input_image")
                yield row, image, ""
        return
    path = next((data / name for name in RECORDS if (data / name).is_file()), data)
    if not path.is_file():
        raise InputError(f"{shown(str(data))} is not GEdit-Bench: expected {_EXPECTED}; {inside(data)}")
    for row in _exported(path):
        image, problem = image_in([path.parent, path.parent / "images"], row.get("input_image"))
        yield row, image, problem


def _tables(data: Path) -> Iterator[Iterable[Row]]:
    if data.is_file():
        if data.suffix == ".parquet":
            yield parquet(data)
        return
    for folder in (data, data / "train"):
        if is_saved(folder):
            yield saved(folder)
            return
    files = sorted(data.glob("*.parquet")) or sorted(data.glob("data/*.parquet"))
    yield from map(parquet, files)


def _exported(path: Path) -> Iterator[Row]:
    """Records beside images: JSON lines, or UniWorld's object of records by key (English)."""
    if path.suffix == ".jsonl":
        for number, line in enumerate(text_of(path).split("\n"), 1):
            if line.strip():
                yield _record(line, f"line {number} of {shown(str(path))}")
        return
    records = json_of(path)
    if not isinstance(records, dict):
        raise InputError(f"{shown(str(path))} is not GEdit-Bench: expected an object of records by key")
    for key, record in records.items():
        if not isinstance(record, dict):
            raise InputError(f"{shown(str(path))}: the record {shown(key)} is no JSON object")
        yield {
            "key": key,
            "task_type": record.get("edit_type"),
            "instruction": record.get("prompt"),
            "instruction_language": "en",
            "input_image": record.get("id"),
        }


def _record(line: str, where: str) -> Row:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        raise InputError(f"{where} is not valid JSON") from None
    if not isinstance(row, dict):
        raise InputError(f"{where} is no JSON object")
    return {**row, "input_image": row.get("input_image", row.get("file_name"))}
