"""A strict stand-in for `/v1/chat/completions`, with the darkroom's thinker behind it: it really looks.

Flavour "openai" keeps OpenAI's documented rules: every field is known, a strict schema is strict, tokens
are limited by `max_completion_tokens` (https://developers.openai.com/api/reference/resources/chat). Flavour
"vllm" takes `response_format`, `structured_outputs` and unknown fields, which it notes. Flavour "plain" is a
server without guided decoding: it answers 400 to it. Each misbehaves on demand, one fault a request.

What to answer is read off the prompt: the pictures, the quoted instructions, the form asked for.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import re
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from PIL import Image

from editthinker.core import reply
from editthinker.core.contracts import View
from editthinker.core.errors import ReplyError
from editthinker.core.images import Picture
from editthinker.core.types import Critique, Sample, Score
from editthinker.darkroom.thinker import DarkroomThinker

KEY = "sk-test-0123456789abcdef"
MODEL = "darkroom-vl"
TOKENS = (1_000, 200)
"""What every answer is said to have taken, in and out."""

_ERRORS: Mapping[str, tuple[int, dict[str, Any], dict[str, str]]] = {
    "unauthorized": (401, {"message": f"Incorrect API key provided: {KEY}.", "code": "invalid_api_key"}, {}),
    "forbidden": (403, {"message": "Project may not use this model.", "code": "permission_denied"}, {}),
    "no-such-model": (404, {"message": "The model does not exist.", "code": "model_not_found"}, {}),
    "rate-limited": (429, {"message": "Rate limit.", "code": "rate_limit_exceeded"}, {"retry-after": "7"}),
    "server-error": (500, {"message": "The server had an error.", "type": "server_error"}, {}),
    "overloaded": (503, {"message": "Try again later.", "type": "overloaded"}, {"retry-after": "2"}),
    "moderated": (400, {"message": "Rejected by the safety system.", "code": "content_filter"}, {}),
}
FAULTS = (
    list(_ERRORS)
    + """
    too-large html truncated-body half-json slow-drip stall no-choices null empty refusal filtered length
    garbage reasoning-field thinks-aloud no-usage
