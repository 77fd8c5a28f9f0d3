"""What a chat request is made of, byte by byte: addresses, headers, and a front part that stays as it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from editthinker.core.contracts import View
from editthinker.core.episode import Episode
from editthinker.core.errors import ThinkerError
from editthinker.core.images import Picture
from editthinker.core.limits import Limits
from editthinker.core.types import EditRequest, Sample
from editthinker.editors.service import ServiceEditor
from editthinker.testing import photograph
from editthinker.testing.scripted import ScriptedEditor
from editthinker.thinkers.chat import ChatThinker
from editthinker.wire.chat import Chat, ChatSettings, Encoded, address
from peers.chat_server import KEY, MODEL, ChatPeer
from peers.edit_service import EditService
from peers.serving import serving


@pytest.fixture
def peer() -> ChatPeer:
    return ChatPeer()


@pytest.fixture
def url(peer: ChatPeer) -> Iterator[str]:
    with serving(peer.app) as address:
        yield f"{address}/v1"


def chat(url: str, **given: Any) -> Chat:
    return Chat(MODEL, ChatSettings.read("thinker", {"base_url": url, **given}), "thinker", "chat")


@pytest.mark.parametrize(
    ("base", "where"),
    [
        ("", "https://api.openai.com/v1/chat/completions"),
        ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000/v1/chat/completions"),
        (
            "https://me.openai.azure.com/openai/deployments/d?api-version=2025-01-01",
            "https://me.openai.azure.com/openai/deployments/d/chat/completions?api-version=2025-01-01",
        ),
    ],
)
def test_addresses(base: str, where: str) -> None:
    assert address(base) == where


@pytest.mark.parametrize("style", ["history", "checklist", "json", "expert"])
async def test_what_stays_the_same_comes_first(url: str, peer: ChatPeer, style: str) -> None:
    """Servers that cache prefixes then read rules and source once for all turns (our own forms only)."""
    model = ChatThinker(MODEL, ChatThinker.Settings.read("t", {"base_url": url, "style": style}))
    sample = Sample((photograph(),), "like an old photograph")
    trajectory = await Episode(sample, ScriptedEditor(), model, limits=Limits(turns=3)).run()
    assert trajectory.failure is None
    first, *later = [asked.body["messages"][0]["content"] for asked in peer.asked]
    assert later
    image = next(place for place, part in enumerate(first) if part["type"] == "image_url")
    assert all(asked[: image + 1] == first[: image + 1] for asked in later)
    shown = [json.dumps(part) for part in first if part["type"] == "image_url"]
    assert shown[0] != shown[1]


async def test_the_source_has_the_same_bytes_in_every_turn(url: str, peer: ChatPeer) -> None:
    """Also in the order that EditThinker was trained with, and also when it is shrunk."""
    model = ChatThinker(MODEL, ChatThinker.Settings.read("t", {"base_url": url, "pixels": "4096"}))
    sample = Sample((photograph(200, 100),), "make it black and white")
    for seed in (1, 2, 3):
        await model.think(View(sample, "make it grey", photograph(200, 100, seed=seed)))
    shown = [
        [part["image_url"]["url"] for part in asked.body["messages"][0]["content"] if "image_url" in part]
        for asked in peer.asked
    ]
    assert len({source for source, _ in shown}) == 1
    assert len({edited for _, edited in shown}) == 3


async def test_editor_and_thinker_are_sent_one_encoding(
    url: str, peer: ChatPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[Picture] = []
    encode = Picture.encode

    def counted(picture: Picture, kind: str = "image/png") -> bytes:
        encoded.append(picture)
        return encode(picture, kind)

    monkeypatch.setattr(Picture, "encode", counted)
    source, service = photograph(64, 64), EditService()
    with serving(service.app) as place:
        editor = ServiceEditor(place, ServiceEditor.Settings.read("editor", {}))
        model = ChatThinker(MODEL, ChatThinker.Settings.read("t", {"base_url": url}))
        sample = Sample((source,), "make it black and white")
        for seed in (1, 2):
            edited = await editor.edit(EditRequest((source,), sample.instruction, seed))
            await model.think(View(sample, sample.instruction, edited.image))
    assert len(service.requests) == len(peer.asked) == 2
    assert sum(picture is source for picture in encoded) == 1


async def test_words_that_look_like_json_stay_words(url: str, peer: ChatPeer) -> None:
    """Images are put between pieces of JSON as they are; nothing in the words can open a place for them."""
    peer.says = lambda asked: "fine"
    odd = '"}}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,"}} \\ \x00 \u2028 ä 漢'
    image = Encoded(photograph(32, 32).encode(), "image/png", "high")
    assert (await chat(url).ask([odd, image, odd])).text == "fine"
    (asked,) = peer.asked
    assert [part for part in asked.parts if isinstance(part, str)] == [odd, odd]
    assert len(asked.pictures) == 1


@pytest.mark.parametrize("named", [False, True], ids=["usual", "named"])
async def test_what_openai_is_told_nobody_else_is(
    url: str, peer: ChatPeer, monkeypatch: pytest.MonkeyPatch, named: bool
) -> None:
    """OPENAI_BASE_URL stands for OpenAI, with its key and account; a server that is named is another."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-1")
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    peer.says = lambda asked: "fine"
    await chat(url if named else "", tokens_key="max_tokens").ask(["hello"])
    told = {name: peer.asked[0].headers.get(name) for name in ("authorization", "openai-organization")}
    known = {"authorization": f"Bearer {KEY}", "openai-organization": "org-1"}
    assert told == (dict.fromkeys(told) if named else known)


ODD: list[Any] = [
    None, [], "words", {"choices": None}, {"choices": {}}, {"choices": 3}, {"choices": [None]},
    {"choices": [{"message": None}]}, {"choices": [{"message": "words"}]},
]  # fmt: skip


@pytest.mark.parametrize("answer", ODD, ids=json.dumps)
async def test_answers_of_any_shape_end_in_one_sentence(answer: Any) -> None:
    with pytest.raises(ThinkerError, match="no chat completion") as caught:
        chat("http://127.0.0.1:9/v1")._read(answer, "", _nothing())
    assert caught.value.transient


@pytest.mark.parametrize("usage", [None, [], *({"prompt_tokens": odd} for odd in ("many", -1, 10**400))])
def test_numbers_that_are_none_count_nothing(usage: Any) -> None:
    message = {"content": ["a list"], "refusal": 7}
    answer = {"model": 3, "usage": usage, "choices": [{"message": message, "finish_reason": 9}]}
    reply = chat("http://127.0.0.1:9/v1", price_in="2", price_out="10")._read(answer, "", _nothing())
    assert (reply.text, reply.finish, reply.cost) == ("", "", 0)
    assert reply.notes["model"] == MODEL


def _nothing() -> Any:
    from editthinker.wire.chat import Sampling

    return Sampling()


@pytest.mark.parametrize("body", [b'{"choices": "\xff"}', b"[" * 100_000], ids=["not-unicode", "too-deep"])
async def test_json_that_is_none_is_the_servers_fault(body: bytes) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        head = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": body})

    with serving(app) as url, pytest.raises(ThinkerError, match="an answer that cannot be read") as caught:
        await chat(url).ask(["hello"])
    assert caught.value.transient
