"""Words and images to an OpenAI-compatible multimodal endpoint; its words back, counted and priced.

In: a model id, a connection, parts (text and pictures in order), and perhaps the form the reply must have.
Out: a `ChatReply`. Thinkers and judges share it. An image is encoded once for all calls that show it, off the
event loop, never larger than `pixels`. One call is one request; only a server that does not know guided
decoding is asked a second time without it, and then never with it again. Requests are written here and not by
OpenAI's library, which costs more than all the rest of a call (docs/decisions/0006).
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field

from editthinker.core.errors import EditThinkerError
from editthinker.core.images import Picture, size_within
from editthinker.core.settings import Extra
from editthinker.core.types import Role
from editthinker.wire import prices, secrets
from editthinker.wire.connection import Connection, PerLoop, http_client, is_ones_own
from editthinker.wire.failures import Peer, attributed, of_status
from editthinker.wire.pictures import Shape, as_base64

if TYPE_CHECKING:
    from httpx2 import AsyncClient

USUAL_KEYS = ("OPENAI_API_KEY",)
OPENAI_HOST = "api.openai.com"
OPENAI_HEADERS = {"OpenAI-Organization": "OPENAI_ORG_ID", "OpenAI-Project": "OPENAI_PROJECT_ID"}
"""Headers for OpenAI alone, and the variables they come from."""
TRAINED_PIXELS = 1024 * 1024
"""What EditThinker was trained with (paper section 5.1)."""
_MOST_TOKENS = 10**9
EXPECTED_TOKENS = (3_500, 600)
"""Tokens in and out of one critique of two images, for estimates only."""


class ChatSettings(Connection):
    """What can be set on a chat endpoint."""

    temperature: float | None = Field(None, ge=0, le=2, description="None leaves it to the server")
    seed: int | None = Field(None, description="sampling seed; None sends none")
    max_tokens: int = Field(4096, gt=0, description="longest reply, reasoning included")
    pixels: int = Field(TRAINED_PIXELS, ge=1024, description="images are shrunk to this many pixels")
    image_format: Literal["png", "jpeg"] = Field("png", description="png keeps artefacts visible as they are")
    side: int | None = Field(None, ge=32, description="longest side an image is shrunk to; None: no limit")
    detail: Literal["", "auto", "low", "high", "original"] = Field(
        "", description="OpenAI's image detail; '' sends none"
    )
    tokens_key: Literal["auto", "max_tokens", "max_completion_tokens"] = Field(
        "auto", description="field for max_tokens; auto: max_completion_tokens at OpenAI, else max_tokens"
    )
    guided: Literal["auto", "off", "json", "regex"] = Field(
        "auto",
        description="hold the reply to its form: auto does so for JSON replies where the server can, json and"
        " regex (replies in tags; vLLM, SGLang) insist on it",
    )
    price_in: float | None = Field(None, ge=0, description="US dollars per million tokens in")
    price_out: float | None = Field(None, ge=0, description="US dollars per million tokens out")
    extra: Extra = Field(default_factory=dict, description="fields sent as they are: extra.top_k=1")


@dataclass(frozen=True, slots=True)
class Guide:
    """The form a reply must have, for servers with guided decoding."""

    schema: Mapping[str, Any] | None = None
    regex: str | None = None

    def fields(self, mode: str) -> tuple[str, dict[str, Any]]:
        """How it is called in records, and the request's fields; nothing when `mode` does not want it."""
        if self.schema is not None and mode != "off":
            schema = {"name": "reply", "strict": True, "schema": self.schema}
            return "json_schema", {"response_format": {"type": "json_schema", "json_schema": schema}}
        if self.regex is not None and mode == "regex":
            # vLLM reads the first, SGLang the second (docs: structured outputs); each ignores the other.
            return "regex", {"structured_outputs": {"regex": self.regex}, "regex": self.regex}
        return "", {}


