"""A small server on a free port of 127.0.0.1, for scripts that measure what surrounds it."""

from __future__ import annotations

import socket
from typing import Any


def listen(app: Any) -> None:
    """Serve an ASGI app until the process ends; its port is printed first."""
    import uvicorn

    # With the protocol named, asyncio sets TCP_NODELAY; without, every answer waits 40 ms for an ACK.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        print(listener.getsockname()[1], flush=True)
        uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off")).run(sockets=[listener])


async def answer(send: Any, body: bytes) -> None:
    """Send JSON that is encoded already."""
    head = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": body})
