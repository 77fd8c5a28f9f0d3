"""The OpenAI editor against strict servers of both kinds: what is sent, what comes back, what goes wrong."""

from __future__ import annotations

import asyncio
import contextlib
import io
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from editthinker import resolve
from editthinker.core.episode import Episode
from editthinker.core.errors import EditorError, InputError, Refused
from editthinker.core.images import Picture
from editthinker.core.limits import Limits
from editthinker.core.types import Edited, EditRequest, Sample
from editthinker.editors.openai import OpenAIEditor, OpenAISettings
from editthinker.testing import check_editor
from editthinker.testing.behaviour import photograph
from editthinker.wire import bounded
from editthinker.wire.connection import is_ones_own
from peers.openai_images import ERRORS, KEY, ImagesPeer
from peers.serving import serving

INSTRUCTION = "make it black and white"
HOSTED, OPEN = "gpt-image-2", "darkroom"


@contextlib.contextmanager
def peering(flavour: str, model: str = "", **state: Any) -> Iterator[tuple[ImagesPeer, str]]:
    peer = ImagesPeer(flavour, model or (HOSTED if flavour == "openai" else OPEN), **state)  # type: ignore[arg-type]
    with serving(peer.app) as url:
        yield peer, f"{url}/v1"


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, tuple[ImagesPeer, str]]]:
    with peering("openai") as hosted, peering("self-hosted") as own:
        yield {"openai": hosted, "self-hosted": own}


@pytest.fixture
def hosted(servers: dict[str, tuple[ImagesPeer, str]]) -> tuple[ImagesPeer, str]:
    servers["openai"][0].reset()
    return servers["openai"]


@pytest.fixture
def own(servers: dict[str, tuple[ImagesPeer, str]]) -> tuple[ImagesPeer, str]:
    servers["self-hosted"][0].reset()
    return servers["self-hosted"]


@pytest.fixture(params=["hosted", "own"])
def either(request: pytest.FixtureRequest) -> tuple[ImagesPeer, str]:
    found: tuple[ImagesPeer, str] = request.getfixturevalue(request.param)
    return found


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", KEY)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


def editor(peer: ImagesPeer, url: str, **given: Any) -> OpenAIEditor:
    settings = OpenAISettings.read("test", {"base_url": url, "key": "env:TEST_KEY", **given})
    return OpenAIEditor(peer.model, settings, name=f"openai:{peer.model}")


def request(photo: Picture | None = None, instruction: str = INSTRUCTION, **more: Any) -> EditRequest:
    return EditRequest((photo or photograph(),), instruction, more.pop("seed", 1), **more)


def edit(made: OpenAIEditor, asked: EditRequest | None = None) -> Edited:
    return asyncio.run(made.edit(asked or request()))


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def is_grey(picture: Picture) -> bool:
    pixels = picture.array().astype(int)
    return bool(np.abs(pixels[..., 0] - pixels[..., 2]).mean() < 3)


# --- it is an editor ---


@pytest.mark.parametrize(
    ("flavour", "model"),
    [
        pytest.param("openai", HOSTED, marks=pytest.mark.slow),
        pytest.param("openai", "gpt-image-1.5", marks=pytest.mark.slow),
        ("self-hosted", OPEN),
    ],
)
def test_it_keeps_every_promise_of_an_editor(flavour: str, model: str) -> None:
    with peering(flavour, model) as (peer, url):
        check_editor(lambda: editor(peer, url))
        assert {field for received in peer.received for field in received.ignored} == set()


def test_it_really_edits(either: tuple[ImagesPeer, str]) -> None:
    edited = edit(editor(*either))
    assert is_grey(edited.image)
    assert not is_grey(photograph())


def test_it_is_found_by_its_name(own: tuple[ImagesPeer, str]) -> None:
    peer, url = own
    found = resolve.resolve_editor(f"openai:{peer.model}?base_url={url}&key=env:TEST_KEY&steps=4&extra.top=1")
    assert found.info.name == f"openai:{peer.model}"
    asyncio.run(found.edit(request()))
    assert peer.received[0].fields["num_inference_steps"] == "4"
    assert peer.received[0].ignored == ("top",)


