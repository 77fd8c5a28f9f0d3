"""Samples as people keep them: JSONL, JSON, CSV, Parquet, a dataset saved to disk, a folder of photos.

In: a path. Out: one `Entry` for each input, words and names only: no image is opened here, so ten thousand
cost no more memory than their words. What is wrong with one of them stands in `Entry.problem`.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from editthinker.core.errors import ImageError, InputError
from editthinker.core.files import cause, open_regular, shown
from editthinker.core.formats import SUFFIXES
from editthinker.runs.tables import Cell, is_saved, parquet, saved

MOST_BYTES = 2**31
"""Of a file of samples."""
FIELDS: Mapping[str, tuple[str, ...]] = {
    "id": ("id", "key", "index", "idx", "sample_id", "image_id"),
    "image": ("image", "image_path", "source", "source_image", "input_image", "input", "file_name", "path"),
    "references": ("references", "images", "reference_images"),
    "instruction": (
        "instruction",
        "prompt",
        "edit_prompt",
        "edit_instruction",
        "ins_en",
        "ins",
        "instruction_en",
        "text",
    ),
    "mask": ("mask", "mask_path"),
    "box": ("box", "bbox"),
    "tags": ("tags",),
}
"""Our fields and what benchmarks call them, ours first; without ours, two that disagree are refused."""
SIDECARS = ("instructions.jsonl", "instructions.csv", "instructions.txt")
_PHOTOS = frozenset({*SUFFIXES, ".gif"})
_LONGEST_ID = 80


@dataclass(frozen=True, slots=True)
class Entry:
    """One input, nothing opened."""

    id: str
    """Unique in the run; a safe file name, see `safe`."""
    instruction: str = ""
    images: tuple[Path | Cell, ...] = ()
    """The source first."""
    mask: Path | None = None
    box: tuple[float, ...] = ()
    """Left, top, width, height in pixels, or in shares of the photo."""
    tags: tuple[tuple[str, str], ...] = ()
    problem: str = ""
    """Why it cannot be used; empty when nothing speaks against it yet."""

    @property
    def key(self) -> str:
        """What makes it this sample, but for the content of its files."""
        return hashlib.sha256(f"entry\n{self.id}".encode("utf-8", "surrogatepass")).hexdigest()

    @property
    def said(self) -> dict[str, Any]:
        """Everything that was said of it, to be compared with what was said before."""
        return {
            "instruction": self.instruction,
            "images": [path.name if isinstance(path, Path) else "" for path in self.images],
            "mask": self.mask.name if self.mask else None,
            "box": list(self.box),
            "tags": dict(self.tags),
        }


def read(path: Path, root: Path | None = None) -> list[Entry]:
    """Every input of a file or folder, in its order, checked as far as that costs nothing.

    Images are looked for below `root` (None: the folder of the file), and nothing outside it is read,
    wherever links lead. Raises `InputError` when there is nothing to read, and `MissingExtra`.
    """
    if not path.exists():
        raise InputError(f"there are no samples at {shown(str(path))}: no such file or folder")
    base = (root or (path if path.is_dir() and not is_saved(path) else path.parent)).resolve()
    if not base.is_dir():
        raise InputError(f"there is no folder of images {shown(str(base))}")
    entries = entries_of(_rows(path), base)
    if not entries:
        raise InputError(f"there is no sample in {shown(str(path))}")
    return entries


def entries_of(rows: Iterable[Mapping[str, Any]], base: Path) -> list[Entry]:
    """The inputs that these rows say, images below the folder `base`."""
    return _told_apart([_entry(row, number, base.resolve()) for number, row in enumerate(rows, 1)])


def _rows(path: Path) -> Iterable[Mapping[str, Any]]:
    if path.is_dir():
        return saved(path) if is_saved(path) else _folder(path)
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return parquet(path)
    if suffix in (".csv", ".tsv"):
        return _csv(_text(path), "\t" if suffix == ".tsv" else ",")
    if suffix == ".json":
        return _json(path)
    if suffix in (".jsonl", ".ndjson"):
        return _jsonl(_text(path))
    raise InputError(
        f"{shown(str(path))} is of no kind that holds samples;"
        " those are .jsonl, .json, .csv, .tsv, .parquet, a saved dataset, a folder of photos"
    )


def _text(path: Path) -> str:
    try:
        with open_regular(path, MOST_BYTES) as stream:
            return stream.read().decode("utf-8-sig")
    except ImageError as error:
        raise InputError(f"cannot read {shown(str(path))}: {error}") from None
    except OSError as error:
        raise InputError(f"cannot read {shown(str(path))}: {cause(error)}") from None
    except UnicodeDecodeError:
        raise InputError(f"cannot read {shown(str(path))}: it is not UTF-8 text") from None


def _text_below(folder: Path, path: Path) -> str:
    """The same of a file in `folder`. Raises `InputError` for a link that leads out of it."""
    if not path.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"{shown(str(path))} is a link to a file outside {shown(str(folder))}")
    return _text(path)


def _jsonl(text: str) -> Iterator[Mapping[str, Any]]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            yield _object(line, f"line {number}")


def _object(line: str, where: str) -> Mapping[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return {"problem": f"{where} is not valid JSON"}
    return row if isinstance(row, dict) else {"problem": f"{where} is no JSON object"}


def _csv(text: str, delimiter: str) -> Iterator[Mapping[str, Any]]:
    try:
        yield from csv.DictReader(io.StringIO(text), delimiter=delimiter, restkey="surplus")
    except csv.Error as error:
        raise InputError(f"the table cannot be read: {error}") from None


def _json(path: Path) -> Iterator[Mapping[str, Any]]:
    """A list of objects, or one object of them by their ids, whose own `id` then is the image (ImgEdit)."""
    try:
        content = json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        raise InputError(f"cannot read {shown(str(path))}: it is not valid JSON ({error})") from None
    if isinstance(content, list):
        for number, row in enumerate(content, 1):
            yield row if isinstance(row, dict) else {"problem": f"entry {number} is no JSON object"}
    elif isinstance(content, dict):
        for key, row in content.items():
            if not isinstance(row, dict):
                yield {"id": key, "problem": "it is no JSON object"}
            elif "id" in row and not any(name in row for name in FIELDS["image"]):
                yield {**row, "id": key, "image": row["id"]}
            else:
                yield {**row, "id": key}
    else:
        raise InputError(f"{shown(str(path))} holds neither a list nor an object")


def _folder(path: Path) -> Iterator[Mapping[str, Any]]:
    """Photos with `instructions.txt|csv|jsonl`, or each with its words beside it: photo.jpg and photo.txt.

    Words are sent away, so a link to a text elsewhere is not followed.
    """
    for name in SIDECARS:
        sidecar = path / name
        if sidecar.is_file():
            text = _text_below(path, sidecar)
            if name.endswith(".txt"):
                yield from _lines(path, text)
            else:
                yield from _jsonl(text) if name.endswith(".jsonl") else _csv(text, ",")
            return
    photos = _photos(path)
    paired = [photo for photo in photos if photo.with_suffix(".txt").is_file()]
    if not paired:
        raise InputError(
            f"{shown(str(path))} has no instructions: write {SIDECARS[-1]}, or photo.txt beside photo.jpg"
        )
    for photo in photos:
        words = photo.with_suffix(".txt")
        text = _text_below(path, words) if words.is_file() else ""
        yield {"image": photo.name, "instruction": text.strip()}


def _lines(path: Path, text: str) -> Iterator[Mapping[str, Any]]:
    """`photo.jpg: the instruction` (or a tab between) on each line, or one line of words for every photo."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    names = {photo.name for photo in _photos(path)}
    for line in lines:
        name, _, words = line.partition("\t" if "\t" in line else ":")
        if name.strip() in names:
            yield {"image": name.strip(), "instruction": words.strip()}
        elif len(lines) == 1:
            yield from ({"image": name, "instruction": line} for name in sorted(names))
        else:
            yield {"problem": f"no photo is called {shown(name.strip()[:60])}"}


