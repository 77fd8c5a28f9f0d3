"""OpenAI's image models, and any server that speaks its `/v1/images/edits`.

Two sets of rules share the one wire form. OpenAI's: sizes by model, a mask by transparency, no seed
(https://developers.openai.com/api/docs/guides/image-generation). Open servers' (vLLM-Omni, SGLang-Diffusion,
LocalAI, DeepInfra, our own): any size, a seed, and the pipeline's sampling fields. An answer of status 200
that holds no image does not make the client library complain, so everything in it is checked here.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlsplit

from PIL import Image
from pydantic import Field, field_validator, model_validator

from editthinker.core.contracts import EditorInfo
from editthinker.core.errors import EditorError, ImageError, InputError
from editthinker.core.images import Picture
from editthinker.core.settings import Extra
from editthinker.core.types import Edited, EditRequest
from editthinker.editors.delivery import Frame, delivered
from editthinker.editors.sizes import SizeRule, openai_rule, parse_size
from editthinker.wire import prices, secrets
from editthinker.wire.bounded import HOOKS
from editthinker.wire.connection import CONNECT_SECONDS, Connection, PerLoop, is_ones_own, openai_client
from editthinker.wire.failures import Peer, attributed

if TYPE_CHECKING:
    from openai import AsyncOpenAI

KEY: Final = "OPENAI_API_KEY"
HOST: Final = "api.openai.com"
SUCCESSORS: Final = "gpt-image-2.5-sunburst or gpt-image-2.5-flare"
GONE: Final[Mapping[str, str]] = {
    "gpt-image-1": "was shut down on 2026-10-23",
    "dall-e-2": "was shut down on 2026-05-12",
    "dall-e-3": "was shut down on 2026-05-12",
}
"""Of the `model` parameter in https://developers.openai.com/api/reference/resources/images/methods/edit."""

OPENAI_PIXELS: Final = 1536 * 1024
OPEN_PIXELS: Final = 1024 * 1024
"""What FLUX, Qwen-Image-Edit and their like were made for."""
OPEN_SIDE: Final = 64
"""vLLM-Omni 0.30 answers 500 to a FLUX.2-klein request with a shorter side."""
OPENAI_IMAGES: Final = 16
OPEN_IMAGES: Final = 4
"""What vLLM-Omni passes to the pipelines that take several; others answer 400."""

_OPENAI_ONLY: Final = ("quality", "background", "input_fidelity")
_OPEN_ONLY: Final = {
    "steps": "num_inference_steps",
    "guidance": "guidance_scale",
    "true_cfg_scale": "true_cfg_scale",
    "negative_prompt": "negative_prompt",
}
_MANAGED: Final = frozenset(
    {"image", "image[]", "mask", "mask_image", "model", "prompt", "n", "size", "seed", "stream"}
)  # fmt: skip


class OpenAISettings(Connection):
    """What can be set on an editor behind `/v1/images/edits`."""

    rules: Literal["auto", "openai", "open"] = Field(
        "auto", description="whose rules the server keeps; auto: openai for its own host and gpt-image models"
    )
    size: str = Field(
        "", description="'' keeps the source's shape; WIDTHxHEIGHT; auto leaves it to the server"
    )
    pixels: int | None = Field(
        None, ge=4096, description="images are shrunk to this many pixels; None: what the model was made for"
    )
    multiple: int = Field(16, ge=1, le=256, description="sides sent to an open server are multiples of this")
    image_format: Literal["png", "jpeg", "webp"] = Field("png", description="in which images are sent")
    output_format: Literal["", "png", "jpeg", "webp"] = Field("", description="in which the image comes back")
    quality: Literal["", "auto", "low", "medium", "high", "xhigh", "max"] = Field(
        "", description="OpenAI only"
    )
    background: Literal["", "auto", "opaque", "transparent"] = Field("", description="OpenAI only")
    input_fidelity: Literal["", "low", "high"] = Field("", description="gpt-image-1.5 and -1-mini only")
    steps: int | None = Field(None, ge=1, description="num_inference_steps; open servers only")
    guidance: float | None = Field(None, ge=0, description="guidance_scale; open servers only")
    true_cfg_scale: float | None = Field(
        None,
        ge=0,
        description="open servers only; a blank negative prompt goes with it, or it would do nothing",
    )
    negative_prompt: str | None = Field(None, description="open servers only")
    seeded: bool = Field(True, description="send each turn's seed; OpenAI's own models have none")
    mask: bool | None = Field(
        None, description="whether the model takes a mask; None: OpenAI's do, others not"
    )
    max_images: int | None = Field(None, ge=1, description="images it takes; None: 16 at OpenAI, else 4")
    n: int = Field(1, description="always 1")
    price: float | None = Field(None, ge=0, description="US dollars per image")
    extra: Extra = Field(default_factory=dict, description="form fields sent as they are: extra.lora=…")

    @field_validator("n")
    @classmethod
    def _one(cls, value: int) -> int:
        if value != 1:
            raise ValueError("a call makes one image; several to choose from are candidates of the turn")
        return value

    @field_validator("size")
    @classmethod
    def _is_size(cls, value: str) -> str:
        if value not in ("", "auto") and parse_size(value) is None:
            raise ValueError("must be WIDTHxHEIGHT, or auto, or nothing")
        return value

    @model_validator(mode="after")
    def _nothing_twice(self) -> OpenAISettings:
        if managed := sorted(_MANAGED & set(self.extra)):
            raise ValueError(f"extra.{managed[0]} is sent by the editor itself")
        return self


