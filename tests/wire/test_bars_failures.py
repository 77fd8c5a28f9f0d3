"""What a server throws back: no key by halves, no image, no untyped error."""

from __future__ import annotations

import base64

import pytest

from editthinker.core.errors import EditorError
from editthinker.wire.failures import LONGEST, Peer, attributed, of_status
from editthinker.wire.secrets import Secret

KEY = "canary-7f3a9c1e5b+/?>-long"
PEER = Peer("editor", "any", secret=Secret(KEY, "env:CANARY"))


@pytest.mark.parametrize("before", [0, LONGEST - len(KEY) // 2, LONGEST - 3])
@pytest.mark.parametrize(
    "shape", ["{}", '{{"detail": "{}"}}', '{{"error": "{}"}}', '{{"error": {{"message": "{}"}}}}']
)
def test_a_key_is_hidden_before_the_words_are_cut(shape: str, before: int) -> None:
    told = str(of_status(PEER, 500, shape.format("x" * before + KEY)))
    assert KEY[:8] not in told
    assert len(told) < LONGEST + 100


@pytest.mark.parametrize("coded", [base64.b64encode, base64.urlsafe_b64encode])
def test_a_key_in_base64_is_hidden(coded: type[bytes]) -> None:
    assert str(PEER.error(f"says {coded(KEY.encode()).decode()}")).rstrip("=").endswith("says ***")


@pytest.mark.parametrize(
    "error", [RecursionError(), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "x"), ValueError()]
)
def test_an_answer_that_python_cannot_read_is_the_servers_fault(error: Exception) -> None:
    with pytest.raises(EditorError, match="cannot be read") as caught, attributed(PEER):
        raise error
    assert caught.value.transient


def test_a_redirect_is_an_error() -> None:
    error = of_status(PEER, 307, "", {"location": "http://elsewhere"})
    assert "somewhere else (307)" in str(error)
    assert not error.transient
