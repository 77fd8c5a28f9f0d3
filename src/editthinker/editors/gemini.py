"""Google's image models: `gemini:gemini-3.1-flash-image`.

In: a model id and a key (GEMINI_API_KEY). Out: edits through google-genai. The model draws in a few fixed
shapes; a photo of another one is padded to the nearest and the padding taken off again. It may answer with
words, or with a reason and nothing else: that is a refusal, and the reason is passed on.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from editthinker.core.contracts import EditorInfo
from editthinker.core.errors import EditThinkerError, ImageError, InputError, Refused
from editthinker.core.images import Picture
from editthinker.core.types import Edited, EditRequest
from editthinker.editors.delivery import Frame, delivered
from editthinker.wire import prices, secrets
from editthinker.wire.bounded import HOOKS
from editthinker.wire.connection import CONNECT_SECONDS, LOCAL_KEY, Connection, PerLoop
from editthinker.wire.failures import LONGEST, Peer, attributed, of_status

if TYPE_CHECKING:
    from google.genai import Client
    from google.genai.types import GenerateContentResponse, Part
    from httpx2 import AsyncClient

USUAL_KEYS = ("GEMINI_API_KEY", "GOOGLE_API_KEY")
SHAPES = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
LONG_SHAPES = (*SHAPES, "1:4", "4:1", "1:8", "8:1")
"""Aspect ratios, width to height (google-genai, `interactions.ImageConfig`)."""
SEEDS = 2**31
"""The API's seed is a 32-bit integer."""
CARD = "https://ai.google.dev/gemini-api/docs/image-generation"


@dataclass(frozen=True, slots=True)
class _Model:
    """What one family of models takes; from its card."""

    images: int
    sizes: tuple[str, ...]
    shapes: tuple[str, ...] = SHAPES


_MODELS: Mapping[str, _Model] = {
    "gemini-2.5-flash-image": _Model(3, ()),
    "gemini-3-pro-image": _Model(14, ("1K", "2K", "4K")),
    "gemini-3.1-flash-image": _Model(14, ("512", "1K", "2K", "4K"), LONG_SHAPES),
}
_UNKNOWN = _Model(3, ("512", "1K", "2K", "4K"))

_REASONS: Mapping[str, str] = {
    "SAFETY": "its safety filter stopped it",
    "IMAGE_SAFETY": "its safety filter stopped the image",
    "PROHIBITED_CONTENT": "the content is prohibited",
    "IMAGE_PROHIBITED_CONTENT": "the image would show prohibited content",
    "BLOCKLIST": "the instruction contains a blocked word",
    "RECITATION": "the result would copy a protected work",
    "IMAGE_RECITATION": "the image would copy a protected work",
    "SPII": "the result would show personal data",
    "LANGUAGE": "it does not support this language",
    "NO_IMAGE": "it made no image",
    "IMAGE_OTHER": "it stopped the image and gives no reason",
    "OTHER": "it gives no reason",
}
"""Why a prompt was blocked or a candidate ended without an image (google-genai, `FinishReason`)."""