""".split()  # noqa: SIM905 - words in a row are read more easily
)

_FIELDS: Mapping[str, Callable[[Any], bool]] = {
    "model": lambda value: isinstance(value, str),
    "messages": lambda value: isinstance(value, list),
    "temperature": lambda value: isinstance(value, int | float) and 0 <= value <= 2,
    "seed": lambda value: isinstance(value, int),
    "max_tokens": lambda value: isinstance(value, int) and value > 0,
    "max_completion_tokens": lambda value: isinstance(value, int) and value > 0,
    "response_format": lambda value: isinstance(value, dict),
    "top_p": lambda value: isinstance(value, int | float) and 0 <= value <= 1,
}
_QUOTED = re.compile(r'^("{3,})\n(.*?)\n\1$', re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Asked:
    """One request as it arrived."""

    body: Mapping[str, Any]
    parts: tuple[str | Image.Image, ...]
    headers: Mapping[str, str]
    ignored: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """All its text."""
        return "\n".join(part for part in self.parts if isinstance(part, str))

    @property
    def pictures(self) -> list[Image.Image]:
        """Its images, in order."""
        return [part for part in self.parts if not isinstance(part, str)]


class Invalid(Exception):
    def __init__(self, message: str, param: str = "", status: int = 400) -> None:
        super().__init__(message)
        error = {"message": message, "type": "invalid_request_error", "param": param, "code": None}
        self.answer = JSONResponse({"error": error}, status)


@dataclass(eq=False)
class ChatPeer:
    """The server: `with serving(peer.app) as url`, then `chat:MODEL?base_url={url}/v1`."""

    flavour: Literal["openai", "vllm", "plain"] = "vllm"
    model: str = MODEL
    key: str = ""
    """What must be sent as bearer; "" asks for none."""
    max_images: int = 8
    faults: list[str] = field(default_factory=list)
    """One is taken by each request; good answers when it is empty."""
    always: str = ""
    """The fault of every request, when `faults` is empty."""
    by_content: bool = False
    """Images are taken for what they are, whatever they are said to be: benchmarks' scripts rely on it."""
    says: Callable[[Asked], str] | None = None
    """What is answered, instead of what the darkroom thinks."""
    reads: Callable[[str], tuple[str, str]] | None = None
    """How instruction and instruction sent are found in the text of a foreign prompt."""
    asked: list[Asked] = field(default_factory=list)
    """Valid requests, in order."""
    hung_up: threading.Event = field(default_factory=threading.Event)
    started: threading.Event = field(default_factory=threading.Event)

    @property
    def app(self) -> FastAPI:
        """A fresh application over this state."""
        app = FastAPI()
        app.post("/v1/chat/completions")(self._complete)
        app.get("/v1/models")(self._models)
        return app

    async def _models(self) -> Any:
        return {"object": "list", "data": [{"id": self.model, "object": "model", "owned_by": "tests"}]}

    async def _complete(self, request: Request) -> Response:
        fault = self.faults.pop(0) if self.faults else self.always
        assert not fault or fault in FAULTS, fault
        if self.key and request.headers.get("authorization") != f"Bearer {self.key}":
            fault = "unauthorized"
        body = await request.body()
        if fault in _ERRORS:
            status, error, headers = _ERRORS[fault]
            return Response(json.dumps({"error": error}), status, headers, "application/json")
        try:
            asked = self._valid(json.loads(body), dict(request.headers))
        except Invalid as invalid:
            return invalid.answer
        self.asked.append(asked)
        if fault == "stall":
            return await self._stall(request)
        if odd := self._odd(fault):
            return odd
        return self._answer(asked, await self._text(asked, fault), fault)

    def _valid(self, body: Any, headers: Mapping[str, str]) -> Asked:
        """The request. Raises `Invalid` as the API would answer."""
        if not isinstance(body, dict):
            raise Invalid("The body must be a JSON object.")
        ignored = [name for name in body if name not in _FIELDS]
        if self.flavour == "openai" and ignored:
            raise Invalid(f"Unrecognized request argument supplied: {ignored[0]}", ignored[0])
        for name, fits in _FIELDS.items():
            if name in body and not fits(body[name]):
                raise Invalid(f"Invalid value for '{name}'.", name)
        if body.get("model") != self.model:
            raise Invalid(f"The model `{body.get('model')}` does not exist.", "model", 404)
        if self.flavour == "openai" and "max_tokens" in body:
            raise Invalid("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens'.", "max_tokens")
        self._check_guidance(body)
        if self.flavour == "vllm":
            ignored = [name for name in ignored if name != "structured_outputs"]
        messages = body.get("messages") or []
        if len(messages) != 1 or messages[0].get("role") != "user" or set(messages[0]) != {"role", "content"}:
            raise Invalid("This stand-in wants one user message.", "messages")
        parts = tuple(_part(part, by_content=self.by_content) for part in messages[0]["content"])
        if sum(not isinstance(part, str) for part in parts) > self.max_images:
            raise Invalid(f"At most {self.max_images} image(s) may be provided in one prompt.", "messages")
        return Asked(body, parts, headers, tuple(ignored))

    def _check_guidance(self, body: Mapping[str, Any]) -> None:
        guidance = [name for name in ("response_format", "structured_outputs") if name in body]
        if self.flavour == "plain" and guidance:
            raise Invalid(f"{guidance[0]} is not supported by this server", guidance[0])
        if "response_format" in body:
            given = body["response_format"]
            schema = given.get("json_schema", {})
            if given.get("type") != "json_schema" or set(schema) - {"name", "strict", "schema"}:
                raise Invalid("Invalid response_format.", "response_format")
            if not re.fullmatch(r"[\w-]{1,64}", schema.get("name", "")):
                raise Invalid("Invalid name in response_format.", "response_format")
            if schema.get("strict"):
                _check_strict(schema["schema"])
        if "structured_outputs" in body:
            if set(body["structured_outputs"]) != {"regex"}:
                raise Invalid("structured_outputs wants one constraint.", "structured_outputs")
            re.compile(body["structured_outputs"]["regex"])

    async def _text(self, asked: Asked, fault: str) -> str:
        if fault == "garbage":
            return "I am sorry, as a language model I see two lovely photos."
        text = self.says(asked) if self.says else await self._thought(asked)
        if (given := asked.body.get("response_format")) and not self.says:
            assert set(json.loads(text)) == set(given["json_schema"]["schema"]["required"]), text
        if (given := asked.body.get("structured_outputs")) and not self.says:
            assert re.fullmatch(given["regex"], text), text
        return text

    async def _thought(self, asked: Asked) -> str:
        """What the darkroom thinks of the pictures, in the form that the prompt asks for."""
        instruction, sent = (self.reads or _instructions)(asked.text)
        source, *others = (Picture.open(picture) for picture in asked.pictures)
        if '"steps"' in asked.text:
            steps = instruction.split(", then ")
            return json.dumps({"reasoning": "one by one", "steps": steps})
        if '"better"' in asked.text:
            critiques = [await self._critique(source, edited, instruction, instruction) for edited in others]
            ahead = _overall(critiques[0]) - _overall(critiques[1])
            better = "tie" if abs(ahead) < 0.1 else "first" if ahead > 0 else "second"
            return json.dumps({"reasoning": "compared", "better": better})
        critique = await self._critique(source, others[-1] if others else None, instruction, sent)
        score = critique.score or Score(0, 0)
        if '"following"' in asked.text:
            scores = {"following": score.semantic, "preservation": 10, "naturalness": score.quality}
            return json.dumps({"reasoning": critique.reasoning, **scores, "soundness": 10})
        if '"satisfied"' in asked.text:
            done = min(score.semantic, score.quality) >= 8
            words = sent if done else critique.refined_instruction
            verdict = {"satisfied": done, "impossible": "", "instruction": words}
            return json.dumps({"reasoning": critique.reasoning, **verdict})
        if '"answer"' in asked.text:
            points = {"semantic": score.semantic, "quality": score.quality}
            rest = {"score": points, "impossible": "", "answer": critique.refined_instruction}
            return json.dumps({"reasoning": critique.reasoning, **rest})
        if not others:
            rest = {"impossible": "", "instruction": critique.refined_instruction}
            return json.dumps({"reasoning": critique.reasoning, **rest})
        return _rendered(critique)

    async def _critique(
        self, source: Picture, edited: Picture | None, instruction: str, sent: str
    ) -> Critique:
        try:
            view = View(Sample((source,), instruction), sent, edited)
            return (await _darkroom().think(view)).critique
        except ReplyError as error:
            return Critique(Score(0, 0), str(error), sent or instruction)

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

    def _odd(self, fault: str) -> Response | None:
        """Answers that are no completion."""
        odd: dict[str, Callable[[], Response]] = {
            "too-large": lambda: HTMLResponse("<html><h1>413 Request Entity Too Large</h1></html>", 413),
            "html": lambda: HTMLResponse("<html><body>Welcome to nginx!</body></html>"),
            "truncated-body": lambda: StreamingResponse(_broken(), media_type="application/json"),
            "half-json": lambda: Response(b'{"id": "x", "choices": [{"mess', media_type="application/json"),
            "slow-drip": lambda: StreamingResponse(self._drip(), media_type="application/json"),
            "no-choices": lambda: JSONResponse(_completion(self.model, [])),
        }
        return odd[fault]() if fault in odd else None

    def _answer(self, asked: Asked, text: str, fault: str) -> Response:
        message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
        finish = "stop"
        if fault in ("null", "empty"):
            message["content"] = None if fault == "null" else " \n"
        elif fault == "refusal":
            message |= {"content": None, "refusal": "I cannot judge pictures of this kind."}
        elif fault == "filtered":
            message["content"], finish = "", "content_filter"
        elif fault == "length":
            message["content"], finish = text[: len(text) // 2], "length"
        elif fault == "reasoning-field":
            thoughts, _, rest = text.partition("</think>")
            message |= {"content": rest, "reasoning_content": thoughts.removeprefix("<think>")}
        elif fault == "thinks-aloud":
            message["content"] = f'<think>Perhaps {{"satisfied": true}}?</think>\n```json\n{text}\n```'
        answer = _completion(self.model, [{"index": 0, "message": message, "finish_reason": finish}])
        if fault == "no-usage":
            del answer["usage"]
        return JSONResponse(answer)


def _completion(model: str, choices: list[Any]) -> dict[str, Any]:
    sent, received = TOKENS
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": choices,
        "usage": {"prompt_tokens": sent, "completion_tokens": received, "total_tokens": sent + received},
    }


