"""Hugging Face as its client library knows it: the hub's provider mapping, two providers, one endpoint.

`/endpoint` is an Inference Endpoint (hf-inference's JSON); `/together` and `/fal-ai` are what the router
offers under those names, the second with a queue. Each is strict about its own fields (huggingface_hub,
`inference/_providers`; the providers' references) and lets the darkroom edit.
"""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import Callable
from threading import Event
from typing import Any, Literal

from fastapi import FastAPI, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.responses import JSONResponse, Response

from editthinker.core.errors import Refused
from peers.painting import painted, png

PROVIDERS = {"together": "kontext-flux.1", "fal-ai": "fal-ai/kontext"}


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Size(Strict):
    width: int
    height: int


class Parameters(Strict):
    prompt: str
    negative_prompt: str | None = None
    guidance_scale: float | None = None
    num_inference_steps: int | None = Field(None, ge=1)
    target_size: Size | None = None
    seed: int | None = None


class Endpoint(Strict):
    inputs: str
    parameters: Parameters


class Together(Strict):
    model: Literal["kontext-flux.1"]
    prompt: str
    image_url: str
    response_format: Literal["base64"]
    steps: int | None = None
    seed: int | None = None
    guidance_scale: float | None = None
    negative_prompt: str | None = None


class Fal(Strict):
    prompt: str
    image_url: str
    image_urls: list[str]
    seed: int | None = None
    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    image_size: Size | None = None


class HuggingFace:
    """One server for all of it; `requests` is what was asked, `next` what is answered instead of working."""

    def __init__(self, key: str = "hf_test_token") -> None:
        self.forget()
        self.url = ""
        self.app = FastAPI()
        self._key = key
        self._routes()

    def forget(self) -> None:
        """As it was at the start, while it goes on running."""
        self.requests: list[Any] = []
        self.keys: list[str] = []
        self.media: list[str] = []
        self.next: deque[Response | Callable[[], Response]] = deque()
        self.hold = False
        """Do not answer; `abandoned` is set when the client goes away."""
        self.started, self.abandoned = Event(), Event()
        self.made = b""
        self.polls = 0

    def _routes(self) -> None:
        @self.app.get("/api/models/{owner}/{name}")
        async def model_info(owner: str, name: str) -> Any:
            if name == "nothing":
                return JSONResponse({"error": "Repository not found"}, 404, {"x-error-code": "RepoNotFound"})
            mapping = {
                provider: {"status": "live", "providerId": theirs, "task": "image-to-image"}
                for provider, theirs in PROVIDERS.items()
            }
            return {
                "id": f"{owner}/{name}",
                "inferenceProviderMapping": {} if name == "unserved" else mapping,
            }

        @self.app.post("/endpoint")
        async def endpoint(http: Request) -> Response:
            async def answer(asked: Endpoint) -> Response:
                image = await self._edit(asked.inputs, asked.parameters.prompt, asked.parameters.seed)
                return Response(image, media_type="image/png")

            return await self._answer(http, Endpoint, answer)

        @self.app.post("/together/v1/images/generations")
        async def together(http: Request) -> Response:
            async def answer(asked: Together) -> Response:
                image = await self._edit(asked.image_url, asked.prompt, asked.seed)
                return JSONResponse({"data": [{"b64_json": base64.b64encode(image).decode()}]})

            return await self._answer(http, Together, answer)

        @self.app.post("/fal-ai/fal-ai/kontext")
        async def fal(http: Request) -> Response:
            async def answer(asked: Fal) -> Response:
                self.made = await self._edit(asked.image_url, asked.prompt, asked.seed)
                where = f"{self.url}/fal-ai/kontext/requests/1"
                return JSONResponse({"request_id": "1", "status": "IN_QUEUE", "response_url": where})

            return await self._answer(http, Fal, answer)

        @self.app.get("/fal-ai/kontext/requests/1/status")
        async def status() -> Any:
            self.polls += 1
            return {"status": "COMPLETED" if self.polls > 1 else "IN_PROGRESS"}

        @self.app.get("/fal-ai/kontext/requests/1")
        async def result() -> Any:
            return {"images": [{"url": f"{self.url}/made.png"}]}

        @self.app.get("/made.png")
        async def made() -> Response:
            return Response(self.made, media_type="image/png")

    async def _answer(self, http: Request, fields: type[Strict], work: Any) -> Response:
        self.keys.append(http.headers.get("authorization", ""))
        if self.keys[-1] != f"Bearer {self._key}":
            return JSONResponse({"error": "Invalid credentials in Authorization header"}, 401)
        try:
            asked = fields.model_validate_json(await http.body())
        except ValidationError as error:
            return JSONResponse({"error": f"unknown field {error.errors()[0]['loc']}"}, 422)
        self.requests.append(asked)
        self.started.set()
        if self.hold:
            while (await http.receive())["type"] != "http.disconnect":
                pass
            self.abandoned.set()
        if self.next:
            answer = self.next.popleft()
            return answer if isinstance(answer, Response) else answer()
        try:
            return await work(asked)
        except Refused as error:
            return JSONResponse({"error": str(error)}, 400)

    async def _edit(self, image: str, prompt: str, seed: int | None) -> bytes:
        label, _, data = image.rpartition("base64,")
        decoded = base64.b64decode(data, validate=True)
        self.media.append(label)
        return png(await painted(decoded, prompt, 1 if seed is None else seed))