@dataclass(frozen=True, slots=True)
class _Form:
    """One request as it goes over the wire."""

    fields: dict[str, Any]
    files: list[tuple[str, tuple[str, bytes, str]]]
    frame: Frame | None


class OpenAIEditor:
    """The editor behind the names "openai:MODEL" and "openai:MODEL?base_url=..."."""

    Settings = OpenAISettings

    def __init__(self, model: str, settings: OpenAISettings, *, name: str = "") -> None:
        """Raises `InputError` for a missing key, a model that is gone, or settings that would do nothing."""
        name = name or f"openai:{model}"
        host = urlsplit(settings.base_url).hostname or ""
        hosted = host in ("", HOST)
        family = model.rpartition("/")[2].startswith(("gpt-image", "chatgpt-image"))
        self.model, self.settings = model, settings
        self.by_openai = settings.rules == "openai" or (settings.rules == "auto" and (hosted or family))
        secret = secrets.read(settings.key, usual=(KEY,) if hosted else ())
        self.peer = Peer("editor", name, settings.base_url, secret, KEY if hosted else "")
        if hosted and model in GONE:
            raise InputError(f"{self.peer.label} {GONE[model]}; use {SUCCESSORS} instead")
        if hosted and not secret:
            raise InputError(
                f"{self.peer.label} needs a key: set {KEY}, or say where it is ({secrets.FORMS})"
            )
        self._check_settings()
        self._rate = prices.tokens(model) if self.by_openai else None
        self._clients: PerLoop[AsyncOpenAI] = PerLoop(
            lambda: openai_client(settings, secret), lambda client: client.close()
        )

    @cached_property
    def info(self) -> EditorInfo:
        """Facts for the thinker and the loop."""
        settings, ours = self.settings, self.by_openai
        return EditorInfo(
            self.peer.name,
            max_images=settings.max_images or (OPENAI_IMAGES if ours else OPEN_IMAGES),
            mask=ours if settings.mask is None else settings.mask,
            seeded=settings.seeded and not ours,
            languages=(),
            prompt_hint="say what to change, and name what has to stay exactly as it is" if ours else "",
            price=self._price(),
            card=f"https://developers.openai.com/api/docs/models/{self.model}" if ours else "",
        )

    async def edit(self, request: EditRequest) -> Edited:
        """Raises `EditorError` or `Refused`; what a useless answer cost is on the error."""
        from openai.types import ImagesResponse

        form = await asyncio.to_thread(self._form, request)
        late = asyncio.get_running_loop().time() + self.settings.timeout  # the client's own limit is per read
        with attributed(self.peer):
            async with asyncio.timeout_at(late):
                client = await self._clients.get()
                answer = await client.post(
                    "/images/edits",
                    cast_to=ImagesResponse,
                    body=form.fields,
                    files=form.files,
                    options={"headers": {"Content-Type": "multipart/form-data"}},
                )
        try:
            with attributed(self.peer):
                async with asyncio.timeout_at(late):
                    data = await self._data(answer)
            return await asyncio.to_thread(self._edited, request, form, answer, data)
        except EditorError as error:
            error.cost = self._cost(answer)
            raise

    def _check_settings(self) -> None:
        """Refuse what this server would ignore or reject: nothing given may silently do nothing."""
        settings, model = self.settings, self.model
        for name in _OPEN_ONLY if self.by_openai else _OPENAI_ONLY:
            if getattr(settings, name) not in ("", None):
                kind = "OpenAI's models have" if self.by_openai else "open servers have"
                raise InputError(
                    f"{self.peer.label}: {kind} no {name!r}; to send it all the same write extra.{name}"
                )
        fidelities = {"gpt-image-1.5": ("low", "high"), "gpt-image-1-mini": ("low",)}.get(model, ())
        if settings.input_fidelity and settings.input_fidelity not in fidelities:
            wanted = " or ".join(fidelities) or "none at all"
            raise InputError(f"{self.peer.label}: 'input_fidelity' may be {wanted} with this model")

    def _price(self) -> float | None:
        if self.settings.price is not None:
            return self.settings.price
        if self.by_openai:
            return prices.per_image(self.model)
        return 0.0 if is_ones_own(self.settings.base_url) else None

    def _cost(self, answer: Any) -> float:
        """US dollars, from the tokens the answer counts where it does."""
        counted = _tokens(answer)
        if self.settings.price is not None or self._rate is None or not counted:
            return self.info.price or 0.0
        sent, received = counted.get("input_tokens", 0), counted.get("output_tokens", 0)
        return self._rate.of(sent, received, counted.get("input_image_tokens", 0))

    def _form(self, request: EditRequest) -> _Form:
        """The request; images are encoded here, so off the event loop."""
        settings, source = self.settings, request.images[0]
        pixels = settings.pixels or (OPENAI_PIXELS if self.by_openai else OPEN_PIXELS)
        canvas = self._canvas(source.size, pixels)
        frame = Frame(source.size, canvas) if canvas else None
        first = frame.put(source.flattened()) if frame else source.flattened().within(pixels)
        pictures = [first, *(self._further(image.flattened(), pixels) for image in request.images[1:])]
        media_type = f"image/{settings.image_format}"
        field = "image" if len(pictures) == 1 else "image[]"
        files = [
            (field, (f"image.{settings.image_format}", picture.encode(media_type), media_type))
            for picture in pictures
        ]
        if request.mask is not None:
            mask = frame.put(request.mask) if frame else request.mask.resized(first.size)
            part = ("mask.png", _mask_bytes(mask), "image/png")
            # vLLM-Omni calls it mask_image, everybody else mask; both ignore the other's name.
            files += [(name, part) for name in (("mask",) if self.by_openai else ("mask", "mask_image"))]
        return _Form(self._fields(request, canvas), files, frame)

    def _canvas(self, size: tuple[int, int], pixels: int) -> tuple[int, int] | None:
        """The size to ask for; None leaves it to the server."""
        if self.settings.size:
            return parse_size(self.settings.size)
        if not self.by_openai:
            return self._open_rule.canvas(size, pixels)
        return openai_rule(self.model).canvas(size, pixels)

    @property
    def _open_rule(self) -> SizeRule:
        multiple = self.settings.multiple
        return SizeRule(multiple, shortest=-(-OPEN_SIDE // multiple) * multiple)

    def _further(self, image: Picture, pixels: int) -> Picture:
        """An image beside the first, small enough, and large enough for an open server."""
        small = image.within(pixels)
        if self.by_openai or min(small.size) >= OPEN_SIDE:
            return small
        return Frame(image.size, self._open_rule.canvas(image.size, pixels)).put(image)

    def _fields(self, request: EditRequest, canvas: tuple[int, int] | None) -> dict[str, Any]:
        settings = self.settings
        fields: dict[str, Any] = {"model": self.model, "prompt": request.instruction}
        if canvas:
            fields["size"] = f"{canvas[0]}x{canvas[1]}"
        for name in ("output_format", *_OPENAI_ONLY):
            if value := getattr(settings, name):
                fields[name] = value
        if self.by_openai:
            return {**fields, **_plain(settings.extra)}
        if settings.seeded:
            fields["seed"] = request.seed
        for name, sent in _OPEN_ONLY.items():
            if (value := getattr(settings, name)) is not None:
                fields[sent] = value
        if settings.true_cfg_scale is not None:
            fields.setdefault("negative_prompt", " ")  # without one, pipelines leave the guidance off
        return {**fields, **_plain(settings.extra)}

    async def _data(self, answer: Any) -> bytes:
        """The bytes of the first image in the answer."""
        items = getattr(answer, "data", None)
        if not items or not isinstance(items, list):
            hint = "; does its address end in /v1?" if self.settings.base_url else ""
            raise self.peer.error(f"sent an answer without an image{hint}")
        text, url = getattr(items[0], "b64_json", None), getattr(items[0], "url", None)
        if not text and isinstance(url, str) and url.startswith("data:"):
            text = url.partition(",")[2]
        if text and isinstance(text, str):
            try:
                return base64.b64decode("".join(text.split()), validate=True)
            except (binascii.Error, ValueError):
                raise self.peer.error("sent an image that is not valid base64", transient=True) from None
        if not url or not isinstance(url, str):
            raise self.peer.error("sent neither an image nor its address")
        return await self._fetched(url)

    async def _fetched(self, url: str) -> bytes:
        """The image at an address the server gave, without our key."""
        import httpx2

        if urlsplit(url).scheme not in ("http", "https"):
            raise self.peer.error(f"sent an image address that is no URL: {url[:80]!r}")
        timeout = httpx2.Timeout(self.settings.timeout, connect=CONNECT_SECONDS)
        async with httpx2.AsyncClient(
            timeout=timeout, follow_redirects=True, max_redirects=5, event_hooks=HOOKS
        ) as client:
            response = await client.get(url)
        if response.status_code != 200:
            raise self.peer.error(f"sent an image address that answers {response.status_code}")
        return response.content

    def _edited(self, request: EditRequest, form: _Form, answer: Any, data: bytes) -> Edited:
        try:
            returned = Picture.decode(data, "the image")
        except ImageError as error:
            raise self.peer.error(
                f"returned something else than an image ({error})", transient=True
            ) from None
        image = delivered(request.images[0], returned, form.frame)
        return Edited(image, self._cost(answer), self._notes(form, answer, returned))

    def _notes(self, form: _Form, answer: Any, returned: Picture) -> dict[str, Any]:
        notes = {
            "model": self.model,
            "seed": form.fields.get("seed"),
            "asked": form.fields.get("size"),
            "returned": f"{returned.size[0]}x{returned.size[1]}",
            "revised_prompt": getattr(answer.data[0], "revised_prompt", None),
            "unused_images": len(answer.data) - 1 or None,
            "usage": _tokens(answer) or None,
        }
        return {key: value for key, value in notes.items() if value is not None}


def _tokens(answer: Any) -> dict[str, int]:
    """Those the answer counts; the client library does not check what a server writes there."""
    usage = getattr(answer, "usage", None)
    details = getattr(usage, "input_tokens_details", None)
    counted = {
        "input_tokens": getattr(usage, "input_tokens", None),
        "input_image_tokens": getattr(details, "image_tokens", None),
        "output_tokens": getattr(usage, "output_tokens", None),
    }
    return {name: count for name, count in counted.items() if isinstance(count, int)}


def _mask_bytes(mask: Picture) -> bytes:
    """A PNG that says the same by brightness (white: may change) and by alpha (transparent: may change)."""
    grey = mask.flattened().pixels.convert("L").point(lambda value: 255 if value >= 128 else 0)
    keep = grey.point(lambda value: 255 - value)
    return Picture(Image.merge("RGBA", (grey, grey, grey, keep))).encode()


def _plain(extra: Mapping[str, Any]) -> dict[str, Any]:
    """Tables and truth values as JSON text, as form fields of servers expect them (vLLM-Omni's `lora`)."""
    return {
        key: json.dumps(value) if isinstance(value, dict | bool) else value for key, value in extra.items()
    }
