"""Servers that mean harm, and all ways we talk to one: bounded memory and time, one clear error, no key away.

As a script it makes one call with the limits as they are: ADAPTER URL FOLDER.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from editthinker.core.contracts import View
from editthinker.core.errors import EditThinkerError
from editthinker.core.types import EditRequest, Sample
from editthinker.resolve import resolve_editor, resolve_thinker
from editthinker.testing import photograph
from editthinker.wire import bounded
from peers.hostile import KINDS, PIXELS, UNREADABLE, Hostile
from peers.serving import serving

KEY = "canary-0123456789-canary"
ADAPTERS = ("service", "openai", "gemini", "comfyui", "chat")
SAYS = {
    **dict.fromkeys(("endless", "endless-error", "huge", "gzip", "gzip-twice"), "MiB, which is no answer"),
    **dict.fromkeys(("drip", "drip-error", "drip-headers"), "did not|in time"),
    **dict.fromkeys(("redirect", "redirect-to-itself"), r"somewhere else \(307\)"),
    **dict.fromkeys(
        (*UNREADABLE, "noise"),
        "cannot be read|none of|broke the connection|something else|no chat|without an image",
    ),
    **dict.fromkeys(PIXELS, "pixels"),
}
WORKFLOW = {
    "1": {"class_type": "LoadImage", "inputs": {"image": "a.png"}, "_meta": {"title": "editthinker:image"}},
    "2": {"class_type": "Words", "inputs": {"value": "a"}, "_meta": {"title": "editthinker:prompt"}},
    "9": {"class_type": "SaveImage", "inputs": {"images": ["1", 0]}, "_meta": {"title": "Save"}},
}


async def call(adapter: str, url: str, folder: Path, timeout: float) -> Any:
    """One call of one adapter; its key is in the environment."""
    settings = f"key=env:CANARY&timeout={timeout}"
    photo, words = photograph(64, 48), "make it warmer"
    if adapter == "chat":
        thinker = resolve_thinker(f"chat:any?base_url={url}/v1&{settings}")
        assert thinker is not None
        sample = Sample((photo,), words)
        return await thinker.think(View(sample, words, photo))
    (folder / "workflow.json").write_text(json.dumps(WORKFLOW))
    name = {
        "service": f"service:{url}?{settings}",
        "openai": f"openai:any?base_url={url}/v1&{settings}",
        "gemini": f"gemini:gemini-2.5-flash-image?base_url={url}&{settings}",
        "comfyui": f"comfyui:{url}#{folder / 'workflow.json'}?{settings}",
    }[adapter]
    return await resolve_editor(name).edit(EditRequest((photo,), words, 7))


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY", KEY)


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Hostile, str, Hostile]]:
    one, other = Hostile(mebibytes=8), Hostile()
    with serving(one) as url, serving(other) as away:
        one.elsewhere = away
        yield one, url, other


def cases() -> Iterator[Any]:
    for adapter in ADAPTERS:
        for kind in KINDS:
            if kind != "900-megapixels" and not (kind in PIXELS and adapter == "chat"):
                yield pytest.param(adapter, kind, "", id=f"{adapter}-{kind}")
    for at, kinds in {"/view": ("endless", "gzip"), "/history": ("drip",), "/prompt": ("redirect",)}.items():
        for kind in kinds:
            yield pytest.param("comfyui", kind, at, id=f"comfyui{at}-{kind}")


@pytest.mark.clock
@pytest.mark.parametrize(("adapter", "kind", "at"), list(cases()))
async def test_harm_ends_in_one_clear_error(
    servers: tuple[Hostile, str, Hostile],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    adapter: str,
    kind: str,
    at: str,
) -> None:
    monkeypatch.setattr(bounded, "MOST_BYTES", 2**21)
    one, url, other = servers
    one.kind, one.at, one.sent = kind, at, 0
    one.heard.clear()
    other.heard.clear()
    began = time.monotonic()
    with pytest.raises(EditThinkerError, match=SAYS[kind]) as caught:
        await call(adapter, url, tmp_path, 1.0 if "drip" in kind else 20.0)
    assert time.monotonic() - began < (5 if "drip" in kind else 20)
    assert one.sent < 2**24, "it was not read to the end"
    assert one.heard, "it was asked"
    assert not other.heard, "nobody else was"
    assert caught.value.blame == ("thinker" if adapter == "chat" else "editor")
    assert KEY not in str(caught.value)


async def test_an_answer_that_is_large_but_no_larger_than_allowed_is_read(
    servers: tuple[Hostile, str, Hostile], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(bounded, "MOST_BYTES", 2**24)
    one, url, _ = servers
    one.kind, one.at = "gzip", ""
    with pytest.raises(EditThinkerError, match="cannot be read"):
        await call("service", url, tmp_path, 20.0)


@pytest.mark.slow
@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("kind", ["endless", "endless-error", "gzip", "gzip-twice", *PIXELS])
def test_harm_costs_no_memory(tmp_path: Path, adapter: str, kind: str) -> None:
    with serving(Hostile(kind=kind, mebibytes=1024)) as url:
        script = (sys.executable, __file__, adapter, url, str(tmp_path))
        paths = os.pathsep.join(sys.path)
        done = subprocess.run(
            script,
            capture_output=True,
            check=True,
            text=True,
            timeout=60,
            env={**os.environ, "PYTHONPATH": paths},
        )
    said = json.loads(done.stdout)
    assert said["mib"] < 300, said
    assert said["error"], said


def main(adapter: str, url: str, folder: str) -> None:
    """One call; how much memory it took beyond that of a call that is refused, and what it came to."""

    def peak() -> int:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

    def error_of(url: str) -> str:
        try:
            asyncio.run(call(adapter, url, Path(folder), 30.0))
        except EditThinkerError as error:
            return str(error)
        return ""

    os.environ["CANARY"] = KEY
    error_of("http://127.0.0.1:9")  # what has to be imported is
    before, began = peak(), time.monotonic()
    told = error_of(url)
    seconds = round(time.monotonic() - began, 2)
    sys.stdout.write(json.dumps({"mib": peak() - before, "seconds": seconds, "error": told}))


if __name__ == "__main__":
    main(*sys.argv[1:])
