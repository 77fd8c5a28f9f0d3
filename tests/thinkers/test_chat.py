"""The chat thinker over a real wire: the darkroom answers as a chat model; every fault has its sentence."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from editthinker.core.contracts import EditorInfo, Planner, Priced, View
from editthinker.core.episode import Episode
from editthinker.core.errors import InputError, ReplyError, ThinkerError
from editthinker.core.limits import Limits
from editthinker.core.types import Sample, StopReason
from editthinker.darkroom.editor import DarkroomEditor
from editthinker.darkroom.thinker import DarkroomThinker
from editthinker.testing import check_thinker, photograph
from editthinker.thinkers.chat import ChatThinker
from editthinker.wire.chat import ChatSettings
from peers.chat_server import KEY, MODEL, TOKENS, Asked, ChatPeer
from peers.serving import serving

COST = (TOKENS[0] * 2 + TOKENS[1] * 10) / 1_000_000
PRICE = {"price_in": "2", "price_out": "10"}


@pytest.fixture
def peer() -> ChatPeer:
    return ChatPeer()


@pytest.fixture
def url(peer: ChatPeer) -> Iterator[str]:
    with serving(peer.app) as address:
        yield f"{address}/v1"


def thinker(url: str, **given: Any) -> ChatThinker:
    settings = ChatThinker.Settings.read("thinker 'chat'", {"base_url": url, "timeout": "20", **given})
    return ChatThinker(MODEL, settings, name=f"chat:{MODEL}")


def view(**more: Any) -> View:
    sample = Sample((photograph(),), "make it black and white")
    return View(sample, "make it grey", more.pop("edited", photograph(seed=1)), **more)


# --- it works ---


@pytest.mark.parametrize("style", ["grammar", "history", "checklist", "json", "expert"])
def test_it_keeps_every_promise(url: str, style: str) -> None:
    check_thinker(lambda: thinker(url, style=style))


@pytest.mark.parametrize("style", ["grammar", "json"])
async def test_it_says_what_the_model_behind_the_wire_says(url: str, style: str) -> None:
    """The right pictures in the right order, and the right words."""
    asked = view()
    here, there = await DarkroomThinker.load().think(asked), await thinker(url, style=style).think(asked)
    assert here.critique.score is not None
    assert there.critique.score is not None
    assert there.critique.score.semantic == pytest.approx(here.critique.score.semantic, abs=0.051)
    assert there.critique.refined_instruction == here.critique.refined_instruction


async def test_an_episode_end_to_end(url: str) -> None:
    sample = Sample((photograph(),), "like an old photograph")
    episode = Episode(sample, DarkroomEditor.load(), thinker(url), limits=Limits(turns=2), seed=1)
    trajectory = await episode.run()
    assert trajectory.failure is None
    assert trajectory.stop.reason in (StopReason.TURN_LIMIT, StopReason.SATISFIED)
    assert all(turn.critique and turn.critique.score for turn in trajectory.turns)
    thought = next(call for call in trajectory.calls if call.role == "thinker")
    assert (thought.notes["tokens_in"], thought.notes["tokens_out"]) == TOKENS


async def test_a_reply_that_cannot_be_read_is_asked_for_again(url: str, peer: ChatPeer) -> None:
    peer.faults = ["garbage", "length"]
    episode = Episode(
        Sample((photograph(),), "black and white"),
        DarkroomEditor.load(),
        thinker(url, **PRICE),
        limits=Limits(turns=1),
    )
    trajectory = await episode.run()
    assert trajectory.failure is None
    outcomes = [call.outcome for call in trajectory.calls if call.role == "thinker"]
    assert outcomes == ["ReplyError", "ReplyError", "ok"]
    assert trajectory.spend.cost == pytest.approx(3 * COST)
    assert "no <think>, <score> and <answer> blocks" in peer.asked[1].text
    assert "cut off at 4096 tokens" in peer.asked[2].text


async def test_tokens_cost_and_settings_are_noted(url: str, peer: ChatPeer) -> None:
    thought = await thinker(url, temperature="0.5", seed="7", max_tokens="900", **PRICE).think(view())
    assert thought.cost == pytest.approx(COST)
    assert thought.notes == {
        "model": MODEL,
        "tokens_in": TOKENS[0],
        "tokens_out": TOKENS[1],
        "temperature": 0.5,
        "seed": 7,
    }
    body = peer.asked[0].body
    assert (body["temperature"], body["seed"], body["max_tokens"]) == (0.5, 7, 900)


def test_what_is_not_set_is_not_sent(url: str, peer: ChatPeer) -> None:
    asyncio.run(thinker(url).think(view()))
    assert set(peer.asked[0].body) == {"model", "messages", "max_tokens"}


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ({}, "max_completion_tokens"),
        ({"base_url": "https://api.openai.com/v1"}, "max_completion_tokens"),
        ({"base_url": "http://127.0.0.1:8000/v1"}, "max_tokens"),
        ({"base_url": "https://openrouter.ai/api/v1"}, "max_tokens"),
        ({"base_url": "http://gpu/v1", "tokens_key": "max_completion_tokens"}, "max_completion_tokens"),
    ],
)
def test_the_field_that_limits_tokens_follows_the_server(given: dict[str, str], key: str) -> None:
    model = ChatThinker(MODEL, ChatThinker.Settings.read("thinker", given))
    assert model.asking.chat._tokens_key == key


async def test_it_works_by_openais_rules(url: str, peer: ChatPeer, monkeypatch: pytest.MonkeyPatch) -> None:
    peer.flavour, peer.key = "openai", KEY
    monkeypatch.setenv("MY_KEY", KEY)
    given = {"tokens_key": "max_completion_tokens", "key": "env:MY_KEY", "style": "json", "detail": "high"}
    assert (await thinker(url, **given).think(view())).notes["guided"] == "json_schema"


async def test_large_images_are_shrunk_as_trained(url: str, peer: ChatPeer) -> None:
    peer.says = grammar
    big = Sample((photograph(1600, 1200),), "make it red")
    await thinker(url).think(View(big, "make it red", photograph(1600, 1200, seed=1)))
    await thinker(url, side="100", image_format="jpeg").think(
        View(big, "make it red", photograph(1600, 1200))
    )
    first, second = (asked.pictures[0] for asked in peer.asked)
    assert first.width * first.height <= 1024 * 1024
    assert first.size == (1182, 886)
    assert (second.size, second.format) == ((100, 75), "JPEG")


async def test_further_settings_are_sent_as_they_are(url: str, peer: ChatPeer) -> None:
    await thinker(url, **{"extra.top_k": "1"}).think(view())
    assert peer.asked[0].ignored == ("top_k",)
    assert peer.asked[0].body["top_k"] == 1


def test_it_can_be_used_from_one_event_loop_after_another(url: str) -> None:
    model = thinker(url)
    for _ in range(2):
        assert asyncio.run(model.think(view())).critique.score


async def test_an_image_is_encoded_once_for_all_who_look(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, encoded = thinker(url), []
    encode = type(photograph()).encode
    monkeypatch.setattr(
        type(photograph()), "encode", lambda self, kind: encoded.append(self) or encode(self, kind)
    )
    asked = view()
    await asyncio.gather(*(model.think(asked) for _ in range(3)))
    assert len(encoded) == 2


def grammar(asked: Asked) -> str:
    return '<think>t</think><score>{"semantic": 3, "quality": 7}</score><answer>make it deep red</answer>'


async def test_a_prompt_from_a_file(url: str, peer: ChatPeer, tmp_path: Path) -> None:
    """A made-up text of the form that EditThinker's own template has."""
    path = tmp_path / "prompt_template.txt"
    path.write_text('<image><image>\nWanted: "{original_instruction}"\nUsed: "{rewritten_prompt}"\n', "utf-8")
    peer.reads = lambda text: tuple(line.split('"')[1] for line in text.strip().splitlines())  # type: ignore[assignment,return-value]
    asked = view()
    here, there = await DarkroomThinker.load().think(asked), await thinker(url, prompt=str(path)).think(asked)
    assert there.critique.refined_instruction == here.critique.refined_instruction
    assert [type(part).__name__ for part in peer.asked[0].parts] == ["PngImageFile", "PngImageFile", "str"]
    assert peer.asked[0].text == '\nWanted: "make it black and white"\nUsed: "make it grey"\n'