def _photos(path: Path) -> list[Path]:
    return sorted(photo for photo in path.iterdir() if photo.suffix.lower() in _PHOTOS)


def _entry(row: Mapping[str, Any], number: int, root: Path) -> Entry:
    """A row in our words; `problem` says what is wrong with it."""
    try:
        found = {ours: _field(row, names) for ours, names in FIELDS.items()}
        name = _id(found["id"], found["image"], number)
    except InputError as error:
        return Entry(f"input-{number}", problem=str(error))
    if problem := row.get("problem"):
        return Entry(name, problem=str(problem))
    words = found["instruction"]
    words = words if isinstance(words, str) else ""
    tags = found["tags"] if isinstance(found["tags"], dict) else {}
    known = {name for names in FIELDS.values() for name in names}
    tags |= {
        key: value for key, value in row.items() if key not in known and isinstance(value, str | int | float)
    }
    entry = Entry(
        name, words.strip(), tags=tuple(sorted((str(key), str(value)) for key, value in tags.items()))
    )
    try:
        if not entry.instruction:
            raise InputError("it has no instruction")
        return replace(
            entry,
            images=_images(found, root),
            mask=_file(found["mask"], root, "mask") if found["mask"] else None,
            box=_box(found["box"]),
        )
    except InputError as error:
        return replace(entry, problem=str(error))