def _part(part: Any, *, by_content: bool) -> str | Image.Image:
    if not isinstance(part, dict) or part.get("type") not in ("text", "image_url"):
        raise Invalid("A part must be text or image_url.", "messages")
    if part["type"] == "text":
        if set(part) != {"type", "text"} or not isinstance(part["text"], str) or not part["text"]:
            raise Invalid("A text part must have text.", "messages")
        return part["text"]
    image = part.get("image_url")
    if set(part) != {"type", "image_url"} or not isinstance(image, dict) or set(image) - {"url", "detail"}:
        raise Invalid("Invalid image_url part.", "messages")
    if image.get("detail", "auto") not in ("auto", "low", "high", "original"):
        raise Invalid("Invalid value for 'detail'.", "messages")
    found = re.fullmatch(r"data:image/(png|jpeg|webp);base64,([A-Za-z0-9+/=]+)", image.get("url", ""))
    if not found:
        raise Invalid("Invalid image URL.", "messages")
    try:
        kinds = ["PNG", "JPEG", "WEBP"] if by_content else [found[1].upper()]
        picture = Image.open(io.BytesIO(base64.b64decode(found[2])), formats=kinds)
        picture.load()
    except OSError:
        raise Invalid("You uploaded an unsupported image.", "messages") from None
    return picture


