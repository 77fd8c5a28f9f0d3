"""Steps in the shapes that trainers read (shapes of the published files: the official repository's loaders).

In: steps, and `ask`: what the thinker is asked. Out: the files of a stage:

    llamafactory   sft_train.json, an array of {"messages", "images"} (sharegpt), and dataset_info.json
    easyr1         rl_train.jsonl: origin_prompt, rewritten_prompt, origin_image_path, edited_image_path,
                   evaluation {"semantics", "quality"}: here, and only here, it is `semantics`
    trl            train.jsonl: conversational prompt and completion, images; SFTTrainer learns the
                   completion, GRPOTrainer takes the prompt and hands the other columns to the reward
    parquet        train.parquet: the same columns with the images inside, as `datasets` reads them

Words that a trainer would take for an image or for a special token of the model (`<image>`, `<|im_end|>`) are
written as `&lt;image&gt;`, or they would shift every image behind them. The answer is `core.reply.render`'s.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from editthinker.core import reply
from editthinker.core.types import Critique, Score
from editthinker.data.records import StepRow
from editthinker.data.rows import image_files
from editthinker.data.stage import Counts, Stage

IMAGE = "<image>"
DATASET = "edit_thinker_qwen3vl_sft"
"""The name the official configuration asks LLaMA-Factory for."""
_READ_AS_TOKEN = re.compile(r"<(/?(?:image|video|audio)|\|[\w-]{1,40}\|)>", re.IGNORECASE)

Ask = Callable[[StepRow], tuple[str | int, ...]]
"""The parts of what a thinker is asked, in order: texts, and for each picture its place in `pictures`."""


def inert(words: str) -> str:
    """The words, with nothing in them that a trainer reads as an image or a special token."""
    return _READ_AS_TOKEN.sub(r"&lt;\1&gt;", words)


def pictures(step: StepRow) -> tuple[str, ...]:
    """Paths: the source, the edited image, further inputs."""
    return (step.images[0].path, step.edited.path, *(image.path for image in step.images[1:]))


def answer(step: StepRow) -> str | None:
    """What the thinker should reply; None when nobody wrote it or it was not scored."""
    if step.score is None or step.reasoning is None or step.refined is None:
        return None
    score = Score(step.score.semantic, step.score.quality)
    return inert(reply.render(Critique(score, step.reasoning, step.refined)))


def usable(steps: Iterable[StepRow], counts: Counts, *, answered: bool) -> Iterator[StepRow]:
    """The steps that a format can hold; `answered`: an answer is needed, else a score is enough."""
    for step in steps:
        if step.score is None:
            counts.drop("unscored", step.own)
        elif answered and answer(step) is None:
            counts.drop("no_answer", step.own)
        elif not all(Path(image.path).is_file() for image in image_files(step)):
            counts.drop("missing_image", step.own)
        else:
            counts.kept += 1
            yield step


def llamafactory(steps: Iterable[StepRow], stage: Stage, ask: Ask, place: Callable[[str], str]) -> None:
    """The file of the official SFT package, and the entry that names it."""
    with stage.file("sft_train.json") as file:
        for number, step in enumerate(usable(steps, stage.counts, answered=True)):
            parts, images = ask(step), pictures(step)
            text = "".join(inert(part) if isinstance(part, str) else IMAGE for part in parts)
            record = {
                "messages": [
                    {"role": "user", "content": text},
                    {"role": "assistant", "content": answer(step)},
                ],
                "images": [place(images[part]) for part in parts if isinstance(part, int)],
            }
            file.write((b",\n" if number else b"[\n") + _line(record))
        file.write(b"\n]\n" if file.rows else b"[]\n", rows=0)
    tags = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
    entry = {
        "file_name": "sft_train.json",
        "formatting": "sharegpt",
        "columns": {"messages": "messages", "images": "images"},
        "tags": tags,
    }
    with stage.file("dataset_info.json") as file:
        file.write(json.dumps({DATASET: entry}, indent=2).encode() + b"\n", rows=0)


def easyr1(steps: Iterable[StepRow], stage: Stage, ask: Ask, place: Callable[[str], str]) -> None:
    """The file of the official RL package, which asks in its own words."""
    with stage.file("rl_train.jsonl") as file:
        for step in usable(steps, stage.counts, answered=False):
            if len(step.images) > 1:
                stage.counts.note("further_images_left_out", step.own)
            assert step.score is not None  # noqa: S101 seen by usable
            record = {
                "origin_prompt": inert(step.instruction),
                "rewritten_prompt": inert(step.sent),
                "origin_image_path": place(step.images[0].path),
                "edited_image_path": place(step.edited.path),
                "evaluation": {"semantics": step.score.semantic, "quality": step.score.quality},
            }
            file.write(_line(record) + b"\n")


def conversation(step: StepRow, ask: Ask) -> tuple[dict[str, Any], tuple[str, ...]]:
    """A step in TRL's conversational form with what a reward may want to know; paths of its images."""
    parts, files = ask(step), pictures(step)
    content = [
        {"type": "text", "text": inert(part)} if isinstance(part, str) else {"type": "image", "text": None}
        for part in parts
    ]
    words = answer(step)
    completion = (
        [] if words is None else [{"role": "assistant", "content": [{"type": "text", "text": words}]}]
    )
    assert step.score is not None  # noqa: S101 seen by usable
    row = {
        "prompt": [{"role": "user", "content": content}],
        "completion": completion,
        "id": step.own,
        "instruction": step.instruction,
        "sent": step.sent,
        "semantic": step.score.semantic,
        "quality": step.score.quality,
        "task": step.task,
    }
    return row, tuple(files[part] for part in parts if isinstance(part, int))


def trl(steps: Iterable[StepRow], stage: Stage, ask: Ask, place: Callable[[str], str]) -> None:
    """One conversation a line."""
    with stage.file("train.jsonl") as file:
        for step in usable(steps, stage.counts, answered=True):
            row, images = conversation(step, ask)
            file.write(_line(row | {"images": [place(path) for path in images]}) + b"\n")


def parquet(steps: Iterable[StepRow], stage: Stage, ask: Ask, place: Callable[[str], str]) -> None:
    """One file with the images in it; paths are not needed. Raises `MissingExtra`."""
    from editthinker.data.tables import write

    rows = (conversation(step, ask) for step in usable(steps, stage.counts, answered=True))
    stage.made("train.parquet", write(stage.part / "train.parquet", rows, stage.counts))


FORMATS: Mapping[str, Callable[[Iterable[StepRow], Stage, Ask, Callable[[str], str]], None]] = {
    "llamafactory": llamafactory,
    "easyr1": easyr1,
    "trl": trl,
    "parquet": parquet,
}


def relative_to(folder: Path) -> Callable[[str], str]:
    """Paths as seen from `folder`."""
    return lambda path: Path(os.path.relpath(path, folder)).as_posix()


def _line(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record, ensure_ascii=False).encode("utf-8", "replace")
