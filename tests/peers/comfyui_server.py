"""ComfyUI's HTTP and websocket interface (server.py, execution.py), with a handful of nodes.

Strict as the original is: a graph is checked node by node and answered with `node_errors`. One edit runs at
a time; the node "InstructEdit" is the darkroom. It can be told to hold, to fail in a node, to drop or refuse
the websocket, and to behave as older versions do.
"""

import asyncio
import io
import json
import uuid
from collections import deque
from threading import Event
from typing import Any

from fastapi import FastAPI, Request, WebSocket, WebSocketDisconnect
from PIL import Image, ImageOps
from starlette.responses import JSONResponse, Response

from editthinker.core.errors import Refused
from peers.painting import painted, png

NODES: dict[str, tuple[dict[str, str], dict[str, str], tuple[str, ...]]] = {
    "LoadImage": ({"image": "FILE"}, {}, ("IMAGE", "MASK")),
    "LoadImageMask": ({"image": "FILE", "channel": "STRING"}, {}, ("MASK",)),
    "PrimitiveString": ({"value": "STRING"}, {}, ("STRING",)),
    "InstructEdit": (
        {"image": "IMAGE", "prompt": "STRING", "seed": "INT"},
        {"mask": "MASK", "reference": "IMAGE"},
        ("IMAGE",),
    ),
    "SaveImage": ({"images": "IMAGE", "filename_prefix": "STRING"}, {}, ()),
    "PreviewImage": ({"images": "IMAGE"}, {}, ()),
}
"""Required inputs, optional inputs, outputs."""
_PLAIN = {"STRING": str, "INT": int, "FILE": str}


