"""What a call through us costs beyond the bare client: `python benchmarks/overhead.py`.

A server in a process of its own answers at once with a prepared answer. In turn it is called by the bare
`openai` client, with images that are encoded already and an answer that nobody looks at, and through our
editor and our thinker, which encode, send, check, decode and fit. Prints milliseconds (p50, p99 of one run)
and the bytes that arrive at the server for a source of 12 megapixels; saves `docs/results/overhead.json`.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx2
import loopback
import openai
from PIL import Image

from editthinker.core.contracts import Editor, Thinker, View
from editthinker.core.images import Picture
from editthinker.core.types import EditRequest, Sample
from editthinker.darkroom.photographs import demo_photo
from editthinker.resolve import resolve_editor, resolve_thinker

OUT = Path("docs/results/overhead.json")
SIZES = {"small, 96x64": (96, 64), "as trained, 1024x1024": (1024, 1024)}
LARGE = (4000, 3000)
WARM_UP = 10
WORDS = "make it look like an old photograph"
REPLY = (
    "<think>The photo is darker, as it should be.</think>\n"
    '<score>{"semantic": 6, "quality": 8}</score>\n<answer>make it sepia, with grain</answer>'
)
Call = Callable[[int], Awaitable[object]]


# --- the server ---


def serve() -> None:
    """Answer every POST with what was last PUT; GET tells how many bytes of bodies came in since then."""
    answer, arrived = b"{}", 0

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal answer, arrived
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        if scope["method"] == "PUT":
            answer, arrived = body, 0
        elif scope["method"] == "POST":
            arrived += len(body)
        told = str(arrived).encode() if scope["method"] == "GET" else answer
        await loopback.answer(send, told)

    loopback.listen(app)


class Peer(AbstractContextManager["Peer"]):
    """The server as its clients see it."""

    def __init__(self) -> None:
        command = [sys.executable, __file__, "--server"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None  # noqa: S101 it was asked for
        self.url = f"http://127.0.0.1:{int(self._process.stdout.readline())}"

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def answers(self, answer: object) -> None:
        """From now on, and count from zero."""
        httpx2.put(self.url, content=json.dumps(answer).encode()).raise_for_status()

    def arrived(self) -> int:
        """Bytes of request bodies."""
        return int(httpx2.get(self.url).text)

    def editor(self) -> Editor:
        """Ours, at this server."""
        return resolve_editor(f"openai:m?base_url={self.url}/v1")

    def thinker(self) -> Thinker:
        """Ours, at this server."""
        thinker = resolve_thinker(f"chat:m?base_url={self.url}/v1")
        assert thinker is not None  # noqa: S101 only "none" is None
        return thinker


# --- what is measured ---


def photo(size: tuple[int, int], shade: int = 0) -> Picture:
    """The demo photograph at another size; another shade is another picture."""
    with Image.open(demo_photo()) as demo:
        pixels = demo.convert("RGB").resize(size)
    return Picture(pixels.point([min(255, value + shade) for value in range(256)] * 3))


def image_answer(size: tuple[int, int]) -> object:
    """What an editing server sends."""
    encoded = base64.b64encode(photo(size, 8).encode()).decode()
    return {"created": 1, "data": [{"b64_json": encoded}]}


def chat_answer() -> object:
    """What a chat server sends."""
    message = {"role": "assistant", "content": REPLY}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    head = {"id": "x", "object": "chat.completion", "created": 1, "model": "m"}
    return {**head, "choices": [choice], "usage": usage}


def bare_edit(client: openai.AsyncOpenAI, size: tuple[int, int]) -> Call:
    """One edit by the client alone; the image was encoded beforehand."""
    file = ("image.png", photo(size).encode(), "image/png")

    async def call(number: int) -> object:
        answer = await client.images.edit(
            model="m", image=file, prompt=WORDS, size="auto", extra_body={"seed": number}
        )
        return base64.b64decode((answer.data or [])[0].b64_json or "")

    return call


def our_edit(editor: Editor, size: tuple[int, int]) -> Call:
    """One edit through us."""
    source = photo(size)

    async def call(number: int) -> object:
        return await editor.edit(EditRequest((source,), WORDS, number))

    return call


def bare_thought(client: openai.AsyncOpenAI, size: tuple[int, int]) -> Call:
    """One critique by the client alone; the images were encoded beforehand."""
    urls = [
        f"data:image/png;base64,{base64.b64encode(photo(size, shade).encode()).decode()}" for shade in (0, 8)
    ]
    content: list[Any] = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    content.append({"type": "text", "text": WORDS})

    async def call(number: int) -> object:
        return await client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": content}], max_tokens=4096
        )

    return call


def our_thought(thinker: Thinker, size: tuple[int, int]) -> Call:
    """One critique through us; the source is the same in every turn, the edited image a new one."""
    source, edited = photo(size), photo(size, 8).pixels

    async def call(number: int) -> object:
        return await thinker.think(View(Sample((source,), WORDS), WORDS, Picture(edited)))

    return call


async def compared(bare: Call, ours: Call, calls: int) -> dict[str, float]:
    """Milliseconds of both, called in turn."""
    times: dict[str, list[float]] = {"bare": [], "ours": []}
    for number in range(-WARM_UP, calls):
        for name, call in (("bare", bare), ("ours", ours)):
            began = time.perf_counter()
            await call(abs(number))
            if number >= 0:
                times[name].append(1000 * (time.perf_counter() - began))
    figures = {"calls": float(calls)}
    for name, milliseconds in times.items():
        cuts = statistics.quantiles(milliseconds, n=100)
        figures |= {f"{name}_p50_ms": cuts[49], f"{name}_p99_ms": cuts[98]}
    figures["overhead_p50_ms"] = figures["ours_p50_ms"] - figures["bare_p50_ms"]
    figures["overhead_p99_ms"] = figures["ours_p99_ms"] - figures["bare_p99_ms"]
    figures["ratio_p50"] = figures["ours_p50_ms"] / figures["bare_p50_ms"]
    return {key: round(value, 2) for key, value in figures.items()}


def codec(size: tuple[int, int]) -> float:
    """Milliseconds to encode an image as PNG and decode another: what the bare client left out."""
    picture, times = photo(size), []
    for _ in range(7):
        began = time.perf_counter()
        Picture.decode(picture.encode(), "x")
        times.append(1000 * (time.perf_counter() - began))
    return round(statistics.median(times), 2)


async def overhead(peer: Peer, calls: int) -> dict[str, Any]:
    """Both roles, both sizes."""
    figures: dict[str, Any] = {}
    async with openai.AsyncOpenAI(api_key="none", base_url=f"{peer.url}/v1", max_retries=0) as client:
        for label, size in SIZES.items():
            many = calls if size[0] < 1000 else max(100, calls // 4)
            peer.answers(image_answer(size))
            edit = await compared(bare_edit(client, size), our_edit(peer.editor(), size), many)
            peer.answers(chat_answer())
            thought = await compared(bare_thought(client, size), our_thought(peer.thinker(), size), many)
            for role, found in (("editor", edit), ("thinker", thought)):
                figures[f"{role}, {label}"] = {**found, "png_in_and_out_ms": codec(size)}
    return figures


async def sent(peer: Peer) -> dict[str, int]:
    """Bytes of one turn for a large source, counted where they arrive."""
    source = photo(LARGE)
    figures = {"source, as PNG": len(source.encode())}
    peer.answers(image_answer((1024, 768)))
    edited = await peer.editor().edit(EditRequest((source,), WORDS, 0))
    figures["editor, one edit"] = peer.arrived()
    peer.answers(chat_answer())
    thinker = peer.thinker()
    await thinker.think(View(Sample((source,), WORDS), WORDS, edited.image))
    figures["thinker, one critique"] = peer.arrived()
    jpeg = resolve_thinker(f"chat:m?base_url={peer.url}/v1&image_format=jpeg")
    assert jpeg is not None  # noqa: S101 only "none" is None
    peer.answers(chat_answer())
    await jpeg.think(View(Sample((source,), WORDS), WORDS, edited.image))
    figures["thinker, one critique, image_format=jpeg"] = peer.arrived()
    return figures


def main() -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=400)
    parser.add_argument("--server", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.server:
        serve()
        return
    with Peer() as peer:
        figures = asyncio.run(overhead(peer, arguments.calls))
        counted = asyncio.run(sent(peer))
    print(
        f"{'':<32}{'bare p50':>9}{'p99':>8}{'ours p50':>10}{'p99':>8}{'more p50':>10}{'ratio':>7}{'PNG':>8}"
    )
    for label, row in figures.items():
        bare, ours = (
            f"{row[f'{who}_p50_ms']:.2f} {row[f'{who}_p99_ms']:.2f}".split() for who in ("bare", "ours")
        )
        more = f"{row['overhead_p50_ms']:>10.2f}{row['ratio_p50']:>7.2f}{row['png_in_and_out_ms']:>8.2f}"
        print(f"{label:<32}{bare[0]:>9}{bare[1]:>8}{ours[0]:>10}{ours[1]:>8}{more}")
    for label, count in counted.items():
        print(f"{label:<42} {count / 1e6:>7.2f} MB")
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps({"milliseconds": figures, "bytes, 12 megapixels": counted}, indent=1) + "\n")


if __name__ == "__main__":
    main()
