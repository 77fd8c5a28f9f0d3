"""What a thinker has learned, on steps it has never seen: loss, form, scores.

In: a folder with a model as `local:` loads it, and held-out steps. Out: figures. Replies are written greedily
by the very code that `local:` uses; a reply that cannot be read counts as one, and as disagreeing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from editthinker.core import reply
from editthinker.core.errors import ReplyError
from editthinker.core.images import Picture
from editthinker.data.filtering import GOOD
from editthinker.thinkers.local import generating, loading
from editthinker.training import watching
from editthinker.training.lessons import Lesson, Steps
from editthinker.training.recipe import Model

AT_ONCE = 8
LONGER = 1.5
"""Times the longest given answer that a reply may have."""
Figures = dict[str, float]


def measure(folder: Path, steps: Steps, model: Model) -> dict[str, Any]:
    """Figures over all steps, the processes sharing the work."""
    loaded = _loaded(folder, model)
    first, stride = watching.rank(), watching.processes()
    found: list[Figures] = []
    mine = range(first, len(steps), stride)
    tokens = _longest(loaded.processor, steps)
    for start in range(0, len(mine), AT_ONCE):
        numbers = mine[start : start + AT_ONCE]
        lessons = [steps[number] for number in numbers]
        losses = list(_losses(loaded, lessons))
        texts = _replies(loaded, lessons, tokens)
        found += [
            {**loss, **_compared(text, lesson)}
            for loss, text, lesson in zip(losses, texts, lessons, strict=True)
        ]
    if stride > 1:
        from accelerate.utils import gather_object

        found = gather_object(found)
    return summed(found)


def summed(found: Sequence[Figures]) -> dict[str, Any]:
    """Means over the steps; of scores, over those whose reply could be read."""
    read = [one for one in found if one["read"]]
    tokens = sum(one["tokens"] for one in found)

    def mean(name: str, among: Sequence[Figures]) -> float | None:
        return round(sum(one[name] for one in among) / len(among), 4) if among else None

    return {
        "steps": len(found),
        "answer_tokens": int(tokens),
        "loss": round(sum(one["loss"] for one in found) / tokens, 6) if tokens else None,
        "read": mean("read", found),
        "whole": mean("whole", found),
        "semantic_error": mean("semantic_error", read),
        "quality_error": mean("quality_error", read),
        "satisfied_agreement": mean("agrees", found),
        "reply_tokens": mean("reply_tokens", found),
    }


def _loaded(folder: Path, model: Model) -> loading.Loaded:
    device = f"cuda:{watching.local_rank()}" if watching.on_gpu() else "cpu"
    settings = {"device": device, "pixels": model.pixels, "attn": model.attn}
    adapter = (folder / "adapter_config.json").is_file()
    if adapter:
        settings |= {"lora": str(folder.absolute()), "revision": model.revision, "quantise": model.quantise}
    base = model.base if adapter else str(folder.absolute())
    return loading.load(base, loading.Settings.read("held-out evaluation", settings), "what was trained")


def _longest(processor: Any, steps: Steps) -> int:
    """Tokens a reply may have."""
    texts = (steps.answer(number) for number in range(len(steps)))
    return int(LONGER * max(len(processor.tokenizer(text)["input_ids"]) for text in texts)) + 16


def _losses(loaded: loading.Loaded, lessons: Sequence[Lesson]) -> Iterator[Figures]:
    import torch
    from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

    collate = DataCollatorForVisionLanguageModeling(loaded.processor, completion_only_loss=True)
    for lesson in lessons:
        inputs = collate([dict(lesson)]).to(loaded.device)
        tokens = int((inputs["labels"][:, 1:] != -100).sum())
        with torch.inference_mode():
            loss = float(loaded.model(**inputs).loss)
        yield {"loss": loss * tokens, "tokens": tokens}


def _replies(loaded: loading.Loaded, lessons: Sequence[Lesson], tokens: int) -> list[generating.Written]:
    asked = [generating.Asked(tuple(_parts(lesson)), seed=0) for lesson in lessons]
    return generating.write(loaded, asked, tokens, 0.0)


def _parts(lesson: Lesson) -> Iterator[str | Picture]:
    images = iter(lesson["images"])
    for part in lesson["prompt"][0]["content"]:
        yield part["text"] if part["type"] == "text" else Picture(next(images))


def _compared(written: generating.Written, lesson: Lesson) -> Figures:
    given = (lesson["semantic"], lesson["quality"])
    figures = {"reply_tokens": written.tokens_out, "whole": float(written.whole), "read": 0.0, "agrees": 0.0}
    try:
        if not written.whole:
            return figures
        score = reply.parse(written.text, previous_instruction=lesson["sent"]).score
    except ReplyError:
        return figures
    assert score is not None  # noqa: S101 parse gives one or raises
    return figures | {
        "read": 1.0,
        "semantic_error": abs(score.semantic - given[0]),
        "quality_error": abs(score.quality - given[1]),
        "agrees": float((min(score.semantic, score.quality) >= GOOD) == (min(given) >= GOOD)),
    }
