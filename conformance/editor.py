"""Our OpenAI-compatible editor at a real server: `python editor.py BASE_URL MODEL`."""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from typing import Any

from report import Report

from editthinker.core.errors import EditorError, EditThinkerError
from editthinker.core.selection import same_pixels
from editthinker.core.types import Edited, EditRequest
from editthinker.editors.openai import OpenAIEditor
from editthinker.testing.behaviour import check_editor, photograph

SIZES = ((96, 64), (128, 128), (200, 333), (1280, 960))


class Job:
    """The checks against one server."""

    def __init__(self, url: str, model: str) -> None:
        self.url, self.model = url, model
        self.report = Report()

    def editor(self, model: str = "", **given: Any) -> OpenAIEditor:
        """An editor of two steps, quick and without guidance."""
        settings = {"base_url": self.url, "steps": 2, "guidance": 1.0, "timeout": 120, **given}
        return OpenAIEditor(model or self.model, OpenAIEditor.Settings(**settings))

    async def run(self) -> None:
        """All of them, in order."""
        await self.seeds()
        await self.sizes()
        await self.several()
        await self.settings()
        await self.concurrent()
        await self.errors()

    async def edit(self, seed: int = 7, size: tuple[int, int] = (128, 64), **given: Any) -> Edited:
        """One edit of a photograph."""
        return await self.editor(**given).edit(_request(size, seed))

    async def seeds(self) -> None:
        """The seed decides."""
        same, again, other = [await self.edit(seed) for seed in (7, 7, 8)]
        held = same_pixels(same.image, again.image) and not same_pixels(same.image, other.image)
        self.report.check("seed: same twice, another differs", held, same.notes)

    async def sizes(self) -> None:
        """What comes back has the source's size."""
        for size in SIZES:
            edited = await self.edit(size=size)
            self.report.check(f"size kept: {size[0]} x {size[1]}", edited.image.size == size, edited.notes)

    async def several(self) -> None:
        """Further images change the result; more than the model takes is refused in words."""
        one = await self.editor().edit(_request((128, 64), 7))
        two = await self.editor().edit(_request((128, 64), 7, images=2))
        self.report.check("a second image is seen", not same_pixels(one.image, two.image))
        said = await _failure(self.editor(max_images=9), _request((128, 64), 7, images=9))
        self.report.check("nine images are too many", said.startswith("editor"), said[:160])

    async def settings(self) -> None:
        """What is set takes effect."""
        two, four = await self.edit(), await self.edit(steps=4)
        self.report.check("steps take effect", not same_pixels(two.image, four.image))
        jpeg = await self.edit(output_format="jpeg")
        self.report.check("output_format jpeg", jpeg.image.media_type == "image/jpeg", jpeg.image.media_type)

    async def concurrent(self) -> None:
        """Eight at once are eight different edits, each as if alone."""
        editor = self.editor()
        requests = [_request((128, 64), seed) for seed in range(8)]
        began = time.perf_counter()
        alone = [await editor.edit(request) for request in requests]
        one_by_one = time.perf_counter() - began
        times = []
        for _ in range(3):
            began = time.perf_counter()
            together = await asyncio.gather(*map(editor.edit, requests))
            times.append(time.perf_counter() - began)
        same = all(same_pixels(a.image, b.image) for a, b in zip(alone, together, strict=True))
        took = f"{one_by_one:.2f} s one by one, {statistics.median(times):.2f} s at once"
        self.report.check("eight at once are as alone", same, took)

    async def errors(self) -> None:
        """What is wrong comes back as one sentence of ours."""
        said = await _failure(self.editor("other"), _request((128, 64), 7))
        self.report.check("wrong model", "other" in said and "400" in said, said)
        tiny = await self.editor().edit(_request((33, 47), 7, images=2))
        size = tiny.image.size
        self.report.check("smaller than klein's 64 pixels: padded, size kept", size == (33, 47), size)
        said = await _failure(self.editor(base_url=self.url.removesuffix("/v1")), _request((128, 64), 7))
        self.report.check("address without /v1", "404" in said, said)
        said = await _failure(self.editor(base_url="http://127.0.0.1:9/v1"), _request((128, 64), 7))
        self.report.check("server down", "is the server running?" in said, said)


def _request(size: tuple[int, int], seed: int, images: int = 1) -> EditRequest:
    pictures = tuple(photograph(*size, seed=number) for number in range(images))
    return EditRequest(pictures, "make it blue", seed)


async def _failure(editor: OpenAIEditor, request: EditRequest) -> str:
    try:
        await editor.edit(request)
    except EditorError as error:
        return str(error)
    except EditThinkerError as error:
        return f"wrong class {type(error).__name__}: {error}"
    return "nothing failed"


def main() -> int:
    """Run the job, then the behaviour suite every editor passes."""
    job = Job(*sys.argv[1:])
    asyncio.run(job.run())
    try:
        check_editor(job.editor)
        job.report.check("behaviour suite (check_editor)", True)
    except (AssertionError, EditThinkerError) as error:
        job.report.check("behaviour suite (check_editor)", False, error)
    return job.report.exit_code


if __name__ == "__main__":
    sys.exit(main())
