"""The paper's editing service before an editor: `POST /edit`, `GET /health`, `GET /status`, `GET /`.

Fields and answers are those of the official repository's `inference/server` (appletea2333/EditThinker), so
that its clients work. What an editor cannot be told per call (steps, guidance) is not silently dropped: the
answer lists it under "ignored".
"""

from __future__ import annotations

import asyncio
import base64
import secrets
import time
import uuid
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from editthinker.core.errors import ImageError
from editthinker.core.images import Picture
from editthinker.core.types import EditRequest
from editthinker.serve.disconnect import while_connected
from editthinker.serve.line import Line

SEEDS = 2**31


class Order(BaseModel):
    """What the paper's clients send; of its many settings the three that every editor has."""

    model_config = ConfigDict(extra="allow")

    image: str = Field("", description="PNG, JPEG or WebP in base64")
    prompt: str = Field(min_length=1)
    seed: int | None = Field(None, ge=0, description="null: by chance, and told in the answer")


def routes(line: Line, served_as: str) -> APIRouter:
    """The endpoints of the paper's service."""
    router = APIRouter()

    @router.get("/")
    async def front() -> dict[str, Any]:
        return {
            "message": "an editor behind HTTP, served by editthinker",
            "model": served_as,
            "editor": asdict(line.editor.info),
            "endpoints": ["/v1/images/edits", "/v1/models", "/edit", "/health", "/status"],
        }

    @router.get("/health")
    async def health() -> JSONResponse:
        state = "ready" if line.ready else "failed" if line.failure else "loading"
        told = {
            "status": state,
            "gpu_manager_ready": line.ready,
            "timestamp": time.time(),
            "detail": line.reason,
        }
        headers = {} if line.ready or line.failure else {"Retry-After": "1"}
        return JSONResponse(told, 200 if line.ready else 503, headers)

    @router.get("/status")
    async def status() -> dict[str, Any]:
        return {"model": served_as, **line.status()}

    @router.post("/edit")
    async def edit(order: Order, request: Request) -> dict[str, Any]:
        if not order.image:
            raise HTTPException(400, "there is no image: send one as base64 in the field 'image'")
        return await while_connected(request, _carried_out(order, line))

    return router


async def _carried_out(order: Order, line: Line) -> dict[str, Any]:
    began = time.monotonic()
    source = await asyncio.to_thread(_picture, order.image)
    seed = secrets.randbelow(SEEDS) if order.seed is None else order.seed
    async with line.turn():
        edited = await line.edit(EditRequest((source,), order.prompt, seed))
    encoded = await asyncio.to_thread(edited.image.encode)
    return {
        "success": True,
        "task_id": str(uuid.uuid4()),
        "original_image": order.image,
        "edited_image": base64.b64encode(encoded).decode(),
        "seed": seed,
        "original_prompt": order.prompt,
        "enhanced_prompt": None,
        "gpu_id": None,
        "processing_time": time.monotonic() - began,
        "ignored": sorted(order.model_extra or {}),
        "error": None,
    }


def _picture(text: str) -> Picture:
    """From base64, with or without the head of a data URL. Raises `ImageError`."""
    head, comma, rest = text.partition(",")
    try:
        data = base64.b64decode(rest if comma and head.startswith("data:") else text, validate=True)
    except ValueError:  # binascii.Error is one; characters beyond ASCII raise the plain one
        raise ImageError("cannot use the image: it is not base64") from None
    return Picture.decode(data, "image")
