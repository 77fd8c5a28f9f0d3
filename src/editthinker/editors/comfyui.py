"""A user's own ComfyUI workflow: `comfyui:http://127.0.0.1:8188#workflow.json`.

In: where ComfyUI runs and a workflow exported for its API, with marked inputs (`comfyui_workflow`). Out: what
the workflow makes of the photo. Each edit uploads its images under names made of their content, queues the
graph, listens on the websocket until it is done (or asks the history, when that connection is lost), and
fetches the image. An edit that is cancelled is taken out of the queue, or interrupted if it is the one
running; nobody else's is touched.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import uuid
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from PIL import Image
from pydantic import Field

from editthinker.core.contracts import EditorInfo
from editthinker.core.errors import EditThinkerError, ImageError, InputError
from editthinker.core.images import Picture
from editthinker.core.types import Edited, EditRequest
from editthinker.editors.comfyui_workflow import Workflow
from editthinker.editors.delivery import Frame, delivered
from editthinker.editors.sizes import SizeRule
from editthinker.wire import secrets
from editthinker.wire.connection import CONNECT_SECONDS, Connection, PerLoop, checked_url, http_client
from editthinker.wire.failures import LONGEST, Peer, attributed, of_status

if TYPE_CHECKING:
    from httpx2 import AsyncClient, Response
    from websockets.asyncio.client import ClientConnection

SIZES = SizeRule(16)
"""VAEs cut off what is left over of a side."""
FIRST_POLL, LONGEST_POLL = 0.05, 2.0
"""Seconds between looks into the history, growing."""
WITHDRAW_SECONDS = 1.5
"""How long a cancelled edit may take to leave the server's queue."""
LARGEST_MESSAGE = 64 * 2**20
"""Bytes; previews come over the same websocket."""


@dataclass(slots=True)
class _Progress:
    """The last that was heard of an edit."""

    node: str = ""
    step: str = ""


