"""An editor behind HTTP, asked by the official client and by hand: both APIs, errors, limits, leaving."""

from __future__ import annotations

import asyncio
import base64
import io
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import openai
import pytest
from PIL import Image

from editthinker.core.contracts import Editor, EditorInfo
from editthinker.core.errors import EditorError, EditThinkerError, Refused
from editthinker.core.images import Picture
from editthinker.core.selection import same_pixels
from editthinker.core.types import Edited, EditRequest
from editthinker.darkroom.editor import DarkroomEditor
from editthinker.editors.service import ServiceEditor
from editthinker.resolve import resolve_editor
from editthinker.serve.editor import editor_app
from editthinker.testing import ScriptedEditor, check_editor, photograph
from editthinker.testing.scripted import tinted
from peers.serving import serving

PHOTO = photograph()
TOKEN = "a-token-of-some-length"  # noqa: S105 of these tests


class Keeps(ScriptedEditor):
    """Takes three images and a mask, and remembers them."""

    def __init__(self, *script: Any, **how: Any) -> None:
        super().__init__(*script, **how)
        self.info = EditorInfo("keeps", max_images=3, mask=True)


@contextmanager
def client_of(editor: Editor, **how: Any) -> Iterator[tuple[openai.OpenAI, httpx2.Client]]:
    """The official client and a plain one, both at a server of `editor`, warmed up."""
    with serving(editor_app(editor, served_as="m", **how)) as url:
        headers = {"Authorization": f"Bearer {how['token']}"} if "token" in how else {}
        with (
            openai.OpenAI(base_url=f"{url}/v1", api_key=how.get("token", "x"), max_retries=0) as official,
            httpx2.Client(base_url=url, headers=headers) as plain,
        ):
            until(lambda: plain.get("/health").status_code == 200)
            yield official, plain


