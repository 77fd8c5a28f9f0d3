"""What the stand-ins for other editors share: the darkroom does the edit; bodies that break off."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from functools import cache

from PIL import Image
from starlette.responses import Response, StreamingResponse

from editthinker.core.images import Picture
from editthinker.core.types import EditRequest
from editthinker.darkroom.editor import DarkroomEditor


@cache
def _editor() -> DarkroomEditor:
    return DarkroomEditor.load()


async def painted(image: bytes, prompt: str, seed: int) -> Image.Image:
    """A real edit of an encoded image. Raises `Refused` for a language that the darkroom does not read."""
    source = await asyncio.to_thread(Picture.open, image)
    edited = await _editor().edit(EditRequest((source,), prompt, seed))
    return edited.image.pixels.convert("RGB")


def png(image: Image.Image) -> bytes:
    """As a PNG file."""
    stream = io.BytesIO()
    image.save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def plain(colour: tuple[int, int, int] = (0, 0, 0), size: tuple[int, int] = (96, 64)) -> Image.Image:
    """One colour all over."""
    return Image.new("RGB", size, colour)


def truncated(media_type: str = "application/json") -> Response:
    """An answer whose connection breaks off in the middle of the body."""

    async def body() -> AsyncIterator[bytes]:
        yield b'{"half": "of an ans'
        raise ConnectionResetError

    return StreamingResponse(body(), media_type=media_type, headers={"content-length": "4096"})