async def test_the_loop_runs_through_the_wire(own: tuple[ImagesPeer, str]) -> None:
    """The darkroom as an OpenAI-compatible editor, the darkroom's thinker, one whole episode."""
    thinker = resolve.resolve_thinker("darkroom")
    sample = Sample((photograph(192, 128),), "make it black and white and add a vignette")
    episode = Episode(sample, editor(*own), thinker, limits=Limits(turns=2))
    trajectory = await episode.run()
    assert trajectory.turns
    assert trajectory.failure is None
    assert [turn.editor for turn in trajectory.turns] == [f"openai:{OPEN}"] * len(trajectory.turns)
    assert [r.fields["seed"] for r in own[0].received] == [str(turn.seed) for turn in trajectory.turns]


# --- what is sent ---


def test_fields_for_openai(hosted: tuple[ImagesPeer, str]) -> None:
    peer, url = hosted
    settings = {"quality": "low", "background": "opaque", "output_format": "jpeg", "extra.user": "me"}
    edited = edit(editor(peer, url, **settings), request(photograph(1200, 900)))
    (received,) = peer.received
    assert received.fields == {
        "model": HOSTED,
        "prompt": INSTRUCTION,
        "size": "1200x912",
        "quality": "low",
        "background": "opaque",
        "output_format": "jpeg",
        "user": "me",
    }
    assert received.image_fields == ("image",)
    assert opened(received.images[0]).size == (1200, 912)
    assert received.headers["authorization"] == f"Bearer {KEY}"
    assert edited.image.size == (1200, 900)


def test_fields_for_an_open_server(own: tuple[ImagesPeer, str]) -> None:
    peer, url = own
    settings = {
        "steps": 28,
        "guidance": 2.5,
        "negative_prompt": "blur",
        "true_cfg_scale": 4,
        "output_format": "png",
    }
    edited = edit(editor(peer, url, **settings), request(seed=77))
    (received,) = peer.received
    assert received.fields == {
        "model": OPEN,
        "prompt": INSTRUCTION,
        "size": "96x64",
        "output_format": "png",
        "seed": "77",
        "num_inference_steps": "28",
        "guidance_scale": "2.5",
        "true_cfg_scale": "4.0",
        "negative_prompt": "blur",
    }
    assert received.ignored == ()
    assert edited.notes["seed"] == 77
    assert (np.asarray(opened(received.images[0])) == photograph().array()).all()


def test_guidance_that_needs_a_negative_prompt_gets_one(own: tuple[ImagesPeer, str]) -> None:
    edit(editor(*own, true_cfg_scale=4))
    assert own[0].received[0].fields["negative_prompt"] == " "


def test_no_seed_when_told_so(own: tuple[ImagesPeer, str]) -> None:
    made = editor(*own, seeded=False)
    edit(made)
    assert "seed" not in own[0].received[0].fields
    assert not made.info.seeded


def test_tables_go_as_json(own: tuple[ImagesPeer, str]) -> None:
    edit(editor(*own, extra={"lora": {"name": "x", "scale": 1.0}, "flag": True}))
    assert own[0].received[0].ignored == ("lora", "flag")


def test_several_images(either: tuple[ImagesPeer, str]) -> None:
    peer, url = either
    photos = tuple(photograph(seed=seed) for seed in range(3))
    edit(editor(peer, url), EditRequest(photos, INSTRUCTION, 1))
    (received,) = peer.received
    assert received.image_fields == ("image[]",) * 3
    for photo, data in zip(photos[1:], received.images[1:], strict=True):
        assert (np.asarray(opened(data)) == photo.array()).all(), "references are sent as they are, in order"


def test_transparent_pictures_are_sent_flat_and_come_back_transparent(either: tuple[ImagesPeer, str]) -> None:
    pixels = photograph().pixels.convert("RGBA")
    pixels.putalpha(Image.linear_gradient("L").resize(pixels.size).point(lambda value: max(1, value)))
    edited = edit(editor(*either), request(Picture.open(pixels)))
    assert opened(either[0].received[0].images[0]).mode == "RGB"
    assert edited.image.has_alpha
    assert edited.image.pixels.getchannel("A").tobytes() == pixels.getchannel("A").tobytes()


@pytest.mark.parametrize(("image_format", "kind"), [("jpeg", "JPEG"), ("webp", "WEBP")])
def test_images_in_another_format(own: tuple[ImagesPeer, str], image_format: str, kind: str) -> None:
    edit(editor(*own, image_format=image_format))
    assert opened(own[0].received[0].images[0]).format == kind


