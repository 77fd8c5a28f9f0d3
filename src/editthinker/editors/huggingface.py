"""Hugging Face Inference Providers, and Inference Endpoints of one's own: `hf:Qwen/Qwen-Image-Edit`.

In: a model id, a provider (or "auto"), a token (HF_TOKEN, or the login of `hf auth login`). Out: edits by
huggingface_hub's `image_to_image`: one image, no mask. Which settings act is the provider's affair; what the
providers do with them is in huggingface_hub, `inference/_providers`. A model that is not loaded yet answers
503 with the seconds it needs, which is a reason to wait and no failure.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from editthinker.core.contracts import EditorInfo
from editthinker.core.errors import EditThinkerError, ImageError
from editthinker.core.images import Picture
from editthinker.core.settings import Extra
from editthinker.core.types import Edited, EditRequest
from editthinker.editors.delivery import delivered
from editthinker.wire import prices, secrets
from editthinker.wire.connection import LOCAL_KEY, Connection, PerLoop
from editthinker.wire.failures import LONGEST, Peer, attributed, of_status

if TYPE_CHECKING:
    from huggingface_hub import AsyncInferenceClient

USUAL_KEYS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
_OURS = frozenset({"image", "model", "prompt"})


class HuggingFaceEditor:
    """The editor behind the name "hf:MODEL"."""

    class Settings(Connection):
        """What can be set on a model behind an Inference Provider; None leaves it to the model."""

        base_url: str = Field("", description="an Inference Endpoint instead of a provider")
        provider: str = Field(
            "auto", description="fal-ai, replicate, together, wavespeed, hf-inference, auto"
        )
        steps: int | None = Field(None, ge=1, description="denoising steps")
        guidance: float | None = Field(None, ge=0, description="guidance scale")
        negative_prompt: str | None = Field(None, description="what to avoid, where the model has that")
        seed: bool = Field(True, description="send the seed; 'false' for models that refuse it")
        target_size: bool = Field(False, description="ask for the photo's size, where the provider takes it")
        bill_to: str = Field("", description="the organisation that pays")
        # The library calls plain bytes JPEG towards some providers, so JPEG is what is sent.
        image_format: Literal["jpeg", "png"] = Field("jpeg", description="how the photo is sent")
        pixels: int = Field(
            2 * 1024 * 1024, ge=4096, description="photos are shrunk to this many before sending"
        )
        price: float | None = Field(None, ge=0, description="US dollars of one edit")
        extra: Extra = Field(default_factory=dict, description="sent as they are: extra.strength=0.8")

        @field_validator("extra")
        @classmethod
        def _is_extra(cls, value: dict[str, Any]) -> dict[str, Any]:
            if taken := sorted(_OURS & value.keys()):
                raise ValueError(f"cannot set {', '.join(taken)}, which every edit sets")
            return value

    def __init__(self, what: str, settings: Settings, *, name: str = "") -> None:
        """`what` is the model id; with `base_url` it only names the endpoint's model."""
        self._name, self._id, self._settings = name or f"hf:{what}", what, settings
        # The login of this machine is never sent to an address of the user's own choice.
        secret = secrets.read(settings.key, usual=() if settings.base_url else USUAL_KEYS)
        self._peer = Peer("editor", self._name, settings.base_url, secret, USUAL_KEYS[0])
        self._clients: PerLoop[AsyncInferenceClient] = PerLoop(
            self._client,
            lambda client: client.close(),  # type: ignore[no-untyped-call]
        )

    @property
    def info(self) -> EditorInfo:
        """Facts for the loop; what the model likes is on its page."""
        settings = self._settings
        return EditorInfo(
            self._name,
            seeded=settings.seed,
            languages=(),
            price=prices.per_image(self._id) if settings.price is None else settings.price,
            card="" if settings.base_url else f"https://huggingface.co/{self._id}",
        )

    async def edit(self, request: EditRequest) -> Edited:
        """One `image_to_image` call. Raises `EditorError`; a model that is loading is transient."""
        from huggingface_hub.errors import HfHubHTTPError

        source, settings = request.images[0], self._settings
        image = await asyncio.to_thread(self._sent, source)
        sampling = self._sampling(source, request.seed)
        with attributed(self._peer):
            client = await self._clients.get()
            try:
                returned = await client.image_to_image(image, prompt=request.instruction, **sampling)
            except HfHubHTTPError as error:
                raise self._failure(error) from error
            except OSError as error:
                if type(error).__module__.startswith("PIL"):
                    raise self._no_image(error) from error
                raise
            except (ValueError, LookupError, TypeError, RuntimeError) as error:
                raise self._unserved(error) from error
        try:
            picture = await asyncio.to_thread(Picture.open, returned)
        except ImageError as error:
            raise self._no_image(error) from error
        cost = settings.price if settings.price is not None else prices.per_image(self._id) or 0.0
        notes = {"provider": "endpoint" if settings.base_url else settings.provider, "sent": sampling}
        return Edited(await asyncio.to_thread(delivered, source, picture), cost, notes)

    def _client(self) -> AsyncInferenceClient:
        from huggingface_hub import AsyncInferenceClient

        settings = self._settings
        own = bool(settings.base_url)
        return AsyncInferenceClient(
            settings.base_url or self._id,
            provider=None if own else settings.provider,  # type: ignore[arg-type]
            # Without one the library sends the login of this machine, which is right for Hugging Face only.
            token=self._peer.secret.value or (LOCAL_KEY if own else None),
            timeout=settings.timeout,
            bill_to=settings.bill_to or None,
        )

    def _sent(self, source: Picture) -> bytes:
        picture = source.flattened().within(self._settings.pixels)
        return picture.encode(f"image/{self._settings.image_format}")

    def _sampling(self, source: Picture, seed: int) -> dict[str, Any]:
        """What is sent beside image and prompt; nothing that was not set, but the seed."""
        settings = self._settings
        size = source.within(settings.pixels).size
        given = {
            "num_inference_steps": settings.steps,
            "guidance_scale": settings.guidance,
            "negative_prompt": settings.negative_prompt,
            "target_size": {"width": size[0], "height": size[1]} if settings.target_size else None,
            "seed": seed if settings.seed else None,
        }
        return {**{key: value for key, value in given.items() if value is not None}, **settings.extra}

    def _failure(self, error: Any) -> EditThinkerError:
        """An HTTP error; of a model that is loading, with the seconds it says it needs."""
        response = error.response
        try:
            body = json.loads(response.text)
        except ValueError:
            body = response.text
        if response.status_code == 503 and isinstance(body, dict) and body.get("estimated_time") is not None:
            return self._peer.error(
                f"is starting up (503): {body.get('error') or 'the model is loading'}",
                transient=True,
                retry_after=float(body["estimated_time"]),
            )
        return of_status(self._peer, response.status_code, body, response.headers)

    def _unserved(self, error: Exception) -> EditThinkerError:
        """What the library raises before it sends anything, or when it does not find the image it expects."""
        said = " ".join(str(error).split())[:LONGEST]
        if "api_key" in said:
            return self._peer.error(f"needs a key; set {self._peer.key_hint}, or log in with 'hf auth login'")
        if "StopIteration" in said:  # how "auto" finds nothing
            return self._peer.error(
                "is served by no Inference Provider; the model's page lists who serves it"
            )
        if isinstance(error, json.JSONDecodeError | LookupError | TypeError):
            return self._peer.error("sent an answer that cannot be read", transient=True)
        return self._peer.error(f"cannot be used: {said}")

    def _no_image(self, error: Exception) -> EditThinkerError:
        return self._peer.error(f"sent something that is no image: {error}", transient=True)
