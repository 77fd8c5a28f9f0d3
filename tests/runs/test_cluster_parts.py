"""What moves between processes, how workers are shared out, and how a pool is told of them; without Ray."""

from __future__ import annotations

import asyncio
import pickle
from pathlib import Path
from typing import Any

import pytest

from editthinker.config import Config
from editthinker.core import errors
from editthinker.core.contracts import View
from editthinker.core.errors import EditorError, InputError, MissingExtra, Refused, UnknownName
from editthinker.core.images import Folded, Picture
from editthinker.core.types import Edited, EditRequest, Sample, Turn
from editthinker.resolve.holding import runs_here, spelled_out, wants_gpu
from editthinker.runs.cluster import address
from editthinker.runs.cluster.faults import FIELDS, Fault
from editthinker.runs.cluster.parcels import Parcel, afar, finished, packed, unpacked
from editthinker.runs.cluster.shares import Asked, Node, Share, shares
from editthinker.runs.cluster.worker import Reply, Worker
from editthinker.testing import ScriptedEditor, ScriptedThinker, photograph
from editthinker.wire.pool import Pool

EDITOR, THINKER = ("editor", False), ("thinker", False)
HEAVY_EDITOR, HEAVY_THINKER = ("editor", True), ("thinker", True)


def sent(thing: Any) -> Any:
    return pickle.loads(pickle.dumps(thing))  # noqa: S301 - our own


def travelled(picture: Picture) -> Picture:
    arrived: Picture = sent(Parcel.of(picture)).picture()
    return arrived


# --- pictures ---


@pytest.mark.parametrize("alpha", [False, True])
def test_pixels_travel_exactly(alpha: bool) -> None:
    picture = photograph(31, 17, seed=3)
    if alpha:
        pixels = picture.pixels.convert("RGBA")
        pixels.putalpha(77)
        picture = Picture(pixels, name="a layer", profiled=True)
    arrived = travelled(picture)
    assert not arrived.is_hashed
    assert arrived.pixels.mode == picture.pixels.mode
    assert (arrived.sha256, arrived.size) == (picture.sha256, picture.size)
    assert (arrived.name, arrived.profiled) == (picture.name, picture.profiled)


def test_an_editors_own_bytes_travel_beside_what_it_made_of_them() -> None:
    odd = Picture(
        photograph(32, 16, seed=1).pixels, photograph(32, 16, seed=2).encode("image/jpeg"), "image/jpeg"
    )
    arrived = travelled(odd)
    assert (arrived.encoded, arrived.media_type) == (odd.encoded, "image/jpeg")
    assert arrived.sha256 == odd.sha256


def test_a_result_arrives_hashed_and_encoded() -> None:
    picture = photograph(32, 16)
    arrived = sent(finished(Picture(picture.pixels))).picture()
    assert arrived.is_hashed
    assert arrived.__dict__["_png"] == picture.encode()
    assert arrived.encode() is arrived.__dict__["_png"]


def test_what_is_known_travels() -> None:
    picture = photograph(32, 16)
    digest = picture.sha256
    arrived = travelled(picture)
    assert arrived.is_hashed
    assert arrived.sha256 == digest


def test_a_folded_picture_is_read_when_somebody_looks() -> None:
    original, looks = photograph(32, 16), []

    def read() -> bytes:
        looks.append(1)
        return original.encode()

    folded = afar(Parcel.of(Folded(original, read)).facts, read)
    looks.clear()
    assert (folded.size, folded.has_alpha, folded.sha256) == ((32, 16), False, original.sha256)
    assert not looks
    assert folded.pixels.tobytes() == original.pixels.tobytes()
    assert looks


def test_requests_travel_whole_each_picture_once() -> None:
    source, edited = photograph(32, 16, seed=1), photograph(32, 16, seed=2)
    turn = Turn(1, "warmer", 5, Edited(edited, notes={"a": 1}), None)
    view = View(Sample((source,), "make it warmer", tags={"k": "v"}), "warmer", edited, (turn,))
    body, pictures = packed((view,))
    assert pictures == [source, edited]
    (arrived,) = unpacked(body, [travelled(picture) for picture in pictures])
    assert arrived.sample.source.sha256 == source.sha256
    assert arrived.edited is arrived.turns[0].image
    assert (arrived.sample.tags, arrived.turns[0].edited.notes) == ({"k": "v"}, {"a": 1})