@pytest.mark.parametrize("flavour", ["openai", "self-hosted"])
def test_a_12_megapixel_photo_is_shrunk_before_it_is_sent(flavour: str) -> None:
    photo = photograph(400, 300).resized((4000, 3000))
    with peering(flavour) as (peer, url):
        edited = edit(editor(peer, url), request(photo))
        sent = opened(peer.received[0].images[0])
        assert sent.width * sent.height < 1.05 * (1536 * 1024 if flavour == "openai" else 1024 * 1024)
        assert peer.received[0].length < 6_000_000
        assert edited.image.size == (4000, 3000)
        peer.received.clear()
        edit(editor(peer, url, pixels=700_000), request(photo))
        assert opened(peer.received[0].images[0]).width * opened(peer.received[0].images[0]).height < 740_000


# --- sizes ---


@pytest.mark.parametrize("size", [(96, 64), (33, 47), (200, 20), (20, 200), (1000, 667)])
@pytest.mark.parametrize(
    ("flavour", "model"), [("openai", HOSTED), ("openai", "gpt-image-1.5"), ("self-hosted", OPEN)]
)
def test_no_shape_is_squeezed(flavour: str, model: str, size: tuple[int, int]) -> None:
    """A circle that is sent back unchanged is still that circle."""
    pixels = np.full((size[1], size[0], 3), 200, np.uint8)
    rows, columns = np.mgrid[0 : size[1], 0 : size[0]]
    inside = (columns - size[0] / 2) ** 2 + (rows - size[1] / 2) ** 2 < (0.4 * min(size)) ** 2
    pixels[inside] = (20, 60, 30)
    with peering(flavour, model, always="unchanged") as (peer, url):
        edited = edit(editor(peer, url), request(Picture.open(pixels)))
    assert edited.image.size == size
    assert np.abs(edited.image.array().astype(int) - pixels).mean() < 6


def test_a_server_that_answers_in_another_size_is_brought_back(either: tuple[ImagesPeer, str]) -> None:
    either[0].always = "other-size"
    edited = edit(editor(*either), request(photograph(640, 480)))
    assert edited.image.size == (640, 480)
    assert is_grey(edited.image)


def test_a_server_that_answers_in_another_shape_is_fitted_whole(either: tuple[ImagesPeer, str]) -> None:
    either[0].always = "other-aspect"
    assert edit(editor(*either), request(photograph(640, 480))).image.size == (640, 480)


def test_a_size_of_ones_own(own: tuple[ImagesPeer, str]) -> None:
    edit(editor(*own, size="128x128"))
    assert own[0].received[0].fields["size"] == "128x128"
    assert opened(own[0].received[0].images[0]).size == (128, 128)


def test_a_size_left_to_the_server(either: tuple[ImagesPeer, str]) -> None:
    edited = edit(editor(*either, size="auto"), request(photograph(100, 60)))
    assert "size" not in either[0].received[0].fields
    assert opened(either[0].received[0].images[0]).size == (100, 60)
    assert edited.image.size == (100, 60)


# --- masks ---


@pytest.mark.parametrize(("flavour", "given"), [("openai", {}), ("self-hosted", {"mask": "true"})])
def test_a_mask_keeps_what_is_black(flavour: str, given: dict[str, str]) -> None:
    photo = photograph(1024, 768)
    mask = np.zeros((768, 1024), np.uint8)
    mask[:, :512] = 255
    with peering(flavour) as (peer, url):
        made = editor(peer, url, **given)
        edited = edit(made, request(photo, mask=Picture.open(mask)))
        assert made.info.mask
        (received,) = peer.received
    assert set(received.masks) == ({"mask"} if flavour == "openai" else {"mask", "mask_image"})
    for data in received.masks.values():
        sent = opened(data)
        assert sent.size == opened(received.images[0]).size
        assert sent.getchannel("A").getpixel((10, 10)) == 0, "transparent: may change"
        assert sent.getchannel("A").getpixel((1000, 10)) == 255
        assert sent.convert("L").getpixel((10, 10)) == 255, "white: may change"
        assert sent.convert("L").getpixel((1000, 10)) == 0
    out, before = edited.image.array().astype(int), photo.array().astype(int)
    assert np.abs(out[:, 520:] - before[:, 520:]).mean() < 2
    assert np.abs(out[:, :500] - before[:, :500]).mean() > 10


