"""OpenAI's image-edit API before an editor: `POST /v1/images/edits`, `GET /v1/models`.

In: multipart forms as the official client sends them, and as vLLM-Omni and SGLang-Diffusion take them:
one `image` or several (`image[]`, or `image` repeated), `mask`, `prompt`, `model`, `n`, `size`,
`response_format`, `output_format`, and `seed`. Out: images as base64. A field that would have no effect is
refused by name: what cannot be honoured must not look as if it were.
"""

from __future__ import annotations

import asyncio
import base64
import re
import secrets
import time
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from PIL import ImageOps
from starlette.datastructures import FormData, UploadFile

from editthinker.core.contracts import EditorInfo
from editthinker.core.images import Picture, same_shape
from editthinker.core.types import EditRequest
from editthinker.serve.answers import BadField
from editthinker.serve.disconnect import while_connected
from editthinker.serve.line import Line

MOST_IMAGES = 16
MOST_RESULTS = 10
MOST_PIXELS = 64_000_000
SEEDS = 2**31
FORMATS = ("png", "jpeg", "webp")
MASKS = ("mask", "mask_image")
"""OpenAI's name for it, and vLLM-Omni's."""
FIELDS = ("prompt", "model", "n", "size", "response_format", "output_format", "seed", "user")
WITHOUT_EFFECT = {
    "quality": "auto",
    "background": "auto",
    "moderation": "auto",
    "input_fidelity": "auto",
    "stream": "false",
    "partial_images": "0",
}
"""Fields of the API that ask for nothing in particular with this value."""


@dataclass(frozen=True, slots=True)
class Order:
    """A request that can be carried out."""

    edit: EditRequest
    count: int
    size: tuple[int, int] | None
    """None: the source's."""
    output: str


def routes(line: Line, served_as: str) -> APIRouter:
    """The endpoints below /v1."""
    router = APIRouter(prefix="/v1")
    began = int(time.time())

    @router.get("/models")
    async def models() -> dict[str, Any]:
        model = {"id": served_as, "object": "model", "created": began, "owned_by": "editthinker"}
        return {"object": "list", "data": [model]}

    @router.post("/images/edits")
    async def edits(request: Request) -> dict[str, Any]:
        if not request.headers.get("content-type", "").startswith("multipart/form-data"):
            raise BadField("send the images as multipart/form-data", "image", "invalid_content_type")
        async with request.form(max_files=MOST_IMAGES + 1) as form:
            order = await _order(form, served_as, line.editor.info)
        return await while_connected(request, _carried_out(order, line))

    return router


async def _carried_out(order: Order, line: Line) -> dict[str, Any]:
    data = []
    size = order.edit.images[0].size
    async with line.turn():
        for index in range(order.count):
            edit = order.edit
            request = EditRequest(edit.images, edit.instruction, (edit.seed + index) % SEEDS, edit.mask)
            image = (await line.edit(request)).image
            picture = await asyncio.to_thread(_sized, image, order.size)
            encoded = await asyncio.to_thread(picture.encode, f"image/{order.output}")
            size = picture.size
            data.append({"b64_json": base64.b64encode(encoded).decode()})
    return {
        "created": int(time.time()),
        "data": data,
        "output_format": order.output,
        "size": f"{size[0]}x{size[1]}",
        "seed": order.edit.seed,
    }


async def _order(form: FormData, served_as: str, info: EditorInfo) -> Order:
    """Check every field. Raises `BadField` or `ImageError`."""
    words = _words(form)
    if (model := words.get("model", served_as)) != served_as:
        raise BadField(
            f"model mismatch: this server serves {served_as!r}, not {model!r}", "model", "model_mismatch"
        )
    if not (prompt := words.get("prompt", "")).strip():
        raise BadField("the prompt is missing", "prompt", "missing_required_parameter")
    if words.get("response_format", "b64_json") != "b64_json":
        raise BadField("images come as b64_json only; there is no place for URLs", "response_format")
    if (output := words.get("output_format", "png")) not in FORMATS:
        raise BadField(f"output_format must be one of {', '.join(FORMATS)}, not {output!r}", "output_format")
    count = _number(words, "n", 1, least=1, most=MOST_RESULTS)
    seed = _number(words, "seed", secrets.randbelow(SEEDS), least=0, most=2**64 - 1)
    size = _size(words.get("size", "auto"))
    images = await _images(form, info)
    mask = await _mask(form, images[0], info)
    return Order(EditRequest(images, prompt, seed, mask), count, size, output)


def _words(form: FormData) -> dict[str, str]:
    """Every field that is no image, once; those that ask for nothing are dropped."""
    words: dict[str, str] = {}
    for name, value in form.multi_items():
        if name in ("image", "image[]", *MASKS):
            continue
        if isinstance(value, UploadFile) or name in words:
            raise BadField(f"field {name!r} must be given once, as text", name)
        if name not in FIELDS and WITHOUT_EFFECT.get(name) != value:
            raise BadField(
                f"this server has no {name!r} that a request could set; "
                "what an editor can be set to is given where the server is started",
                name,
                "unknown_parameter",
            )
        words[name] = value
    return words


def _number(words: dict[str, str], name: str, usual: int, *, least: int, most: int) -> int:
    text = words.get(name, str(usual))
    if not re.fullmatch(r"\d{1,20}", text) or not least <= int(text) <= most:
        raise BadField(f"{name} must be a whole number from {least} to {most}, not {text[:40]!r}", name)
    return int(text)


def _size(text: str) -> tuple[int, int] | None:
    if text == "auto":
        return None
    found = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", text)
    if not found or int(found[1]) * int(found[2]) > MOST_PIXELS:
        raise BadField(f"size must be 'auto' or like 1024x768, not {text[:40]!r}", "size")
    return int(found[1]), int(found[2])


async def _images(form: FormData, info: EditorInfo) -> tuple[Picture, ...]:
    uploads = [*form.getlist("image"), *form.getlist("image[]")]
    if not uploads:
        raise BadField("there is no image", "image", "missing_required_parameter")
    if len(uploads) > info.max_images:
        most = f"{info.max_images} image{'' if info.max_images == 1 else 's'}"
        raise BadField(f"the editor takes {most} at a time, not {len(uploads)}", "image", "too_many_images")
    return tuple([await _picture(upload, "image") for upload in uploads])


async def _mask(form: FormData, source: Picture, info: EditorInfo) -> Picture | None:
    """White where the edit belongs. OpenAI's masks are transparent there, others' white."""
    upload = next((form[name] for name in MASKS if name in form), None)
    if upload is None:
        return None
    if not info.mask:
        raise BadField("the editor takes no mask", "mask", "unsupported_parameter")
    mask = await _picture(upload, "mask")
    if mask.size != source.size:
        raise BadField(f"the mask is {mask.size}, the image {source.size}; they must be equal", "mask")
    if not mask.has_alpha:
        return mask
    return Picture(ImageOps.invert(mask.pixels.getchannel("A")).convert("RGB"), name=mask.name)


async def _picture(upload: Any, field: str) -> Picture:
    if not isinstance(upload, UploadFile):
        raise BadField(f"field {field!r} must be a file", field)
    return await asyncio.to_thread(Picture.decode, await upload.read(), upload.filename or field)


def _sized(picture: Picture, size: tuple[int, int] | None) -> Picture:
    """At `size` when that has the picture's shape, else as large as fits into it: never squeezed."""
    if size is None:
        return picture
    width, height = picture.size
    if same_shape(picture.size, size):
        return picture.resized(size)
    scale = min(size[0] / width, size[1] / height)
    return picture.resized((max(1, round(width * scale)), max(1, round(height * scale))))
