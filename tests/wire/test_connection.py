"""One client for each event loop, closed with it; addresses that are addresses."""

from __future__ import annotations

import asyncio
import gc
import threading

import pytest

from editthinker.core.errors import InputError
from editthinker.wire.connection import Connection, PerLoop, checked_url


class Client:
    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.closed_in: asyncio.AbstractEventLoop | None = None

    async def close(self) -> None:
        await asyncio.sleep(0)  # closing may need the loop
        self.closed_in = asyncio.get_running_loop()


def held() -> tuple[PerLoop[Client], list[Client]]:
    made: list[Client] = []

    def make() -> Client:
        made.append(Client())
        return made[-1]

    return PerLoop(make, lambda client: client.close()), made


def test_one_client_in_a_loop_closed_when_the_loop_ends() -> None:
    clients, made = held()

    async def use() -> None:
        first = await clients.get()
        assert await clients.get() is first
        assert first.closed_in is None, "open as long as the loop runs"

    asyncio.run(use())
    assert len(made) == 1
    assert made[0].closed_in is made[0].loop


def test_a_forgotten_holder_leaves_no_client_open() -> None:
    clients, made = held()

    async def use() -> None:
        nonlocal clients
        await clients.get()
        del clients
        gc.collect()
        assert made[0].closed_in is None, "closed with its loop, in order"

    asyncio.run(use())
    assert made[0].closed_in is made[0].loop


def test_callers_at_the_same_time_share_it() -> None:
    clients, made = held()

    async def use() -> None:
        got = await asyncio.gather(*(clients.get() for _ in range(20)))
        assert len(set(map(id, got))) == 1

    asyncio.run(use())
    assert len(made) == 1


def test_each_loop_has_its_own() -> None:
    clients, made = held()
    for _ in range(3):
        asyncio.run(clients.get())
    assert len(made) == 3
    assert all(client.closed_in is client.loop for client in made)
    assert len({id(client.loop) for client in made}) == 3


def test_loops_of_several_threads_at_once() -> None:
    clients, made = held()
    barrier = threading.Barrier(3)

    async def use() -> None:
        client = await clients.get()
        barrier.wait(5)  # all three loops are running, each with its client
        assert client.loop is asyncio.get_running_loop()
        assert client.closed_in is None

    threads = [threading.Thread(target=asyncio.run, args=(use(),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert len(made) == 3
    assert all(client.closed_in is client.loop for client in made)


def test_a_loop_that_fails_closes_it_too() -> None:
    clients, made = held()

    async def use() -> None:
        await clients.get()
        raise KeyError("a bug")

    with pytest.raises(KeyError):
        asyncio.run(use())
    assert made[0].closed_in is made[0].loop


def test_a_cancelled_caller_leaves_it_to_the_others() -> None:
    clients, made = held()

    async def use() -> None:
        call = asyncio.ensure_future(clients.get())
        call.cancel()
        await asyncio.wait({call})
        assert (await clients.get()).closed_in is None

    asyncio.run(use())
    assert made[-1].closed_in is made[-1].loop


def test_nothing_is_kept_of_loops_that_are_gone() -> None:
    clients, made = held()
    for _ in range(3):
        asyncio.run(clients.get())
    made.clear()
    gc.collect()
    assert len(clients._held) == 0


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000/v1"),
        ("https://host/v1/", "https://host/v1"),
        ("http://[::1]:80", "http://[::1]:80"),
        ("http://user@host", "http://user@host"),
    ],
)
def test_addresses(given: str, kept: str) -> None:
    assert checked_url(given) == kept


@pytest.mark.parametrize("given", ["127.0.0.1:8000", "ftp://host", "http://", "host/v1", "http:/host"])
def test_what_is_no_address(given: str) -> None:
    with pytest.raises(ValueError, match="http://"):
        checked_url(given)
    with pytest.raises(InputError, match="setting 'base_url': must be a URL"):
        Connection.read("editor 'x'", {"base_url": given})


def test_a_password_in_an_address_is_refused() -> None:
    with pytest.raises(InputError, match="must not hold a password"):
        Connection.read("editor 'x'", {"base_url": "http://me:secret@host/v1"})


def test_settings_of_every_remote_model() -> None:
    read = Connection.read("editor 'x'", {"base_url": "http://host/", "timeout": "2.5", "key": "env:K"})
    assert (read.base_url, read.timeout, read.key) == ("http://host", 2.5, "env:K")
    with pytest.raises(InputError, match="did you mean 'timeout'"):
        Connection.read("editor 'x'", {"timout": "3"})
    with pytest.raises(InputError, match="timeout"):
        Connection.read("editor 'x'", {"timeout": "0"})
