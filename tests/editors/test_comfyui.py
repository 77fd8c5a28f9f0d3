"""A user's ComfyUI workflow: marked inputs, the whole conversation, and everything that breaks on the way."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from starlette.responses import HTMLResponse, JSONResponse, Response

from editthinker.core.errors import EditorError, InputError
from editthinker.core.images import Picture
from editthinker.core.selection import same_pixels
from editthinker.core.types import Edited, EditRequest
from editthinker.editors.comfyui import ComfyUIEditor
from editthinker.resolve import resolve_editor
from editthinker.testing import check_editor, photograph
from peers.comfyui_server import ComfyUI
from peers.painting import painted, plain, png, truncated
from peers.serving import serving

Graph = dict[str, Any]
WORDS = "make it black and white"


def node(kind: str, title: str = "", **inputs: Any) -> Graph:
    return {"class_type": kind, "inputs": inputs, "_meta": {"title": title or kind}}


def workflow(**more: Graph) -> Graph:
    return {
        "1": node("LoadImage", "editthinker:image", image="example.png"),
        "2": node("PrimitiveString", "editthinker:prompt", value="a prompt"),
        "3": node("InstructEdit", "Editor", image=["1", 0], prompt=["2", 0], seed=5),
        "9": node("SaveImage", images=["3", 0], filename_prefix="ComfyUI"),
        **{key.removeprefix("n"): value for key, value in more.items()},
    }


@pytest.fixture
def write(tmp_path: Path) -> Callable[[Graph], str]:
    def to_file(graph: Any) -> str:
        path = tmp_path / "workflow.json"
        path.write_text(graph if isinstance(graph, str) else json.dumps(graph), "utf-8")
        return str(path)

    return to_file


Write = Callable[..., str]
Comfy = tuple[ComfyUI, str]


@pytest.fixture(scope="module")
def running() -> Iterator[Comfy]:
    server = ComfyUI()
    with serving(server.app) as url:
        yield server, url


@pytest.fixture
def comfy(running: Comfy) -> Comfy:
    running[0].forget()
    return running


async def edit(editor: ComfyUIEditor, *photos: Picture, mask: Picture | None = None) -> Edited:
    return await editor.edit(EditRequest(photos or (photograph(),), WORDS, 7, mask))


async def failure(editor: ComfyUIEditor) -> EditorError:
    with pytest.raises(EditorError) as caught:
        await edit(editor)
    return caught.value


def editor_at(url: str, path: str, **settings: Any) -> ComfyUIEditor:
    return ComfyUIEditor(f"{url}#{path}", ComfyUIEditor.Settings(**settings))


def test_it_keeps_the_promises_of_an_editor(comfy: Comfy, write: Write) -> None:
    path = write(workflow())
    check_editor(lambda: resolve_editor(f"comfyui:{comfy[1]}#{path}"))


@pytest.mark.parametrize("how", ["new", "old", "no websocket", "lost websocket"])
async def test_the_edit_is_the_one_the_workflow_made(write: Write, how: str) -> None:
    server = ComfyUI(old=how == "old")
    server.refuse_sockets, server.drop_sockets = how == "no websocket", how == "lost websocket"
    photo = photograph()
    with serving(server.app) as url:
        edited = await edit(editor_at(url, write(workflow())), photo)
    assert same_pixels(edited.image, Picture.open(await painted(photo.encode(), WORDS, 7)))
    sent = server.prompts[0]
    assert sent["2"]["inputs"]["value"] == WORDS
    assert sent["3"]["inputs"]["seed"] == 7
    assert sent["9"]["inputs"] == workflow()["9"]["inputs"]
    assert edited.notes["prompt_id"] in server.history


async def test_images_are_named_by_content_and_padded_not_squeezed(comfy: Comfy, write: Write) -> None:
    server, url = comfy
    editor = editor_at(url, write(workflow()), pixels=4096)
    for seed in (0, 0, 1):
        assert (await edit(editor, photograph(300, 100, seed=seed))).image.size == (300, 100)
    assert len(server.uploads) == 2
    assert {Picture.open(data).size for data in server.uploads.values()} == {(112, 48)}


async def test_several_images_and_a_mask(comfy: Comfy, write: Write) -> None:
    server, url = comfy
    graph = workflow(
        n3=node("InstructEdit", image=["1", 0], prompt=["2", 0], seed=5, mask=["5", 0], reference=["4", 0]),
        n4=node("LoadImage", "editthinker:image2", image="other.png"),
        n5=node("LoadImageMask", "editthinker:mask", image="mask.png", channel="red"),
    )
    editor = editor_at(url, write(graph))
    assert (editor.info.max_images, editor.info.mask) == (2, True)
    left = Image.new("L", (96, 64))
    left.paste(255, (0, 0, 48, 64))
    photo, mask = photograph(), Picture.open(left)
    whole = await painted(photo.encode(), WORDS, 7)
    for place in (["5", 0], ["6", 1]):  # LoadImage gives a mask too: what is transparent
        if place[0] == "6":
            graph["6"] = graph.pop("5") | {"class_type": "LoadImage"}
            graph["3"]["inputs"]["mask"] = place
            editor = editor_at(url, write(graph))
        edited = await edit(editor, photo, photograph(40, 40, seed=1), mask=mask)
        expected = Image.composite(whole, photo.pixels, left)
        assert same_pixels(edited.image, Picture.open(expected))
    with pytest.raises(InputError, match="takes 2 images, got 3"):
        await edit(editor, photo, photo, photo)
    assert len(server.prompts) == 2


def test_a_workflow_with_a_mask_keeps_the_promises_too(comfy: Comfy, write: Write) -> None:
    server, url = comfy
    server.uploads["style.png"] = png(plain((9, 9, 200)))
    graph = workflow(
        n3=node("InstructEdit", image=["1", 0], prompt=["2", 0], seed=5, mask=["5", 0], reference=["4", 0]),
        n4=node("LoadImage", "editthinker:image2", image="style.png"),
        n5=node("LoadImageMask", "editthinker:mask", image="mask.png", channel="alpha"),
    )
    check_editor(lambda: editor_at(url, write(graph)))
    assert {sent["4"]["inputs"]["image"] for sent in server.prompts} > {"style.png"}


async def test_places_by_settings_and_every_seed(comfy: Comfy, write: Write) -> None:
    server, url = comfy
    graph = {
        "10": node("LoadImage", image="example.png"),
        "11": node("InstructEdit", image=["10", 0], prompt="words", seed=1),
        "12": node("InstructEdit", image=["11", 0], prompt="sharpen", seed=2),
        "20": node("SaveImage", images=["11", 0], filename_prefix="a"),
        "21": node("SaveImage", images=["12", 0], filename_prefix="b"),
    }
    places = "image_node=10.image&prompt_node=11.prompt&output_node=20"
    await edit(resolve_editor(f"comfyui:{url}#{write(graph)}?{places}"))  # type: ignore[arg-type]
    assert [server.prompts[0][name]["inputs"]["seed"] for name in ("11", "12")] == [7, 7]
    await edit(resolve_editor(f"comfyui:{url}#{write(graph)}?{places}&seed_node=12"))  # type: ignore[arg-type]
    sent = server.prompts[1]
    assert [sent[name]["inputs"]["seed"] for name in ("11", "12")] == [1, 7]
    assert [sent[name]["inputs"]["prompt"] for name in ("11", "12")] == [WORDS, "sharpen"]


PREVIEW = node("PreviewImage", images=["3", 0])
WORKFLOWS = [
    ({"nodes": [], "links": []}, "", "export it for the API"),
    ("{", "", "is no JSON"),
    ([1], "", "no ComfyUI workflow in API format"),
    ({"1": {"inputs": {}}}, "", "no ComfyUI workflow in API format"),
    (
        workflow(n1=node("LoadImage", image="x")),
        "",
        "no node takes the image; give one the title 'editthinker:",
    ),
    (workflow(n2=node("PrimitiveString", value="x")), "", "no node takes the prompt"),
    (workflow(n9=node("SaveImage", images=["3", 0]), n8=node("SaveImage", images=["3", 0])), "", "any of 9 "),
    (workflow(n9=PREVIEW, n8=PREVIEW), "", "give one node the title 'editthinker:output'"),
    (workflow(n4=node("LoadImage", "editthinker:image3", image="x")), "", "without a gap, found .1, 3."),
    (workflow(n4=node("LoadImage", "editthinker:imgae", image="x")), "", "which means nothing"),
    (workflow(n2=node("InstructEdit", "editthinker:prompt", prompt=["1", 0])), "", "no free input"),
    (workflow(), "?prompt_node=77.text", "names node '77'; it has 1, 2, 3, 9"),
    (workflow(), "?seed_node=3.sede", "no input 'sede'; it has image, prompt, seed"),
    (workflow(), "?steps=4", "no setting 'steps'"),
]


@pytest.mark.parametrize(("graph", "settings", "complaint"), WORKFLOWS)
def test_workflows_that_cannot_work_are_refused(
    write: Write, graph: Any, settings: str, complaint: str
) -> None:
    with pytest.raises(InputError, match=complaint):
        resolve_editor(f"comfyui:http://127.0.0.1:8188#{write(graph)}{settings}")


def test_a_name_must_be_whole(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"URL#workflow\.json"):
        resolve_editor("comfyui:http://127.0.0.1:8188")
    with pytest.raises(InputError, match=r"cannot read .*: No such file"):
        resolve_editor(f"comfyui:http://127.0.0.1:8188#{tmp_path}/none.json")
    with pytest.raises(InputError, match="the address must be a URL"):
        resolve_editor(f"comfyui:gpu-box#{tmp_path}/none.json")


async def test_rejected_graphs_name_node_and_reason(comfy: Comfy, write: Write) -> None:
    server, url = comfy
    broken = workflow(n3=node("InstructEdit", "Editor", image=["1", 0], prompt=["2", 0], seed="x"))
    error = await failure(editor_at(url, write(broken)))
    assert "node 3 'Editor' (InstructEdit): Failed to convert an input value: seed, 'x'" in str(error)
    error = await failure(editor_at(url, write(workflow(n7=node("FluxMagic", image=["1", 0])))))
    assert "does not accept the workflow: Cannot execute because node FluxMagic does not exist" in str(error)
    assert not error.transient
    assert server.prompts == []


BREAKS = [
    ("RuntimeError", "shape '[1]' is invalid", "failed in node 3 'Editor' (InstructEdit): shape '[1]' is"),
    ("torch.OutOfMemoryError", "Allocation on device", "ran out of GPU memory in node 3 'Editor'"),
    ("RuntimeError", "CUDA error: out of memory", "ran out of GPU memory"),
]


@pytest.mark.parametrize(("kind", "said", "sentence"), BREAKS)
@pytest.mark.parametrize("sockets", [True, False])
async def test_nodes_that_fail(
    comfy: Comfy, write: Write, kind: str, said: str, sentence: str, sockets: bool
) -> None:
    server, url = comfy
    server.refuse_sockets = not sockets
    server.fail = {"exception_type": kind, "exception_message": said}
    editor = editor_at(url, write(workflow()))
    error = await failure(editor)
    assert sentence in str(error)
    assert not error.transient
    assert (await edit(editor)).image.size == (96, 64)


FAULTS = [
    (Response(status_code=403), "does not allow", False),
    (Response(status_code=404), "does not know the model or the address", False),
    (JSONResponse({"error": "slow"}, 429, {"retry-after": "3"}), "asked too often .429.: slow", True),
    (HTMLResponse("<h1>502</h1>", 502), "overloaded or broken", True),
    (HTMLResponse("<h1>hello</h1>"), "none of ComfyUI; is this its address", True),
    (HTMLResponse("<h1>bad</h1>", 400), "does not accept the request", False),
    (truncated(), "broke the connection", True),
]


@pytest.mark.parametrize(("reply", "sentence", "transient"), FAULTS)
async def test_failures_say_what_is_wrong(
    comfy: Comfy, write: Write, reply: Response, sentence: str, transient: bool
) -> None:
    server, url = comfy
    server.next.append(reply)
    error = await failure(editor_at(url, write(workflow())))
    assert re.search(sentence, str(error)), str(error)
    assert error.transient is transient
    assert error.retry_after == (3.0 if "429" in sentence else None)


VIEWS = [
    (Response(b"no image", media_type="image/png"), "sent something that is no image", True),
    (Response(png(plain()), media_type="image/png"), "entirely black", False),
    (Response(status_code=404), "404", False),
    (truncated("image/png"), "broke the connection", True),
]


@pytest.mark.parametrize(("view", "sentence", "transient"), VIEWS)
async def test_images_that_are_none(
    comfy: Comfy, write: Write, view: Response, sentence: str, transient: bool
) -> None:
    server, url = comfy
    server.view = view
    error = await failure(editor_at(url, write(workflow())))
    assert sentence in str(error)
    assert error.transient is transient


async def test_an_image_of_another_size_is_fitted(comfy: Comfy, write: Write) -> None:
    server, url = comfy
    server.view = Response(png(plain((9, 200, 9), (64, 64))), media_type="image/png")
    edited = await edit(editor_at(url, write(workflow())))
    assert edited.image.size == (96, 64)


async def test_an_output_node_without_an_image(comfy: Comfy, write: Write) -> None:
    graph = workflow(n3=node("InstructEdit", "editthinker:output", image=["1", 0], prompt=["2", 0], seed=1))
    error = await failure(editor_at(comfy[1], write(graph)))
    assert "made no image in node 3" in str(error)
    assert "images are in: 9 'SaveImage'" in str(error)


async def test_a_server_that_is_down_or_slow(comfy: Comfy, write: Write) -> None:
    path = write(workflow())
    assert "is the server running" in str(await failure(editor_at("http://127.0.0.1:9", path)))
    server, url = comfy
    server.hold = True
    error = await failure(editor_at(url, path, timeout=0.5))
    assert "did not finish within 0.5 s; it was at node 3 'Editor' (InstructEdit), step 3 of 8" in str(error)
    assert error.transient
    assert server.interrupted.wait(5)


async def test_a_key_for_the_proxy_in_front(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    server = ComfyUI(key="s3cret-key")
    path = write(workflow())
    with serving(server.app) as url:
        assert "set the setting 'key'" in str(await failure(editor_at(url, path)))
        monkeypatch.setenv("BOX_KEY", "s3cret-key")
        await edit(editor_at(url, path, key="env:BOX_KEY"))


async def cancelled(server: ComfyUI, call: asyncio.Future[Edited]) -> None:
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


@pytest.mark.parametrize("late", [0.0, 0.3], ids=["", "before-the-answer"])
@pytest.mark.parametrize("old", [False, True], ids=["new", "old"])
async def test_cancelling_interrupts_ours_and_only_ours(write: Write, old: bool, late: float) -> None:
    server = ComfyUI(old=old)
    server.hold, server.answers_after = True, late
    with serving(server.app) as url:
        editor = editor_at(url, write(workflow()))
        first = asyncio.ensure_future(edit(editor))
        assert await asyncio.to_thread(server.running_now.wait, 5)
        second = asyncio.ensure_future(edit(editor, photograph(seed=1)))
        while not server.pending:
            await asyncio.sleep(0.01)
        await cancelled(server, second)
        assert server.deleted.wait(5), "a waiting edit leaves the queue"
        assert server.interrupts == [], "what runs is somebody else's"
        await cancelled(server, first)
        assert server.interrupted.wait(5), "the running edit is interrupted"


async def test_interrupted_by_somebody_else(comfy: Comfy, write: Write) -> None:
    server, url = comfy
    server.hold = True
    call = asyncio.ensure_future(failure(editor_at(url, write(workflow()))))
    assert await asyncio.to_thread(server.running_now.wait, 5)
    import httpx2

    async with httpx2.AsyncClient() as client:
        await client.post(f"{url}/interrupt", json={})
    assert "was interrupted, by somebody else" in str(await call)


async def test_a_queue_that_forgets(write: Write) -> None:
    server = ComfyUI()
    server.refuse_sockets = server.hold = True
    with serving(server.app) as url:
        call = asyncio.ensure_future(failure(editor_at(url, write(workflow()))))
        assert await asyncio.to_thread(server.running_now.wait, 5)
        server.running = None
        assert "has lost this edit" in str(await call)
