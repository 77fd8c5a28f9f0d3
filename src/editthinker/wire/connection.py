"""Where a server is and how to talk to it; one client per event loop, closed when the loop ends.

A client keeps connections that belong to the loop they were opened in, while an adapter may be used from
several (one `asyncio.run` after another). So an adapter holds a `PerLoop` of its client, never a client.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Generic, TypeVar
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from pydantic import Field, field_validator

from editthinker.core.settings import Settings
from editthinker.wire import secrets
from editthinker.wire.bounded import HOOKS

if TYPE_CHECKING:
    import ssl

    from httpx2 import AsyncClient
    from openai import AsyncOpenAI

Client = TypeVar("Client")

CONNECT_SECONDS = 10.0
MOST_CONNECTIONS = 1000
"""At a time to one server; how many calls it is given is decided elsewhere."""
LOCAL_KEY = "none"
"""What is sent where a client library insists on a key and the server wants none."""


_KEEPERS: WeakKeyDictionary[asyncio.AbstractEventLoop, set[AsyncGenerator[None, None]]] = WeakKeyDictionary()
"""What closes the clients of a loop when it ends, also those whose adapter is forgotten before."""


class Connection(Settings):
    """Settings that every remote model has."""

    base_url: str = Field("", description="server, such as http://127.0.0.1:8000/v1")
    key: str = Field("", description=f"where the key is: {secrets.FORMS}")
    timeout: float = Field(600.0, gt=0, description="seconds one call may take")

    @field_validator("base_url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        return checked_url(value) if value else value


def checked_url(value: str) -> str:
    """`value` without its final slash. Raises `ValueError` when it is no http(s) URL or holds a password."""
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ValueError("must be a URL that starts with http:// or https://")
    if parts.password:
        raise ValueError("must not hold a password; use the setting 'key'")
    return value.rstrip("/")


def is_ones_own(url: str) -> bool:
    """Whether a server costs nothing a call: it is on this machine or in a private network."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return "." not in host or host.endswith((".local", ".localhost", ".internal", ".lan"))


def http_client(
    url: str, timeout: float, secret: secrets.Secret, headers: Mapping[str, str] | None = None
) -> AsyncClient:
    """A client of one server, which gets the key with every request if there is one."""
    from httpx2 import AsyncClient, Limits, Timeout

    key = {"Authorization": f"Bearer {secret.value}"} if secret else {}
    return AsyncClient(
        base_url=url,
        headers={**(headers or {}), **key},
        timeout=Timeout(timeout, connect=CONNECT_SECONDS),
        limits=Limits(max_connections=MOST_CONNECTIONS, max_keepalive_connections=MOST_CONNECTIONS),
        verify=_trusted(),
        event_hooks=HOOKS,
    )


@cache
def _trusted() -> ssl.SSLContext:
    """Who is believed to be who they say; one for all clients, since it takes 20 ms to read."""
    from httpx2 import create_ssl_context

    return create_ssl_context()


def openai_client(connection: Connection, secret: secrets.Secret) -> AsyncOpenAI:
    """OpenAI's own client, without its retries: the desk repeats, counts and records every attempt.

    It sends no idempotency key, so each attempt may be paid for. Redirects are not followed: what is sent is
    for this server only.
    """
    from openai import AsyncOpenAI, DefaultAsyncHttpx2Client, Timeout

    return AsyncOpenAI(
        api_key=secret.value or LOCAL_KEY,
        base_url=connection.base_url or None,
        timeout=Timeout(connection.timeout, connect=CONNECT_SECONDS),
        max_retries=0,
        http_client=DefaultAsyncHttpx2Client(follow_redirects=False, event_hooks=HOOKS),
    )


class PerLoop(Generic[Client]):
    """Makes one client for each event loop that asks; it is closed when that loop shuts down."""

    def __init__(self, make: Callable[[], Client], close: Callable[[Client], Awaitable[object]]) -> None:
        self._make, self._close = make, close
        self._held: WeakKeyDictionary[asyncio.AbstractEventLoop, Client] = WeakKeyDictionary()

    async def get(self) -> Client:
        """The client of the running loop."""
        loop = asyncio.get_running_loop()
        if loop not in self._held:
            client = self._make()
            keeper = self._keep(client)
            self._held[loop] = client
            _KEEPERS.setdefault(loop, set()).add(keeper)
            await anext(keeper)
        return self._held[loop]

    async def _keep(self, client: Client) -> AsyncGenerator[None, None]:
        """Suspended for the life of the loop: `asyncio.run` finalises it at the end."""
        try:
            yield
        finally:
            loop = asyncio.get_running_loop()
            self._held.pop(loop, None)  # clients hold on to their loop
            _KEEPERS.pop(loop, None)
            await self._close(client)