# --- errors ---


class Strange(Refused):
    """Of a plugin that only the other side has."""


def test_our_errors_arrive_with_everything() -> None:
    error = Strange("not this")
    given = {"transient": True, "retry_after": 3.5, "status": 429, "endpoint": "there", "cost": 0.25}
    assert given.keys() < set(FIELDS)
    for name, value in given.items():
        setattr(error, name, value)
    arrived = sent(Fault.of(error)).error()
    assert type(arrived) is Refused
    assert str(arrived) == "not this"
    assert {name: getattr(arrived, name) for name in FIELDS} == {
        name: getattr(error, name) for name in FIELDS
    }
    assert {name: getattr(arrived, name) for name in given} == given


def test_every_error_of_ours_can_travel() -> None:
    made = [UnknownName("editor", "x", ["y"]), MissingExtra("it", "local")]
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    made += [kind("words") for kind in kinds if kind not in (UnknownName, MissingExtra)]
    for error in made:
        arrived = Fault.of(error).error()
        assert (type(arrived), str(arrived)) == (type(error), str(error))


def test_a_strangers_error_keeps_its_name_and_words() -> None:
    arrived = sent(Fault.of(ZeroDivisionError("by zero"))).error()
    assert (type(arrived).__name__, str(arrived)) == ("ZeroDivisionError", "by zero")
    assert not isinstance(arrived, errors.EditThinkerError)


# --- the worker, called here ---


async def test_a_worker_answers_and_never_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"):
        monkeypatch.setenv(variable, "9")
    source = photograph(32, 16)
    broken = Worker(lambda: 1 / 0, "nowhere", 1)
    fault = await broken.facts()
    assert isinstance(fault, Fault)
    assert (fault.kind, fault.ours) == ("ZeroDivisionError", False)
    editor = ScriptedEditor(None, EditorError("no"))
    worker = Worker(lambda: editor, str(tmp_path), 1)
    facts = await worker.facts()
    assert not isinstance(facts, Fault)
    assert (facts.info, facts.verbs) == (editor.info, ("edit",))
    request = EditRequest((source,), "warmer", 7)
    body, _ = packed((request,))
    reply = await worker.call("edit", body, {}, [0], Parcel.of(source))
    assert isinstance(reply, Reply)
    edited = unpacked(reply.body, [parcel.picture() for parcel in reply.pictures])
    again = await ScriptedEditor().edit(request)
    assert edited.image.sha256 == again.image.sha256
    fault = await worker.call("edit", body, {}, [0], Parcel.of(source))
    assert isinstance(fault, Fault)
    assert fault.kind == "EditorError"


# --- shares ---


@pytest.mark.parametrize(
    ("models", "said", "nodes", "expected"),
    [
        # CPUs: all but one, every model everywhere
        ([EDITOR, THINKER], (), [Node(8)], [Share(7, 0.5), Share(7, 0.5)]),
        ([EDITOR, THINKER], (), [Node(1)], [Share(1, 0.5), Share(1, 0.5)]),
        ([EDITOR], (), [Node(4), Node(4)], [Share(7, 1.0)]),
        # said: whole CPUs, the rest as it would be
        ([EDITOR, THINKER], ("2",), [Node(8)], [Share(2, 1.0), Share(2, 1.0)]),
        ([EDITOR, THINKER], ("editor=6",), [Node(8)], [Share(6, 1.0), Share(7, 0.5)]),
        # GPUs: one each, shared fairly
        ([HEAVY_EDITOR], (), [Node(64, 8)], [Share(8, 0, 1, 8)]),
        (
            [HEAVY_EDITOR, HEAVY_THINKER],
            (),
            [Node(32, 4), Node(24, 3)],
            [Share(4, 0, 1, 8), Share(3, 0, 1, 8)],
        ),
        ([HEAVY_EDITOR, THINKER], (), [Node(8, 2)], [Share(2, 0, 1, 4), Share(7, 1.0)]),
        # fewer GPUs than models: they share one
        ([HEAVY_EDITOR, HEAVY_THINKER], (), [Node(8, 1)], [Share(1, 0, 0.5, 4), Share(1, 0, 0.5, 4)]),
        # said: GPUs of each worker
        ([HEAVY_EDITOR], ("auto", "2"), [Node(64, 8)], [Share(4, 0, 2, 16)]),
        ([EDITOR], ("auto", "editor=0.5"), [Node(4, 2)], [Share(4, 0, 0.5, 1)]),
        ([HEAVY_EDITOR], ("auto", "0"), [Node(4, 2)], [Share(1, 1.0, 0, 3)]),
        # no GPU at all: one worker a machine, with its CPUs as threads
        ([HEAVY_EDITOR], (), [Node(9), Node(8)], [Share(2, 1.0, 0, 8)]),
    ],
)
def test_shares(models: list, said: tuple[str, ...], nodes: list[Node], expected: list[Share]) -> None:
    assert shares(models, Asked.read(*said), nodes) == expected


