"""A strict stand-in for servers of `/v1/images/edits`, with the darkroom editor behind it.

Flavour "openai" keeps OpenAI's documented rules: every field is known and valid, sizes follow the model, no
seed, answers are base64 (https://developers.openai.com/api/reference/resources/images/methods/edit).
Flavour "self-hosted" keeps those of vLLM-Omni and SGLang-Diffusion: the model must match, extra sampling
fields are typed, unknown fields are ignored (and noted). Either misbehaves on demand, one fault a request.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import random
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from fastapi import FastAPI, Request, UploadFile
from fastapi.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from PIL import Image
from starlette.requests import ClientDisconnect

from editthinker.core.errors import EditThinkerError
from editthinker.core.images import Picture
from editthinker.core.types import EditRequest
from editthinker.darkroom.editor import DarkroomEditor

KEY = "sk-test-0123456789abcdef"
USAGE = {
    "input_tokens": 1_100,
    "input_tokens_details": {"image_tokens": 1_000, "text_tokens": 100},
    "output_tokens": 2_000,
    "total_tokens": 3_100,
}
FIXED_SIZES = ("1024x1024", "1536x1024", "1024x1536")
GONE = ("gpt-image-1", "dall-e-2", "dall-e-3")
_WORDS: Mapping[str, tuple[str, ...]] = {
    "quality": ("low", "medium", "high", "xhigh", "max", "auto"),
    "background": ("transparent", "opaque", "auto"),
    "input_fidelity": ("high", "low"),
    "output_format": ("png", "webp", "jpeg"),
}
_OPENAI = {"model", "prompt", "n", "size", "output_compression", "safety_identifier", "user", *_WORDS}
_SAMPLING: Mapping[str, Callable[[str], Any]] = {
    "seed": int,
    "num_inference_steps": int,
    "guidance_scale": float,
    "true_cfg_scale": float,
    "strength": float,
    "n": int,
    "output_compression": int,
}
_SELF_HOSTED = {"model", "prompt", "size", "response_format", "output_format", "negative_prompt", *_SAMPLING}

ERRORS: Mapping[str, tuple[int, dict[str, Any], dict[str, str]]] = {
    "unauthorized": (401, {"message": f"Incorrect API key provided: {KEY}.", "code": "invalid_api_key"}, {}),
    "forbidden": (403, {"message": "Project may not use images.", "code": "permission_denied"}, {}),
    "no-such-model": (404, {"message": "The model does not exist.", "code": "model_not_found"}, {}),
    "rate-limited": (429, {"message": "Rate limit.", "code": "rate_limit_exceeded"}, {"retry-after": "7"}),
    "out-of-credit": (429, {"message": "You exceeded your quota.", "code": "insufficient_quota"}, {}),
    "server-error": (500, {"message": "The server had an error.", "type": "server_error"}, {}),
    "overloaded": (503, {"message": "Try again later.", "type": "overloaded"}, {"retry-after": "2"}),
    "moderation": (
        400,
        {
            "message": "Your request was rejected by the safety system. safety_violations=[sexual].",
            "type": "image_generation_user_error",
            "code": "moderation_blocked",
        },
        {},
    ),
}
FAULTS = {
    *ERRORS,
    "too-large", "truncated-body", "half-json", "slow-drip", "stall", "html", "no-data", "empty-data",
    "no-image-in-data", "bad-base64", "not-an-image", "truncated-image", "other-size", "other-aspect",
    "black", "unchanged", "url", "data-url", "url-missing", "url-endless", "url-local-file", "no-usage",
    "two-images", "revised-prompt", "odd-data", "odd-image", "odd-usage", "url-nobody",
}  # fmt: skip
"""`ERRORS` by name, and answers that are wrong or unusual in other ways."""


@dataclass(frozen=True)
class Received:
    """One request as it arrived."""

    fields: Mapping[str, str]
    images: tuple[bytes, ...]
    image_fields: tuple[str, ...]
    """Under which names the images came: `image` or `image[]`."""
    masks: Mapping[str, bytes]
    ignored: tuple[str, ...]
    headers: Mapping[str, str]
    length: int
    """Bytes of the whole body."""


class Invalid(Exception):
    def __init__(self, message: str, param: str = "", status: int = 400) -> None:
        super().__init__(message)
        self.answer = JSONResponse(
            {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": None}},
            status,
        )


@dataclass(eq=False)
class ImagesPeer:
    """The server: `with serving(peer.app) as url`, then `openai:MODEL?base_url={url}/v1`."""

    flavour: Literal["openai", "self-hosted"] = "openai"
    model: str = "gpt-image-2"
    key: str = KEY
    """What must be sent as bearer; "" asks for none."""
    max_images: int = 16
    faults: list[str] = field(default_factory=list)
    """One is taken by each request; good answers when it is empty."""
    always: str = ""
    """The fault of every request, when `faults` is empty."""
    received: list[Received] = field(default_factory=list)
    hung_up: threading.Event = field(default_factory=threading.Event)
    """Set when a client closed the connection before its answer was complete."""
    started: threading.Event = field(default_factory=threading.Event)
    """Set when a request that will take long has arrived."""
    files: dict[str, bytes] = field(default_factory=dict)

    def reset(self) -> None:
        """As new, for the next test over the same running server."""
        fresh = ImagesPeer(self.flavour, self.model)
        self.__dict__.update(fresh.__dict__)

    @property
    def app(self) -> FastAPI:
        """A fresh application over this state."""
        app = FastAPI()
        app.post("/v1/images/edits")(self._edits)
        app.get("/v1/models")(self._models)
        app.get("/files/{name}")(self._file)
        return app

    async def _models(self) -> Any:
        return {"object": "list", "data": [{"id": self.model, "object": "model", "owned_by": "tests"}]}

    async def _file(self, name: str) -> Response:
        if name == "endless.png":
            return StreamingResponse(_endless(), media_type="image/png")
        if name not in self.files:
            return Response("no such file", 404)
        return Response(self.files[name], media_type="image/png")

    async def _edits(self, request: Request) -> Response:
        fault = self.faults.pop(0) if self.faults else self.always
        assert not fault or fault in FAULTS, fault
        if self.key and request.headers.get("authorization") != f"Bearer {self.key}":
            return _error("unauthorized")
        if fault in ERRORS:
            await request.body()
            return _error(fault)
        try:
            received = await self._receive(request)
            self.received.append(received)
            if self.flavour == "openai":
                size = _openai_rules(received, self.max_images)
            else:
                size = _self_hosted_rules(received, self.model, self.max_images)
        except Invalid as invalid:
            return invalid.answer
        except ClientDisconnect:
            self.hung_up.set()
            return Response(status_code=499)
        if fault == "stall":
            return await self._stall(request)
        if odd := self._odd_answer(fault):
            return odd
        try:
            image = await _edited(received, size, fault)
        except EditThinkerError as error:
            return Invalid(str(error)).answer
        return self._answer(received, image, fault, str(request.base_url))

    async def _receive(self, request: Request) -> Received:
        body = await request.body()
        async with request.form() as form:
            files = [(name, await part.read()) for name, part in form.multi_items() if _is_file(part)]
            texts = [(name, str(part)) for name, part in form.multi_items() if not _is_file(part)]
        known = _OPENAI if self.flavour == "openai" else _SELF_HOSTED
        mask_names = ("mask",) if self.flavour == "openai" else ("mask", "mask_image")
        ignored = [name for name, _ in texts if name not in known]
        ignored += [name for name, _ in files if name not in ("image", "image[]", *mask_names)]
        if ignored and self.flavour == "openai":
            raise Invalid(f"Unknown parameter: '{ignored[0]}'.", ignored[0])
        if len(dict(texts)) != len(texts):
            raise Invalid("A parameter was given twice.")
        images = [(name, data) for name, data in files if name in ("image", "image[]")]
        return Received(
            dict(texts),
            tuple(data for _, data in images),
            tuple(name for name, _ in images),
            {name: data for name, data in files if name in mask_names},
            tuple(ignored),
            dict(request.headers),
            len(body),
        )

    async def _stall(self, request: Request) -> Response:
        self.started.set()
        while not await request.is_disconnected():
            await asyncio.sleep(0.01)
        self.hung_up.set()
        return Response(status_code=499)

    async def _drip(self) -> AsyncIterator[bytes]:
        """Valid JSON white space, for ever: no read ever times out."""
        self.started.set()
        try:
            while True:
                yield b" "
                await asyncio.sleep(0.02)
        finally:
            self.hung_up.set()

    def _odd_answer(self, fault: str) -> Response | None:
        """Answers that do not come from an edit at all."""
        created = int(time.time())
        odd: dict[str, Callable[[], Response]] = {
            "too-large": lambda: HTMLResponse("<html><h1>413 Request Entity Too Large</h1></html>", 413),
            "truncated-body": lambda: StreamingResponse(_broken(), media_type="application/json"),
            "half-json": lambda: Response(b'{"created": 1, "data": [{"b64', media_type="application/json"),
            "slow-drip": lambda: StreamingResponse(self._drip(), media_type="application/json"),
            "html": lambda: HTMLResponse("<html><body>Welcome to nginx!</body></html>"),
            "no-data": lambda: JSONResponse({"object": "list", "models": []}),
            "empty-data": lambda: JSONResponse({"created": created, "data": []}),
            "no-image-in-data": lambda: JSONResponse({"created": created, "data": [{"revised_prompt": "x"}]}),
            "odd-data": lambda: JSONResponse({"created": "x", "data": {"b64_json": "iVBO"}}),
            "odd-image": lambda: JSONResponse({"created": created, "data": [{"b64_json": 5, "url": 7}]}),
            "bad-base64": lambda: JSONResponse({"created": created, "data": [{"b64_json": "!!not base64"}]}),
            "not-an-image": lambda: JSONResponse(
                {"created": created, "data": [{"b64_json": _b64(b"hello")}]}
            ),
        }
        return odd[fault]() if fault in odd else None

    def _answer(self, received: Received, image: Image.Image, fault: str, base: str) -> Response:
        data = _encoded(image, received.fields.get("output_format", "png"))
        if fault == "truncated-image":
            data = data[: len(data) // 2]
        item: dict[str, Any] = {"b64_json": _b64(data)}
        if fault.startswith("url"):
            name = {"url-missing": "missing.png", "url-endless": "endless.png"}.get(fault, "edited.png")
            self.files["edited.png"] = data
            odd = {"url-local-file": "file:///etc/passwd", "url-nobody": "http://127.0.0.1:9/edited.png"}
            item = {"url": odd.get(fault, f"{base}files/{name}")}
        if fault == "data-url":
            item = {"url": f"data:image/png;base64,{_b64(data)}"}
        if fault == "revised-prompt":
            item["revised_prompt"] = "a better wording"
        answer: dict[str, Any] = {
            "created": int(time.time()),
            "data": [item] * (2 if fault == "two-images" else 1),
            "output_format": received.fields.get("output_format", "png"),
            "size": f"{image.width}x{image.height}",
        }
        if self.flavour == "openai" and fault != "no-usage":
            answer["usage"] = USAGE
        if fault == "odd-usage":
            answer["usage"] = {"input_tokens": "many", "input_tokens_details": [1]}
        return JSONResponse(answer)


def _openai_rules(received: Received, max_images: int) -> tuple[int, int] | None:
    """The size asked for; None for "auto". Raises `Invalid` as the API reference says."""
    fields = received.fields
    model = fields.get("model", "")
    if model in GONE or not (model.startswith("gpt-image-") or model == "chatgpt-image-latest"):
        raise Invalid(f"The model '{model}' does not exist or was shut down.", "model", 404)
    if not fields.get("prompt") or len(fields["prompt"]) > 32_000:
        raise Invalid("'prompt' must have 1 to 32000 characters.", "prompt")
    for name, words in _WORDS.items():
        if name in fields and fields[name] not in words:
            raise Invalid(f"Invalid value: '{fields[name]}'. Supported values are: {words}.", name)
    if "input_fidelity" in fields and not model.startswith(("gpt-image-1.5", "gpt-image-1-mini")):
        raise Invalid("'input_fidelity' is not supported by this model.", "input_fidelity")
    if model.startswith("gpt-image-1-mini") and fields.get("input_fidelity") == "high":
        raise Invalid("'gpt-image-1-mini' supports only low.", "input_fidelity")
    if fields.get("quality") in ("xhigh", "max") and not model.startswith(("gpt-image-2.5", "gpt-image-2.6")):
        raise Invalid("This quality is not supported by this model.", "quality")
    if not fields.get("n", "1").isdigit() or not 1 <= int(fields.get("n", "1")) <= 10:
        raise Invalid("'n' must be between 1 and 10.", "n")
    sources = _images_of(received, max_images, ("PNG", "JPEG", "WEBP"))
    if any(len(data) >= 50 * 2**20 for data in received.images):
        raise Invalid("Each image must be smaller than 50MB.", "image")
    if mask := received.masks.get("mask"):
        image = _opened(mask, "mask", ("PNG",))
        if image.size != sources[0].size or "A" not in image.getbands() or len(mask) >= 4 * 2**20:
            raise Invalid("'mask' must be a PNG with alpha below 4MB, of the first image's size.", "mask")
    return _openai_size(fields.get("size", "auto"), model)


def _openai_size(size: str, model: str) -> tuple[int, int] | None:
    if size == "auto":
        return None
    width, height = _size(size)
    if size in FIXED_SIZES:
        return width, height
    if not model.startswith("gpt-image-2"):
        raise Invalid(f"Invalid size '{size}'. Supported sizes are {FIXED_SIZES} and auto.", "size")
    if width % 16 or height % 16 or max(width, height) > 3 * min(width, height):
        raise Invalid("'size' must be multiples of 16 with an aspect ratio of 1:3 to 3:1.", "size")
    if max(width, height) > 3840 or not 655_360 <= width * height <= 8_294_400:
        raise Invalid("'size' is below the minimum or above the maximum pixel budget.", "size")
    return width, height


def _self_hosted_rules(received: Received, model: str, max_images: int) -> tuple[int, int] | None:
    fields = received.fields
    if fields.get("model", model) != model:
        raise Invalid(f"Model mismatch: request specifies '{fields['model']}' but server runs '{model}'.")
    if fields.get("response_format", "b64_json") != "b64_json":
        raise Invalid("Only response_format 'b64_json' is supported.", "response_format")
    if not fields.get("prompt"):
        raise Invalid("Field required: prompt", "prompt", 422)
    for name, kind in _SAMPLING.items():
        try:
            kind(fields.get(name, "1"))
        except ValueError:
            raise Invalid(f"{name} must be a valid {kind.__name__}", name, 422) from None
    _images_of(received, max_images, ("PNG", "JPEG", "WEBP"), missing=422)
    size = fields.get("size", "auto")
    return None if size == "auto" else _size(size)


def _images_of(
    received: Received, most: int, formats: tuple[str, ...], missing: int = 400
) -> list[Image.Image]:
    if not received.images:
        raise Invalid("Missing required parameter: 'image'.", "image", missing)
    if len(received.images) > most:
        raise Invalid(f"Received {len(received.images)} input images; at most {most} are allowed.", "image")
    return [_opened(data, "image", formats) for data in received.images]


def _opened(data: bytes, param: str, formats: tuple[str, ...]) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(data), formats=formats)
        image.load()
    except OSError:
        raise Invalid(f"Invalid image file in '{param}'.", param) from None
    return image


def _size(size: str) -> tuple[int, int]:
    width, _, height = size.partition("x")
    if not (width.isdigit() and height.isdigit() and int(width) and int(height)):
        raise Invalid(f"Invalid size '{size}': it must be WIDTHxHEIGHT or auto.", "size")
    return int(width), int(height)


async def _edited(received: Received, size: tuple[int, int] | None, fault: str) -> Image.Image:
    """What the darkroom makes of the first image, at the size asked for: squeezed, if the client asks so."""
    source = Picture.open(received.images[0]).flattened()
    size = size or source.size
    if fault == "unchanged":
        return source.pixels.resize(size)
    if fault == "black":
        return Image.new("RGB", size)
    if fault == "other-size":
        size = (max(1, size[0] // 2), max(1, size[1] // 2))
    if fault == "other-aspect":
        size = (size[0], size[0] * 2)
    seed = int(received.fields.get("seed", random.getrandbits(31)))
    edited = await _darkroom().edit(EditRequest((source,), received.fields["prompt"], seed))
    pixels = edited.image.pixels.convert("RGB")
    for data in received.masks.values():
        pixels = Image.composite(pixels, source.pixels, _may_change(data, received))
    return pixels if pixels.size == size else pixels.resize(size)


def _may_change(data: bytes, received: Received) -> Image.Image:
    """The mask as the flavour reads it: OpenAI's `mask` by its alpha, `mask_image` by its brightness."""
    mask = Image.open(io.BytesIO(data))
    if "mask_image" in received.masks or "A" not in mask.getbands():
        return mask.convert("L")
    return mask.getchannel("A").point(lambda alpha: 255 - alpha)


@cache
def _darkroom() -> DarkroomEditor:
    return DarkroomEditor.load()


def _is_file(part: Any) -> bool:
    return isinstance(part, UploadFile) or hasattr(part, "read")


def _encoded(image: Image.Image, name: str) -> bytes:
    stream = io.BytesIO()
    image.save(stream, {"jpeg": "JPEG", "webp": "WEBP"}.get(name, "PNG"))
    return stream.getvalue()


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _error(name: str) -> Response:
    status, error, headers = ERRORS[name]
    return Response(json.dumps({"error": error}), status, headers, "application/json")


async def _broken() -> AsyncIterator[bytes]:
    yield b'{"created": 1, "data": [{"b64_json": "iVBORw0KGgo'
    await asyncio.sleep(0.01)
    raise ConnectionError("the stand-in breaks off here on purpose")


async def _endless() -> AsyncIterator[bytes]:
    while True:
        yield b"\x89PNG" * 2**18
        await asyncio.sleep(0)
