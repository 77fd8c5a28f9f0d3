"""A key is in the environment and in a file, servers throw it back in every error: it is written nowhere."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from editthinker.testing import photograph
from peers.command import Run
from peers.painting import plain, png
from peers.serving import serving

pytestmark = pytest.mark.slow

KEYS = ("canary-env-7f3a9c1e5b", "canary-file-2d8e6f4a0c")
FAULTS = ("none", "500", "401", "429", "400", "html", "no-json", "cut", "slow", "refused")
REPLY = '<think>fine</think><score>{"semantic": 9, "quality": 9}</score><answer>warmer</answer>'
BASE64 = re.compile(rb"[A-Za-z0-9+/]{65,}")


def forms(key: str) -> list[bytes]:
    """The key, and as anybody might write it."""
    inside = base64.b64encode(b"   " + key.encode() + b"   ").rstrip(b"=")[4:-8]
    return [key.encode(), base64.b64encode(key.encode()).rstrip(b"="), inside]


async def answer(request: Request, good: dict[str, Any]) -> Response:
    """What the words of a sample ask for, first time round; errors hold all that was sent."""
    sent = request.headers["authorization"]
    key = sent.removeprefix("Bearer ")
    told = f"{sent} is {base64.b64encode(key.encode()).decode()}, said as {{'Authorization': '{sent}'}}"
    body = (await request.body()).decode("utf-8", "replace")
    fault = next((fault for fault in FAULTS if f"fault {fault} " in body), "none")
    asked: set[str] = request.app.state.asked
    if fault == "none" or (place := f"{request.url.path} {fault}") in asked:
        return JSONResponse(good)
    asked.add(place)
    if fault.isdigit():
        return JSONResponse({"error": {"message": told, "code": key}, "detail": told}, int(fault))
    if fault == "html":
        return HTMLResponse(f"<h1>{told}</h1>", 502)
    if fault == "no-json":
        return Response(told, media_type="application/json")
    if fault == "refused":
        return JSONResponse({"error": {"message": told, "code": "content_policy_violation"}}, 400)
    if fault == "slow":
        time.sleep(3)
    return Response(json.dumps(good)[:-30], media_type="application/json")


@pytest.fixture
def services() -> Iterator[str]:
    app = FastAPI()
    app.state.asked = set()
    image = base64.b64encode(png(plain((9, 200, 9), (96, 64)))).decode()

    @app.post("/one/edit")
    async def edit(request: Request) -> Response:
        return await answer(request, {"success": True, "edited_image": image})

    @app.post("/two/v1/images/edits")
    async def edits(request: Request) -> Response:
        return await answer(request, {"created": 1, "data": [{"b64_json": image}]})

    @app.post("/v1/chat/completions")
    async def chat(request: Request) -> Response:
        message = {"role": "assistant", "content": REPLY}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        return await answer(request, {"id": "1", "object": "chat.completion", "choices": [choice]})

    with serving(app) as url:
        yield url


@pytest.mark.parametrize("editor", ["service:{url}/one", "openai:any?base_url={url}/two/v1"])
def test_a_key_is_written_nowhere(run: Run, folder: Path, services: str, editor: str) -> None:
    (folder / "key.txt").write_text(KEYS[1])
    photograph(96, 64).save(folder / "p.png")
    rows = [
        {"id": f"s{number}", "image": "p.png", "instruction": f"make it warm, fault {fault} please"}
        for number, fault in enumerate(FAULTS)
    ]
    (folder / "samples.jsonl").write_text("\n".join(map(json.dumps, rows)))
    join = "&" if "?" in editor else "?"
    names = (
        *("--editor", editor.format(url=services) + f"{join}key=env:CANARY&timeout=2"),
        *("--thinker", f"chat:any?base_url={services}/v1&key=file:{folder / 'key.txt'}&timeout=2"),
    )
    command = (
        sys.executable,
        "-m",
        "editthinker.cli",
        "run",
        "samples.jsonl",
        "--run",
        "r",
        "--out",
        "o",
        *names,
    )
    loud = {
        "EDITTHINKER_DEBUG": "1",
        "OPENAI_LOG": "debug",
        "HTTPX_LOG_LEVEL": "trace",
        "PYTHONASYNCIODEBUG": "1",
    }
    process = subprocess.Popen(
        command, cwd=folder, env={**os.environ, **loud, "CANARY": KEYS[0]}, stdout=-1, stderr=-1
    )
    seen = b""
    while process.poll() is None:
        for child in [str(process.pid), *_children(process.pid)]:
            seen += _read(Path("/proc") / child / "cmdline")
        time.sleep(0.05)
    assert process.stdout is not None
    assert process.stderr is not None
    told = process.stdout.read() + process.stderr.read()
    process.stdout.close()
    process.stderr.close()
    assert process.returncode == 3, told.decode()
    assert run("show", "r", "--html", "report.html").returncode == 0
    shown = run("show", "r", "--json")
    summary = json.loads((folder / "r" / "summary.json").read_text())
    assert summary["finished"] + summary["failed"] + summary["refused"] == len(FAULTS)
    assert "***" in json.dumps(summary), "what a server said is told"
    written = {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    del written[str(folder / "key.txt")]
    written |= {"told": told, "shown": shown.stdout + shown.stderr, "ps": seen}
    for place, data in written.items():
        for key in KEYS:
            assert not [form for form in forms(key) if form in data], place
    assert len(seen) > 100
    assert not BASE64.search(told), "images are not told"
    assert not BASE64.search(json.dumps(summary).encode())


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _children(pid: int) -> list[str]:
    return _read(Path(f"/proc/{pid}/task/{pid}/children")).decode().split()


@pytest.mark.parametrize(
    "name", ["service:http://127.0.0.1:9?key={key}", "service:http://u:{key}@127.0.0.1:9"]
)
def test_a_key_in_a_name_is_refused_without_being_repeated(run: Run, folder: Path, name: str) -> None:
    photograph(96, 64).save(folder / "p.png")
    (folder / "samples.jsonl").write_text(json.dumps({"image": "p.png", "instruction": "warmer"}))
    done = run(
        "run", "samples.jsonl", "--run", "r", "--thinker", "none", "--editor", name.format(key=KEYS[0])
    )
    assert done.returncode == 2
    assert KEYS[0].encode() not in done.stdout + done.stderr
    assert not (folder / "r").exists()
