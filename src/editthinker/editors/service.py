"""The paper's editing service: `service:http://127.0.0.1:8005?model=flux`.

In: where one of the services of the official repository runs (inference/server/apis), and which model it
serves. Out: edits through `POST /edit`. The real service ignores fields that it does not know, so a setting
that the model does not have is refused here, by name, before anything is sent. It rewrites the instruction by
itself unless told not to (`enhance_prompt`); here that is off unless asked for.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from pydantic import Field

from editthinker.core.contracts import EditorInfo
from editthinker.core.errors import ImageError, InputError
from editthinker.core.images import Picture
from editthinker.core.types import Edited, EditRequest
from editthinker.editors.delivery import Frame, delivered
from editthinker.editors.sizes import SizeRule
from editthinker.wire import secrets
from editthinker.wire.connection import Connection, PerLoop, checked_url, http_client
from editthinker.wire.failures import Peer, attributed, of_status
from editthinker.wire.pictures import Shape, as_base64

if TYPE_CHECKING:
    from httpx2 import AsyncClient

SIZES = SizeRule(16)
"""The services cut or squeeze what is left over of a side."""
TIMED_OUT, QUEUE_FULL = "任务超时", "任务队列已满"
"""What the service says when its own time limit passed, and when its queue has no room."""
READY_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class _Model:
    """What one of the services takes, and what its card recommends."""

    presets: Mapping[str, Any]
    """Setting to default; these are the settings it has."""
    top: Mapping[str, float]
    """Largest value the service accepts, where it is not that of `Settings`."""
    languages: tuple[str, ...]
    hint: str
    limit: int | None
    card: str


_PLAIN = "one plain imperative sentence; name what must stay the same"
_MODELS: Mapping[str, _Model] = {
    "flux": _Model(
        {"guidance": 2.5, "steps": 28, "enhance_prompt": False},
        {"guidance": 7.5},
        ("en",),
        "say what to change and what to keep, name the subject instead of 'it', quote text to be written",
        380,  # T5 reads 512 tokens
        "https://huggingface.co/black-forest-labs/FLUX.1-Kontext-dev",
    ),
    "qwen": _Model(
        {"guidance": 4.0, "steps": 50, "negative_prompt": " ", "enhance_prompt": False},
        {"guidance": 7.5},
        ("en", "zh"),
        _PLAIN,
        None,
        "https://huggingface.co/Qwen/Qwen-Image-Edit",
    ),
    "qwen-lightning": _Model(
        {"guidance": 1.0, "steps": 8, "negative_prompt": " ", "enhance_prompt": False},
        {"guidance": 7.5, "steps": 50},
        ("en", "zh"),
        _PLAIN,
        None,
        "https://huggingface.co/lightx2v/Qwen-Image-Lightning",
    ),
    "omnigen2": _Model(
        {
            "text_guidance": 5.0,
            "image_guidance": 2.0,
            "steps": 50,
            "negative_prompt": "(((deformed))), blurry, over saturation, bad anatomy",
        },
        {},
        ("en",),
        _PLAIN,
        None,
        "https://huggingface.co/OmniGen2/OmniGen2",
    ),
    "longcat": _Model(
        {"guidance": 4.5, "steps": 50, "negative_prompt": ""},
        {},
        ("en", "zh"),
        _PLAIN,
        None,
        "https://huggingface.co/meituan-longcat/LongCat-Image-Edit",
    ),
}
_UNKNOWN = _Model({"enhance_prompt": False}, {}, (), "", None, "")
_WIRE = {
    "guidance": "guidance_scale",
    "text_guidance": "text_guidance_scale",
    "image_guidance": "image_guidance_scale",
    "steps": "num_inference_steps",
    "negative_prompt": "negative_prompt",
    "enhance_prompt": "enhance_prompt",
}
"""Settings that are sent, and what the service calls them (paper code, `EditRequest` of each service)."""


class ServiceEditor:
    """The editor behind the name "service:URL"."""

    class Settings(Connection):
        """What can be set on an editing service; None takes the model's preset."""

        model: Literal["", "flux", "qwen", "qwen-lightning", "omnigen2", "longcat"] = Field(
            "", description="what the service runs; '' sends only what is set here"
        )
        steps: int | None = Field(None, ge=1, le=100, description="denoising steps")
        guidance: float | None = Field(None, ge=0, le=10, description="guidance scale (not omnigen2)")
        text_guidance: float | None = Field(None, ge=0, le=10, description="omnigen2 only")
        image_guidance: float | None = Field(None, ge=0, le=10, description="omnigen2 only")
        negative_prompt: str | None = Field(None, description="what to avoid (not flux)")
        enhance_prompt: bool | None = Field(
            None, description="let the service rewrite the instruction (flux, qwen, qwen-lightning)"
        )
        pixels: int = Field(1024 * 1024, ge=4096, description="photos are shrunk to this many before sending")

    def __init__(self, what: str, settings: Settings, *, name: str = "") -> None:
        """`what` is the URL. Raises `InputError` for a setting that the model does not have."""
        self._name = name or f"service:{what}"
        label = f"editor {self._name!r}"
        if settings.base_url:
            raise InputError(f"{label}: the address is part of the name, not the setting 'base_url'")
        try:
            self._url = checked_url(what).removesuffix("/edit")
        except ValueError as error:
            raise InputError(f"{label}: the address {error}") from None
        self._settings = settings
        self._model = _MODELS.get(settings.model, _UNKNOWN)
        self._fields = _fields(label, settings, self._model)
        self._peer = Peer("editor", self._name, "", secrets.read(settings.key), "the setting 'key'")
        self._clients: PerLoop[AsyncClient] = PerLoop(
            lambda: http_client(self._url, settings.timeout, self._peer.secret),
            lambda client: client.aclose(),
        )

    @property
    def info(self) -> EditorInfo:
        """Facts for the thinker and the loop."""
        return EditorInfo(
            self._name,
            languages=self._model.languages,
            prompt_hint=self._model.hint,
            prompt_limit=self._model.limit,
            price=0.0,
            card=self._model.card,
        )

    async def edit(self, request: EditRequest) -> Edited:
        """One call of `/edit`. Raises `EditorError`; what may pass by waiting is transient."""
        source = request.images[0]
        frame = Frame(source.size, SIZES.canvas(source.size, self._settings.pixels))
        image = await _sent(source, frame)
        told = json.dumps({"prompt": request.instruction, "seed": request.seed, **self._fields}).encode()
        body = told[:-1] + b', "image": "' + image + b'"}'  # base64 needs no escaping
        answer = await self._ask("POST", "/edit", content=body, headers={"Content-Type": "application/json"})
        if not answer.get("success", True):
            self._failed(200, answer)
        if not answer.get("edited_image"):
            raise self._peer.error("says that it is done, but sent no image", transient=True)
        picture = await asyncio.to_thread(self._received, source, frame, answer["edited_image"])
        said = ("seed", "enhanced_prompt", "processing_time", "gpu_id", "task_id")
        notes = {key: answer[key] for key in said if answer.get(key) is not None}
        return Edited(picture, notes={"sent": self._fields, **notes})

    async def ready(self) -> str:
        """One sentence on how far the service is; raises `EditorError` when it can do nothing yet.

        `/health` is green as soon as the workers are spawned, before a model is loaded, and stays green when
        loading fails; `/status` counts dead workers too. So the sentence promises no more than it knows.
        """
        health = await self._ask("GET", "/health", timeout=READY_SECONDS)
        status = await self._ask("GET", "/status", timeout=READY_SECONDS)
        workers, waiting = status.get("active_workers", 0), status.get("pending_tasks", 0)
        if not (health.get("gpu_manager_ready", True) and status.get("system_ready", True) and workers):
            raise self._peer.error(
                "is up, but its workers are not; is a model still loading?", transient=True
            )
        if health.get("status") == "ready":  # ours (`editthinker serve-editor`) says so only after an edit
            return f"its editor is loaded and has answered; {waiting} edits waiting"
        return (
            f"{workers} of {status.get('total_gpus', '?')} workers started, {waiting} edits waiting; the "
            "service does not say whether its model is loaded, only an edit shows that"
        )

    async def _ask(self, method: str, path: str, **how: Any) -> dict[str, Any]:
        with attributed(self._peer):
            async with asyncio.timeout(self._settings.timeout):  # the client's own limit is per read
                client = await self._clients.get()
                response = await client.request(method, path, **how)
            if response.status_code != 200:
                self._failed(response.status_code, response.text, response.headers)
            answer = response.json() if response.content else None
        if not isinstance(answer, dict):
            raise self._peer.error("sent an answer that is none of an editing service", transient=True)
        return answer

    def _failed(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> NoReturn:
        """What a status, or `success: false`, means for the person who waits."""
        said = str(body)
        if TIMED_OUT in said:
            raise self._peer.error(
                "gave up on this edit after its own time limit (TASK_TIMEOUT)", transient=True
            )
        if QUEUE_FULL in said:
            raise self._peer.error("has no room in its queue (TASK_QUEUE_SIZE)", transient=True)
        if "out of memory" in said.lower():
            # What filled it may be somebody else's edit, and over in a moment.
            raise self._peer.error("ran out of GPU memory; a smaller 'pixels' may fit", transient=True)
        if status != 200:
            raise of_status(self._peer, status, body, headers)
        words = next((str(body[key]) for key in ("error", "detail", "message") if body.get(key)), "")
        raise self._peer.error(f"returned no image: {words or 'it gave no reason'}")

    def _received(self, source: Picture, frame: Frame, encoded: Any) -> Picture:
        try:
            text = str(encoded)
            data = base64.b64decode(text.partition(",")[2] if text[:5] == "data:" else text, validate=True)
            returned = Picture.decode(data, "what the service sent")
        except (ValueError, ImageError) as error:  # base64 complains by ValueError
            raise self._peer.error(f"sent something that is no image: {error}", transient=True) from error
        return delivered(source, returned, frame)


async def _sent(source: Picture, frame: Frame) -> bytes:
    """The photo as a service wants it, which converts nothing: flat RGB, sides that fit, base64."""
    shape = Shape("image/png", frame.canvas, None if frame.box == (0, 0, *frame.canvas) else frame.box)
    return await as_base64(source, shape, lambda: frame.put(source.flattened()).encode())


def _fields(label: str, settings: ServiceEditor.Settings, model: _Model) -> dict[str, Any]:
    """What is sent beside image, prompt and seed, in the service's own words."""
    given = {key: getattr(settings, key) for key in _WIRE if getattr(settings, key) is not None}
    for key, value in given.items():
        if settings.model and key not in model.presets:
            has = ", ".join(model.presets)
            raise InputError(f"{label}: {settings.model} has no setting {key!r}; it has {has}")
        if key in model.top and value > model.top[key]:
            raise InputError(f"{label}: {settings.model} takes {key} up to {model.top[key]:g}, got {value:g}")
    return {_WIRE[key]: value for key, value in {**model.presets, **given}.items()}