def until(true: Callable[[], bool], seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def form(plain: httpx2.Client, picture: Picture | bytes = PHOTO, **fields: Any) -> httpx2.Response:
    data = picture.encode() if isinstance(picture, Picture) else picture
    return plain.post(
        "/v1/images/edits", data={"prompt": "warmer", **fields}, files={"image": ("a.png", data, "image/png")}
    )


def image(answer: Any) -> Picture:
    return Picture.open(base64.b64decode(answer.data[0].b64_json))


def b64(picture: Picture) -> str:
    return base64.b64encode(picture.encode()).decode()


# --- OpenAI's API ---


def test_the_official_client_edits() -> None:
    editor = ScriptedEditor()
    with client_of(editor) as (official, _):
        assert [model.id for model in official.models.list()] == ["m"]
        answer = official.images.edit(
            model="m", image=("photo.png", PHOTO.encode()), prompt="warmer", extra_body={"seed": 3}
        )
    assert same_pixels(image(answer), tinted(EditRequest((PHOTO,), "warmer", 3)))
    assert answer.size == "96x64"
    assert answer.output_format == "png"
    assert same_pixels(editor.requests[-1].images[0], PHOTO)


def test_several_images_several_results_and_seeds() -> None:
    editor = Keeps()
    with client_of(editor) as (official, _):
        photos = [photograph(seed=seed) for seed in range(3)]
        answer = official.images.edit(
            image=[(f"{index}.png", photo.encode()) for index, photo in enumerate(photos)],
            prompt="all",
            n=3,
            extra_body={"seed": 2**31 - 1},
        )
    assert len({one.b64_json for one in answer.data or ()}) == 3
    assert [request.seed for request in editor.requests[1:]] == [2**31 - 1, 0, 1]
    assert all(same_pixels(a, b) for a, b in zip(editor.requests[-1].images, photos, strict=True))


def test_without_a_seed_one_is_chosen_and_told() -> None:
    editor = ScriptedEditor()
    with client_of(editor) as (_, plain):
        seeds = [form(plain).json()["seed"] for _ in range(3)]
    assert seeds == [request.seed for request in editor.requests[1:]]
    assert len(set(seeds)) > 1


@pytest.mark.parametrize(
    ("asked", "size"),
    [
        ("auto", (96, 64)),
        ("192x128", (192, 128)),
        ("64x64", (64, 43)),
        ("48x96", (48, 32)),
        ("97x64", (97, 64)),
    ],
)
def test_sizes_are_met_without_squeezing(asked: str, size: tuple[int, int]) -> None:
    with client_of(ScriptedEditor()) as (official, _):
        answer = official.images.edit(image=PHOTO.encode(), prompt="x", size=asked)  # type: ignore[call-overload]
    assert image(answer).size == size
    assert answer.size == f"{size[0]}x{size[1]}"


@pytest.mark.parametrize("name", ["png", "jpeg", "webp"])
def test_output_formats(name: Any) -> None:
    with client_of(ScriptedEditor()) as (official, _):
        answer = official.images.edit(image=PHOTO.encode(), prompt="x", output_format=name)
    with Image.open(io.BytesIO(base64.b64decode((answer.data or [])[0].b64_json or ""))) as sent:
        assert sent.format == name.upper()


@pytest.mark.parametrize("kind", ["white", "transparent"])
def test_masks_are_white_where_the_edit_belongs(kind: str) -> None:
    editor = Keeps()
    grey = Image.new("L", PHOTO.size, 0)
    grey.paste(255, (0, 0, 48, 64))
    mask = grey.convert("RGB")
    if kind == "transparent":  # as OpenAI documents it
        mask = Image.new("RGBA", PHOTO.size)
        mask.putalpha(grey.point(lambda value: 255 - value))
    with client_of(editor) as (official, _):
        official.images.edit(image=PHOTO.encode(), mask=Picture(mask).encode(), prompt="x")
    seen = editor.requests[-1].mask
    assert seen is not None
    assert seen.pixels.convert("L").tobytes() == grey.tobytes()


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ({"model": "other"}, "model_mismatch", "serves 'm', not 'other'"),
        ({"prompt": " "}, "missing_required_parameter", "prompt is missing"),
        ({"response_format": "url"}, "invalid_value", "b64_json only"),
        ({"output_format": "gif"}, "invalid_value", "png, jpeg, webp"),
        ({"n": "11"}, "invalid_value", "from 1 to 10"),
        ({"n": "x"}, "invalid_value", "whole number"),
        ({"seed": "-1"}, "invalid_value", "seed"),
        ({"size": "10"}, "invalid_value", "1024x768"),
        ({"size": "99999x99999"}, "invalid_value", "1024x768"),
        ({"guidance_scale": "2"}, "unknown_parameter", "no 'guidance_scale'"),
        ({"quality": "high"}, "unknown_parameter", "no 'quality'"),
        ({"prompt": ["a", "b"]}, "invalid_value", "once"),
    ],
)
def test_a_field_that_cannot_be_honoured_is_refused(fields: dict[str, Any], code: str, words: str) -> None:
    editor = ScriptedEditor()
    with client_of(editor) as (_, plain):
        answer = form(plain, **fields)
    error = answer.json()["error"]
    assert answer.status_code == 400
    assert error["type"] == "invalid_request_error"
    assert error["code"] == code
    assert words in error["message"]
    assert len(editor.requests) == 1, "only the warm-up reached the editor"


def test_fields_that_ask_for_nothing_are_accepted() -> None:
    with client_of(ScriptedEditor()) as (official, _):
        official.images.edit(
            image=PHOTO.encode(), prompt="x", quality="auto", background="auto", user="u", stream=False
        )


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "it is empty"),
        (b"no image at all", "cannot use a.png"),
        (PHOTO.encode()[:200], "cannot use a.png"),
        (Picture(Image.new("RGB", (4, 4))).encode(), "4"),
    ],
)
def test_images_pass_the_door(data: bytes, words: str) -> None:
    with client_of(ScriptedEditor()) as (_, plain):
        answer = form(plain, data)
    assert answer.status_code == 400
    assert words in answer.json()["error"]["message"]


