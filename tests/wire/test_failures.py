"""What goes wrong on the wire, from real sockets through both client libraries, as one clear sentence."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx2
import pytest
from openai import AsyncOpenAI

from editthinker.core.errors import EditorError, EditThinkerError, JudgeError, Refused, ThinkerError
from editthinker.core.types import Role
from editthinker.wire.failures import LONGEST, Peer, attributed, of_status
from editthinker.wire.secrets import Secret

KEY = "sk-0123456789abcdef"
PEER = Peer("editor", "x:model", "http://host/v1", Secret(KEY, "env:X_KEY"), "X_KEY")
Answer = Callable[[socket.socket], None]


@contextmanager
def answering(answer: Answer) -> Iterator[str]:
    """A server that reads one request per connection and lets `answer` do what it likes with the socket."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                _read_request(connection)
                with suppress(OSError):  # the client left, as some of these tests want it to
                    answer(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def _read_request(connection: socket.socket) -> None:
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65_536)
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    wanted = int(lengths[0].partition(b":")[2]) if lengths else 0
    while len(body) < wanted:
        body += connection.recv(65_536)


def status(code: int, body: Any = b"", headers: Mapping[str, str] | None = None) -> Answer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {code} X", f"content-length: {len(data)}", "connection: close"]
    if not isinstance(body, bytes):
        lines.append("content-type: application/json")
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return lambda connection: connection.sendall("\r\n".join([*lines, "", ""]).encode() + data)


def cut_short(connection: socket.socket) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n"
    connection.sendall(head + b'{"choices": [')


def nothing_at_all(connection: socket.socket) -> None:
    pass


def nonsense(connection: socket.socket) -> None:
    connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")


def half_json(connection: socket.socket) -> None:
    status(200, b'{"choices": [', {"content-type": "application/json"})(connection)


def silence(connection: socket.socket) -> None:
    connection.recv(1)  # until the client hangs up


def slow_drip(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n")
    while True:
        connection.sendall(b" ")
        time.sleep(0.02)


async def by_openai(url: str, timeout: float = 5.0) -> None:
    async with AsyncOpenAI(api_key=KEY, base_url=url, max_retries=0, timeout=timeout) as client:
        await client.chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}])


async def by_httpx2(url: str, timeout: float = 5.0) -> None:
    async with httpx2.AsyncClient(timeout=timeout) as client:
        response = await client.post(url, json={"prompt": "x"})
        response.raise_for_status()
        response.json()


CLIENTS = [by_openai, by_httpx2]


def failure(call: Callable[..., Any], answer: Answer, peer: Peer = PEER, **more: Any) -> EditThinkerError:
    """What `call` raises against a server that answers so."""

    async def attempt(url: str) -> None:
        with attributed(peer):
            async with asyncio.timeout(more.pop("whole", 10)):
                await call(url, **more)

    with answering(answer) as url, pytest.raises(EditThinkerError) as caught:
        asyncio.run(attempt(url))
    return caught.value


both = pytest.mark.parametrize("call", CLIENTS, ids=["openai", "httpx2"])


@both
@pytest.mark.parametrize(
    ("code", "words", "transient"),
    [
        (400, "does not accept the request (400)", False),
        (401, "does not accept the key from env:X_KEY (401)", False),
        (402, "wants to be paid first (402)", False),
        (403, "does not allow this to the key (403)", False),
        (404, "does not know the model or the address (404)", False),
        (408, "gave up waiting (408)", True),
        (409, "answers strangely (409)", True),
        (413, "says that the image is too large (413)", False),
        (415, "does not take this kind of image (415)", False),
        (422, "does not accept the request (422)", False),
        (429, "is asked too often (429)", True),
        (500, "is overloaded or broken (500)", True),
        (502, "is overloaded or broken (502)", True),
        (503, "is overloaded or broken (503)", True),
        (504, "is overloaded or broken (504)", True),
        (529, "is overloaded or broken (529)", True),
        (501, "is overloaded or broken (501)", False),
        (418, "answers strangely (418)", False),
    ],
)
def test_each_status(call: Callable[..., Any], code: int, words: str, transient: bool) -> None:
    error = failure(call, status(code, {"error": {"message": "the server's words"}}))
    assert str(error) == f"editor 'x:model' (http://host/v1) {words}: the server's words"
    assert isinstance(error, EditorError)
    assert error.transient is transient
    assert error.retry_after is None


@both
@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "words", "code": "x"}},
        {"error": "words"},
        {"detail": "words"},
        {"message": "words"},
        [{"error": {"message": "words"}}],
        b"words",
    ],
)
def test_the_servers_own_words_in_every_form(call: Callable[..., Any], body: Any) -> None:
    assert str(failure(call, status(500, body))).endswith("(500): words")


@both
@pytest.mark.parametrize("body", [b"", b"<html><h1>502 Bad Gateway</h1></html>", b"{}", b"[]", b"null"])
def test_bodies_without_words(call: Callable[..., Any], body: bytes) -> None:
    said = str(failure(call, status(502, body, {"content-type": "text/html"})))
    assert "<" not in said
    assert said.startswith("editor 'x:model' (http://host/v1) is overloaded or broken (502)")
    assert len(said) < 80