def test_a_prompt_that_is_none_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no prompt"):
        thinker("http://127.0.0.1:9/v1", prompt=str(tmp_path / "x"))


async def test_lone_surrogates_are_replaced(url: str, peer: ChatPeer) -> None:
    peer.says = grammar
    sample = Sample((photograph(),), "make it \ud800 red")
    await thinker(url).think(View(sample, sample.instruction, photograph()))
    assert "make it ? red" in peer.asked[0].text


async def test_it_plans(url: str) -> None:
    model = thinker(url, **PRICE)
    assert isinstance(model, Planner)
    plan = await model.plan(Sample((photograph(),), "rotate it, then add grain"), EditorInfo("e"))
    assert plan.steps == ("rotate it", "add grain")
    assert plan.cost == pytest.approx(COST)
    assert plan.notes["guided"] == "json_schema"


async def test_a_plan_that_cannot_be_read_keeps_its_cost(url: str, peer: ChatPeer) -> None:
    peer.faults = ["garbage"]
    with pytest.raises(ReplyError) as caught:
        await thinker(url, **PRICE).plan(Sample((photograph(),), "x"), EditorInfo("e"))
    assert caught.value.cost == pytest.approx(COST)


# --- reasoning models ---


async def test_the_reasoning_field_is_the_reasoning_when_the_reply_has_none(url: str, peer: ChatPeer) -> None:
    peer.faults = ["reasoning-field"]
    apart = await thinker(url).think(view())
    whole = await thinker(url).think(view())
    assert apart.critique.reasoning == whole.critique.reasoning != ""


