"""`editthinker serve-editor` as a process: where it listens, what it says, how it ends."""

from __future__ import annotations

import base64
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import util
from pathlib import Path

import httpx2
import pytest

from editthinker.cli import main
from editthinker.cli.serve_editor import model_id
from editthinker.core.images import Picture

Run = Callable[..., subprocess.CompletedProcess[bytes]]


class Served:
    """A running `serve-editor`, and what it has said so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.said: list[str] = []

    def until(self, pattern: str) -> re.Match[str]:
        """Read on until a line matches."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)
            if found := re.search(pattern, line):
                return found
        raise AssertionError(f"ended without {pattern!r}: {self.said}")

    def interrupted(self) -> int:
        """The exit code after Ctrl-C."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=20)


@contextmanager
def served(program: list[str], *arguments: str) -> Iterator[Served]:
    command = [*program, "serve-editor", "--port", "0", *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        watchdog = threading.Timer(30, process.kill)
        watchdog.start()
        try:
            yield Served(process)
        finally:
            watchdog.cancel()
            process.kill()


@pytest.mark.slow
def test_what_it_says_can_be_pasted(program: list[str], run: Run, folder: Path) -> None:
    with served(program, "darkroom") as server:
        names = [server.until(rf"--editor '({kind}:.*)'")[1] for kind in ("openai", "service")]
        server.until("ready after")
        for index, name in enumerate(names):
            out = f"{index}.png"
            done = run("edit", "photo.jpg", "black and white", "--editor", name, "--turns", "1", "-o", out)
            assert done.returncode == 0, done.stderr
            assert Picture.open(folder / out).size == (96, 64)
        assert server.interrupted() == 130
        assert server.process.stderr is not None
        assert server.process.stderr.read() == "", "no traceback, no complaint"


def test_a_load_that_fails_ends_it_with_the_reason(program: list[str], folder: Path) -> None:
    with served(program, "fakes:broken_editor") as server:
        server.until("error: the GPU is gone")
        assert server.process.wait(timeout=20) == 1


def test_ctrl_c_ends_it_while_it_loads(program: list[str], folder: Path) -> None:
    with served(program, "fakes:slow_editor") as server:
        server.until("stop it with Ctrl-C")
        server.until("another machine")
        assert server.interrupted() == 130


def test_a_token_from_the_environment(
    program: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDITOR_TOKEN", "very-secret-words")
    with served(program, "darkroom", "--token-from", "env:EDITOR_TOKEN") as server:
        url = server.until(r"--editor 'service:(.*)\?key=env:EDITOR_TOKEN'")[1]
        server.until("ready after")
        assert httpx2.get(f"{url}/status").status_code == 401
        assert "very-secret-words" not in "".join(server.said)


def test_what_cannot_be_served(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*arguments: str) -> str:
        assert main(["serve-editor", *arguments]) == 2
        return capsys.readouterr().err

    assert "give a token with --token-from" in refused("darkroom", "--host", "0.0.0.0")  # noqa: S104
    assert "unknown editor 'nobody'" in refused("nobody")
    assert "no key at 'env:NOT_SET'" in refused("darkroom", "--token-from", "env:NOT_SET")
    assert "cannot listen on 192.0.2.1" in refused(
        "darkroom", "--host", "192.0.2.1", "--token-from", token(folder)
    )
    find_spec = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda name: None if name == "uvicorn" else find_spec(name))
    assert "pip install 'editthinker[serve]'" in refused("darkroom")


def token(folder: Path) -> str:
    (folder / "token").write_text("some-token")
    return f"file:{folder / 'token'}"


def test_a_taken_port_is_one_sentence(
    program: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with served(program, "darkroom") as server:
        port = server.until(r"http://127\.0\.0\.1:(\d+)/health")[1]
        assert main(["serve-editor", "darkroom", "--port", port]) == 2
    assert re.search(rf"cannot listen on 127\.0\.0\.1, port {port}: .*in use", capsys.readouterr().err)


@pytest.mark.clock
def test_answers_go_out_at_once(program: list[str], folder: Path) -> None:
    """Without TCP_NODELAY each waits 40 ms for the client's acknowledgement."""
    with served(program, "darkroom") as server:
        url = server.until(r"--editor 'service:(.*)'")[1]
        server.until("ready after")
        with httpx2.Client(base_url=url) as client:
            seconds = [client.get("/health").elapsed.total_seconds() for _ in range(20)]
    assert sorted(seconds)[5] < 0.03


@pytest.mark.slow
def test_ctrl_c_does_not_wait_for_long_edits(program: list[str], folder: Path) -> None:
    (folder / "drowsy.py").write_text(
        "from editthinker.testing import ScriptedEditor\n"
        "class Editor(ScriptedEditor):\n"
        "    async def edit(self, request):\n"
        "        self._seconds = 60.0 if self.requests else 0.0\n"
        "        return await super().edit(request)\n",
        "utf-8",
    )
    with served(program, "drowsy:Editor") as server:
        url = server.until(r"--editor 'service:(.*)'")[1]
        server.until("ready after")
        with httpx2.Client(base_url=url) as client:
            image = base64.b64encode((folder / "photo.jpg").read_bytes()).decode()
            caller = threading.Thread(target=_post, args=(client, {"image": image, "prompt": "x"}))
            caller.start()
            while client.get("/status").json()["running"] == 0:
                time.sleep(0.01)
            assert server.interrupted() == 130
            caller.join()


def _post(client: httpx2.Client, order: dict[str, str]) -> None:
    with suppress(httpx2.HTTPError):  # its server is gone
        client.post("/edit", json=order)


@pytest.mark.parametrize(
    ("name", "known_as"),
    [
        ("darkroom", "darkroom"),
        ("diffusers:org/repo?steps=4", "org/repo"),
        ("diffusers:/data/models/klein", "klein"),
        ("diffusers:./klein/", "klein"),
        ("service:http://127.0.0.1:8003", "127.0.0.1:8003"),
        ("pkg.module:factory", "factory"),
    ],
)
def test_model_ids(name: str, known_as: str) -> None:
    assert model_id(name) == known_as