@dataclass(frozen=True, slots=True)
class Encoded:
    """An image that is sent as it is: these bytes, under this media type."""

    data: bytes
    media_type: str
    detail: str = ""
    """OpenAI's image detail; "" leaves it to the settings."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """What one request asks for in place of the settings; None leaves it to them."""

    temperature: float | None = None
    seed: int | None = None
    max_tokens: int | None = None

    def over(self, settings: ChatSettings) -> Sampling:
        """What then holds."""
        given = {key: value for key, value in asdict(self).items() if value is not None}
        return Sampling(**{key: given.get(key, getattr(settings, key)) for key in asdict(self)})


@dataclass(frozen=True, slots=True)
class ChatReply:
    """What came back."""

    text: str
    reasoning: str = ""
    """The separate reasoning field of reasoning models."""
    finish: str = ""
    """`stop`, `length`, `content_filter`, ..."""
    cost: float = 0.0
    notes: Mapping[str, Any] = field(default_factory=dict)
    """Model, tokens, temperature, seed: what belongs into the record."""


class Chat:
    """One model at one endpoint, for one role."""

    def __init__(self, model: str, settings: ChatSettings, role: Role, name: str) -> None:
        """`name` is what messages call it. Raises `InputError` for a key that is not there."""
        self.model, self.settings = model, settings
        secret = secrets.read(settings.key, usual=() if settings.base_url else USUAL_KEYS)
        self.peer = Peer(role, name, settings.base_url, secret, "" if settings.base_url else USUAL_KEYS[0])
        hosted = not (settings.base_url and is_ones_own(settings.base_url))
        self._rate = prices.tokens(model, settings.price_in, settings.price_out, hosted=hosted)
        self._url = address(settings.base_url or os.environ.get("OPENAI_BASE_URL", ""))
        headers = {} if settings.base_url else OPENAI_HEADERS
        known = {name: os.environ[variable] for name, variable in headers.items() if variable in os.environ}
        self._clients: PerLoop[AsyncClient] = PerLoop(
            lambda: http_client("", settings.timeout, secret, known), lambda client: client.aclose()
        )
        self._unguided = False
        """Whether the server has turned out not to know guided decoding."""

    @property
    def price(self) -> float | None:
        """US dollars one critique is expected to cost; None when the model's price is unknown."""
        return self._rate.of(*EXPECTED_TOKENS) if self._rate else None

    def failure(self, sentence: str, cost: float = 0.0) -> EditThinkerError:
        """An error of this endpoint that keeps what was spent."""
        return self.peer.error(sentence, cost=cost)

    async def ask(
        self,
        parts: Sequence[str | Picture | Encoded],
        guide: Guide | None = None,
        sampling: Sampling | None = None,
    ) -> ChatReply:
        """One completion for one user message.

        Raises the error of this endpoint's role: unreachable, not authorised, overloaded, declined, or an
        answer that is no chat completion. A reply that was cut off comes back with finish "length".
        """
        settings, drawn = self.settings, (sampling or Sampling()).over(self.settings)
        message = b",".join([await self._part(part) for part in parts])
        sampled = {"temperature": drawn.temperature, "seed": drawn.seed}
        request: dict[str, Any] = {"model": self.model, self._tokens_key: drawn.max_tokens}
        request |= {key: value for key, value in sampled.items() if value is not None}
        name, fields = ("", {}) if self._unguided or not guide else guide.fields(settings.guided)
        with attributed(self.peer):
            try:
                completion = await self._completion(request | fields, message)
            except EditThinkerError as error:
                if not (error.status in (400, 422) and name and settings.guided == "auto"):
                    raise
                name = ""
                completion = await self._completion(request, message)
                self._unguided = True
        return self._read(completion, name, drawn)

    async def _completion(self, request: Mapping[str, Any], message: bytes) -> Any:
        """One request. The time limit covers the whole of it: a server that drips is not waited for."""
        head = json.dumps({**request, **self.settings.extra}, allow_nan=False).encode()
        body = head[:-1] + b', "messages": [{"role": "user", "content": [' + message + b"]}]}"
        async with asyncio.timeout(self.settings.timeout):
            client = await self._clients.get()
            headers = {"Content-Type": "application/json", "Accept": "application/json"}
            response = await client.post(self._url, content=body, headers=headers)
        if not response.is_success:
            raise of_status(self.peer, response.status_code, response.text, response.headers)
        try:
            return response.json()
        except ValueError:
            if "json" in response.headers.get("content-type", ""):
                raise
            return None  # a page, or words

    @property
    def _tokens_key(self) -> str:
        key = self.settings.tokens_key
        if key != "auto":
            return key
        host = urlsplit(self.settings.base_url).hostname or OPENAI_HOST
        return "max_completion_tokens" if host == OPENAI_HOST else "max_tokens"

    def _read(self, completion: Any, guided: str, drawn: Sampling) -> ChatReply:
        answer = _fields(completion)
        choices = answer.get("choices")
        choice = _fields(choices[0] if isinstance(choices, list) and choices else None)
        message, usage = _fields(choice.get("message")), _fields(answer.get("usage"))
        if not message:
            raise self.peer.error("sent an answer that is no chat completion", transient=True)
        sent, received = _number(usage.get("prompt_tokens")), _number(usage.get("completion_tokens"))
        cost = self._rate.of(sent, received) if self._rate else 0.0
        notes = {
            "model": _words(answer, "model") or self.model,
            "tokens_in": sent,
            "tokens_out": received,
            "temperature": drawn.temperature,
            "seed": drawn.seed,
            "guided": guided or None,
        }
        reply = ChatReply(
            text=_words(message, "content"),
            # VLLM and SGLang say the one or the other, others nothing.
            reasoning=_words(message, "reasoning_content") or _words(message, "reasoning"),
            finish=_words(choice, "finish_reason"),
            cost=cost,
            notes={key: value for key, value in notes.items() if value is not None},
        )
        declined = _words(message, "refusal")
        if declined or reply.finish == "content_filter":
            error = self.peer.refused(declined or "the provider's content filter stopped the reply")
            error.cost = cost
            raise error
        return reply

    async def _part(self, part: str | Picture | Encoded) -> bytes:
        """A part of the message, as JSON; images need no escaping and are put in as they are."""
        if isinstance(part, str):
            return json.dumps({"type": "text", "text": part.encode("utf-8", "replace").decode()}).encode()
        detail: str = self.settings.detail
        if isinstance(part, Encoded):
            media_type, data, detail = part.media_type, base64.b64encode(part.data), part.detail or detail
        else:
            media_type, data = f"image/{self.settings.image_format}", await self._data(part)
        image = {**({"detail": detail} if detail else {}), "url": f"data:{media_type};base64,"}
        head = json.dumps({"type": "image_url", "image_url": image}).encode()
        return head.removesuffix(b'"}}') + data + b'"}}'

    async def _data(self, picture: Picture) -> bytes:
        """The picture as base64, shrunk to what is shown of it."""
        settings, (width, height) = self.settings, size_within(picture.size, self.settings.pixels)
        if settings.side and (scale := settings.side / max(width, height)) < 1:
            width, height = max(1, round(width * scale)), max(1, round(height * scale))
        shape = Shape(f"image/{settings.image_format}", (width, height))
        return await as_base64(
            picture, shape, lambda: picture.flattened().resized(shape.size).encode(shape.media_type)
        )


def address(base_url: str) -> str:
    """Where completions are asked for; what stands behind a question mark stays there, as Azure wants it."""
    parts = urlsplit(base_url or f"https://{OPENAI_HOST}/v1")
    return parts._replace(path=f"{parts.path.rstrip('/')}/chat/completions").geturl()


def _fields(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _words(fields: Mapping[str, Any], name: str) -> str:
    return value if isinstance(value := fields.get(name), str) else ""


def _number(value: Any) -> int:
    return value if isinstance(value, int) and 0 < value < _MOST_TOKENS else 0
