"""Answers are read so far and no further, so that a server that sends without end does not cost the memory.

In: a response whose body was not read yet. Out: the same response, with a body that raises `TooMuch` once it
is larger than any answer is, counted after decompression. Every client of ours has `HOOKS`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from httpx2 import AsyncByteStream, Response

MOST_BYTES: Final = 64 * 2**20
"""Of a whole answer; a photo of 16 megapixels in 8 bits, as PNG and base64, has about as many."""


class TooMuch(Exception):
    """An answer is longer than any should be; the words continue the name of who sent it."""


async def _bound(response: Response) -> None:
    """A hook: clients call it with every response before its body is read."""
    response.stream = _bounded_stream()(response)  # type: ignore[call-arg]
    response.headers.pop("content-encoding", None)  # what is handed on is plain


@cache
def _bounded_stream() -> type[AsyncByteStream]:
    from httpx2 import AsyncByteStream, Response

    class Bounded(AsyncByteStream):
        def __init__(self, response: Response) -> None:
            self._received = Response(response.status_code, headers=response.headers, stream=response.stream)

        async def __aiter__(self) -> AsyncIterator[bytes]:
            length = 0
            async for piece in self._received.aiter_bytes():  # decompressed in pieces of 1 MiB
                length += len(piece)
                if length > MOST_BYTES:
                    raise TooMuch(f"sent more than {MOST_BYTES / 2**20:g} MiB, which is no answer")
                yield piece

        async def aclose(self) -> None:
            await self._received.aclose()

    return Bounded


HOOKS: Final[dict[str, list[Any]]] = {"response": [_bound]}
"""For the `event_hooks` of a client."""
