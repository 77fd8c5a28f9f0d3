"""What a batch run costs its own machine: `python benchmarks/batch.py`.

Editor and thinker are a server in a process of its own that answers after a moment, with answers made before,
so that what is measured is ours alone: `editthinker run` with 5 turns a sample, from its start to its end.
Prints CPU seconds a sample, bytes written for each byte of the editor's images, and peak memory, for images
of 128, 512 and 1024 pixels; saves `docs/results/batch.json`. Bytes are what the system counted (Linux;
`--dir` must lie on a disk).
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import subprocess
import sys
import tempfile
import zlib
from itertools import count
from pathlib import Path
from typing import Any

import loopback
import numpy as np
from PIL import Image

from editthinker.core.images import Picture
from editthinker.darkroom.photographs import demo_photo

OUT = Path("docs/results/batch.json")
SAMPLES = {128: 64, 512: 24, 1024: 16}
"""Samples by pixels a side."""
TURNS = 5
EDIT_SECONDS, THINK_SECONDS = 0.1, 0.06
SAMPLE = "make it look like an old photograph"
REPLY = (
    "<think>{words}</think>\n"
    '<score>{{"semantic": 6, "quality": 8}}</score>\n<answer>make it sepia, with grain {number}</answer>'
)
THOUGHT = "The photo is darker, as it should be, and its colours are those of another age. " * 10


# --- the server ---


def serve(side: int) -> None:
    """An editing service and a chat endpoint, told apart by path; GET says how many bytes of images."""
    images = [photo(side, shade).encode() for shade in (8, 16, 24, 32)]
    numbers, sent = count(), 0

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal sent
        while (await receive()).get("more_body"):
            pass
        number = next(numbers)
        if scope["method"] == "GET":
            answer: Any = sent
        elif scope["path"].endswith("/edit"):
            await asyncio.sleep(EDIT_SECONDS)
            image = marked(images[number % len(images)], number)
            sent += len(image)
            answer = {"success": True, "edited_image": base64.b64encode(image).decode()}
        else:
            await asyncio.sleep(THINK_SECONDS)
            answer = completion(REPLY.format(words=THOUGHT, number=number))
        body = json.dumps(answer).encode()
        await loopback.answer(send, body)

    loopback.listen(app)


def marked(png: bytes, number: int) -> bytes:
    """The same pixels in bytes of their own: no two edits are stored as one."""
    chunk = b"pHYs" + number.to_bytes(4) + (1).to_bytes(4) + b"\0"
    return png[:33] + (9).to_bytes(4) + chunk + zlib.crc32(chunk).to_bytes(4) + png[33:]


def completion(text: str) -> Any:
    """What a chat server sends."""
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    return {"object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}


def photo(side: int, shade: int, seed: int = 0) -> Picture:
    """The demo photograph at another size, with the noise of a camera."""
    with Image.open(demo_photo()) as demo:
        pixels = np.asarray(demo.convert("RGB").resize((side, side)), np.int16)
    noise = np.random.default_rng(seed).normal(0, 3, pixels.shape)
    return Picture(Image.fromarray(np.clip(pixels + shade + noise, 0, 255).astype(np.uint8)))


# --- what is measured ---


def measured(side: int, samples: int, folder: Path, *options: str) -> dict[str, float]:
    """One run in a process of its own."""
    images, entries = folder / "images", []
    images.mkdir()
    for number in range(samples):
        photo(side, 0, number).save(images / f"{number}.png")
        entries.append(json.dumps({"id": f"s{number}", "image": f"{number}.png", "instruction": SAMPLE}))
    (folder / "samples.jsonl").write_text("\n".join(entries) + "\n")
    server = subprocess.Popen(
        [sys.executable, __file__, "--server", str(side)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None  # noqa: S101 it was asked for
        url = f"http://127.0.0.1:{int(server.stdout.readline())}"
        names = ["--editor", f"service:{url}", "--thinker", f"chat:m?base_url={url}/v1"]
        places = ["--images", str(images), "--run", str(folder / "run"), "--turns", str(TURNS)]
        command = [sys.executable, "-m", "editthinker.cli", "run", str(folder / "samples.jsonl")]
        with (folder / "said.txt").open("wb") as said:
            process = subprocess.Popen([*command, *names, *places, *options], stdout=said, stderr=said)
            _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit((folder / "said.txt").read_text())
        sent = told(url)
    finally:
        server.kill()
        server.wait()
    return {
        "samples": samples,
        "cpu_seconds_per_sample": round((used.ru_utime + used.ru_stime) / samples, 4),
        "written_per_byte_of_the_editor": round(512 * used.ru_oublock / sent, 3),
        "peak_mb": round(used.ru_maxrss / 1000, 1),
    }


def told(url: str) -> int:
    """Bytes of images that the editor has sent."""
    import httpx2

    return int(httpx2.get(url).text)


def main() -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--samples", type=int, help="samples of every size instead of 64, 24 and 16")
    parser.add_argument("--dir", help="where runs are written and removed again; a folder on a disk")
    parser.add_argument("--server", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.server:
        serve(arguments.server)
        return
    figures: dict[str, dict[str, float]] = {}
    print(f"{'':<24}{'samples':>8}{'CPU s a sample':>16}{'written':>9}{'peak MB':>9}")
    for side, usual in SAMPLES.items():
        for label, delivers in (("", False), (", with --out", True)):
            with tempfile.TemporaryDirectory(dir=arguments.dir) as place:
                options = ["--out", f"{place}/out"] if delivers else []
                row = measured(side, arguments.samples or usual, Path(place), *options)
            figures[f"{side} px{label}"] = row
            number, seconds, written, peak = row.values()
            print(f"{f'{side} px{label}':<24}{number:>8.0f}{seconds:>16.3f}{written:>9.2f}{peak:>9.0f}")
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