def test_other_bad_requests() -> None:
    mask = {"image": PHOTO.encode(), "mask": photograph(32, 32).encode()}
    two = [("image", PHOTO.encode()), ("image", PHOTO.encode())]
    with client_of(ScriptedEditor()) as (_, plain):
        text = plain.post("/v1/images/edits", data={"prompt": "x", "image": "x"}, files={"image[]": b""})
        assert text.status_code == 400
        none = plain.post("/v1/images/edits", data={"prompt": "x"}, files={"other": b"x"})
        assert "'other' must be given once, as text" in none.json()["error"]["message"]
        json = plain.post("/v1/images/edits", json={"prompt": "x"})
        assert "multipart/form-data" in json.json()["error"]["message"]
        several = plain.post("/v1/images/edits", data={"prompt": "x"}, files=two)
        assert several.json()["error"]["code"] == "too_many_images"
        masked = plain.post("/v1/images/edits", data={"prompt": "x"}, files=mask)
        assert "takes no mask" in masked.json()["error"]["message"]
        assert plain.get("/v1/nothing").json()["error"]["type"] == "not_found_error"
        assert plain.get("/nothing").json() == {"detail": "Not Found"}
        broken = plain.post(
            "/v1/images/edits", content=b"--x", headers={"content-type": "multipart/form-data"}
        )
        assert broken.status_code == 400
    with client_of(Keeps()) as (_, plain):
        masked = plain.post("/v1/images/edits", data={"prompt": "x"}, files=mask)
        assert "must be equal" in masked.json()["error"]["message"]


# --- the paper's service ---


def test_the_papers_service_edits() -> None:
    editor = ScriptedEditor()
    with client_of(editor) as (_, plain):
        order = {"image": b64(PHOTO), "prompt": "warmer", "seed": 5, "num_inference_steps": 28}
        told = plain.post("/edit", json=order).json()
        front, status = plain.get("/").json(), plain.get("/status").json()
        chance = plain.post("/edit", json={"image": f"data:image/png;base64,{b64(PHOTO)}", "prompt": "x"})
    edited = Picture.open(base64.b64decode(told["edited_image"]))
    assert same_pixels(edited, tinted(EditRequest((PHOTO,), "warmer", 5)))
    assert told["success"] is True
    assert told["seed"] == 5
    assert told["original_image"] == order["image"]
    assert told["original_prompt"] == "warmer"
    assert told["ignored"] == ["num_inference_steps"]
    assert {"task_id", "enhanced_prompt", "gpu_id", "processing_time", "error"} <= told.keys()
    assert chance.json()["seed"] == editor.requests[-1].seed
    assert front["editor"]["name"] == "scripted"
    assert status["system_ready"] is True
    assert status["active_workers"] == 1
    assert (status["edits"], status["failures"]) == (1, 0)


@pytest.mark.parametrize(
    ("order", "status", "words"),
    [
        ({"prompt": "x"}, 400, "there is no image"),
        ({"prompt": "x", "image": "§§"}, 400, "not base64"),
        ({"prompt": "x", "image": base64.b64encode(b"text").decode()}, 400, "cannot use"),
        ({"image": "AAAA"}, 422, "prompt"),
        ({"image": "AAAA", "prompt": "x", "seed": "s"}, 422, "seed"),
    ],
)
def test_the_papers_errors(order: dict[str, Any], status: int, words: str) -> None:
    with client_of(ScriptedEditor()) as (_, plain):
        answer = plain.post("/edit", json=order)
    assert answer.status_code == status
    assert words in str(answer.json()["detail"])
    assert answer.json().keys() == {"detail"}


# --- failures of the editor ---