async def test_thoughts_before_the_json_are_passed_over(url: str, peer: ChatPeer) -> None:
    peer.faults = ["thinks-aloud"]
    assert (await thinker(url, style="expert").think(view())).critique.satisfied is False


# --- guided decoding ---


@pytest.mark.parametrize(
    ("style", "guided", "name", "field"),
    [
        ("grammar", "auto", None, None),
        ("grammar", "regex", "regex", "structured_outputs"),
        ("json", "auto", "json_schema", "response_format"),
        ("expert", "auto", "json_schema", "response_format"),
        ("json", "json", "json_schema", "response_format"),
        ("json", "off", None, None),
    ],
)
async def test_a_reply_is_held_to_its_form(
    url: str, peer: ChatPeer, style: str, guided: str, name: str | None, field: str | None
) -> None:
    thought = await thinker(url, style=style, guided=guided).think(view())
    assert thought.notes.get("guided") == name
    sent = {"structured_outputs", "response_format"} & set(peer.asked[0].body)
    assert sent == ({field} if field else set())


async def test_sglang_finds_the_regular_expression_where_it_looks(url: str, peer: ChatPeer) -> None:
    await thinker(url, guided="regex").think(view())
    assert peer.asked[0].body["regex"] == peer.asked[0].body["structured_outputs"]["regex"]
    assert peer.asked[0].ignored == ("regex",)


async def test_a_server_without_guided_decoding_is_asked_without_once_and_for_all(
    url: str, peer: ChatPeer
) -> None:
    peer.flavour = "plain"
    model = thinker(url, style="json")
    requests = 0
    valid = peer._valid

    def counted(body: Any, headers: Any) -> Asked:
        nonlocal requests
        requests += 1
        return valid(body, headers)

    peer._valid = counted  # type: ignore[method-assign]
    for expected in (2, 3, 4):
        thought = await model.think(view())
        assert thought.critique.score is not None
        assert "guided" not in thought.notes
        assert requests == expected


async def test_another_400_does_not_end_guided_decoding(url: str, peer: ChatPeer) -> None:
    peer.faults = ["moderated", "moderated"]
    model = thinker(url, style="json")
    with pytest.raises(ThinkerError, match="Rejected by the safety system"):
        await model.think(view())
    assert (await model.think(view())).notes["guided"] == "json_schema"


async def test_guided_decoding_that_was_demanded_is_not_dropped(url: str, peer: ChatPeer) -> None:
    peer.flavour = "plain"
    with pytest.raises(ThinkerError, match="response_format is not supported"):
        await thinker(url, style="json", guided="json").think(view())
    with pytest.raises(ThinkerError, match="structured_outputs is not supported"):
        await thinker(url, guided="regex").think(view())


def test_json_cannot_be_demanded_of_a_style_in_tags() -> None:
    with pytest.raises(InputError, match="guided=regex, or style=json"):
        thinker("http://127.0.0.1:9/v1", guided="json")


# --- what goes wrong ---


FAILURES = [
    ("unauthorized", "does not accept the key", False, None),
    ("forbidden", "does not allow this to the key", False, None),
    ("no-such-model", "does not know the model or the address", False, None),
    ("too-large", "the image is too large", False, None),
    ("moderated", "refused: Rejected by the safety system", False, None),
    ("rate-limited", "asked too often", True, 7),
    ("server-error", "overloaded or broken", True, None),
    ("overloaded", "overloaded or broken", True, 2),
    ("html", "no chat completion", True, None),
    ("no-choices", "no chat completion", True, None),
    ("half-json", "cannot be read", True, None),
    ("truncated-body", "broke the connection", True, None),
    ("refusal", "refused: I cannot judge pictures of this kind", False, None),
    ("filtered", "refused: the provider's content filter", False, None),
]