def test_a_mask_is_padded_with_its_picture() -> None:
    photo, mask = photograph(400, 100), np.zeros((100, 400), np.uint8)
    mask[:50] = 255
    with peering("openai", "gpt-image-1.5") as (peer, url):
        edit(editor(peer, url), request(photo, mask=Picture.open(mask)))
        sent = opened(peer.received[0].masks["mask"])
    assert sent.size == (1536, 1024)
    assert {sent.getchannel("A").getpixel((700, row)) for row in (0, 400, 505)} == {0}
    assert {sent.getchannel("A").getpixel((700, row)) for row in (520, 700, 1023)} == {255}


# --- what comes back ---


def test_facts_and_cost_at_openai(hosted: tuple[ImagesPeer, str]) -> None:
    made = editor(*hosted)
    assert (made.info.max_images, made.info.mask, made.info.seeded) == (16, True, False)
    assert made.info.price == pytest.approx(0.07)
    assert made.info.card.endswith(HOSTED)
    assert "stay" in made.info.prompt_hint
    edited = edit(made)
    assert edited.cost == pytest.approx((100 * 5 + 1_000 * 8 + 2_000 * 30) / 1e6)
    assert edited.notes["usage"]["output_tokens"] == 2_000
    hosted[0].always = "no-usage"
    assert edit(made).cost == pytest.approx(0.07)
    hosted[0].always = "odd-usage"
    assert edit(made).cost == pytest.approx(0.07)
    assert edit(editor(*hosted, price=0.5)).cost == 0.5
    assert editor(*hosted, price=0.5).info.price == 0.5


def test_facts_and_cost_of_an_open_server(own: tuple[ImagesPeer, str]) -> None:
    made = editor(*own)
    assert (made.info.max_images, made.info.mask, made.info.seeded, made.info.price) == (4, False, True, 0.0)
    assert edit(made).cost == 0
    settings = OpenAISettings(base_url="https://api.deepinfra.com/v1/openai")
    assert OpenAIEditor("Qwen/Qwen-Image-Edit", settings).info.price is None
    assert editor(*own, max_images=2).info.max_images == 2


def test_the_revised_prompt_is_noted(hosted: tuple[ImagesPeer, str]) -> None:
    hosted[0].always = "revised-prompt"
    assert edit(editor(*hosted)).notes["revised_prompt"] == "a better wording"


def test_more_images_than_asked_for_are_counted(hosted: tuple[ImagesPeer, str]) -> None:
    hosted[0].always = "two-images"
    assert edit(editor(*hosted)).notes["unused_images"] == 1


def test_the_bytes_of_the_editor_are_kept_where_nothing_had_to_be_done(own: tuple[ImagesPeer, str]) -> None:
    edited = edit(editor(*own))
    assert edited.image.encoded.startswith(b"\x89PNG")


@pytest.mark.parametrize("fault", ["url", "data-url"])
def test_an_image_by_its_address(either: tuple[ImagesPeer, str], fault: str) -> None:
    either[0].always = fault
    assert is_grey(edit(editor(*either)).image)


def test_an_editor_that_changes_nothing_is_no_error(own: tuple[ImagesPeer, str]) -> None:
    own[0].always = "unchanged"
    assert (edit(editor(*own)).image.array() == photograph().array()).all()


# --- what goes wrong ---