def overloaded() -> EditorError:
    error = EditorError("the cloud is full")
    error.transient, error.retry_after = True, 7.0
    return error


@pytest.mark.parametrize(
    ("failure", "status", "code", "words"),
    [
        (Refused("not a person"), 400, "moderation_blocked", "not a person"),
        (EditorError("out of memory"), 500, "editor_error", "out of memory"),
        (overloaded(), 503, "editor_error", "the cloud is full"),
        (KeyError("oops"), 500, "editor_error", "editor 'scripted' broke: KeyError"),
    ],
)
def test_what_the_editor_raises(failure: Exception, status: int, code: str, words: str) -> None:
    with client_of(ScriptedEditor(None, failure, failure)) as (_, plain):
        answer = form(plain)
        of_paper = plain.post("/edit", json={"image": b64(PHOTO), "prompt": "x"})
        told = plain.get("/status").json()
    assert answer.status_code == of_paper.status_code == status
    assert answer.json()["error"]["code"] == code
    assert words in answer.json()["error"]["message"]
    assert words in of_paper.json()["detail"]
    assert answer.headers.get("retry-after") == ("7" if status == 503 else None)
    assert told["failures"] == 2


def test_an_editor_that_returns_no_image_is_found_out() -> None:
    class Empty(ScriptedEditor):
        async def edit(self, request: EditRequest) -> Edited:
            return await super().edit(request) if not self.requests else None  # type: ignore[return-value]

    with client_of(Empty()) as (_, plain):
        answer = form(plain)
    assert answer.status_code == 500
    assert "returned no image" in answer.json()["error"]["message"]


# --- readiness ---


def test_health_is_honest_and_early_edits_wait() -> None:
    editor = ScriptedEditor(seconds=0.3)
    with serving(editor_app(editor, served_as="m")) as url, httpx2.Client(base_url=url) as plain:
        early = plain.get("/health")
        assert early.status_code == 503
        assert early.headers["retry-after"] == "1"
        assert "loading" in early.json()["detail"]
        assert early.json()["gpu_manager_ready"] is False
        assert plain.get("/status").json()["active_workers"] == 0
        assert form(plain).status_code == 200
        assert plain.get("/health").json()["gpu_manager_ready"] is True


def test_a_failed_load_is_told() -> None:
    told: list[EditThinkerError | None] = []
    editor = ScriptedEditor(EditorError("the weights are gone"))
    with (
        serving(editor_app(editor, served_as="m", told=told.append)) as url,
        httpx2.Client(base_url=url) as plain,
    ):
        until(lambda: plain.get("/health").json()["status"] == "failed")
        assert plain.get("/health").json()["detail"] == "the weights are gone"
        assert plain.get("/health").status_code == 503
        assert form(plain).json()["error"]["message"] == "the weights are gone"
    assert [str(failure) for failure in told] == ["the weights are gone"]


def test_an_editor_that_refuses_the_warm_up_is_ready() -> None:
    with client_of(ScriptedEditor(Refused("I edit cats only"))) as (_, plain):
        assert form(plain).status_code == 200


# --- who comes in, and with how much ---


def test_the_token_is_asked_for() -> None:
    with client_of(ScriptedEditor(), token=TOKEN) as (official, plain):
        official.images.edit(image=PHOTO.encode(), prompt="x")
        for given in ({}, {"Authorization": f"Bearer {TOKEN}x"}, {"Authorization": TOKEN}):
            with httpx2.Client(base_url=plain.base_url, headers=given) as stranger:
                answer = form(stranger)
                assert answer.status_code == 401
                assert answer.json()["error"]["type"] == "authentication_error"
                assert answer.headers["www-authenticate"] == "Bearer"
                assert stranger.post("/edit", json={}).status_code == 401
                assert stranger.get("/status").status_code == 401
                assert stranger.get("/health").status_code == 200


