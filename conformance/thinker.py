"""Our chat thinker at a real server: `python thinker.py BASE_URL MODEL FOLDER`.

FOLDER is the checkpoint the server has loaded (see `models.py`), so that its replies can be compared with
those of the same checkpoint in this process. Needs `tests` on the path.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from report import Report

from editthinker.core.contracts import View
from editthinker.core.errors import EditThinkerError, ReplyError, ThinkerError
from editthinker.core.types import Thought
from editthinker.testing.behaviour import check_thinker
from editthinker.thinkers.chat import ChatThinker
from editthinker.thinkers.local import LocalThinker
from editthinker.wire.chat import Chat, ChatSettings, Guide
from peers.tiny_qwen import JSON_WISH, view_of

SMALL_SCHEMA = {
    "type": "object",
    "properties": {
        "semantic": {"enum": [0, 4, 10]},
        "answer": {"type": "string", "enum": ["make it red", "keep it"]},
    },
    "required": ["semantic", "answer"],
    "additionalProperties": False,
}


class Job:
    """The checks against one server."""

    def __init__(self, url: str, model: str, folder: Path) -> None:
        self.url, self.model, self.folder = url, model, folder
        self.prompt = str(folder.parent / "short.txt")
        self.report = Report()

    def thinker(self, model: str = "", **given: Any) -> ChatThinker:
        """A chat thinker with the prompt the model was taught."""
        settings = {"base_url": self.url, "prompt": self.prompt, "max_tokens": 200, "temperature": 0, **given}
        return ChatThinker(
            model or self.model, ChatThinker.Settings(**settings), name=f"chat:{model or self.model}"
        )

    async def run(self) -> None:
        """All of them, in order."""
        await self.images()
        await self.parity()
        await self.seeds()
        await self.guided()
        await self.concurrent()
        await self.errors()

    async def images(self) -> None:
        """Two images are seen, in the right order."""
        first, second = [await self.thinker().think(view) for view in (view_of(0, 1), view_of(1, 0))]
        scores = [thought.critique.score.semantic for thought in (first, second) if thought.critique.score]
        self.report.check("two images, told apart by their order", scores == [4, 9], scores)
        counted = first.notes["tokens_in"] > 0 and first.cost == 0
        self.report.check("tokens counted, no price invented", counted, dict(first.notes))

    async def parity(self) -> None:
        """The same checkpoint in this process says the same at temperature 0."""
        local = LocalThinker(str(self.folder), LocalThinker.Settings(prompt=self.prompt, max_tokens=200))
        views = [view_of(0, 1), view_of(1, 0), view_of(2, 3, "another wish"), view_of(5, 4, "make it warmer")]
        ours = [await _text(local, view) for view in views]
        theirs = [await _text(self.thinker(), view) for view in views]
        equal = sum(one == other for one, other in zip(ours, theirs, strict=True))
        self.report.check("equal to local: at temperature 0", equal == len(views), f"{equal} of {len(views)}")

    async def seeds(self) -> None:
        """The seed reaches the sampler."""
        chats = [self.chat(seed=seed) for seed in (1, 1, 2)]
        texts = [(await chat.ask(_parts())).text for chat in chats]
        self.report.check(
            "seed honoured at temperature 2", texts[0] == texts[1] != texts[2], "same, same, other"
        )

    def chat(self, **given: Any) -> Chat:
        """The wire alone, at a temperature where the model forgets its lessons."""
        settings = {"base_url": self.url, "max_tokens": 100, "temperature": 2, **given}
        return Chat(self.model, ChatSettings(**settings), "thinker", "chat")

    async def guided(self) -> None:
        """Guided decoding: a schema holds even the noise of temperature 2; our styles come through it."""
        free = [(await self.chat(seed=seed).ask(_parts())).text for seed in range(5)]
        replies = [await self.chat(seed=seed).ask(_parts(), Guide(SMALL_SCHEMA)) for seed in range(12)]
        # JSON lets white space run on, and noise does so: such a reply is cut, and known as cut.
        held = [reply.text for reply in replies if reply.finish == "stop"]
        self.report.check(
            "json_schema holds noise",
            len(held) > len(replies) / 2 and all(map(_fits, held)) and not any(map(_fits, free)),
            f"{sum(map(_fits, held))} of {len(held)} guided, {len(replies) - len(held)} more were cut; "
            f"{sum(map(_fits, free))} of {len(free)} free",
        )
        cut = [reply.text for reply in replies if reply.finish != "stop"]
        self.report.check("cut ones ran on in white space", all(_spaced(text) for text in cut), len(cut))
        view = view_of(0, 1, JSON_WISH)
        thought = await self.thinker(style="json", guided="json").think(view)
        self.report.check("style json, guided by our schema", thought.critique.score is not None,
                          thought.critique.score)  # fmt: skip
        thought = await self.thinker(guided="regex").think(view_of(0, 1))
        self.report.check("style grammar, guided by our regex", thought.critique.score is not None,
                          thought.critique.score)  # fmt: skip

    async def concurrent(self) -> None:
        """Eight at once, and what that gains."""
        views = [view_of(0, 1), view_of(1, 0)] * 4
        thinker = self.thinker()
        began = time.perf_counter()
        one_by_one = [await thinker.think(view) for view in views]
        alone = time.perf_counter() - began
        times = []
        for _ in range(3):
            began = time.perf_counter()
            together = await asyncio.gather(*map(thinker.think, views))
            times.append(time.perf_counter() - began)
        same = [one.critique for one in one_by_one] == [one.critique for one in together]
        took = statistics.median(times)
        self.report.check(
            "eight at once say the same", same, f"{alone:.2f} s one by one, {took:.2f} s at once"
        )

    async def errors(self) -> None:
        """What is wrong comes back as one sentence of ours."""
        said = await _failure(self.thinker("no-such-model"), view_of(0, 1))
        self.report.check("wrong model", "does not know the model" in said and "no-such-model" in said, said)
        said = await _failure(self.thinker(max_tokens=10), view_of(0, 1))
        self.report.check("reply cut", "cut off at 10 tokens" in said, said)
        said = await _failure(self.thinker(), view_of(0, 1, "very " * 9000))
        self.report.check("prompt too long", "does not accept" in said, said[:160])
        said = await _failure(self.thinker(base_url="http://127.0.0.1:9/v1"), view_of(0, 1))
        self.report.check("server down", "is the server running?" in said, said)


def _parts() -> tuple[Any, ...]:
    view = view_of(0, 1)
    return view.sample.source, view.edited, "compare"


def _spaced(text: str) -> bool:
    return len("".join(text.split())) < len(text) / 2


def _fits(text: str) -> bool:
    try:
        data = json.loads(text)
    except ValueError:
        return False
    return isinstance(data, dict) and data.keys() == {"semantic", "answer"} and 0 <= data["semantic"] <= 10


async def _text(thinker: Any, view: View) -> str:
    """The reply, or why it cannot be read."""
    try:
        thought: Thought = await thinker.think(view)
    except ReplyError as error:
        return str(error)
    return thought.critique.reply


async def _failure(thinker: Any, view: View) -> str:
    try:
        await thinker.think(replace(view))
    except ThinkerError as error:
        return str(error)
    except EditThinkerError as error:
        return f"wrong class {type(error).__name__}: {error}"
    return "nothing failed"


def main() -> int:
    """Run the job, then the behaviour suite every thinker passes."""
    url, model, folder = sys.argv[1:]
    job = Job(url, model, Path(folder))
    asyncio.run(job.run())
    try:
        check_thinker(job.thinker)
        job.report.check("behaviour suite (check_thinker)", True)
    except AssertionError as error:
        job.report.check("behaviour suite (check_thinker)", False, error)
    return job.report.exit_code


if __name__ == "__main__":
    sys.exit(main())
