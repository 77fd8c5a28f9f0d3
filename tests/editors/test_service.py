"""The paper's editing service: its own field names, its own failures, and a whole episode through it."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from starlette.responses import HTMLResponse, JSONResponse, Response

from editthinker.core.contracts import Editor
from editthinker.core.episode import Episode
from editthinker.core.errors import EditorError, InputError
from editthinker.core.images import Picture
from editthinker.core.limits import Limits
from editthinker.core.selection import same_pixels
from editthinker.core.types import Edited, EditRequest, Sample
from editthinker.editors.service import _MODELS, ServiceEditor
from editthinker.resolve import resolve_editor
from editthinker.testing import check_editor, photograph
from peers.edit_service import EditService, answered
from peers.painting import painted, plain, png, truncated
from peers.serving import serving

Start = Callable[..., tuple[EditService, str]]


@pytest.fixture(scope="module")
def start() -> Iterator[Start]:
    """Gives a service of a model, and its URL; each is started once."""
    running: dict[str, tuple[EditService, str]] = {}
    with ExitStack() as stack:

        def begin(model: str = "flux", key: str = "") -> tuple[EditService, str]:
            if model + key not in running:
                service = EditService(model, key=key)
                running[model + key] = service, stack.enter_context(serving(service.app))
            running[model + key][0].forget()
            return running[model + key]

        yield begin


def editor_at(url: str, **settings: Any) -> ServiceEditor:
    return ServiceEditor(url, ServiceEditor.Settings(**{"model": "flux", **settings}))


async def edit(
    editor: Editor, words: str = "make it black and white", photo: Picture | None = None
) -> Edited:
    return await editor.edit(EditRequest((photo or photograph(),), words, 7))


async def failure(editor: Editor, kind: type[EditorError] = EditorError) -> EditorError:
    with pytest.raises(kind) as caught:
        await edit(editor)
    return caught.value


def test_it_keeps_the_promises_of_an_editor(start: Start) -> None:
    _, url = start()
    check_editor(lambda: resolve_editor(f"service:{url}?model=flux"))


@pytest.mark.parametrize("model", sorted(_MODELS))
async def test_every_model_gets_exactly_its_own_fields(start: Start, model: str) -> None:
    service, url = start(model)
    edited = await edit(editor_at(url, model=model))
    sent = service.requests[0].model_dump(exclude={"image", "prompt"}, exclude_unset=True)
    assert sent["seed"] == edited.notes["seed"] == 7
    defaults = type(service.requests[0])(image="", prompt="").model_dump()
    for field in ("num_inference_steps", "guidance_scale", "text_guidance_scale", "negative_prompt"):
        assert sent.get(field) == defaults.get(field), field
    assert not sent.get("enhance_prompt"), "the service would rewrite the instruction"
    assert ("enhance_prompt" in sent) == (model in ("flux", "qwen", "qwen-lightning"))


async def test_of_an_unknown_model_only_the_rewriting_is_switched_off(start: Start) -> None:
    service, url = start()
    await edit(editor_at(url, model="", steps=9))
    sent = service.requests[0].model_dump(exclude={"image", "prompt", "seed"}, exclude_unset=True)
    assert sent == {"enhance_prompt": False, "num_inference_steps": 9}


async def test_what_is_set_arrives(start: Start) -> None:
    service, url = start("qwen")
    editor = resolve_editor(
        f"service:{url}/edit?model=qwen&steps=12&guidance=5&enhance_prompt=true&negative_prompt=dull"
    )
    await edit(editor)
    sent: Any = service.requests[0]
    assert (sent.num_inference_steps, sent.guidance_scale) == (12, 5.0)
    assert (sent.enhance_prompt, sent.negative_prompt) == (True, "dull")


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ("model=flux&negative_prompt=dull", "flux has no setting 'negative_prompt'"),
        ("model=longcat&enhance_prompt=1", "longcat has no setting 'enhance_prompt'"),
        ("model=omnigen2&guidance=4", "omnigen2 has no setting 'guidance'; it has text_guidance"),
        ("model=qwen-lightning&steps=60", "takes steps up to 50"),
        ("model=flux&guidance=9", "takes guidance up to 7.5"),
        ("num_inference_step=28", "no setting 'num_inference_step'"),
        ("width=1024", "no setting 'width'"),
        ("model=sdxl", "'model'"),
        ("base_url=http://127.0.0.1:1", "the address is part of the name"),
    ],
)
def test_settings_that_would_be_ignored_are_refused(settings: str, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        resolve_editor(f"service:http://127.0.0.1:8005?{settings}")


def test_an_address_must_be_one() -> None:
    with pytest.raises(InputError, match="must be a URL"):
        resolve_editor("service:gpu-box")


async def test_the_photo_arrives_flat_small_and_unsqueezed(start: Start) -> None:
    service, url = start()
    pixels = photograph(300, 100).pixels.convert("RGBA")
    pixels.putalpha(77)
    edited = await edit(editor_at(url, pixels=4096), photo=Picture.open(pixels))
    sent = Picture.open(base64.b64decode(service.requests[0].image))
    assert sent.size == (112, 48)
    assert sent.pixels.mode == "RGB"
    assert edited.image.size == (300, 100)
    assert edited.image.pixels.getchannel("A").getextrema() == (77, 77)


async def test_the_edit_is_the_one_the_server_made(start: Start) -> None:
    _, url = start()
    photo = photograph(64, 48)
    edited = await edit(editor_at(url), "make it black and white", photo)
    assert same_pixels(
        edited.image, Picture.open(await painted(photo.encode(), "make it black and white", 7))
    )


async def test_an_image_of_another_size_is_fitted(start: Start) -> None:
    service, url = start()
    service.next += [
        answered(png(plain((9, 200, 9), (192, 128)))),
        answered(png(plain((9, 200, 9), (64, 64)))),
    ]
    for _ in range(2):
        edited = await edit(editor_at(url))
        assert edited.image.size == (96, 64)
        assert edited.image.pixels.getpixel((48, 32)) == (9, 200, 9)


FAULTS = [
    (JSONResponse({"detail": "编辑失败: 任务超时"}, 500), "its own time limit", True),
    (JSONResponse({"detail": "任务队列已满"}, 500), "no room in its queue", True),
    (JSONResponse({"detail": "CUDA out of memory. Tried to allocate 2 GiB"}, 500), "GPU memory", True),
    (JSONResponse({"detail": "GPU管理器未初始化"}, 503), "overloaded or broken", True),
    (JSONResponse({"detail": "no image"}, 400), "does not accept the request .400.: no image", False),
    (JSONResponse({"detail": [{"loc": ["body", "seed"], "msg": "int"}]}, 422), "422", False),
    (JSONResponse({"detail": "Not Found"}, 404), "does not know the model or the address", False),
    (JSONResponse({"detail": "forbidden"}, 403), "does not allow", False),
    (HTMLResponse("<h1>413 Request Entity Too Large</h1>", 413), "too large", False),
    (HTMLResponse("<h1>502 Bad Gateway</h1>", 502), "overloaded or broken .502.$", True),
    (HTMLResponse("<h1>Welcome to nginx</h1>", 200), "cannot be read", True),
    (Response(b"", 200), "none of an editing service", True),
    (JSONResponse([1, 2]), "none of an editing service", True),
    (JSONResponse({"success": False, "error": "model crashed"}), "returned no image: model crashed", False),
    (JSONResponse({"success": False, "error": "任务队列已满"}), "no room in its queue", True),
    (answered(None), "sent no image", True),
    (answered(b""), "sent no image", True),
    (answered(b"GIF89a no image"), "no image", True),
    (JSONResponse({"success": True, "edited_image": "§§§"}), "no image", True),
    (answered(png(plain())), "entirely black", False),
    (truncated, "broke the connection", True),
]


@pytest.mark.parametrize(("answer", "sentence", "transient"), FAULTS)
async def test_failures_say_what_is_wrong(start: Start, answer: Any, sentence: str, transient: bool) -> None:
    service, url = start()
    service.next.append(answer)
    editor = editor_at(url)
    error = await failure(editor)
    assert error.transient is transient
    assert re.search(sentence, str(error)), str(error)
    assert (await edit(editor)).image.size == (96, 64)


async def test_waiting_as_long_as_a_busy_server_asks(start: Start) -> None:
    service, url = start()
    service.next.append(JSONResponse({"detail": "slow down"}, 429, headers={"retry-after": "3"}))
    error = await failure(editor_at(url))
    assert (error.transient, error.retry_after) == (True, 3.0)


async def test_a_server_that_is_down_or_slow(start: Start) -> None:
    assert "is the server running" in str(await failure(editor_at("http://127.0.0.1:9")))
    service, url = start()
    service.hold = True
    error = await failure(editor_at(url, timeout=0.2))
    assert "did not answer in time" in str(error)
    assert error.transient


async def test_a_key_for_the_proxy_in_front(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    _, url = start(key="s3cret-key")
    assert "set the setting 'key'" in str(await failure(editor_at(url)))
    monkeypatch.setenv("BOX_KEY", "s3cret-key")
    await edit(editor_at(url, key="env:BOX_KEY"))


async def test_cancelling_lets_the_server_know(start: Start) -> None:
    service, url = start()
    service.hold = True
    call = asyncio.ensure_future(edit(editor_at(url)))
    assert await asyncio.to_thread(service.started.wait, 5)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await asyncio.to_thread(service.abandoned.wait, 5)


async def test_ready_does_not_believe_a_green_health(start: Start) -> None:
    service, url = start()
    editor = editor_at(url)
    sentence = await editor.ready()
    assert "2 of 2 workers" in sentence
    assert "does not say whether its model is loaded" in sentence
    service.loaded = False
    with pytest.raises(EditorError, match="is a model still loading") as caught:
        await editor.ready()
    assert caught.value.transient
    service.manager = False
    with pytest.raises(EditorError, match="503"):
        await editor.ready()


async def test_an_episode_through_the_service(start: Start) -> None:
    from editthinker.darkroom.thinker import DarkroomThinker

    service, url = start()
    sample = Sample((photograph(),), "like an old photograph")
    episode = Episode(sample, editor_at(url), DarkroomThinker.load(), limits=Limits(turns=3))
    trajectory = await episode.run()
    assert trajectory.failure is None
    assert len(service.requests) == len(trajectory.turns) == trajectory.spend.editor_calls
    assert [asked.prompt for asked in service.requests] == [turn.instruction for turn in trajectory.turns]
    assert [asked.seed for asked in service.requests] == [turn.seed for turn in trajectory.turns]
    assert all(turn.score for turn in trajectory.turns)
    assert trajectory.delivered
    assert not same_pixels(trajectory.image, sample.source)
