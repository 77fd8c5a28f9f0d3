"""Who may come in, and with how much: asked before a byte of the body is read.

In: any ASGI application. Out: the same behind a bearer token, a limit on the body, and no requests that a web
page made a browser send. Health and the front page answer everyone.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable

from fastapi import HTTPException
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from editthinker.serve.answers import failure

OPEN = frozenset({"/", "/health"})


class Guard:
    """An ASGI middleware; `token` "" lets every program in."""

    def __init__(self, app: ASGIApp, *, token: str, max_bytes: int, entered: Callable[[], None]) -> None:
        """`entered` is called at every request, in the event loop that serves it."""
        self._app, self._token, self._max_bytes, self._entered = app, token, max_bytes, entered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self._entered()
        path, headers = scope["path"], Headers(scope=scope)
        refusal = None if path in OPEN else self._refused(headers)
        if refusal:
            await failure(path, *refusal)(scope, receive, send)
        else:
            await self._app(scope, self._limited(receive), send)

    def _refused(self, headers: Headers) -> tuple[int, str] | None:
        if self._token:
            given = headers.get("authorization", "").encode()
            if not hmac.compare_digest(given, f"Bearer {self._token}".encode()):
                return 401, "this server wants its token: Authorization: Bearer ..."
        elif "origin" in headers:
            # Any web page can make a browser on this machine post a form to 127.0.0.1.
            return 403, "requests of web pages need a token; start the server with --token-from"
        length = headers.get("content-length", "")
        if length.isdigit() and int(length) > self._max_bytes:
            return 413, self._too_large
        return None

    @property
    def _too_large(self) -> str:
        return f"the request has more than {self._max_bytes / 2**20:g} MiB"

    def _limited(self, receive: Receive) -> Receive:
        """A body that gives no length, or a wrong one, is counted as it comes."""
        left = self._max_bytes

        async def counted() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise HTTPException(413, self._too_large)
            return message

        return counted
