"""ThinkEdit's published files, and the result folders of the official script, as our rows.

In: `sft_train.json` (an array of {"messages", "images"}), `rl_train.jsonl`, or a folder with `*_meta.json`.
Out: steps of the first two, trajectories of the third. A path in a foreign file counts below one folder of
images only, wherever it or a link leads. What the files do not say stays unsaid, and is counted:

    without_scores     the official script stores none; score these before filtering
    without_answer     RL rows ask and are not answered

In SFT rows T_s and T_{t-1} stand inside the prompt. They are read back with the template that wrote it, which
is a file of the official repository and is given by the user.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from editthinker.core import reply
from editthinker.core.errors import InputError, ReplyError
from editthinker.core.files import cause, shown
from editthinker.core.records import CritiqueRecord, ScoreRecord, score_record
from editthinker.core.types import Score, StopReason
from editthinker.data.arrays import MAX_ITEM, items
from editthinker.data.records import ImageFile, StepRow, TrajectoryRow, TurnRow, key_of
from editthinker.data.stage import Counts

PLACES = ("{original_instruction}", "{rewritten_prompt}")
IMAGE = "<image>"
META = "_meta.json"
MAX_TAG = 200


class Unusable(Exception):
    """A foreign record that gives no row; the first argument is the reason it is counted under."""


@dataclass(frozen=True, slots=True)
class Images:
    """The one folder that foreign paths may lead into."""

    root: Path
    strip: str = ""
    """What to take off the beginning of a path: where the images lay for whoever wrote the file."""

    def find(self, name: Any) -> ImageFile:
        """Raises `Unusable`."""
        if not isinstance(name, str) or not name or "\0" in name:
            raise Unusable("malformed", "an image path is no text")
        root = self.root.resolve()
        path = (root / name.removeprefix(self.strip).lstrip("/" if self.strip else "")).resolve()
        if not path.is_relative_to(root):
            raise Unusable("outside_images", f"{name} is not below {self.root}")
        if not path.is_file():
            raise Unusable("missing_image", name)
        return ImageFile(path=path.as_posix())


class Template:
    """The official prompt, to read the two instructions back out of a filled one."""

    def __init__(self, text: str) -> None:
        self._texts, self._names = [], []
        rest = _bare(text)
        while found := [(rest.index(place), place) for place in PLACES if place in rest]:
            start, place = min(found)
            self._texts.append(rest[:start])
            self._names.append(place)
            rest = rest[start + len(place) :]
        self._texts.append(rest)
        if set(self._names) != set(PLACES):
            raise InputError(
                f"the template needs both {PLACES[0]} and {PLACES[1]}; it is prompt_template.txt"
            )

    def read(self, filled: str) -> tuple[str, str]:
        """T_s and T_{t-1}. Raises `Unusable` when another template was filled."""
        rest, values = _bare(filled), dict[str, str]()
        first, *between, last = self._texts
        if not (rest.startswith(first) and rest.endswith(last)):
            raise Unusable("other_prompt", "its prompt was not made from this template")
        rest = rest[len(first) : len(rest) - len(last)]
        for name, text in zip(self._names, [*between, None], strict=True):
            value, found, rest = (rest, True, "") if text is None else rest.partition(text)
            if not found or values.setdefault(name, value) != value:
                raise Unusable("other_prompt", "its prompt was not made from this template")
        return values[PLACES[0]].strip(), values[PLACES[1]].strip()


def _bare(text: str) -> str:
    return text.replace("\r\n", "\n").replace(IMAGE, "").strip()


def steps_of_sft(
    path: Path, images: Images, template: Template, counts: Counts, tags: Mapping[str, str]
) -> Iterator[StepRow]:
    """The steps of `sft_train.json`."""
    with _opened(path) as stream:
        yield from _rows(items(stream), counts, path.name, lambda data: _sft(data, images, template, tags))


def steps_of_rl(path: Path, images: Images, counts: Counts, tags: Mapping[str, str]) -> Iterator[StepRow]:
    """The steps of `rl_train.jsonl`."""
    with _opened(path) as stream:
        for step in _rows(_objects(stream), counts, path.name, lambda data: _rl(data, images, tags)):
            counts.note("without_answer")
            if step.score is None:
                counts.note("without_scores", step.own)
            yield step


def trajectories_of_results(folder: Path, counts: Counts, tags: Mapping[str, str]) -> Iterator[TrajectoryRow]:
    """The trajectories of every `*_meta.json` in `folder` and below; images lie beside them."""
    if not folder.is_dir():
        raise InputError(f"there is no folder {shown(str(folder))}")
    for path in sorted(folder.rglob(f"*{META}")):
        name = path.relative_to(folder).as_posix()

        def meta(path: Path = path) -> Iterator[Any]:
            with _opened(path) as stream:
                yield next(_objects(stream, whole=True))

        for row in _rows(meta(), counts, name, lambda data, path=path: _results(data, path, tags)):  # type: ignore[misc]
            counts.note("without_scores")
            yield row


def _rows(found: Iterator[Any], counts: Counts, name: str, read: Callable[[Any], Any]) -> Iterator[Any]:
    for number, data in enumerate(found, 1):
        counts.read += 1
        where = f"{name} record {number}"
        try:
            if isinstance(data, Unusable):
                raise data
            yield read(data)
        except Unusable as error:
            counts.drop(str(error.args[0]), f"{where}: {error.args[1]}")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            counts.drop("malformed", f"{where}: {type(error).__name__} in its fields")


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise InputError(f"cannot read {shown(str(path))}: {cause(error)}") from error


def _objects(stream: BinaryIO, *, whole: bool = False) -> Iterator[Any]:
    """The JSON of each line, or of the whole file; what is none comes as an `Unusable`."""
    while line := stream.read(MAX_ITEM) if whole else stream.readline(MAX_ITEM):
        if line.strip():
            try:
                yield json.loads(line)
            except (ValueError, RecursionError):
                yield Unusable("malformed", "it is not valid JSON")


def _sft(data: Any, images: Images, template: Template, tags: Mapping[str, str]) -> StepRow:
    said = {message["role"]: message["content"] for message in data["messages"]}
    instruction, sent = template.read(said["user"])
    sent = sent or instruction
    try:
        critique = reply.parse(said["assistant"], previous_instruction=sent)
    except ReplyError as error:
        raise Unusable("malformed_answer", str(error)) from None
    source, edited, *more = data["images"]
    assert critique.score  # noqa: S101 the grammar has no reply without one
    return StepRow(
        **_shared(data, (source, *more), instruction, images, tags, {"messages", "images"}),
        turn=1 if sent == instruction else 2,
        sent=sent,
        edited=images.find(edited),
        score=score_record(critique.score),
        reasoning=critique.reasoning,
        refined=critique.refined_instruction,
    )


RL_FIELDS = frozenset(
    {"origin_prompt", "rewritten_prompt", "origin_image_path", "edited_image_path", "evaluation"}
)


def _rl(data: Any, images: Images, tags: Mapping[str, str]) -> StepRow:
    instruction, sent = data["origin_prompt"], data["rewritten_prompt"]
    return StepRow(
        **_shared(data, (data["origin_image_path"],), instruction, images, tags, RL_FIELDS),
        turn=1 if sent == instruction else 2,
        sent=sent,
        edited=images.find(data["edited_image_path"]),
        score=_evaluation(data.get("evaluation")),
    )


def _evaluation(said: Any) -> ScoreRecord | None:
    if said is None:
        return None
    try:
        return score_record(Score(said.get("semantics", said.get("semantic")), said["quality"]))
    except ValueError as error:
        raise Unusable("malformed", str(error)) from None


def _shared(
    data: Mapping[str, Any],
    sources: tuple[Any, ...],
    instruction: Any,
    images: Images,
    tags: Mapping[str, str],
    known: set[str] | frozenset[str],
) -> dict[str, Any]:
    """What every step has. Those of one source and one instruction are taken for one trajectory's."""
    if not isinstance(instruction, str) or not instruction.strip():
        raise Unusable("malformed", "it has no instruction")
    key = key_of("imported", list(sources), instruction)
    own = {
        k: str(v)[:MAX_TAG] for k, v in data.items() if k not in known and isinstance(v, str | int | float)
    }
    return {
        "id": str(data.get("id") or key),
        "key": key,
        "instruction": instruction,
        "images": tuple(images.find(source) for source in sources),
        "tags": {**own, **tags},
    }