def _check_strict(schema: Any) -> None:
    """OpenAI's rules for strict schemas, as far as ours go."""
    if not isinstance(schema, dict) or "$ref" in schema:
        raise Invalid("Invalid schema.", "response_format")
    if schema.get("type") == "object":
        if schema.get("additionalProperties") is not False:
            raise Invalid("'additionalProperties' must be false.", "response_format")
        if sorted(schema.get("required", [])) != sorted(schema["properties"]):
            raise Invalid("'required' must include every key in properties.", "response_format")
        for inner in schema["properties"].values():
            _check_strict(inner)
    elif schema.get("type") == "array":
        _check_strict(schema["items"])
    elif schema.get("type") not in ("string", "number", "boolean") and "enum" not in schema:
        raise Invalid("Invalid schema: type.", "response_format")


def _instructions(text: str) -> tuple[str, str]:
    """The user's instruction and the one that was sent, as our own prompts quote them."""
    found = _QUOTED.search(text)
    assert found is not None, text
    after = text[found.end() :]
    sent = re.search(r'that was sent to the editor:\n("{3,})\n(.*?)\n\1\n', after, re.DOTALL)
    return found[2], sent[2] if sent else found[2]


def _rendered(critique: Critique) -> str:
    """As `TAG_REGEX` wants it: without angle brackets in the words."""
    words = {
        name: re.sub(r"\s+", " ", getattr(critique, name)).replace("<", "(") or "nothing"
        for name in ("reasoning", "refined_instruction")
    }
    score = critique.score or Score(0, 0)
    rounded = Score(round(score.semantic, 1), round(score.quality, 1))
    return reply.render(Critique(rounded, **words))


def _overall(critique: Critique) -> float:
    return critique.score.overall if critique.score else 0.0


@cache
def _darkroom() -> DarkroomThinker:
    return DarkroomThinker.load()


async def _broken() -> AsyncIterator[bytes]:
    yield b'{"id": "chatcmpl-1", "choices": [{"message": {"content": "<think>'
    await asyncio.sleep(0.01)
    raise ConnectionError("the stand-in breaks off here on purpose")