class ComfyUIEditor:
    """The editor behind the name "comfyui:URL#workflow.json"."""

    class Settings(Connection):
        """What can be set on a ComfyUI workflow; places are NODE.INPUT, such as 6.text."""

        image_node: str = Field("", description="where the photo goes; several with commas")
        mask_node: str = Field("", description="where the mask goes, white where it may change")
        prompt_node: str = Field("", description="where the instruction goes")
        seed_node: str = Field("", description="where the seed goes; '' every seed of the workflow")
        output_node: str = Field("", description="the node whose image is the result")
        pixels: int = Field(
            2 * 1024 * 1024, ge=4096, description="photos are shrunk to this many before sending"
        )

    def __init__(self, what: str, settings: Settings, *, name: str = "") -> None:
        """`what` is URL#FILE. Raises `InputError` when the workflow cannot be used."""
        self._name, self._settings = name or f"comfyui:{what}", settings
        label = f"editor {self._name!r}"
        url, _, path = what.partition("#")
        if settings.base_url:
            raise InputError(f"{label}: the address is part of the name, not the setting 'base_url'")
        if not path:
            raise InputError(f"{label}: a workflow is needed; write comfyui:URL#workflow.json")
        try:
            self._url = checked_url(url)
        except ValueError as error:
            raise InputError(f"{label}: the address {error}") from None
        places = ("image", "mask", "prompt", "seed", "output")
        self._workflow = Workflow.read(path, {key: getattr(settings, f"{key}_node") for key in places})
        self._peer = Peer("editor", self._name, "", secrets.read(settings.key), "the setting 'key'")
        self._clients: PerLoop[AsyncClient] = PerLoop(
            lambda: http_client(self._url, settings.timeout, self._peer.secret),
            lambda client: client.aclose(),
        )

    @property
    def info(self) -> EditorInfo:
        """Facts for the loop; what model is in the workflow is the user's affair."""
        workflow = self._workflow
        return EditorInfo(self._name, len(workflow.images), bool(workflow.masks), languages=(), price=0.0)

    async def edit(self, request: EditRequest) -> Edited:
        """One run of the workflow. Raises `EditorError`; `InputError` for more images than it takes.

        An image that is not given stays what the workflow says; without a mask everything may change.
        """
        source, workflow = request.images[0], self._workflow
        if len(request.images) > (most := len(workflow.images)):
            raise InputError(
                f"{self._peer.label}: the workflow takes {most} images, got {len(request.images)}"
            )
        frame = Frame(source.size, SIZES.canvas(source.size, self._settings.pixels))
        files = await asyncio.to_thread(self._files, request, frame)
        progress = _Progress()
        with attributed(self._peer):
            try:
                async with asyncio.timeout(self._settings.timeout):
                    names = [await self._upload(data) for data in files]
                    mask = names.pop() if workflow.masks else None
                    graph = workflow.filled(names, request.instruction, request.seed, mask)
                    prompt_id, data = await self._run(graph, progress)
            except TimeoutError:
                raise self._late(progress) from None
        try:
            returned = await asyncio.to_thread(Picture.decode, data, "what ComfyUI sent")
        except ImageError as error:
            raise self._peer.error(f"sent something that is no image: {error}", transient=True) from error
        image = await asyncio.to_thread(delivered, source, returned, frame)
        return Edited(image, notes={"prompt_id": prompt_id})

    async def _run(self, graph: Mapping[str, Any], progress: _Progress) -> tuple[str, bytes]:
        """Queue a graph, wait for it, fetch its image. What is given up on leaves the server's queue."""
        client_id = uuid.uuid4().hex
        async with AsyncExitStack() as stack:
            socket = await self._listen(client_id, stack)
            prompt_id = await self._queue(graph, client_id)
            try:
                if socket is not None:
                    await self._hear(socket, prompt_id, progress)
                outcome = await self._outcome(prompt_id)
            except asyncio.CancelledError:
                await self._withdraw(prompt_id)
                raise
        return prompt_id, await self._fetch(outcome)

    async def _queue(self, graph: Mapping[str, Any], client_id: str) -> str:
        """Queue a graph and return its id. Cancelled before it is known, the edit is withdrawn too."""
        prompt_id = str(uuid.uuid4())
        body = {"prompt": graph, "client_id": client_id, "prompt_id": prompt_id}
        asked = asyncio.ensure_future(self._ask("POST", "/prompt", json=body))

        def said(answer: Response) -> str:  # older servers choose an id of their own
            return str(_table(answer, self._peer).get("prompt_id") or prompt_id)

        try:
            return said(await asyncio.shield(asked))
        except asyncio.CancelledError:
            with suppress(EditThinkerError, TimeoutError), attributed(self._peer):
                prompt_id = said(await asyncio.wait_for(asked, WITHDRAW_SECONDS))
            await self._withdraw(prompt_id)
            raise

    async def _listen(self, client_id: str, stack: AsyncExitStack) -> ClientConnection | None:
        """The websocket of this edit; None when there is none to be had, which polling makes up for."""
        from websockets.asyncio.client import connect
        from websockets.exceptions import WebSocketException

        secret = self._peer.secret
        opening = connect(
            f"ws{self._url.removeprefix('http')}/ws?clientId={client_id}",
            additional_headers={"Authorization": f"Bearer {secret.value}"} if secret else None,
            open_timeout=CONNECT_SECONDS,
            close_timeout=1,
            max_size=LARGEST_MESSAGE,
        )
        try:
            return await stack.enter_async_context(opening)
        except (OSError, WebSocketException):
            return None

    async def _hear(self, socket: ClientConnection, prompt_id: str, progress: _Progress) -> None:
        """Listen until the edit is over or the connection is lost; the history knows how it ended."""
        from websockets.exceptions import ConnectionClosed

        try:
            async for message in socket:
                if isinstance(message, bytes):
                    continue  # a preview
                told = json.loads(message)
                kind, data = told.get("type"), told.get("data") or {}
                if data.get("prompt_id") != prompt_id:
                    continue
                if kind == "executing" and data.get("node") is not None:
                    progress.node, progress.step = str(data["node"]), ""
                elif kind == "progress":
                    progress.step = f", step {data.get('value')} of {data.get('max')}"
                elif kind in ("execution_success", "execution_interrupted", "executing"):
                    return  # "executing" no node: older servers say it at the end
                elif kind == "execution_error":
                    self._broke(data)
        except (ConnectionClosed, ValueError):
            return

    async def _outcome(self, prompt_id: str) -> Mapping[str, Any]:
        """What the history says of an edit, once it is there."""
        wait = FIRST_POLL
        while True:
            queued = await self._where(prompt_id)
            history = _table(await self._ask("GET", f"/history/{prompt_id}"), self._peer)
            # It leaves the queue and enters the history in one step, so one of the two has it.
            if entry := history.get(prompt_id):
                return self._ended(entry)
            if not queued:
                raise self._peer.error("has lost this edit; was ComfyUI restarted, or its queue cleared?")
            await asyncio.sleep(wait)
            wait = min(wait * 1.5, LONGEST_POLL)

    def _ended(self, entry: Mapping[str, Any]) -> Mapping[str, Any]:
        status = entry.get("status") or {}
        for kind, data in status.get("messages") or ():
            if kind == "execution_error":
                self._broke(data)
            if kind == "execution_interrupted":
                raise self._peer.error("was interrupted, by somebody else at this ComfyUI")
        outputs: Mapping[str, Any] = entry.get("outputs") or {}
        return outputs

    async def _fetch(self, outputs: Mapping[str, Any]) -> bytes:
        """The first image of the output node."""
        node = self._workflow.output
        images = (outputs.get(node) or {}).get("images") or []
        if not images:
            made = ", ".join(self._workflow.title(other) for other in outputs if outputs[other].get("images"))
            raise self._peer.error(
                f"made no image in node {self._workflow.title(node)}; images are in: {made or 'no node'}"
            )
        where = {key: str(images[0].get(key, "")) for key in ("filename", "subfolder", "type")}
        return (await self._ask("GET", "/view", params=where)).content

    async def _where(self, prompt_id: str) -> str:
        """Whether an edit is "running", "pending", or "" neither."""
        queue = _table(await self._ask("GET", "/queue"), self._peer)
        for place in ("running", "pending"):
            if any(prompt_id in entry[1:2] for entry in queue.get(f"queue_{place}") or ()):
                return place
        return ""

    async def _withdraw(self, prompt_id: str) -> None:
        """Take an edit back; that this fails must not hide why it was given up."""
        try:
            async with asyncio.timeout(WITHDRAW_SECONDS):
                with attributed(self._peer):
                    await self._ask("POST", "/queue", json={"delete": [prompt_id]})
                    # Older servers interrupt whatever runs, so ask first whether that is ours.
                    if await self._where(prompt_id) == "running":
                        await self._ask("POST", "/interrupt", json={"prompt_id": prompt_id})
        except (EditThinkerError, TimeoutError):
            return

    def _files(self, request: EditRequest, frame: Frame) -> list[bytes]:
        """The images as PNG, the mask last. A mask is white and transparent where it may change.

        So it is right for LoadImageMask by any channel and for LoadImage, whose mask is what is transparent.
        """
        first, *others = (image.flattened() for image in request.images)
        sent = [frame.put(first), *(image.within(self._settings.pixels) for image in others)]
        if self._workflow.masks:
            given = request.mask or Picture(Image.new("RGB", first.size, "white"))
            grey = frame.put(given.flattened()).pixels.convert("L")
            mask = grey.convert("RGB")
            mask.putalpha(grey.point(lambda value: 255 - value))
            sent.append(Picture(mask))
        return [picture.encode() for picture in sent]

    async def _upload(self, data: bytes) -> str:
        """The name of an uploaded image. Named by content, so calls that overlap never mix."""
        name = f"editthinker-{hashlib.sha256(data).hexdigest()[:24]}.png"
        answer = await self._ask(
            "POST",
            "/upload/image",
            files={"image": (name, data, "image/png")},
            data={"overwrite": "true", "type": "input"},
        )
        stored = _table(answer, self._peer)
        folder = str(stored.get("subfolder") or "")
        return f"{folder}/{stored.get('name', name)}" if folder else str(stored.get("name", name))

    async def _ask(self, method: str, path: str, **how: Any) -> Response:
        client = await self._clients.get()
        response = await client.request(method, path, **how)
        if response.status_code >= 300:
            if path == "/prompt" and response.status_code == 400:
                self._rejected(response)
            raise of_status(self._peer, response.status_code, response.text, response.headers)
        return response

    def _rejected(self, response: Response) -> None:
        """Say which node ComfyUI does not like and why; return when the answer is none of its own."""
        try:
            answer = response.json()
        except ValueError:
            return
        error = answer.get("error") if isinstance(answer, dict) else None
        nodes = (answer.get("node_errors") or {}) if isinstance(answer, dict) else {}
        said = [
            f"node {self._workflow.title(node)}: {one.get('message')}: {one.get('details')}"
            for node, found in (nodes.items() if isinstance(nodes, dict) else ())
            for one in found.get("errors") or ()
        ]
        if not said and isinstance(error, dict):
            said = [" ".join(str(error[key]) for key in ("message", "details") if error.get(key))]
        if said:
            raise self._peer.error(f"does not accept the workflow: {'; '.join(said)[:LONGEST]}")

    def _broke(self, data: Mapping[str, Any]) -> NoReturn:
        """A node failed while it ran."""
        node = self._workflow.title(str(data.get("node_id", "?")))
        kind, said = str(data.get("exception_type", "")), str(data.get("exception_message", "")).strip()
        if "OutOfMemory" in kind or "Allocation on device" in said or "out of memory" in said:
            raise self._peer.error(f"ran out of GPU memory in node {node}; a smaller 'pixels' may fit")
        raise self._peer.error(f"failed in node {node}: {(said or kind)[:LONGEST]}")

    def _late(self, progress: _Progress) -> EditThinkerError:
        node = (
            f"; it was at node {self._workflow.title(progress.node)}{progress.step}" if progress.node else ""
        )
        return self._peer.error(f"did not finish within {self._settings.timeout:g} s{node}", transient=True)


def _table(response: Response, peer: Peer) -> dict[str, Any]:
    try:
        answer = response.json()
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise peer.error("sent an answer that is none of ComfyUI; is this its address?", transient=True)
    return answer