@pytest.mark.parametrize(("fault", "sentence", "transient", "wait"), FAILURES)
async def test_each_fault_has_its_sentence(
    url: str,
    peer: ChatPeer,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
    sentence: str,
    transient: bool,
    wait: float | None,
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    peer.faults = [fault]
    with pytest.raises(ThinkerError, match=sentence) as caught:
        await thinker(url, key="env:MY_KEY", **PRICE).think(view())
    error = caught.value
    assert not isinstance(error, ReplyError)
    assert f"thinker 'chat:{MODEL}'" in str(error)
    assert KEY not in str(error)
    assert (error.transient, error.retry_after) == (transient, wait)
    assert error.cost == (pytest.approx(COST) if fault in ("refusal", "filtered") else 0)


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("null", "the reply was empty"),
        ("empty", "the reply was empty"),
        ("length", "cut off at 4096 tokens"),
        ("garbage", "no <think>, <score> and <answer> blocks"),
    ],
)
async def test_a_reply_that_cannot_be_used_keeps_its_cost(
    url: str, peer: ChatPeer, fault: str, sentence: str
) -> None:
    peer.faults = [fault]
    with pytest.raises(ReplyError, match=sentence) as caught:
        await thinker(url, **PRICE).think(view())
    assert caught.value.cost == pytest.approx(COST)


@pytest.mark.clock
async def test_a_server_that_drips_is_not_waited_for(url: str, peer: ChatPeer) -> None:
    peer.faults = ["slow-drip"]
    begun = time.monotonic()
    with pytest.raises(ThinkerError, match="did not answer in time") as caught:
        await thinker(url, timeout="0.3").think(view())
    assert time.monotonic() - begun < 2
    assert caught.value.transient
    assert peer.hung_up.wait(2)


async def test_cancelling_hangs_up(url: str, peer: ChatPeer) -> None:
    peer.faults = ["stall"]
    waiting = asyncio.ensure_future(thinker(url).think(view()))
    assert await asyncio.to_thread(peer.started.wait, 2)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await asyncio.to_thread(peer.hung_up.wait, 2)


async def test_a_server_that_is_down() -> None:
    with pytest.raises(ThinkerError, match=r"cannot be reached.*is the server running") as caught:
        await thinker("http://127.0.0.1:9/v1").think(view())
    assert caught.value.transient


async def test_a_model_that_is_not_served(url: str) -> None:
    model = ChatThinker("other", ChatThinker.Settings.read("t", {"base_url": url}), name="chat:other")
    with pytest.raises(ThinkerError, match="The model `other` does not exist"):
        await model.think(view())


async def test_more_images_than_the_server_takes(url: str, peer: ChatPeer) -> None:
    peer.max_images = 1
    with pytest.raises(ThinkerError, match=r"At most 1 image\(s\)"):
        await thinker(url).think(view())


async def test_a_key_is_sent_only_where_it_belongs(
    url: str, peer: ChatPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenAI's key is for OpenAI: another server does not get it unless it is named."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    await thinker(url).think(view())
    assert KEY not in json.dumps(dict(peer.asked[0].headers))
    await thinker(url, key="env:OPENAI_API_KEY").think(view())
    assert peer.asked[1].headers["authorization"] == f"Bearer {KEY}"


async def test_an_answer_without_usage_costs_nothing_we_know_of(url: str, peer: ChatPeer) -> None:
    peer.faults = ["no-usage"]
    assert (await thinker(url, **PRICE).think(view())).cost == 0


# --- price ---


@pytest.mark.parametrize(
    ("base_url", "price"),
    [
        ("http://127.0.0.1:8000/v1", 0),
        ("http://localhost:8000/v1", 0),
        ("http://gpubox:8000/v1", 0),
        ("http://10.1.2.3:8000/v1", 0),
        ("http://gpu.lan/v1", 0),
        ("https://generativelanguage.googleapis.com/v1beta/openai", None),
        ("", None),
    ],
)
def test_what_runs_at_home_is_free_and_what_does_not_is_unknown(base_url: str, price: float | None) -> None:
    model = ChatThinker("a-model-nobody-has-priced", ChatThinker.Settings.read("t", {"base_url": base_url}))
    assert isinstance(model, Priced)
    assert model.price == price


def test_a_price_that_was_given_counts() -> None:
    price = thinker("https://example.com/v1", **PRICE).price
    assert price == pytest.approx((3_500 * 2 + 600 * 10) / 1e6)


def test_every_setting_is_described() -> None:
    for settings in (ChatSettings, ChatThinker.Settings):
        assert all(field.description for field in settings.model_fields.values())