@pytest.mark.parametrize(
    "said", [("0",), ("1.5",), ("many",), ("editr=2",), ("editor=",), ("auto", "-1"), ("auto", "nan")]
)
def test_what_is_not_understood_is_refused(said: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match=r"--(workers|gpus) takes"):
        Asked.read(*said)


def test_without_ray_the_command_that_installs_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match=r"--engine ray needs .*editthinker\[ray\]"), address.connected():
        pass


# --- names ---


@pytest.mark.parametrize(
    ("role", "name", "here", "gpu"),
    [
        ("editor", "darkroom", True, False),
        ("editor", "diffusers:some/repo", True, True),
        ("editor", "service:http://gpu1:8005", False, False),
        ("editor", "openai:gpt-image-2", False, False),
        ("editor", "comfyui:http://h:8188#w.json", False, False),
        ("editor", "json:loads", True, False),
        ("thinker", "local:some/repo", True, True),
        ("thinker", "vllm:it", False, False),
        ("thinker", "human", False, False),
        ("thinker", "ensemble:darkroom|chat:it", True, False),
        ("thinker", "ensemble:chat:it|chat:that", False, False),
        ("judge", "editscore:it", True, True),
        ("judge", "editscore:it?base_url=http://h:1", False, True),
    ],
)
def test_who_works_here(role: str, name: str, here: bool, gpu: bool) -> None:
    assert (runs_here(role, name, Config()), wants_gpu(role, name, Config())) == (here, gpu)  # type: ignore[arg-type]


def test_a_name_is_spelled_out_for_machines_without_our_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "editthinker").mkdir()
    (tmp_path / "editthinker" / "config.toml").write_text(
        '[thinkers.mine]\nuse = "local:some/repo"\nbatch = 2\n', encoding="utf-8"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert spelled_out("thinker", "ensemble:mine|darkroom") == "ensemble:local:some/repo?batch=2|darkroom"
    with pytest.raises(InputError, match="env:NAME"):
        spelled_out("thinker", "ensemble:chat:it?key=abc|darkroom")


# --- pools ---


async def test_who_parted_is_asked_again_when_it_joins() -> None:
    first, second = ScriptedThinker(), ScriptedThinker()
    said: list[str] = []
    pool = Pool("thinker", {"a": first}, tell=said.append)
    view = View(Sample((photograph(16, 16),), "x"), "x", photograph(16, 16))

    async def think() -> str:
        return str((await pool.call(lambda member: member.think(view))).notes["endpoint"])

    assert await think() == "a"
    pool.part("a", "a was lost")
    assert said == ["no thinker answers at present (a was lost); waiting up to 600 s for one to come back"]
    waiting = asyncio.create_task(think())
    await asyncio.sleep(0.02)
    assert not waiting.done()
    assert [(state.state, state.trouble) for state in pool.states()] == [("resting", "a was lost")]
    pool.join("b", second)
    assert await waiting == "b"
    assert "answers again" in said[1]
    pool.part("b", "b was lost")
    pool.join("a", second)
    assert await think() == "a"
    assert (len(first.views), len(second.views)) == (1, 2)