def _results(data: Any, path: Path, tags: Mapping[str, str]) -> TrajectoryRow:
    name, beside = path.name.removesuffix(META), Images(path.parent)
    turns: list[TurnRow] = []
    for turn in data["turns"]:
        if turns and turn["evaluation"]:  # it looked at the image before
            turns[-1] = turns[-1].model_copy(update={"critique": _verdict(turn["evaluation"], turns[-1])})
        if turn["action"] == "generated":
            image = beside.find(f"{name}_turn{int(turn['turn_number'])}.png")
            turns.append(TurnRow(index=len(turns) + 1, instruction=turn["rewritten_prompt"], image=image))
    if not turns:
        raise Unusable("no_turn", "nothing was edited")
    own = {tag: str(data[tag])[:MAX_TAG] for tag in ("task_type", "instruction_language") if data.get(tag)}
    instruction = data["original_instruction"]
    return TrajectoryRow(
        id=str(data["key"]),
        key=key_of("results", data["key"], instruction, [turn.instruction for turn in turns]),
        instruction=instruction,
        images=(beside.find(f"{name}_SRCIMG.png"),),
        tags={**own, **tags},
        turns=tuple(turns),
        stop=StopReason.SATISFIED if data["is_satisfied"] else StopReason.TURN_LIMIT,
    )


def _verdict(said: Mapping[str, Any], turn: TurnRow) -> CritiqueRecord:
    return CritiqueRecord(
        reasoning=str(said.get("reason") or ""),
        refined_instruction=str(said.get("new_prompt") or turn.instruction),
        satisfied=bool(said["is_satisfied"]),
    )


def digest(path: Path) -> str:
    """sha256 of a file; of a folder, that of its metadata files one after the other."""
    total = hashlib.sha256()
    for file in sorted(path.rglob(f"*{META}")) if path.is_dir() else [path]:
        with _opened(file) as stream:
            while data := stream.read(1 << 20):
                total.update(data)
    return total.hexdigest()