class GeminiEditor:
    """The editor behind the name "gemini:MODEL"."""

    class Settings(Connection):
        """What can be set on a Gemini image model."""

        base_url: str = Field("", description="a proxy instead of Google's own address")
        image_size: Literal["", "512", "1K", "2K", "4K"] = Field(
            "", description="how large the model draws; '' is its default, 1K"
        )
        temperature: float | None = Field(None, ge=0, le=2, description="None leaves it to the model")
        pixels: int = Field(2 * 1024 * 1024, ge=4096, description="images are shrunk to this many")
        price: float | None = Field(None, ge=0, description="US dollars of one edit, instead of the table's")

    def __init__(self, what: str, settings: Settings, *, name: str = "") -> None:
        """`what` is the model id. Raises `InputError` for a size that the model does not draw."""
        self._name, self._id, self._settings = name or f"gemini:{what}", what, settings
        bare = what.removeprefix("models/").removesuffix("-preview")
        self._model = _MODELS.get(bare, _UNKNOWN)
        if settings.image_size and settings.image_size not in self._model.sizes:
            sizes = ", ".join(self._model.sizes) or "none: it always draws about a megapixel"
            raise InputError(
                f"editor {self._name!r}: {what} takes no image_size of that kind; it has {sizes}"
            )
        secret = secrets.read(settings.key, usual=USUAL_KEYS)
        self._peer = Peer("editor", self._name, settings.base_url, secret, USUAL_KEYS[0])
        self._clients: PerLoop[tuple[Client, AsyncClient]] = PerLoop(self._client, _close)

    @property
    def info(self) -> EditorInfo:
        """Facts for the thinker and the loop; the seed is honoured by best effort only."""
        price = self._settings.price
        return EditorInfo(
            self._name,
            max_images=self._model.images,
            seeded=False,
            languages=("en", "es", "ja", "zh", "hi"),
            prompt_hint="describe the change in full sentences and say what must stay exactly as it is",
            price=prices.per_image(self._id) if price is None else price,
            card=CARD,
        )

    async def edit(self, request: EditRequest) -> Edited:
        """One `generate_content` call. Raises `EditorError`, or `Refused` with the model's reason."""
        from google.genai import errors

        if not self._peer.secret and not self._settings.base_url:
            raise self._peer.error(f"needs a key; set {self._peer.key_hint} or the setting 'key'")
        shape, frame = self._framed(request.images[0].size)
        parts = await asyncio.to_thread(self._parts, request, frame)
        with attributed(self._peer):
            client, _ = await self._clients.get()
            try:
                async with asyncio.timeout(self._settings.timeout):  # the client's own limit is per read
                    answer = await client.aio.models.generate_content(
                        model=self._id,
                        contents=[*parts, request.instruction],
                        config=self._config(shape, request.seed),
                    )
            except errors.APIError as error:
                raise self._failure(error) from error
            except ValueError as error:  # its base for answers that are no JSON, or no known JSON
                raise self._peer.error("sent an answer that cannot be read", transient=True) from error
        notes = self._noted(answer)
        try:
            returned = await asyncio.to_thread(self._image, answer)
            image = await asyncio.to_thread(delivered, request.images[0], returned, frame)
        except EditThinkerError as error:
            error.cost = self._cost(notes, drawn=not isinstance(error, Refused))
            raise
        return Edited(image, self._cost(notes), {**notes, "aspect_ratio": shape})

    def _client(self) -> tuple[Client, AsyncClient]:
        from google.genai import Client, types
        from httpx2 import AsyncClient, Timeout

        seconds = self._settings.timeout
        # Ours, because the library takes aiohttp wherever that happens to be installed.
        http = AsyncClient(timeout=Timeout(seconds, connect=CONNECT_SECONDS), event_hooks=HOOKS)
        client = Client(
            api_key=self._peer.secret.value or LOCAL_KEY,
            vertexai=False,  # else an environment variable decides
            http_options=types.HttpOptions(
                base_url=self._settings.base_url or None,
                timeout=math.ceil(seconds * 1000),
                retry_options=types.HttpRetryOptions(attempts=1),  # the desk repeats, counts and records
                httpx_async_client=http,
            ),
        )
        return client, http

    def _config(self, shape: str, seed: int) -> Any:
        from google.genai import types

        return types.GenerateContentConfig(
            response_modalities=["TEXT", "IMAGE"],  # words, so that a refusal can explain itself
            image_config=types.ImageConfig(aspect_ratio=shape, image_size=self._settings.image_size or None),
            seed=seed % SEEDS,
            temperature=self._settings.temperature,
        )

    def _framed(self, size: tuple[int, int]) -> tuple[str, Frame]:
        """The nearest shape the model draws, and how the photo lies in it."""
        width, height = size

        def apart(shape: str) -> float:
            across, down = map(int, shape.split(":"))
            return abs(math.log(width * down / (height * across)))

        shape = min(self._model.shapes, key=apart)
        across, down = map(int, shape.split(":"))
        unit = max(width / across, height / down)
        unit *= min(1.0, math.sqrt(self._settings.pixels / (unit * across * unit * down)))
        return shape, Frame(size, (math.ceil(unit * across), math.ceil(unit * down)))

    def _parts(self, request: EditRequest, frame: Frame) -> list[Part]:
        from google.genai.types import Part

        source, *others = (image.flattened() for image in request.images)
        sent = [frame.put(source), *(image.within(self._settings.pixels) for image in others)]
        return [Part.from_bytes(data=image.encode(), mime_type="image/png") for image in sent]

    def _image(self, answer: GenerateContentResponse) -> Picture:
        """The image of the answer. Raises `Refused` with the reason when there is none."""
        feedback, candidate = answer.prompt_feedback, next(iter(answer.candidates or []), None)
        if feedback is not None and feedback.block_reason:
            raise self._peer.refused(_reason(feedback.block_reason) or _name(feedback.block_reason))
        if candidate is None:
            raise self._peer.error("sent an answer without an image", transient=True)
        parts = (candidate.content.parts if candidate.content else None) or []
        shown = [part for part in parts if not part.thought]
        # A thinking model may draw drafts; the last image is the result.
        data = next(
            (p.inline_data.data for p in reversed(shown) if p.inline_data and p.inline_data.data), None
        )
        if data is not None:
            try:
                return Picture.decode(data, "what Gemini sent")
            except ImageError as error:
                raise self._peer.error(f"sent something that is no image: {error}", transient=True) from error
        words = " ".join(part.text.strip() for part in shown if part.text)
        if words:
            raise self._peer.refused(f"it answered in words: {words[:LONGEST]}")
        if reason := _reason(candidate.finish_reason):
            raise self._peer.refused(reason)
        raise self._peer.error(f"sent no image ({_name(candidate.finish_reason)})", transient=True)

    def _noted(self, answer: GenerateContentResponse) -> dict[str, Any]:
        """What belongs into the record of the call."""
        usage = answer.usage_metadata
        sent = (usage.prompt_token_count or 0) if usage else 0
        made = (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0) if usage else 0
        return {"model": answer.model_version or self._id, "tokens_in": sent, "tokens_out": made}

    def _cost(self, notes: Mapping[str, Any], *, drawn: bool = True) -> float:
        """What a call cost, as far as anybody knows; an image that was not drawn is not paid for."""
        rate = prices.tokens(self._id) if self._settings.price is None else None
        if rate is not None:
            return rate.of(notes["tokens_in"], notes["tokens_out"])
        return (self.info.price or 0.0) if drawn else 0.0

    def _failure(self, error: Any) -> EditThinkerError:
        """An `APIError` as one of ours; Google says some things in `details` only."""
        told = _details(error.details)
        # A wrong key is a 400 here.
        status = 401 if any(detail.get("reason") == "API_KEY_INVALID" for detail in told) else error.code
        response = getattr(error, "response", None)
        failure = of_status(self._peer, status, error.details, getattr(response, "headers", None))
        delays = [str(detail.get("retryDelay", "")) for detail in told]
        failure.retry_after = next((float(d[:-1]) for d in delays if _is_seconds(d)), failure.retry_after)
        if status == 429 and "PerDay" in json.dumps(told):
            failure.transient = False  # a daily quota does not come back by waiting a minute
        return failure


async def _close(clients: tuple[Client, AsyncClient]) -> None:
    client, http = clients
    await http.aclose()  # the library leaves a client it was given to its owner
    await client.aio.aclose()
    client.close()


def _name(reason: Any) -> str:
    return str(getattr(reason, "value", reason or ""))


def _reason(reason: Any) -> str:
    """Why nothing was drawn, for a person; "" when the model simply finished or broke off."""
    code = _name(reason)
    return f"{_REASONS[code]} ({code})" if code in _REASONS else ""


def _details(body: Any) -> list[dict[str, Any]]:
    """The `details` of a Google error: a list of tables, each with a "@type"."""
    inner = body.get("error", body) if isinstance(body, dict) else {}
    details = inner.get("details") if isinstance(inner, dict) else None
    return [detail for detail in details if isinstance(detail, dict)] if isinstance(details, list) else []


def _is_seconds(text: str) -> bool:
    """Whether it is a duration as Google writes it: "34.07s"."""
    return text.endswith("s") and text[:-1].replace(".", "", 1).isdigit()