@pytest.mark.parametrize(
    ("fault", "words", "transient"),
    [
        ("unauthorized", r"does not accept the key from env:TEST_KEY \(401\)", False),
        ("forbidden", r"does not allow this to the key \(403\)", False),
        ("no-such-model", r"does not know the model or the address \(404\)", False),
        ("too-large", r"says that the image is too large \(413\)", False),
        ("rate-limited", r"is asked too often \(429\)", True),
        ("out-of-credit", r"has no credit left for this key \(429\)", False),
        ("server-error", r"is overloaded or broken \(500\)", True),
        ("overloaded", r"is overloaded or broken \(503\)", True),
        ("truncated-body", "broke the connection", True),
        ("half-json", "cannot be read", True),
        ("html", "without an image; does its address end in /v1", False),
        ("no-data", "without an image", False),
        ("empty-data", "without an image", False),
        ("no-image-in-data", "neither an image nor its address", False),
        ("odd-data", "without an image", False),
        ("odd-image", "neither an image nor its address", False),
        ("bad-base64", "not valid base64", True),
        ("not-an-image", "something else than an image", True),
        ("truncated-image", "something else than an image", True),
        ("black", "entirely black", False),
        ("url-missing", "answers 404", False),
        ("url-local-file", "no URL", False),
    ],
)
def test_each_fault_is_one_clear_sentence(
    either: tuple[ImagesPeer, str], fault: str, words: str, transient: bool
) -> None:
    either[0].always = fault
    with pytest.raises(EditorError, match=words) as caught:
        edit(editor(*either))
    assert caught.value.transient is transient
    assert KEY not in str(caught.value)
    assert not isinstance(caught.value, Refused)
    assert len(either[0].received) <= 1, "nothing is repeated behind the desk's back"


def test_every_error_of_the_vendor_is_tried(either: tuple[ImagesPeer, str]) -> None:
    for fault in ERRORS:
        either[0].faults = [fault]
        with pytest.raises(EditorError):
            edit(editor(*either))
    assert is_grey(edit(editor(*either)).image), "and it still works afterwards"


def test_the_wait_that_was_asked_for(hosted: tuple[ImagesPeer, str]) -> None:
    hosted[0].always = "rate-limited"
    with pytest.raises(EditorError) as caught:
        edit(editor(*hosted))
    assert caught.value.retry_after == 7


def test_a_refusal_says_why(hosted: tuple[ImagesPeer, str]) -> None:
    hosted[0].always = "moderation"
    with pytest.raises(Refused, match=r"refused: Your request was rejected by the safety system") as caught:
        edit(editor(*hosted))
    assert not caught.value.transient


def test_a_useless_answer_was_paid_for(hosted: tuple[ImagesPeer, str]) -> None:
    hosted[0].always = "black"
    with pytest.raises(EditorError) as caught:
        edit(editor(*hosted))
    assert caught.value.cost == pytest.approx(0.0685)


def test_an_image_that_cannot_be_fetched_was_paid_for_too(hosted: tuple[ImagesPeer, str]) -> None:
    hosted[0].always = "url-nobody"
    with pytest.raises(EditorError, match="cannot be reached") as caught:
        edit(editor(*hosted))
    assert caught.value.cost == pytest.approx(0.0685)