@both
def test_long_and_odd_words_are_cut_and_put_on_one_line(call: Callable[..., Any]) -> None:
    said = str(failure(call, status(400, {"error": {"message": "a\n\tb " * 500}})))
    assert "\n" not in said
    assert len(said) < LONGEST + 100
    assert "field required" in str(
        failure(call, status(422, {"detail": [{"loc": ["body", "prompt"], "msg": "field required"}]}))
    )


@both
@pytest.mark.parametrize(
    "code",
    ["moderation_blocked", "content_policy_violation", "content_filter", "IMAGE_GENERATION_USER_ERROR"],
)
def test_refusals_say_why(call: Callable[..., Any], code: str) -> None:
    error = failure(call, status(400, {"error": {"message": "unsafe", "code": code}}))
    assert isinstance(error, Refused)
    assert str(error).endswith("refused: unsafe")
    assert not error.transient


@both
def test_an_empty_purse_does_not_pass_by_waiting(call: Callable[..., Any]) -> None:
    body = {"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}}
    error = failure(call, status(429, body, {"retry-after": "5"}))
    assert "no credit left for this key (429): You exceeded your quota" in str(error)
    assert not error.transient


@both
@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("soon", None),
        ("", None),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
    ],
)
def test_retry_after_as_seconds(call: Callable[..., Any], value: str, seconds: float | None) -> None:
    error = failure(call, status(429, {}, {"Retry-After": value}))
    assert error.retry_after == seconds
    assert error.transient


@both
def test_retry_after_as_a_date(call: Callable[..., Any]) -> None:
    moment = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    error = failure(call, status(503, {}, {"retry-after": moment}))
    assert error.retry_after == pytest.approx(30, abs=5)


@both
def test_keys_are_taken_out_of_what_the_server_echoes(call: Callable[..., Any]) -> None:
    error = failure(call, status(401, {"error": {"message": f"Incorrect API key provided: {KEY}"}}))
    assert KEY not in str(error)
    assert "Incorrect API key provided: ***" in str(error)


def test_without_a_key_it_says_what_to_set() -> None:
    peer = Peer("editor", "x:model", key_hint="X_KEY")
    assert str(of_status(peer, 401)) == "editor 'x:model' does not accept the key (401); set X_KEY"


@both
def test_nobody_is_there(call: Callable[..., Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"

    async def attempt() -> None:
        with attributed(PEER):
            await call(url)

    with pytest.raises(EditorError, match=r"cannot be reached: .*; is the server running\?") as caught:
        asyncio.run(attempt())
    assert caught.value.transient


@both
@pytest.mark.parametrize("answer", [nothing_at_all, cut_short, nonsense])
def test_broken_connections(call: Callable[..., Any], answer: Answer) -> None:
    error = failure(call, answer)
    assert "broke the connection: " in str(error)
    assert error.transient


@both
def test_an_answer_that_is_cut_off_within_its_json(call: Callable[..., Any]) -> None:
    error = failure(call, half_json)
    assert str(error).endswith("sent an answer that cannot be read")
    assert error.transient


@both
def test_a_server_that_says_nothing(call: Callable[..., Any]) -> None:
    error = failure(call, silence, timeout=0.2)
    assert str(error).endswith("did not answer in time")
    assert error.transient


@pytest.mark.clock
@both
def test_a_drip_outlasts_the_limit_per_read_and_not_the_one_on_the_whole(call: Callable[..., Any]) -> None:
    begun = time.monotonic()
    error = failure(call, slow_drip, timeout=0.2, whole=0.6)
    assert str(error).endswith("did not answer in time")
    assert error.transient
    assert 0.5 < time.monotonic() - begun < 3


@pytest.mark.parametrize(
    ("role", "wanted", "refusal"),
    [
        ("editor", EditorError, Refused),
        ("thinker", ThinkerError, ThinkerError),
        ("judge", JudgeError, JudgeError),
    ],
)
def test_the_blame_follows_the_role(role: Role, wanted: type, refusal: type) -> None:
    peer = Peer(role, "x")
    assert type(of_status(peer, 500)) is wanted
    assert type(peer.refused("")) is refusal
    assert str(peer.refused("")) == f"{role} 'x' refused: it gave no reason"
    assert peer.error("says no", cost=0.25, retry_after=3.0).cost == 0.25


def test_bugs_and_our_own_errors_pass_through() -> None:
    with pytest.raises(KeyError), attributed(PEER):
        raise KeyError("a bug")
    ours = ThinkerError("already attributed")
    with pytest.raises(ThinkerError) as caught, attributed(PEER):
        raise ours
    assert caught.value is ours


async def test_cancelling_is_no_failure() -> None:
    with pytest.raises(asyncio.CancelledError), attributed(PEER):
        raise asyncio.CancelledError