def _field(row: Mapping[str, Any], names: Sequence[str]) -> Any:
    """The value under any of these names. Raises `InputError` where two of them disagree."""
    given = {name: row[name] for name in names if row.get(name) not in (None, "")}
    if names[0] in given:
        return given[names[0]]
    values = list(given.values())
    if any(value != values[0] for value in values[1:]):
        raise InputError(f"{' and '.join(given)} say different things; call one of them {names[0]!r}")
    return values[0] if values else None


def _id(given: Any, image: Any, number: int) -> str:
    if given is not None and not isinstance(given, str | int):
        raise InputError("its id is neither text nor a number")
    if given is not None and str(given).strip():
        return str(given)
    return Path(image).stem if isinstance(image, str) else f"{number:05d}"


def _images(found: Mapping[str, Any], root: Path) -> tuple[Path | Cell, ...]:
    first, more = found["image"], found["references"] or []
    several = [*([] if first is None else first if isinstance(first, list) else [first])]
    several += more if isinstance(more, list) else [more]
    if not several:
        raise InputError("it names no image")
    return tuple(given if isinstance(given, Cell) else _file(given, root, "image") for given in several)


def _file(given: Any, root: Path, what: str) -> Path:
    """An existing file below the root, links followed. Raises `InputError`; nothing is opened."""
    if not isinstance(given, str) or not given.strip():
        raise InputError(f"its {what} is no file name")
    label = f"the {what} {shown(given[:200])}"
    try:
        path = (root / given).resolve()
        if not path.is_relative_to(root):
            raise InputError(f"{label} lies outside {shown(str(root))}; --images names another folder")
        if not path.exists():
            raise InputError(f"{label} does not exist in {shown(str(root))}")
        if not path.is_file():
            raise InputError(f"{label} is no file")
    except (OSError, ValueError, RuntimeError) as error:  # too long, a NUL, links in a circle
        raise InputError(f"{label} cannot be a file ({error})") from None
    return path


def _box(given: Any) -> tuple[float, ...]:
    if given in (None, "", []):
        return ()
    try:
        numbers = json.loads(given) if isinstance(given, str) and "[" in given else given
        numbers = numbers.split(",") if isinstance(numbers, str) else numbers
        box = tuple(float(number) for number in numbers)
    except (TypeError, ValueError):
        box = ()
    if len(box) != 4:
        raise InputError("its box is not four numbers: left, top, width, height")
    return (
        tuple(int(number) if number > 1 or number == 0 else number for number in box) if max(box) > 1 else box
    )


def _told_apart(entries: Sequence[Entry]) -> list[Entry]:
    """With ids that are safe file names; of several inputs with one id none can be used."""
    count: dict[str, int] = {}
    for entry in entries:
        count[entry.id] = count.get(entry.id, 0) + 1
    taken: dict[str, str] = {}
    seen: dict[str, int] = {}
    told = []
    for entry in entries:
        seen[entry.id] = seen.get(entry.id, 0) + 1
        name = safe(entry.id)
        if count[entry.id] > 1:
            problem = entry.problem or f"{count[entry.id]} inputs have the id {shown(entry.id[:60])}"
            name, entry = f"{name[:60]}-{seen[entry.id]}", replace(entry, problem=problem)
        if taken.setdefault(name.casefold(), entry.id) != entry.id or (count[entry.id] > 1):
            name = _marked(name, f"{entry.id}\n{seen[entry.id]}")
        taken[name.casefold()] = entry.id
        told.append(replace(entry, id=name))
    return told


_RESERVED = frozenset(
    {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10))}
)


def safe(name: str) -> str:
    """`name` as it may be a file's name on any system; itself when it may, else marked by its content."""
    kept = "".join(char if char.isascii() and (char.isalnum() or char in "._-") else "_" for char in name)
    kept = kept[:_LONGEST_ID].strip(".") or "_"
    harmless = kept == name and kept.partition(".")[0].lower() not in _RESERVED and not kept.startswith("-")
    return kept if harmless else _marked(kept.lstrip("-") or "_", name)


def _marked(kept: str, name: str) -> str:
    mark = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    stem = kept[: _LONGEST_ID - 9]
    return f"{stem}-{mark}" if stem.partition(".")[0].lower() not in _RESERVED else f"_{stem}-{mark}"
