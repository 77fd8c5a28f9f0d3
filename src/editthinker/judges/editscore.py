"""The reward model EditScore (arXiv 2509.23909, PyPI `editscore`), in this process or behind an endpoint.

In: a sample and an edited image. Out: a `Judged` score; as in the paper the worse of two counts, for the edit
(following, over-editing) and for the picture (naturalness, artefacts). Prompts and local models are the
package's own, read at run time. Its replies are read here, because `EditScore.evaluate` of 0.2 draws random
scores for what it cannot read (`mllm_output_to_dict`), and `batch_evaluate` takes half marks.
"""

from __future__ import annotations

import asyncio
import io
import sys
import threading
from collections.abc import Mapping, Sequence
from importlib import import_module
from statistics import fmean
from typing import Any, Final, Literal

from pydantic import Field

from editthinker.core.errors import EditThinkerError, JudgeError, MissingExtra
from editthinker.core.images import Picture
from editthinker.core.types import Judged, Sample, Score
from editthinker.judges.asking import (
    ChatJudge,
    JudgeSettings,
    Number,
    Question,
    noted,
)
from editthinker.wire.answers import Answer, Unreadable
from editthinker.wire.chat import ChatReply, Encoded, Guide, Sampling

SEED: Final = 42
"""The package's own; each sample adds one, as its passes do."""


class EditScoreSettings(JudgeSettings):
    """What can be set on EditScore."""

    backbone: Literal["", "openai", "qwen25vl", "qwen25vl_vllm", "qwen3vl", "qwen3vl_vllm"] = Field(
        "", description="what runs the model; '' is openai (any endpoint) with a base_url, else qwen25vl"
    )
    lora: str = Field("", description="EditScore's weights over those of the model: EditScore/EditScore-7B")
    score_range: int = Field(25, ge=1, le=100, description="marks run from 0 to this; 25 is what it learned")
    tensor_parallel_size: int = Field(1, ge=1, description="GPUs one model is spread over (vllm backbones)")
    max_model_len: int = Field(
        1536, ge=512, description="longest prompt and reply in tokens (vllm backbones)"
    )

    @property
    def runs_on(self) -> str:
        """The backbone."""
        return self.backbone or ("openai" if self.base_url else "qwen25vl")


class Marks(Answer):
    """What the package's prompts ask for."""

    reasoning: str = ""
    score: list[Number]


class EditScoreJudge:
    """The judge behind `editscore:MODEL`."""

    Settings = EditScoreSettings

    def __init__(self, model: str, settings: EditScoreSettings, *, name: str = "editscore") -> None:
        """Nothing is loaded yet. Raises `InputError` for a key that is not there."""
        self.name, self.settings = name, settings
        self._remote = settings.runs_on == "openai"
        speaker = None if self._remote else _Local(model, settings, name)
        self._judge = ChatJudge(model, settings, name=name, speaker=speaker)

    @property
    def price(self) -> float | None:
        """US dollars one judgement, two questions, is expected to cost; None when that is unknown."""
        return None if self._judge.price is None else 2 * self._judge.price

    async def score(self, sample: Sample, edited: Picture) -> Judged:
        """Score `edited` as an answer to `sample`. Raises `JudgeError`, or `MissingExtra`."""
        rules = _made(self.name, {"backbone": "", "score_range": self.settings.score_range})
        of_edit = rules.SC_prompt.replace("<instruction>", sample.instruction)
        asked = (
            await self._question(of_edit, (sample.source, edited), exactly=2),
            await self._question(rules.PQ_prompt, (edited,), exactly=None),
        )
        answers = await self._judge.sampled(*asked)
        samples, scale = self.settings.samples, self.settings.score_range / 10
        edits, looks = (
            [[mark / scale for mark in answer.answer.score] for answer in half]
            for half in (answers[:samples], answers[samples:])
        )
        semantic, quality = [min(marks) for marks in edits], [min(marks) for marks in looks]
        pairs = [Score(*pair) for pair in zip(semantic, quality, strict=True)]
        notes: dict[str, Any] = {
            "backbone": self.settings.runs_on,
            "prompt_following": fmean(marks[0] for marks in edits),
            "consistency": fmean(marks[1] for marks in edits),
            "overall": fmean(pair.overall for pair in pairs),
            **noted(
                answers, samples, semantic=semantic, quality=quality, overall=[pair.overall for pair in pairs]
            ),
        }
        words = f"{answers[0].reasoning} {answers[samples].reasoning}".strip()
        cost = sum(answer.cost for answer in answers)
        return Judged(Score(fmean(semantic), fmean(quality)), words, cost, notes)

    async def _question(
        self, prompt: str, pictures: Sequence[Picture], *, exactly: int | None
    ) -> Question[Marks]:
        """Text first, as the package asks; over a wire its JPEGs, in this process the pixels."""
        most = self.settings.score_range

        def read(text: str) -> Marks:
            marks = Marks.read(text)
            wanted = (exactly,) if exactly else (1, 2)
            if len(marks.score) not in wanted or not all(0 <= mark <= most for mark in marks.score):
                raise Unreadable(f'"score" must be a list of {wanted[-1]} numbers from 0 to {most}')
            return marks

        if self._remote:
            shown: Sequence[Any] = [await asyncio.to_thread(_jpeg, picture) for picture in pictures]
            return Question((prompt, *shown), read)
        seed = SEED if self.settings.seed is None else self.settings.seed
        return Question((prompt, *pictures), read, sampling=Sampling(seed=seed))


