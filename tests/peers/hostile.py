"""A server that means harm, whatever it is asked for: answers without end, far too large, or elsewhere.

It speaks as much of every protocol as a client needs to get to the answer that hurts: the editing service,
`/v1/images/edits`, `/v1/chat/completions`, `generateContent`, ComfyUI. `sent` counts the bytes it got rid of;
`elsewhere` is another of its kind, to which it redirects, and `heard` what it was asked and with which
headers.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import struct
import zlib
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

Send = Callable[[dict[str, Any]], Awaitable[None]]
PIECE = b"x" * 2**16
STEP = 0.02
"""Seconds between two bytes of a body that drips."""
PIXELS = {"169-megapixels": 13_000, "900-megapixels": 30_000}
UNREADABLE = {
    "deep": b"[" * 2**20,
    "digits": b'{"data": %s}' % (b"9" * 10_000),
    "no-text": b'{"data": "\xff"}',
}

KINDS = (
    *("endless", "endless-error", "drip", "drip-error", "drip-headers", "huge", "gzip", "gzip-twice"),
    *("deep", "digits", "no-text", "noise", "redirect", "redirect-to-itself", *PIXELS),
)


@cache
def bomb(side: int) -> bytes:
    """A PNG of `side` by `side` grey pixels, a thousandth of that in bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    press = zlib.compressobj(1)
    rows = b"".join(press.compress(bytes(side + 1)) for _ in range(side)) + press.flush()
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@cache
def zeros(mebibytes: int, times: int) -> bytes:
    """So many MiB of JSON, compressed `times` times."""
    data = b'{"a": "' + b"0" * (mebibytes * 2**20)
    for _ in range(times):
        data = gzip.compress(data, 1)
    return data


class Hostile:
    """One server; `kind` is what it does, at any address that contains `at`."""

    def __init__(self, *, kind: str = "", at: str = "", mebibytes: int = 96) -> None:
        self.kind, self.at, self.mebibytes = kind, at, mebibytes
        """`mebibytes` is how large a large body is, in the end."""
        self.sent = 0
        self.heard: list[tuple[str, dict[str, str]]] = []
        self.elsewhere = ""
        self.image = bomb(32)

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Send) -> None:
        headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
        path = scope["path"] + (f"?{scope['query_string'].decode()}" if scope["query_string"] else "")
        self.heard.append((path, headers))
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close"})  # clients then ask in other ways
            return
        body = await _body(receive)
        leaving = asyncio.ensure_future(_gone(receive))
        playing = asyncio.ensure_future(self._play(path, body, send))
        try:
            await asyncio.wait({leaving, playing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (leaving, playing):
                task.cancel()
            await asyncio.gather(leaving, playing, return_exceptions=True)

    async def _play(self, path: str, body: bytes, send: Send) -> None:
        if self.at not in path or not self.kind or self.kind in PIXELS:
            await self._answer(path, body, send)
        elif self.kind in ("endless", "endless-error"):
            await self._start(send, 500 if "error" in self.kind else 200)
            while True:
                await self._more(send, PIECE)
        elif self.kind in ("drip", "drip-error"):
            await self._start(send, 503 if "error" in self.kind else 200)
            while True:
                await self._more(send, b" ")
                await asyncio.sleep(STEP)
        elif self.kind == "drip-headers":
            await asyncio.Event().wait()
        elif self.kind == "huge":
            await self._start(send, 200, **{"content-length": str(self.mebibytes * 2**20)})
            for _ in range(self.mebibytes * 16):
                await self._more(send, PIECE)
        elif self.kind in ("gzip", "gzip-twice"):
            times = 2 if self.kind == "gzip-twice" else 1
            await self._start(send, 200, **{"content-encoding": ", ".join(["gzip"] * times)})
            await self._more(send, zeros(self.mebibytes, times), last=True)
        elif self.kind in UNREADABLE:
            await self._start(send, 200)
            await self._more(send, UNREADABLE[self.kind], last=True)
        elif self.kind == "noise":
            await self._start(send, 200, **{"content-encoding": "gzip"})
            await self._more(send, b"this is not gzip", last=True)
        else:
            place = self.elsewhere + path if self.kind == "redirect" else path
            await self._start(send, 307, location=place)
            await self._more(send, b"", last=True)

    async def _answer(self, path: str, body: bytes, send: Send) -> None:
        """What the client hopes for; with an image that is a bomb, if it is of that kind."""
        image = bomb(PIXELS[self.kind]) if self.kind in PIXELS else self.image
        if path.startswith("/view"):
            await self._start(send, 200, **{"content-type": "image/png"})
            await self._more(send, image, last=True)
            return
        await self._start(send, 200)
        await self._more(send, json.dumps(_hoped(path, body, image)).encode(), last=True)

    async def _start(self, send: Send, status: int, **headers: str) -> None:
        told = {"content-type": "application/json", **headers}
        raw = [(name.encode(), value.encode()) for name, value in told.items()]
        await send({"type": "http.response.start", "status": status, "headers": raw})

    async def _more(self, send: Send, data: bytes, *, last: bool = False) -> None:
        await send({"type": "http.response.body", "body": data, "more_body": not last})
        self.sent += len(data)
        await asyncio.sleep(0)  # `send` does not wait once the client is gone, and would never be cancelled


def _hoped(path: str, body: bytes, image: bytes) -> dict[str, Any]:
    words = base64.b64encode(image).decode()
    if path.endswith("/edit"):
        return {"success": True, "edited_image": words}
    if path.endswith("/images/edits"):
        return {"created": 1, "data": [{"b64_json": words}]}
    if "generateContent" in path:
        part = {"inlineData": {"mimeType": "image/png", "data": words}}
        return {"candidates": [{"content": {"role": "model", "parts": [part]}, "finishReason": "STOP"}]}
    if path.startswith("/upload"):
        return {"name": "photo.png", "subfolder": "", "type": "input"}
    if path.startswith("/prompt"):
        return {"prompt_id": json.loads(body)["prompt_id"], "number": 1, "node_errors": {}}
    if path.startswith("/history/"):
        made = {"filename": "made.png", "subfolder": "", "type": "output"}
        return {path.rpartition("/")[2]: {"status": {"messages": []}, "outputs": {"9": {"images": [made]}}}}
    if path.startswith("/queue"):
        return {"queue_running": [], "queue_pending": []}
    message = {"role": "assistant", "content": "no"}
    return {"id": "1", "choices": [{"index": 0, "finish_reason": "stop", "message": message}]}


async def _body(receive: Any) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def _gone(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