def test_web_pages_cannot_make_a_browser_edit() -> None:
    with client_of(ScriptedEditor()) as (_, plain):
        plain.headers["origin"] = "https://example.org"
        assert form(plain).status_code == 403
    with client_of(ScriptedEditor(), token=TOKEN) as (_, plain):
        plain.headers["origin"] = "https://example.org"
        assert form(plain).status_code == 200


def test_large_bodies_are_refused_with_and_without_a_length() -> None:
    def drip() -> Iterator[bytes]:
        yield from (b"x" * 4096 for _ in range(8))

    with client_of(ScriptedEditor(), max_bytes=20_000) as (_, plain):
        assert form(plain).status_code == 200
        told = form(plain, photograph(200, 200))
        assert told.status_code == 413
        assert "more than" in told.json()["error"]["message"]
        dripped = plain.post("/edit", content=drip(), headers={"content-type": "application/json"})
        assert dripped.status_code == 413
        head = {"content-type": "multipart/form-data; boundary=x"}
        body = (b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n', *drip())
        dripped = plain.post("/v1/images/edits", content=iter(body), headers=head)
        assert dripped.status_code == 413


def test_a_full_line_says_when_to_come_back() -> None:
    editor = ScriptedEditor()
    with client_of(editor, longest=1) as (_, plain):
        editor._seconds = 0.4
        answers: list[httpx2.Response] = []
        callers = [threading.Thread(target=lambda: answers.append(form(plain))) for _ in range(2)]
        for caller in callers:
            caller.start()
        until(lambda: plain.get("/status").json()["pending_tasks"] == 2)
        counted = plain.get("/status").json()
        full = form(plain)
        for caller in callers:
            caller.join()
    assert (counted["running"], counted["task_queue_size"]) == (1, 1)
    assert full.status_code == 503
    assert full.json()["error"]["code"] == "queue_full"
    assert int(full.headers["retry-after"]) >= 1
    assert [answer.status_code for answer in answers] == [200, 200]


def test_concurrency_is_kept() -> None:
    most = running = 0

    class Counts(ScriptedEditor):
        async def edit(self, request: EditRequest) -> Edited:
            nonlocal most, running
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.05)
            running -= 1
            return await super().edit(request)

    with client_of(Counts(), concurrency=2) as (_, plain):
        callers = [threading.Thread(target=form, args=(plain,)) for _ in range(5)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
    assert most == 2


@pytest.mark.parametrize("path", ["/edit", "/v1/images/edits"])
def test_a_client_that_leaves_takes_its_edit_with_it(path: str) -> None:
    editor = ScriptedEditor()
    with client_of(editor) as (_, plain):
        editor._seconds = 30
        how: dict[str, Any] = {"json": {"image": b64(PHOTO), "prompt": "x"}}
        if path.startswith("/v1"):
            how = {"data": {"prompt": "x"}, "files": {"image": PHOTO.encode()}}
        with pytest.raises(httpx2.ReadTimeout):
            plain.post(path, **how, timeout=0.2)
        until(lambda: editor.cancelled == 1)
        editor._seconds = 0
        assert form(plain).status_code == 200, "and its place is free"


# --- ours through ours ---


@pytest.mark.slow
@pytest.mark.parametrize("wire", ["openai:m?base_url={}/v1&max_images=1", "service:{}"])
def test_the_darkroom_through_our_own_adapters(wire: str) -> None:
    with serving(editor_app(DarkroomEditor.load(), served_as="m", concurrency=2)) as url:
        check_editor(lambda: resolve_editor(wire.format(url)))


async def test_our_adapter_believes_our_readiness() -> None:
    with serving(editor_app(ScriptedEditor(seconds=0.3), served_as="m")) as url:
        editor = resolve_editor(f"service:{url}")
        assert isinstance(editor, ServiceEditor)
        with pytest.raises(EditorError, match="loading"):
            await editor.ready()
        await editor.edit(EditRequest((photograph(),), "warmer", 1))
        assert "is loaded and has answered" in await editor.ready()
