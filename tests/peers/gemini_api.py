"""Google's `generateContent` for image models, as its REST reference and google-genai's own types define it.

Strict: unknown fields, unknown shapes and a missing key are answered as Google answers them. The darkroom
does the edit; the result has the size that the real model draws for the shape asked for.
"""

# ruff: noqa: N815 - the API's own names

from __future__ import annotations

import base64
from collections import deque
from collections.abc import Callable
from threading import Event
from typing import Any, Literal

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from editthinker.core.errors import Refused
from peers.painting import painted, png

SIZES = {
    "1:1": (1024, 1024),
    "2:3": (832, 1248),
    "3:2": (1248, 832),
    "3:4": (864, 1184),
    "4:3": (1184, 864),
    "4:5": (896, 1152),
    "5:4": (1152, 896),
    "9:16": (768, 1344),
    "16:9": (1344, 768),
    "21:9": (1536, 672),
    "1:4": (512, 2048),
    "4:1": (2048, 512),
    "1:8": (384, 3072),
    "8:1": (3072, 384),
}
SHRINK = 4
"""The stand-in draws at a quarter of the side, for speed; the proportions are the model's."""


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Blob(Strict):
    """Protobuf's JSON takes field names in both cases, and both alphabets of base64; the SDK uses that."""

    mime_type: Literal["image/png", "image/jpeg", "image/webp"] = Field(
        validation_alias=AliasChoices("mimeType", "mime_type")
    )
    data: str


class Part(Strict):
    text: str | None = None
    inlineData: Blob | None = None


class Content(Strict):
    role: Literal["user"]
    parts: list[Part] = Field(min_length=1)


class ImageConfig(Strict):
    aspectRatio: Literal[tuple(SIZES)] | None = None  # type: ignore[valid-type]
    imageSize: Literal["512", "1K", "2K", "4K"] | None = None


class GenerationConfig(Strict):
    responseModalities: list[Literal["TEXT", "IMAGE"]]
    imageConfig: ImageConfig | None = None
    seed: int | None = Field(None, ge=-(2**31), lt=2**31)
    temperature: float | None = Field(None, ge=0, le=2)


class Generate(Strict):
    contents: list[Content] = Field(min_length=1, max_length=1)
    generationConfig: GenerationConfig

    @property
    def images(self) -> list[bytes]:
        return [base64.urlsafe_b64decode(p.inlineData.data) for p in self.contents[0].parts if p.inlineData]

    @property
    def text(self) -> str:
        return "".join(part.text or "" for part in self.contents[0].parts)


class GeminiApi:
    """One server; `requests` is what it was asked, `next` what it answers instead of working."""

    def __init__(self, model: str = "gemini-2.5-flash-image", key: str = "test-key") -> None:
        self.forget()
        self.app = FastAPI()

        @self.app.post("/{version}/models/{called}")
        async def generate(version: Literal["v1", "v1beta"], called: str, http: Request) -> Response:
            if http.headers.get("x-goog-api-key") != key:
                return failed(
                    400, "API key not valid. Please pass a valid API key.", reason="API_KEY_INVALID"
                )
            if called != f"{model}:generateContent":
                return failed(404, f"models/{called} is not found for API version v1beta")
            try:
                asked = Generate.model_validate_json(await http.body())
            except ValidationError as error:
                return failed(400, f"Invalid JSON payload received. {error.errors()[0]['loc']}")
            self.requests.append(asked)
            self.started.set()
            if self.hold:
                while (await http.receive())["type"] != "http.disconnect":
                    pass
                self.abandoned.set()
            if self.next:
                answer = self.next.popleft()
                return answer if isinstance(answer, Response) else answer()
            return await _drawn(asked)

    def forget(self) -> None:
        """As it was at the start, while it goes on running."""
        self.requests: list[Generate] = []
        self.next: deque[Response | Callable[[], Response]] = deque()
        self.hold = False
        """Do not answer; `abandoned` is set when the client goes away."""
        self.started, self.abandoned = Event(), Event()


async def _drawn(asked: Generate) -> Response:
    config = asked.generationConfig
    shape = (config.imageConfig and config.imageConfig.aspectRatio) or "1:1"
    try:
        image = await painted(asked.images[0], asked.text, config.seed or 0)
    except Refused as error:
        return spoken(f"I cannot do that: {error}")
    width, height = SIZES[shape]
    return drawn(png(image.resize((width // SHRINK, height // SHRINK))))


def drawn(image: bytes, mime_type: str = "image/png", *, words: str = "") -> Response:
    """An answer with this image, perhaps with words before it."""
    blob = {"inlineData": {"mimeType": mime_type, "data": base64.b64encode(image).decode()}}
    return candidate([*([{"text": words}] if words else []), blob])


def spoken(words: str) -> Response:
    """An answer in words only."""
    return candidate([{"text": words}])


def candidate(parts: list[dict[str, Any]] | None, finish: str = "STOP", **more: Any) -> Response:
    """An answer with one candidate."""
    content = {} if parts is None else {"content": {"role": "model", "parts": parts}}
    return answer(candidates=[{**content, "finishReason": finish, "index": 0, **more}])


def answer(**body: Any) -> Response:
    """Any answer of `generateContent`."""
    usage = {
        "promptTokenCount": 1000,
        "candidatesTokenCount": 1290,
        "totalTokenCount": 2290,
        "promptTokensDetails": [{"modality": "IMAGE", "tokenCount": 258}],
    }
    return JSONResponse({"usageMetadata": usage, "modelVersion": "gemini-test", "responseId": "x", **body})


STATUS = {400: "INVALID_ARGUMENT", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED"}


def failed(code: int, message: str, *, reason: str = "", delay: str = "", quota: str = "") -> Response:
    """An error as Google writes it."""
    kind = "type.googleapis.com/google.rpc."
    details: list[dict[str, Any]] = []
    if reason:
        details.append({"@type": f"{kind}ErrorInfo", "reason": reason, "domain": "googleapis.com"})
    if quota:
        details.append({"@type": f"{kind}QuotaFailure", "violations": [{"quotaId": quota}]})
    if delay:
        details.append({"@type": f"{kind}RetryInfo", "retryDelay": delay})
    status = STATUS.get(code, "UNAVAILABLE" if code == 503 else "INTERNAL")
    error = {"code": code, "message": message, "status": status, "details": details}
    return JSONResponse({"error": error}, code)
