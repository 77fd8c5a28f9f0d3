"""Hugging Face: an endpoint of one's own, providers behind the router, models that are still loading."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import constants
from huggingface_hub.inference._providers._common import _fetch_inference_provider_mapping
from starlette.responses import HTMLResponse, JSONResponse, Response

from editthinker.core.contracts import Editor
from editthinker.core.errors import EditorError, InputError
from editthinker.core.images import Picture
from editthinker.core.selection import same_pixels
from editthinker.core.types import Edited, EditRequest
from editthinker.editors.huggingface import HuggingFaceEditor
from editthinker.resolve import resolve_editor
from editthinker.testing import check_editor, photograph
from peers.huggingface_api import HuggingFace
from peers.painting import painted, plain, png, truncated
from peers.serving import serving

TOKEN = "hf_test_token"  # noqa: S105 - of the stand-in
WORDS = "make it black and white"
# huggingface_hub 2.4 hands bytes to httpx2 in a way that is deprecated there.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("BOX_KEY", TOKEN)


@pytest.fixture(scope="module")
def running() -> Iterator[HuggingFace]:
    face = HuggingFace()
    with serving(face.app) as face.url:
        yield face


@pytest.fixture
def hub(running: HuggingFace, monkeypatch: pytest.MonkeyPatch) -> Iterator[HuggingFace]:
    """The hub and its router on loopback, in the places where the library looks them up."""
    running.forget()
    monkeypatch.setattr(constants, "ENDPOINT", running.url)
    monkeypatch.setattr(constants, "INFERENCE_PROXY_TEMPLATE", running.url + "/{provider}")
    yield running
    _fetch_inference_provider_mapping.cache_clear()
    huggingface_hub.close_session()


def at_endpoint(hub: HuggingFace, **settings: Any) -> HuggingFaceEditor:
    given = {"base_url": f"{hub.url}/endpoint", "key": "env:BOX_KEY", **settings}
    return HuggingFaceEditor("my/kontext", HuggingFaceEditor.Settings(**given))


async def edit(editor: Editor, photo: Picture | None = None) -> Edited:
    return await editor.edit(EditRequest((photo or photograph(),), WORDS, 7))


async def failure(editor: Editor) -> EditorError:
    with pytest.raises(EditorError) as caught:
        await edit(editor)
    return caught.value


def test_it_keeps_the_promises_of_an_editor(hub: HuggingFace) -> None:
    check_editor(lambda: resolve_editor(f"hf:my/kontext?base_url={hub.url}/endpoint&key=env:BOX_KEY"))


async def test_nothing_is_sent_that_was_not_set(hub: HuggingFace) -> None:
    await edit(at_endpoint(hub))
    asked = hub.requests[0].parameters
    assert asked.model_dump(exclude_unset=True) == {"prompt": WORDS, "seed": 7}


async def test_what_is_set_arrives(hub: HuggingFace) -> None:
    settings = "steps=12&guidance=3&negative_prompt=dull&target_size=true&seed=false&pixels=4096"
    where = f"base_url={hub.url}/endpoint&key=env:BOX_KEY"
    editor = resolve_editor(f"hf:my/kontext?{where}&{settings}&extra.seed=99")
    await edit(editor)
    assert hub.requests[0].parameters.model_dump() == {
        "prompt": WORDS,
        "negative_prompt": "dull",
        "guidance_scale": 3.0,
        "num_inference_steps": 12,
        "target_size": {"width": 78, "height": 52},
        "seed": 99,
    }
    assert editor.info.seeded is False


async def test_the_edit_is_the_one_the_server_made(hub: HuggingFace) -> None:
    photo = photograph()
    edited = await edit(at_endpoint(hub, image_format="png"), photo)
    assert same_pixels(edited.image, Picture.open(await painted(photo.encode(), WORDS, 7)))


@pytest.mark.parametrize("provider", ["together", "fal-ai", "auto"])
async def test_a_provider_behind_the_router(hub: HuggingFace, provider: str) -> None:
    editor = resolve_editor(f"hf:black-forest-labs/FLUX.1-Kontext-dev?provider={provider}&steps=9")
    edited = await edit(editor)
    assert edited.image.size == (96, 64)
    asked = hub.requests[0]
    assert (asked.prompt, asked.seed) == (WORDS, 7)
    assert (asked.num_inference_steps if provider == "fal-ai" else asked.steps) == 9
    assert hub.media == ["data:image/jpeg;"], "the photo is what it is called"
    assert not same_pixels(edited.image, photograph())


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("a/b?provider=replicate", "cannot be used: Model a/b is not supported by provider replicate"),
        ("a/b?provider=groq", "cannot be used: Task 'image-to-image' not supported for provider 'groq'"),
        ("a/b?provider=acme", "cannot be used: Provider 'acme' not supported. Available values"),
        ("a/unserved", "is served by no Inference Provider"),
        ("a/nothing", "does not know the model or the address"),
    ],
)
async def test_models_that_nobody_serves(hub: HuggingFace, name: str, complaint: str) -> None:
    error = await failure(resolve_editor(f"hf:{name}"))
    assert complaint in str(error)
    assert not error.transient
    assert hub.requests == []


def test_settings_that_would_be_ignored_are_refused() -> None:
    with pytest.raises(InputError, match="no setting 'width'"):
        resolve_editor("hf:a/b?width=7")
    with pytest.raises(InputError, match="cannot set prompt"):
        resolve_editor("hf:a/b?extra.prompt=x")


async def test_the_machines_login_stays_with_hugging_face(
    hub: HuggingFace, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = await failure(at_endpoint(hub, key=""))
    assert hub.keys == ["Bearer none"]
    assert "does not accept the key (401)" in str(error)
    monkeypatch.setenv("BOX_KEY", "hf_a_wrong_one")
    error = await failure(at_endpoint(hub))
    assert "does not accept the key from env:BOX_KEY" in str(error)
    assert "wrong_one" not in str(error)
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", "/nowhere")
    error = await failure(resolve_editor("hf:a/b?provider=together"))
    assert "needs a key; set HF_TOKEN, or log in" in str(error)


async def test_a_model_that_is_still_loading(hub: HuggingFace) -> None:
    hub.next.append(JSONResponse({"error": "Model my/kontext is loading", "estimated_time": 20.5}, 503))
    error = await failure(at_endpoint(hub))
    assert "is starting up (503): Model my/kontext is loading" in str(error)
    assert (error.transient, error.retry_after) == (True, 20.5)


FAULTS = [
    (JSONResponse({"error": "bad parameters"}, 400), "does not accept the request .400.: bad param", False),
    (JSONResponse({"error": "You have exceeded your credits"}, 402), "wants to be paid first", False),
    (JSONResponse({"error": "gated"}, 403), "does not allow", False),
    (JSONResponse({"error": "no such"}, 404), "does not know the model", False),
    (JSONResponse({"error": "too large"}, 413), "too large", False),
    (JSONResponse({"error": ["Error in `parameters.seed`: unexpected"]}, 422), "422.*parameters.seed", False),
    (JSONResponse({"error": "slow"}, 429, {"retry-after": "3"}), "asked too often", True),
    (JSONResponse({"error": "CUDA"}, 500), "overloaded or broken .500.: CUDA", True),
    (HTMLResponse("<h1>502</h1>", 502), "overloaded or broken", True),
    (
        JSONResponse({"error": {"message": "unsafe", "code": "content_policy_violation"}}, 400),
        "refused",
        False,
    ),
    (HTMLResponse("<h1>Welcome</h1>"), "no image", True),
    (Response(b"", media_type="image/png"), "no image", True),
    (Response(png(plain((9, 9, 9), (400, 400)))[:300], media_type="image/png"), "no image", True),
    (Response(png(plain()), media_type="image/png"), "entirely black", False),
    (truncated("image/png"), "broke the connection", True),
]


@pytest.mark.parametrize(("reply", "sentence", "transient"), FAULTS)
async def test_failures_say_what_is_wrong(
    hub: HuggingFace, reply: Response, sentence: str, transient: bool
) -> None:
    hub.next.append(reply)
    error = await failure(at_endpoint(hub))
    assert re.search(sentence, str(error)), str(error)
    assert error.transient is transient
    assert error.retry_after == (3.0 if "often" in sentence else None)
    assert len(hub.requests) == 1


async def test_an_answer_of_a_provider_without_its_image(hub: HuggingFace) -> None:
    for reply in (JSONResponse({"data": []}), HTMLResponse("<h1>x</h1>"), JSONResponse({"data": None})):
        hub.next.append(reply)
        error = await failure(resolve_editor("hf:a/b?provider=together"))
        assert "sent an answer that cannot be read" in str(error)
        assert error.transient


async def test_an_image_of_another_size_is_fitted(hub: HuggingFace) -> None:
    hub.next.append(Response(png(plain((9, 200, 9), (64, 64))), media_type="image/png"))
    edited = await edit(at_endpoint(hub))
    assert edited.image.size == (96, 64)


async def test_what_an_edit_cost(hub: HuggingFace) -> None:
    assert (await edit(at_endpoint(hub))).cost == 0.0
    editor = at_endpoint(hub, price=0.03)
    assert (await edit(editor)).cost == editor.info.price == 0.03


async def test_a_server_that_is_down_or_slow(hub: HuggingFace) -> None:
    assert "is the server running" in str(await failure(at_endpoint(hub, base_url="http://127.0.0.1:9")))
    hub.hold = True
    error = await failure(at_endpoint(hub, timeout=0.2))
    assert "did not answer in time" in str(error)
    assert error.transient


async def test_cancelling_lets_the_server_know(hub: HuggingFace) -> None:
    hub.hold = True
    call = asyncio.ensure_future(edit(at_endpoint(hub)))
    assert await asyncio.to_thread(hub.started.wait, 5)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await asyncio.to_thread(hub.abandoned.wait, 5)
