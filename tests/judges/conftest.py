"""A strict chat server for every test of a judge."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from peers.chat_server import ChatPeer
from peers.serving import serving


@pytest.fixture
def peer() -> ChatPeer:
    return ChatPeer()


@pytest.fixture
def url(peer: ChatPeer) -> Iterator[str]:
    with serving(peer.app) as address:
        yield f"{address}/v1"