def test_an_endless_image_is_cut_short(own: tuple[ImagesPeer, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "MOST_BYTES", 2**21)
    own[0].always = "url-endless"
    with pytest.raises(EditorError, match="more than 2 MiB"):
        edit(editor(*own))


@pytest.mark.clock
@pytest.mark.parametrize("fault", ["slow-drip", "stall"])
def test_a_call_takes_no_longer_than_its_timeout(own: tuple[ImagesPeer, str], fault: str) -> None:
    own[0].always = fault
    begun = time.monotonic()
    with pytest.raises(EditorError, match="did not answer in time") as caught:
        edit(editor(*own, timeout=0.4))
    assert time.monotonic() - begun < 3
    assert caught.value.transient
    assert own[0].hung_up.wait(2), "the connection is closed"


@pytest.mark.parametrize("fault", ["slow-drip", "stall"])
async def test_cancelling_closes_the_request(own: tuple[ImagesPeer, str], fault: str) -> None:
    own[0].faults = [fault]
    made = editor(*own)
    call = asyncio.create_task(made.edit(request()))
    assert await asyncio.to_thread(own[0].started.wait, 5)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await asyncio.to_thread(own[0].hung_up.wait, 2), "the server sees that nobody waits any more"
    assert is_grey((await made.edit(request())).image), "and the editor is usable afterwards"


def test_a_server_that_is_down() -> None:
    with peering("self-hosted") as (peer, url):
        made = editor(peer, url)  # and from here on nobody listens there
    with pytest.raises(EditorError, match=r"cannot be reached.*is the server running") as caught:
        edit(made)
    assert caught.value.transient


def test_the_wrong_model_is_named(own: tuple[ImagesPeer, str]) -> None:
    settings = OpenAISettings(base_url=own[1], key="env:TEST_KEY")
    with pytest.raises(EditorError, match=r"Model mismatch.*'other'.*'darkroom'"):
        edit(OpenAIEditor("other", settings))


def test_too_many_images_for_the_model(own: tuple[ImagesPeer, str]) -> None:
    own[0].max_images = 1
    asked = EditRequest((photograph(), photograph(seed=1)), INSTRUCTION, 1)
    with pytest.raises(EditorError, match="at most 1 are allowed"):
        edit(editor(*own), asked)


# --- before anything is spent ---


def test_a_missing_key_is_asked_for_at_once() -> None:
    with pytest.raises(InputError, match="needs a key: set OPENAI_API_KEY"):
        OpenAIEditor(HOSTED, OpenAISettings())


def test_the_usual_key_is_not_sent_to_other_servers(
    own: tuple[ImagesPeer, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with pytest.raises(EditorError, match="401"):
        edit(OpenAIEditor(OPEN, OpenAISettings(base_url=own[1])))
    own[0].key = ""
    edit(OpenAIEditor(OPEN, OpenAISettings(base_url=own[1])))
    assert KEY not in own[0].received[-1].headers["authorization"]


def test_openai_itself_is_called_with_the_usual_key(
    hosted: tuple[ImagesPeer, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", hosted[1])
    edited = edit(OpenAIEditor(HOSTED, OpenAISettings()))
    assert edited.image.size == photograph().size


@pytest.mark.parametrize("model", ["gpt-image-1", "dall-e-2", "dall-e-3"])
def test_a_model_that_is_gone_names_its_successors(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with pytest.raises(InputError, match=r"was shut down on 2026.*use gpt-image-2.5-sunburst"):
        OpenAIEditor(model, OpenAISettings())
    assert OpenAIEditor(model, OpenAISettings(base_url="http://127.0.0.1:1/v1")), "a proxy may still have it"


@pytest.mark.parametrize(
    ("model", "given", "words"),
    [
        (HOSTED, {"steps": 4}, "OpenAI's models have no 'steps'"),
        (HOSTED, {"negative_prompt": "x"}, "no 'negative_prompt'"),
        (HOSTED, {"input_fidelity": "high"}, "may be none at all"),
        ("gpt-image-1-mini", {"input_fidelity": "high"}, "may be low with this model"),
        (OPEN, {"quality": "high"}, "open servers have no 'quality'.*extra.quality"),
    ],
)
def test_settings_that_would_do_nothing_are_refused(model: str, given: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        OpenAIEditor(model, OpenAISettings(base_url="http://127.0.0.1:1/v1", **given))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"n": 2}, "makes one image"),
        ({"size": "large"}, "WIDTHxHEIGHT"),
        ({"extra": {"prompt": "x"}}, "sent by the editor itself"),
        ({"extra": {"stream": "true"}}, "sent by the editor itself"),
        ({"step": 3}, "did you mean 'steps'"),
        ({"base_url": "127.0.0.1:8000"}, "http://"),
        ({"pixels": 3}, "pixels"),
    ],
)
def test_settings_that_make_no_sense_are_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        OpenAISettings.read("editor 'openai:x'", given)


def test_input_fidelity_where_there_is_one() -> None:
    with peering("openai", "gpt-image-1.5") as (peer, url):
        edit(editor(peer, url, input_fidelity="high"))
        assert peer.received[0].fields["input_fidelity"] == "high"


@pytest.mark.parametrize(
    ("host", "near"),
    [
        ("127.0.0.1", True),
        ("10.1.2.3", True),
        ("localhost", True),
        ("gpu-box", True),
        ("box.local", True),
        ("::1", True),
        ("8.8.8.8", False),
        ("api.deepinfra.com", False),
    ],
)
def test_whose_server_it_is(host: str, near: bool) -> None:
    place = f"[{host}]" if ":" in host else host
    assert is_ones_own(f"http://{place}:8000/v1") is near


def test_an_open_server_gets_no_side_it_cannot_draw(own: tuple[ImagesPeer, str]) -> None:
    peer, _ = own
    asked = EditRequest((photograph(200, 20), photograph(33, 47, seed=1)), INSTRUCTION, 1)
    assert edit(editor(*own), asked).image.size == (200, 20)
    sides = [side for data in peer.received[-1].images for side in Picture.open(data).size]
    assert len(sides) == 4
    assert min(sides) >= 64
