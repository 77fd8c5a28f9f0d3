"""What goes wrong on the wire, as one clear sentence with an owner.

In: an exception of an HTTP or provider library, or a status code with the server's words. Out: an error of
`core.errors` for the role that was called: the sentence says what to check, `transient` whether repeating may
help, `retry_after` when. Keys are removed from whatever a server echoes.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from editthinker.core.errors import FAILURES, EditThinkerError, Refused
from editthinker.core.types import Role
from editthinker.wire.bounded import TooMuch
from editthinker.wire.secrets import NONE, Secret

TRANSIENT = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
SPENT = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
"""Codes that come as 429 and do not pass by waiting."""
REFUSALS = frozenset(
    {
        "moderation_blocked",
        "content_policy_violation",
        "content_filter",
        "image_generation_user_error",
        "responsible_ai_policy_violation",
        "safety",
    }
)
LONGEST = 400
"""Characters of a server's own words that are kept."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Who was called, for messages."""

    role: Role
    name: str
    """Such as "openai:gpt-image-2"."""
    url: str = ""
    secret: Secret = NONE
    key_hint: str = ""
    """What to set when the key is missing or wrong, such as "OPENAI_API_KEY"."""

    @property
    def label(self) -> str:
        """`editor 'openai:gpt-image-2' (http://127.0.0.1:8000/v1)`."""
        return f"{self.role} {self.name!r}" + (f" ({self.url})" if self.url else "")

    def error(
        self, sentence: str, *, transient: bool = False, retry_after: float | None = None, cost: float = 0.0
    ) -> EditThinkerError:
        """An error of this peer's branch; `sentence` continues its name."""
        error = FAILURES[self.role](self.secret.hidden_in(f"{self.label} {sentence}"))
        error.transient, error.retry_after, error.cost = transient, retry_after, cost
        return error

    def refused(self, reason: str) -> EditThinkerError:
        """The provider declined the words or the image; for editors that is a class of its own."""
        sentence = self.secret.hidden_in(f"{self.label} refused: {reason.strip() or 'it gave no reason'}")
        error = Refused(sentence) if self.role == "editor" else FAILURES[self.role](sentence)
        error.refused = True
        return error


def of_status(
    peer: Peer, status: int, body: Any = None, headers: Mapping[str, str] | None = None
) -> EditThinkerError:
    """The error for an HTTP status with the server's body (text or JSON)."""
    error = _of_status(peer, status, body, headers or {})
    error.status = status
    return error


def _of_status(peer: Peer, status: int, body: Any, headers: Mapping[str, str]) -> EditThinkerError:
    words, codes = _said(body)
    said = peer.secret.hidden_in(words)[:LONGEST]
    if codes & REFUSALS:
        return peer.refused(said)
    because = f": {said}" if said else ""
    hint = f"; set {peer.key_hint}" if peer.key_hint else ""
    if status == 401:
        where = f" from {peer.secret.origin}" if peer.secret else ""
        return peer.error(f"does not accept the key{where} (401){because}{'' if peer.secret else hint}")
    if status == 429 and codes & SPENT:
        return peer.error(f"has no credit left for this key (429){because}")
    sentence = {
        400: "does not accept the request",
        402: "wants to be paid first",
        403: "does not allow this to the key",
        404: "does not know the model or the address",
        408: "gave up waiting",
        413: "says that the image is too large",
        415: "does not take this kind of image",
        422: "does not accept the request",
        429: "is asked too often",
    }.get(status) or {
        3: "wants the call to go somewhere else",
        5: "is overloaded or broken",
    }.get(status // 100, "answers strangely")
    waiting = _retry_after(headers)
    return peer.error(f"{sentence} ({status}){because}", transient=status in TRANSIENT, retry_after=waiting)


@contextmanager
def attributed(peer: Peer) -> Iterator[None]:
    """Turn what the openai client, httpx2 or a socket raises into an error of `peer`."""
    try:
        yield
    except EditThinkerError:
        raise
    except Exception as error:
        translated = _translated(peer, error)
        if translated is None:
            raise
        raise translated from error


def _translated(peer: Peer, error: Exception) -> EditThinkerError | None:
    """By shape, not by class: the libraries are not imported for an error they did not raise."""
    if too_much := next((cause for cause in _causes(error) if isinstance(cause, TooMuch)), None):
        return peer.error(str(too_much), transient=True)
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    if isinstance(status, int):
        body = getattr(error, "body", None)
        return of_status(peer, status, body if body is not None else _body(response), response.headers)  # type: ignore[union-attr]
    names = {kind.__name__ for kind in type(error).__mro__}
    if names & {"APITimeoutError", "TimeoutException", "TimeoutError"}:
        return peer.error("did not answer in time", transient=True)
    if names & {"APIConnectionError", "ConnectError"} and _is_connect(error):
        return peer.error(f"cannot be reached: {_root(error)}; is the server running?", transient=True)
    if names & {"APIConnectionError", "TransportError", "NetworkError", "ConnectionError", "HTTPError"}:
        return peer.error(f"broke the connection: {_root(error)}", transient=True)
    # The JSON of Python complains by ValueError, of what is nested too deeply by RecursionError.
    if names & {"APIResponseValidationError", "ValueError", "RecursionError", "DecodingError"}:
        return peer.error("sent an answer that cannot be read", transient=True)
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it came from, the innermost last."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_connect(error: BaseException) -> bool:
    names = ("ConnectError", "ConnectTimeout", "gaierror", "ConnectionRefusedError")
    return any(type(cause).__name__ in names for cause in _causes(error))


def _root(error: BaseException) -> str:
    """The words of the innermost cause that has any; a socket's in plain ones."""
    words = type(error).__name__
    for cause in _causes(error):
        error, words = cause, str(cause) or words
    if isinstance(error, ConnectionRefusedError):
        return "nobody listens there"
    if isinstance(error, socket.gaierror):
        return "there is no such host"
    return words[:LONGEST]


def _body(response: Any) -> Any:
    try:
        return response.text
    except Exception:  # noqa: BLE001 - a stream that was not read has no text, and that is all we need to know
        return None


def _said(body: Any) -> tuple[str, frozenset[str]]:
    """The server's own sentence, and its error codes in lower case."""
    if isinstance(body, bytes):
        body = body.decode("utf-8", "replace")
    if isinstance(body, str):
        try:
            body = json.loads(body)
        except ValueError:
            return ("" if body.lstrip()[:1] == "<" else " ".join(body.split())), frozenset()
    if isinstance(body, list) and body:
        body = body[0]
    if not isinstance(body, dict):
        return "", frozenset()
    inner = body.get("error", body)
    if not isinstance(inner, dict):
        return str(inner), frozenset()
    codes = {str(inner[key]).lower() for key in ("code", "type", "status") if inner.get(key)}
    words = next((inner[key] for key in ("message", "detail", "msg", "error") if inner.get(key)), "")
    text = words if isinstance(words, str) else json.dumps(words, ensure_ascii=False)
    return " ".join(text.split()), frozenset(codes)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds from `Retry-After`, which holds seconds or a date."""
    value = headers.get("retry-after") or headers.get("Retry-After")
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None
