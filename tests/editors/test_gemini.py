"""Google's image models through google-genai: shapes, several images, refusals with their reason, prices."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.responses import HTMLResponse, JSONResponse

from editthinker.core.errors import EditorError, InputError, Refused
from editthinker.core.images import Picture
from editthinker.core.types import Edited, EditRequest
from editthinker.editors.gemini import GeminiEditor
from editthinker.resolve import resolve_editor
from editthinker.testing import check_editor, photograph
from editthinker.wire import prices
from peers.gemini_api import GeminiApi, answer, candidate, drawn, failed, spoken
from peers.painting import plain, png, truncated
from peers.serving import serving

MODEL = "gemini-2.5-flash-image"


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "test-key")
    monkeypatch.delenv("GOOGLE_API_KEY", raising=False)


Api = tuple[GeminiApi, str]


@pytest.fixture(scope="module")
def running() -> Iterator[Api]:
    google = GeminiApi(MODEL)
    with serving(google.app) as url:
        yield google, url


@pytest.fixture
def api(running: Api) -> Api:
    running[0].forget()
    return running


def editor_at(url: str, **settings: Any) -> GeminiEditor:
    return GeminiEditor(MODEL, GeminiEditor.Settings(base_url=url, **settings))


async def edit(editor: GeminiEditor, *photos: Picture, seed: int = 7) -> Edited:
    return await editor.edit(EditRequest(photos or (photograph(),), "make it black and white", seed))


async def failure(editor: GeminiEditor) -> EditorError:
    with pytest.raises(EditorError) as caught:
        await edit(editor)
    return caught.value


def test_it_keeps_the_promises_of_an_editor(api: Api) -> None:
    check_editor(lambda: resolve_editor(f"gemini:{MODEL}?base_url={api[1]}"))


@pytest.mark.parametrize(
    ("size", "shape"),
    [((96, 64), "3:2"), ((64, 64), "1:1"), ((90, 160), "9:16"), ((200, 20), "21:9"), ((33, 47), "2:3")],
)
async def test_a_photo_is_padded_to_the_nearest_shape_and_back(
    api: Api, size: tuple[int, int], shape: str
) -> None:
    google, url = api
    photo = photograph(*size)
    edited = await edit(editor_at(url), photo)
    config = google.requests[0].generationConfig
    assert config.imageConfig
    assert config.imageConfig.aspectRatio == edited.notes["aspect_ratio"] == shape
    sent = Picture.open(google.requests[0].images[0])
    across, down = map(int, shape.split(":"))
    assert abs(sent.size[0] * down - sent.size[1] * across) <= across + down
    assert edited.image.size == size


async def test_what_comes_back_lies_where_the_photo_lay(api: Api) -> None:
    """A white block in the middle of a wide photo must be in the middle, and as wide, after the padding."""
    google, url = api
    pixels = plain((20, 20, 20), (400, 100))
    pixels.paste((250, 250, 250), (150, 25, 250, 75))

    def as_sent() -> Any:
        sent = Picture.open(google.requests[-1].images[0])
        return drawn(png(sent.pixels.resize((1536, 672))))

    google.next.append(as_sent)
    edited = await edit(editor_at(url), Picture.open(pixels))
    grey = edited.image.pixels.convert("L")
    box = grey.point(lambda value: 255 * (value > 128)).getbbox()
    assert box is not None
    assert all(abs(one - other) <= 2 for one, other in zip(box, (150, 25, 250, 75), strict=True)), box


async def test_several_images_go_in_order_before_the_words(api: Api) -> None:
    google, url = api
    await edit(editor_at(url), photograph(), photograph(40, 40, seed=1), photograph(50, 30, seed=2))
    parts = google.requests[0].contents[0].parts
    assert [bool(part.inlineData) for part in parts] == [True, True, True, False]
    assert [Picture.open(data).size for data in google.requests[0].images] == [(96, 64), (40, 40), (50, 30)]
    assert google.requests[0].text == "make it black and white"
    assert editor_at(url).info.max_images == 3
    assert GeminiEditor("gemini-3-pro-image-preview", GeminiEditor.Settings()).info.max_images == 14


async def test_what_is_set_arrives(api: Api) -> None:
    google, url = api
    await edit(editor_at(url, temperature=0.5), seed=2**31 + 5)
    config = google.requests[0].generationConfig
    assert (config.seed, config.temperature) == (5, 0.5)
    assert config.imageConfig
    assert config.imageConfig.imageSize is None


async def test_image_size_is_sent_to_models_that_have_it() -> None:
    google = GeminiApi("gemini-3.1-flash-image")
    with serving(google.app) as url:
        editor = resolve_editor(f"gemini:gemini-3.1-flash-image?base_url={url}&image_size=2K")
        await editor.edit(EditRequest((photograph(20, 160),), "make it black and white", 1))
    config = google.requests[0].generationConfig.imageConfig
    assert config
    assert (config.aspectRatio, config.imageSize) == ("1:8", "2K")


def test_settings_that_would_be_ignored_are_refused() -> None:
    with pytest.raises(InputError, match="always draws about a megapixel"):
        resolve_editor(f"gemini:{MODEL}?image_size=2K")
    with pytest.raises(InputError, match="no setting 'guidance'"):
        resolve_editor(f"gemini:{MODEL}?guidance=3")


REFUSALS = [
    (answer(promptFeedback={"blockReason": "PROHIBITED_CONTENT"}), "prohibited .PROHIBITED_CONTENT."),
    (answer(promptFeedback={"blockReason": "IMAGE_SAFETY"}, candidates=[]), "safety filter"),
    (candidate(None, "SAFETY"), "safety filter stopped it .SAFETY."),
    (candidate(None, "IMAGE_SAFETY"), "stopped the image .IMAGE_SAFETY."),
    (answer(promptFeedback={"blockReason": "JAILBREAK"}), "refused: JAILBREAK"),
    (candidate([], "IMAGE_PROHIBITED_CONTENT"), "prohibited"),
    (candidate(None, "RECITATION"), "copy a protected work"),
    (candidate(None, "NO_IMAGE"), "made no image"),
    (spoken("I cannot edit pictures of children."), "in words: I cannot edit pictures of children"),
]


@pytest.mark.parametrize(("reply", "reason"), REFUSALS)
async def test_refusals_keep_their_reason(api: Api, reply: Any, reason: str) -> None:
    google, url = api
    google.next.append(reply)
    error = await failure(editor_at(url, price=0.04))
    assert isinstance(error, Refused)
    assert not error.transient
    assert re.search(reason, str(error)), str(error)
    assert error.cost == 0.0, "nothing was drawn"


FAULTS = [
    (failed(400, "Request contains an invalid argument."), "does not accept the request .400.", False, None),
    (failed(403, "no permission"), "does not allow this to the key", False, None),
    (failed(404, "not found"), "does not know the model", False, None),
    (failed(413, "too big"), "too large", False, None),
    (failed(429, "quota", delay="34.5s"), "asked too often", True, 34.5),
    (failed(429, "quota", quota="GenerateRequestsPerDayPerProject", delay="5s"), "too often", False, 5.0),
    (JSONResponse({"error": {"message": "slow"}}, 429, {"retry-after": "3"}), "slow", True, 3.0),
    (failed(500, "internal"), "overloaded or broken", True, None),
    (failed(503, "The model is overloaded."), "The model is overloaded", True, None),
    (HTMLResponse("<h1>Bad Gateway</h1>", 502), "overloaded or broken", True, None),
    (HTMLResponse("<h1>Sign in to the hotel's network</h1>"), "cannot be read", True, None),
    (JSONResponse({"surprise": 1}), "without an image|cannot be read", True, None),
    (answer(), "without an image", True, None),
    (candidate(None, "MAX_TOKENS"), "sent no image .MAX_TOKENS.", True, None),
    (candidate([], "MALFORMED_RESPONSE"), "sent no image .MALFORMED_RESPONSE.", True, None),
    (drawn(b"no image at all"), "no image", True, None),
    (drawn(png(plain())), "entirely black", False, None),
    (truncated, "broke the connection", True, None),
]


@pytest.mark.parametrize(("reply", "sentence", "transient", "after"), FAULTS)
async def test_failures_say_what_is_wrong(
    api: Api, reply: Any, sentence: str, transient: bool, after: float | None
) -> None:
    google, url = api
    google.next.append(reply)
    editor = editor_at(url)
    error = await failure(editor)
    assert re.search(sentence, str(error)), str(error)
    assert (error.transient, error.retry_after) == (transient, after)
    assert not isinstance(error, Refused)
    assert len(google.requests) == 1, "the desk repeats, not the library"
    assert (await edit(editor)).image.size == (96, 64)


async def test_words_beside_an_image_do_no_harm(api: Api) -> None:
    google, url = api
    google.next.append(drawn(png(plain((1, 200, 1), (1248, 832))), words="Here is your photo!"))
    assert (await edit(editor_at(url))).image.pixels.getpixel((5, 5)) == (1, 200, 1)


async def test_a_wrong_or_missing_key(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    _, url = api
    monkeypatch.setenv("GEMINI_API_KEY", "AIza-wrong-key")
    error = await failure(editor_at(url))
    assert "does not accept the key from env:GEMINI_API_KEY (401)" in str(error)
    assert "AIza" not in str(error)
    monkeypatch.delenv("GEMINI_API_KEY")
    error = await failure(GeminiEditor(MODEL, GeminiEditor.Settings()))
    assert "set GEMINI_API_KEY" in str(error)
    monkeypatch.setenv("GOOGLE_API_KEY", "test-key")
    await edit(editor_at(url))


async def test_what_an_edit_cost(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    google, url = api
    edited = await edit(editor_at(url, price=0.04))
    assert edited.cost == editor_at(url, price=0.04).info.price == 0.04
    assert (await edit(editor_at(url))).cost == prices.per_image(MODEL) == editor_at(url).info.price
    google.next.append(drawn(png(plain())))
    assert (await failure(editor_at(url, price=0.04))).cost == 0.04, "a black image is paid for"
    monkeypatch.setattr(prices, "tokens", lambda model: prices.Rate(0.3, 30.0))
    google.next.append(drawn(png(plain((9, 9, 200)))))
    edited = await edit(editor_at(url))
    assert edited.cost == pytest.approx((1000 * 0.3 + 1290 * 30) / 1e6)
    google.next.append(spoken("I would rather not."))
    assert (await failure(editor_at(url))).cost == edited.cost, "words are paid for by the token"
    assert (edited.notes["tokens_in"], edited.notes["tokens_out"]) == (1000, 1290)


async def test_a_server_that_is_down_or_slow(api: Api) -> None:
    google, url = api
    assert "is the server running" in str(await failure(editor_at("http://127.0.0.1:9")))
    google.hold = True
    error = await failure(editor_at(url, timeout=0.2))
    assert "did not answer in time" in str(error)
    assert error.transient


async def test_cancelling_lets_the_server_know(api: Api) -> None:
    google, url = api
    google.hold = True
    call = asyncio.ensure_future(edit(editor_at(url)))
    assert await asyncio.to_thread(google.started.wait, 5)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await asyncio.to_thread(google.abandoned.wait, 5)