class _Local:
    """The package's own model in this process, as something that answers.

    One question at a time. A generation that has begun cannot be interrupted from outside the package: when
    the caller is cancelled, the model finishes its reply (512 tokens at most) unheard.
    """

    price = 0.0

    def __init__(self, model: str, settings: EditScoreSettings, name: str) -> None:
        self.model = f"{settings.runs_on}:{model}" + (f"+{settings.lora}" if settings.lora else "")
        self._name = name
        self._busy = threading.Lock()
        self._scorer: Any = None
        self._given = {
            "backbone": settings.runs_on,
            "model_name_or_path": model,
            "lora_path": settings.lora or None,
            "score_range": settings.score_range,
            "tensor_parallel_size": settings.tensor_parallel_size,
            "max_model_len": settings.max_model_len,
            "max_num_batched_tokens": settings.max_model_len,
            **({} if settings.temperature is None else {"temperature": settings.temperature}),
        }

    def failure(self, sentence: str, cost: float = 0.0) -> EditThinkerError:
        """An error of this judge."""
        error = JudgeError(f"judge {self._name!r} {sentence}")
        error.cost = cost
        return error

    async def ask(
        self, parts: Sequence[str | Picture | Encoded], guide: Guide | None, sampling: Sampling
    ) -> ChatReply:
        """One reply; the model is loaded by the first question. Raises `JudgeError`."""
        return await asyncio.to_thread(self._say, parts, sampling.seed)

    def _say(self, parts: Sequence[str | Picture | Encoded], seed: int | None) -> ChatReply:
        text = "".join(part for part in parts if isinstance(part, str))
        pictures = [part.flattened().pixels for part in parts if isinstance(part, Picture)]
        try:
            with self._busy:
                self._scorer = self._scorer or _made(self._name, self._given)
                model = self._scorer.model
                said = model.inference(model.prepare_input(pictures, text), seed=seed)
        except EditThinkerError:
            raise
        except ImportError as error:
            raise self.failure(f"needs {error.name or error}, which is not installed") from error
        except Exception as error:  # loading and running somebody's weights may raise anything
            raise self.failure(f"broke: {type(error).__name__}: {error}") from error
        return ChatReply(str(said), notes={"model": self.model, "seed": seed})


def _made(name: str, given: Mapping[str, Any]) -> Any:
    """The package's `EditScore`; without a backbone it has prompts and no model. Raises `MissingExtra`."""
    before = list(sys.path)
    try:
        package = import_module("editscore")
    except ImportError as error:
        raise MissingExtra(f"judge {name!r}", "judges") from error
    finally:
        sys.path[:] = before  # 0.2 puts a relative folder in front of everybody's modules
    return package.EditScore(**given)


def _jpeg(picture: Picture) -> Encoded:
    """At full size, as Pillow saves a JPEG by default: what the package sends."""
    stream = io.BytesIO()
    picture.flattened().pixels.save(stream, "JPEG")
    return Encoded(stream.getvalue(), "image/jpeg")