class ComfyUI:
    """One server."""

    def __init__(self, *, old: bool = False, key: str = "") -> None:
        self.old = old
        """Ids of its own, no "execution_success", an interrupt that hits whatever runs."""
        self.forget()
        self._workers: set[asyncio.Task[None]] = set()
        self.app = FastAPI()
        self._routes(key)

    def forget(self) -> None:
        """As it was at the start, while it goes on running; no edit may be under way."""
        self.uploads: dict[str, bytes] = {}
        self.prompts: list[dict[str, Any]] = []
        self.hold = self.refuse_sockets = self.drop_sockets = False
        self.answers_after = 0.0
        """Seconds between queueing an edit and saying so."""
        self.fail: dict[str, str] | None = None
        """exception_type and exception_message of the next InstructEdit."""
        self.next: deque[Response] = deque()
        """Answers to the next requests for /prompt."""
        self.view: Response | None = None
        self.running_now, self.interrupted, self.deleted = Event(), Event(), Event()
        self.interrupts: list[str] = []
        self.pending: deque[tuple[str, str, dict[str, Any]]] = deque()
        self.running: tuple[str, str, dict[str, Any]] | None = None
        self.history: dict[str, dict[str, Any]] = {}
        self.sockets: dict[str, WebSocket] = {}
        self.made: dict[str, bytes] = {}
        self._stop = asyncio.Event()

    def _routes(self, key: str) -> None:
        app = self.app

        @app.middleware("http")
        async def guard(request: Request, call: Any) -> Response:
            if key and request.headers.get("authorization") != f"Bearer {key}":
                return Response(status_code=401)
            return await call(request)

        @app.websocket("/ws")
        async def ws(socket: WebSocket) -> None:
            if self.refuse_sockets or (key and socket.headers.get("authorization") != f"Bearer {key}"):
                await socket.close()
                return
            await socket.accept()
            client = socket.query_params["clientId"]
            self.sockets[client] = socket
            await self._tell(
                client, "status", {"status": {"exec_info": {"queue_remaining": 0}}, "sid": client}
            )
            try:
                while True:
                    await socket.receive_text()
            except WebSocketDisconnect:
                self.sockets.pop(client, None)

        @app.post("/upload/image")
        async def upload(request: Request) -> Response:
            async with request.form() as form:
                if set(form) - {"image", "overwrite", "type", "subfolder"} or isinstance(form["image"], str):
                    return Response(status_code=400)
                name = form["image"].filename
                self.uploads[name] = await form["image"].read()
                return JSONResponse({"name": name, "subfolder": "", "type": form.get("type", "input")})

        @app.post("/prompt")
        async def prompt(request: Request) -> Response:
            if self.next:
                return self.next.popleft()
            body = await request.json()
            if problem := self._problem(body["prompt"]):
                return JSONResponse(problem, 400)
            prompt_id = str(uuid.uuid4()) if self.old else body.get("prompt_id", str(uuid.uuid4()))
            self.prompts.append(body["prompt"])
            self.pending.append((prompt_id, body.get("client_id", ""), body["prompt"]))
            worker = asyncio.ensure_future(self._work())
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)
            await asyncio.sleep(self.answers_after)
            return JSONResponse({"prompt_id": prompt_id, "number": len(self.prompts), "node_errors": {}})

        @app.get("/queue")
        async def queue() -> Any:
            running = [[0, self.running[0], self.running[2], {}, []]] if self.running else []
            return {
                "queue_running": running,
                "queue_pending": [[0, p[0], p[2], {}, []] for p in self.pending],
            }

        @app.post("/queue")
        async def delete(request: Request) -> Response:
            for prompt_id in (await request.json()).get("delete", []):
                before = len(self.pending)
                self.pending = deque(p for p in self.pending if p[0] != prompt_id)
                if len(self.pending) < before:
                    self.deleted.set()
            return Response()

        @app.post("/interrupt")
        async def interrupt(request: Request) -> Response:
            wanted = json.loads(await request.body() or b"{}").get("prompt_id", "")
            self.interrupts.append(wanted)
            if self.running and (self.old or wanted in ("", self.running[0])):
                self._stop.set()
                self.interrupted.set()
            return Response()

        @app.get("/history/{prompt_id}")
        async def history(prompt_id: str) -> Any:
            return {prompt_id: self.history[prompt_id]} if prompt_id in self.history else {}

        @app.get("/view")
        async def view(filename: str, subfolder: str, type: str) -> Response:
            if self.view is not None:
                return self.view
            if filename not in self.made:
                return Response(status_code=404)
            return Response(self.made[filename], media_type="image/png")

    def _problem(self, graph: dict[str, Any]) -> dict[str, Any] | None:
        """What `validate_prompt` complains about."""
        errors: dict[str, Any] = {}
        for node, found in graph.items():
            kind = found["class_type"]
            if kind not in NODES:
                message = f"Cannot execute because node {kind} does not exist."
                error = {"type": "invalid_prompt", "message": message, "details": f"Node ID '#{node}'"}
                return {"error": error | {"extra_info": {}}, "node_errors": {}}
            required, optional, _ = NODES[kind]
            for name, wanted in {**required, **optional}.items():
                if said := self._wrong(graph, found["inputs"].get(name), wanted, name in required):
                    one = {"type": "x", "message": said[0], "details": f"{name}{said[1]}", "extra_info": {}}
                    entry = errors.setdefault(
                        node, {"errors": [], "dependent_outputs": [], "class_type": kind}
                    )
                    entry["errors"].append(one)
        if not errors:
            return None
        error = {"type": "prompt_outputs_failed_validation", "message": "Prompt outputs failed validation"}
        return {"error": error | {"details": "", "extra_info": {}}, "node_errors": errors}

    def _wrong(self, graph: Any, value: Any, wanted: str, required: bool) -> tuple[str, str] | None:
        if value is None:
            return ("Required input is missing", "") if required else None
        if isinstance(value, list):
            given = NODES[graph[value[0]]["class_type"]][2][value[1]]
            return None if given == wanted else ("Return type mismatch", f", {given} != {wanted}")
        if not isinstance(value, _PLAIN.get(wanted, ())):
            return "Failed to convert an input value", f", {value!r}"
        if wanted == "FILE" and value not in self.uploads:
            return "Custom validation failed for node", f" - Invalid image file: {value}"
        return None

    async def _tell(self, client: str, kind: str, data: dict[str, Any]) -> None:
        if client in self.sockets:
            await self.sockets[client].send_text(json.dumps({"type": kind, "data": data}))

    async def _work(self) -> None:
        if self.running or not self.pending:
            return
        self.running = self.pending.popleft()
        prompt_id, client, graph = self.running
        self._stop.clear()
        await self._tell(client, "execution_start", {"prompt_id": prompt_id})
        await self._tell(client, "execution_cached", {"nodes": [], "prompt_id": prompt_id})
        self.running_now.set()
        if self.drop_sockets and client in self.sockets:
            await self.sockets.pop(client).close(1011)
        outputs, ending = await self._execute(prompt_id, client, graph)
        messages = [["execution_start", {"prompt_id": prompt_id}], ending]
        status = {"status_str": "error", "completed": False, "messages": messages}
        if ending[0] == "execution_success":
            status |= {"status_str": "success", "completed": True}
        if not (self.old and ending[0] == "execution_success"):
            await self._tell(client, *ending)
        await asyncio.sleep(0.01)  # the message leaves before the history has it, as in the original
        self.history[prompt_id] = {"prompt": [0, prompt_id, graph], "outputs": outputs, "status": status}
        self.running = None
        await self._tell(client, "executing", {"node": None, "prompt_id": prompt_id})
        await self._work()

    async def _execute(self, prompt_id: str, client: str, graph: Any) -> tuple[dict[str, Any], Any]:
        outputs: dict[str, Any] = {}
        for node, found in graph.items():
            if found["class_type"] not in ("SaveImage", "PreviewImage"):
                continue
            source = found["inputs"]["images"][0]
            await self._tell(client, "executing", {"node": source, "prompt_id": prompt_id})
            await self._tell(
                client, "progress", {"value": 3, "max": 8, "prompt_id": prompt_id, "node": source}
            )
            if client in self.sockets:
                await self.sockets[client].send_bytes(b"\0\0\0\1\0\0\0\2" + bytes(1000))
            if self.hold:
                await self._stop.wait()
            if self._stop.is_set():
                where = {
                    "prompt_id": prompt_id,
                    "node_id": source,
                    "node_type": "InstructEdit",
                    "executed": [],
                }
                return outputs, ["execution_interrupted", where]
            try:
                image = await self._value(graph, found["inputs"]["images"])
            except (Refused, RuntimeError) as error:
                told = {"exception_type": type(error).__name__, "exception_message": str(error)}
                told, self.fail = self.fail or told, None
                return outputs, ["execution_error", {"prompt_id": prompt_id, "node_id": source, **told}]
            name = f"{node}-{len(self.made)}.png"
            self.made[name] = png(image)
            outputs[node] = {"images": [{"filename": name, "subfolder": "", "type": "output"}]}
            told = {"node": node, "output": outputs[node], "prompt_id": prompt_id}
            await self._tell(client, "executed", told)
        return outputs, ["execution_success", {"prompt_id": prompt_id}]

    async def _value(self, graph: Any, value: Any) -> Any:
        """The value of an input, links followed."""
        if not isinstance(value, list):
            return value
        found, slot = graph[value[0]], value[1]
        inputs = found["inputs"]
        kind = found["class_type"]
        if kind == "PrimitiveString":
            return inputs["value"]
        if kind == "LoadImageMask":
            image = Image.open(io.BytesIO(self.uploads[inputs["image"]])).convert("RGBA")
            channel = image.getchannel({"red": "R", "alpha": "A"}[inputs["channel"]])
            return ImageOps.invert(channel) if inputs["channel"] == "alpha" else channel
        if kind == "LoadImage":
            image = Image.open(io.BytesIO(self.uploads[inputs["image"]]))
            return (
                image.convert("RGB") if slot == 0 else ImageOps.invert(image.convert("RGBA").getchannel("A"))
            )
        if self.fail:
            raise RuntimeError
        source = await self._value(graph, inputs["image"])
        image = await painted(png(source), await self._value(graph, inputs["prompt"]), inputs["seed"])
        if "mask" in inputs:
            image = Image.composite(image, source, await self._value(graph, inputs["mask"]))
        return image
