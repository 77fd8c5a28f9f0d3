"""The chat thinker against a server that is not ours: `transformers serve`, a tiny LLaVA of random weights.

It takes the images and answers at random; the right outcome of a random answer is a `ReplyError`.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from editthinker.core.contracts import View
from editthinker.core.episode import Episode
from editthinker.core.errors import ReplyError, ThinkerError
from editthinker.core.limits import Limits
from editthinker.core.types import Sample
from editthinker.testing import ScriptedEditor, photograph
from editthinker.thinkers.chat import ChatThinker
from peers.tiny_vlm import IMAGE_TOKENS, tiny_llava

pytest.importorskip("transformers")
pytestmark = pytest.mark.slow

UP_WITHIN = 240.0
"""Seconds; a busy machine needs most of them for importing torch."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The server's URL and the id of its model, which is the path of its folder."""
    folder = tmp_path_factory.mktemp("transformers-serve")
    model = str(tiny_llava(folder / "tiny-llava"))
    (folder / "hf" / "hub").mkdir(parents=True)  # without a cache folder /v1/models fails
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = "import sys; from transformers.cli.transformers import main; sys.exit(main())"
    command = [sys.executable, "-c", script, "serve", model, "--host", "127.0.0.1", "--port", str(port)]
    environment = {**os.environ, "HF_HOME": str(folder / "hf"), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    log = folder / "log.txt"
    with log.open("wb") as out:
        server = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=environment)
    try:
        _wait(f"http://127.0.0.1:{port}", server, log)
        yield f"http://127.0.0.1:{port}/v1", model
    finally:
        server.terminate()
        server.wait(20)


def _wait(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    begun = time.monotonic()
    while time.monotonic() - begun < UP_WITHIN:
        assert server.poll() is None, log.read_text("utf-8", "replace")[-2000:]
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=2):  # noqa: S310 - our own URL
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
    raise AssertionError(log.read_text("utf-8", "replace")[-2000:])


def thinker(served: tuple[str, str], **given: Any) -> ChatThinker:
    url, model = served
    settings = {"base_url": url, "max_tokens": "24", "timeout": "120", **given}
    return ChatThinker(model, ChatThinker.Settings.read("thinker", settings))


@pytest.mark.parametrize("style", ["grammar", "json"])
async def test_a_random_answer_is_a_reply_that_cannot_be_read(served: tuple[str, str], style: str) -> None:
    sample = Sample((photograph(),), "make it black and white")
    view = View(sample, sample.instruction, photograph(seed=1))
    with pytest.raises(ReplyError):
        await thinker(served, style=style).think(view)


async def test_every_image_arrives(served: tuple[str, str]) -> None:
    chat = thinker(served).asking.chat
    none = await chat.ask(("Compare.",))
    two = await chat.ask((photograph(), photograph(seed=1), "Compare."))
    assert two.text
    assert two.notes["model"].startswith(served[1])
    assert two.notes["tokens_in"] - none.notes["tokens_in"] == 2 * IMAGE_TOKENS


async def test_an_episode_ends_by_the_rules(served: tuple[str, str]) -> None:
    sample = Sample((photograph(),), "make it black and white")
    limits = Limits(turns=1, reasks=1)
    trajectory = await Episode(sample, ScriptedEditor(), thinker(served), limits=limits).run()
    assert trajectory.failure is not None
    assert trajectory.failure.blame == "thinker"
    assert [call.outcome for call in trajectory.calls] == ["ok", "ReplyError", "ReplyError"]


async def test_a_model_it_does_not_have(served: tuple[str, str]) -> None:
    chat = ChatThinker("no/such-model", ChatThinker.Settings.read("t", {"base_url": served[0]}))
    sample = Sample((photograph(),), "x")
    with pytest.raises(ThinkerError) as caught:
        await chat.think(View(sample, "x", photograph()))
    assert not isinstance(caught.value, ReplyError)
