"""Words and images to an OpenAI-compatible multimodal endpoint; its words back, counted and priced.

In: a model id, a connection, parts (text and pictures in order), and perhaps the form the reply must have.
Out: a `ChatReply`. Thinkers and judges share it. An image is encoded once for all calls that show it, off the
event loop, never larger than `pixels`. One call is one request; only a server that does not know guided
decoding is asked a second time without it, and then never with it again.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from pydantic import Field

from editthinker.core.errors import EditThinkerError
from editthinker.core.images import Picture
from editthinker.core.settings import Extra
from editthinker.core.types import Role
from editthinker.wire import prices, secrets
from editthinker.wire.connection import Connection, PerLoop, is_ones_own, openai_client
from editthinker.wire.failures import Peer, attributed

if TYPE_CHECKING:
    from openai import AsyncOpenAI
    from openai.types.chat import ChatCompletion

USUAL_KEYS = ("OPENAI_API_KEY",)
OPENAI_HOST = "api.openai.com"
TRAINED_PIXELS = 1024 * 1024
"""What EditThinker was trained with (paper section 5.1)."""
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
            body = {"structured_outputs": {"regex": self.regex}, "regex": self.regex}
            return "regex", {"extra_body": body}
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
        self._clients: PerLoop[AsyncOpenAI] = PerLoop(
            lambda: openai_client(settings, secret), lambda client: client.close()
        )
        self._encoded: WeakKeyDictionary[Picture, asyncio.Future[str]] = WeakKeyDictionary()
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
        content = [await self._part(part) for part in parts]
        request: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": "user", "content": content}],
            self._tokens_key: drawn.max_tokens,
        }
        sampled = {"temperature": drawn.temperature, "seed": drawn.seed}
        request |= {key: value for key, value in sampled.items() if value is not None}
        name, fields = ("", {}) if self._unguided or not guide else guide.fields(settings.guided)
        with attributed(self.peer):
            try:
                completion = await self._completion(request, fields)
            except Exception as error:
                refused = getattr(error, "status_code", 0) in (400, 422)
                if not (refused and name and settings.guided == "auto"):
                    raise
                name = ""
                completion = await self._completion(request, {})
                self._unguided = True
        return self._read(completion, name, drawn)

    async def _completion(self, request: Mapping[str, Any], guided: Mapping[str, Any]) -> Any:
        """One request. The time limit covers the whole of it: a server that drips is not waited for."""
        extra = {**guided.get("extra_body", {}), **self.settings.extra}
        fields = {**request, **guided, "extra_body": extra or None}
        async with asyncio.timeout(self.settings.timeout):
            client = await self._clients.get()
            return await client.chat.completions.create(**fields)

    @property
    def _tokens_key(self) -> str:
        key = self.settings.tokens_key
        if key != "auto":
            return key
        host = urlsplit(self.settings.base_url).hostname or OPENAI_HOST
        return "max_completion_tokens" if host == OPENAI_HOST else "max_tokens"

    def _read(self, completion: ChatCompletion, guided: str, drawn: Sampling) -> ChatReply:
        choices = getattr(completion, "choices", None)
        if not choices or not getattr(choices[0], "message", None):
            raise self.peer.error("sent an answer that is no chat completion", transient=True)
        message, usage = choices[0].message, getattr(completion, "usage", None)
        sent = getattr(usage, "prompt_tokens", None) or 0
        received = getattr(usage, "completion_tokens", None) or 0
        cost = self._rate.of(sent, received) if self._rate else 0.0
        notes = {
            "model": getattr(completion, "model", None) or self.model,
            "tokens_in": sent,
            "tokens_out": received,
            "temperature": drawn.temperature,
            "seed": drawn.seed,
            "guided": guided or None,
        }
        reply = ChatReply(
            text=message.content or "",
            reasoning=_reasoning(message),
            finish=choices[0].finish_reason or "",
            cost=cost,
            notes={key: value for key, value in notes.items() if value is not None},
        )
        declined = getattr(message, "refusal", None)
        if declined or reply.finish == "content_filter":
            error = self.peer.refused(str(declined or "the provider's content filter stopped the reply"))
            error.cost = cost
            raise error
        return reply

    async def _part(self, part: str | Picture | Encoded) -> dict[str, Any]:
        if isinstance(part, str):
            return {"type": "text", "text": part.encode("utf-8", "replace").decode()}
        detail: str = self.settings.detail
        if isinstance(part, Encoded):
            url, detail = _url_of(part.data, part.media_type), part.detail or detail
        else:
            url = await self._url(part)
        image = {"url": url, **({"detail": detail} if detail else {})}
        return {"type": "image_url", "image_url": image}

    async def _url(self, picture: Picture) -> str:
        """The picture as a data URL, made once however many calls show it at the same time."""
        made = self._encoded.get(picture)
        if made is None or made.cancelled() or made.get_loop() is not asyncio.get_running_loop():
            made = asyncio.ensure_future(asyncio.to_thread(self._data_url, picture))
            self._encoded[picture] = made
        return await asyncio.shield(made)

    def _data_url(self, picture: Picture) -> str:
        media_type = f"image/{self.settings.image_format}"
        shown = picture.flattened().within(self.settings.pixels)
        (width, height), side = shown.size, self.settings.side or max(shown.size)
        if (scale := side / max(width, height)) < 1:
            shown = shown.resized((max(1, round(width * scale)), max(1, round(height * scale))))
        return _url_of(shown.encode(media_type), media_type)


def _url_of(data: bytes, media_type: str) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def _reasoning(message: Any) -> str:
    """VLLM and SGLang say `reasoning_content` or `reasoning`, others nothing."""
    for name in ("reasoning_content", "reasoning"):
        words = getattr(message, name, None)
        if isinstance(words, str) and words:
            return words
    return ""
