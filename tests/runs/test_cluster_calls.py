"""Calls to workers on a real Ray cluster, one by one: answers, errors, losses, cancelling."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from editthinker.core.contracts import EditorInfo, View
from editthinker.core.errors import EditorError, InputError, Refused
from editthinker.core.images import Folded, Picture
from editthinker.core.types import Critique, Edited, EditRequest, Sample, Score, Thought, Turn
from editthinker.runs.cluster import Asked, Post, Staff, connected, seat
from editthinker.testing import photograph
from editthinker.wire.pool import Pool

ray = pytest.importorskip("ray")
pytestmark = [pytest.mark.slow, pytest.mark.clock]
SOURCE = photograph(48, 32)


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_ADDRESS", raising=False)
        with connected("local", cpus=8) as own:
            assert own
            ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers have no tests
            yield


class Editor:
    """Does what the instruction says."""

    info = EditorInfo("telling", max_images=3, price=0.5)

    async def edit(self, request: EditRequest) -> Edited:
        what, _, path = request.instruction.partition(" ")
        if what == "refuse":
            raise Refused("not this one")
        if what == "crowd":
            error = EditorError("too many")
            error.transient, error.retry_after, error.status, error.cost = True, 2.5, 429, 0.125
            raise error
        if what == "break":
            raise LookupError("a bug")
        if what == "sleep":
            Path(path).write_text("began")
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                Path(path).write_text("cancelled")
                raise
        if what == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        odd = Picture(request.images[0].pixels, photograph(48, 32, seed=9).encode("image/jpeg"), "image/jpeg")
        return Edited(odd, 0.5, {"pid": os.getpid(), "threads": os.environ["OMP_NUM_THREADS"]})


class Thinker:
    name = "looking"

    async def think(self, view: View) -> Thought:
        seen = [turn.image.sha256 for turn in view.turns]
        read = [Picture(turn.image.pixels).sha256 for turn in view.turns]
        return Thought(Critique(Score(5, 5), "", "again"), notes={"seen": seen, "read": read})


@asynccontextmanager
async def pooled(staff: Staff, members: list[dict[str, Any]]) -> AsyncIterator[Pool[Any]]:
    post = staff.posts[0]
    pool: Pool[Any] = Pool(post.role, members[0])
    tending = asyncio.create_task(staff.tend([pool]))
    try:
        yield pool
    finally:
        tending.cancel()
        with suppress(asyncio.CancelledError):
            await tending


def hired(post: Post, workers: str = "1") -> tuple[Staff, list[dict[str, Any]], list[str]]:
    said: list[str] = []
    staff = Staff([post], Asked.read(workers), said.append)
    return staff, staff.begin(30.0, grows=False), said


EDITORS = Post(role="editor", verb="edit", name="e", factory=Editor)


def test_answers_and_errors_arrive_as_they_are(tmp_path: Path) -> None:
    staff, members, _ = hired(EDITORS)

    async def play() -> None:
        editor = members[0]["e@1"]
        assert editor.info == Editor.info
        edited = await editor.edit(EditRequest((SOURCE,), "edit", 1))
        assert edited.image.pixels.tobytes() == SOURCE.pixels.tobytes()
        assert edited.image.encoded == photograph(48, 32, seed=9).encode("image/jpeg")
        assert (edited.cost, edited.notes["threads"]) == (0.5, "1")
        assert edited.notes["node"] == os.uname().nodename
        assert edited.notes["pid"] != os.getpid()
        with pytest.raises(Refused, match=r"^not this one$") as refused:
            await editor.edit(EditRequest((SOURCE,), "refuse", 1))
        assert refused.value.refused
        with pytest.raises(EditorError, match=r"^too many$") as crowded:
            await editor.edit(EditRequest((SOURCE,), "crowd", 1))
        told = crowded.value
        assert (told.transient, told.retry_after, told.status, told.cost) == (True, 2.5, 429, 0.125)
        assert told.endpoint == f"e@1 on {os.uname().nodename}"
        with pytest.raises(Exception, match=r"^a bug$") as broke:
            await editor.edit(EditRequest((SOURCE,), "break", 1))
        assert type(broke.value).__name__ == "LookupError"
        note = tmp_path / "note"
        call = asyncio.create_task(editor.edit(EditRequest((SOURCE,), f"sleep {note}", 1)))
        await until(note.exists)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await until(lambda: note.read_text() == "cancelled")

    asyncio.run(play())
    staff.close()


def test_a_worker_that_dies_is_back_within_seconds() -> None:
    staff, members, _ = hired(EDITORS, "2")

    async def play() -> None:
        async with pooled(staff, members) as pool:
            await until(lambda: len(pool.members) == 2)
            name, member = next(iter(members[0].items()))  # whichever was there first
            with pytest.raises(EditorError, match="was lost in mid-call") as lost:
                await member.edit(EditRequest((SOURCE,), "die", 1))
            assert lost.value.transient
            died = time.monotonic()
            states = {state.name: state.state for state in pool.states()}
            assert states[name] == "resting"
            await until(lambda: [state.state for state in pool.states()] == ["up", "up"])
            assert time.monotonic() - died < 10
            edited = await member.edit(EditRequest((SOURCE,), "edit", 1))
            assert edited.image.sha256 == SOURCE.sha256

    asyncio.run(play())
    staff.close()


def test_turns_of_before_are_fetched_when_they_are_looked_at() -> None:
    staff, members, _ = hired(Post(role="thinker", verb="think", name="t", factory=Thinker))
    before = photograph(48, 32, seed=5)
    turn = Turn(1, "x", 1, Edited(Folded(before, before.encode)), None)

    async def play() -> None:
        thought = await members[0]["t@1"].think(View(Sample((SOURCE,), "x"), "x", SOURCE, (turn,)))
        assert thought.notes["seen"] == thought.notes["read"] == [before.sha256]

    asyncio.run(play())
    staff.close()


def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seat, "version", lambda: "9.9")
    with pytest.raises(
        InputError, match=r"it runs editthinker .* and this is 9\.9; install the same version"
    ):
        hired(EDITORS)


def test_a_model_that_cannot_be_built_or_placed_is_told() -> None:
    def broken() -> object:
        raise OSError("no weights here")

    with pytest.raises(InputError, match=r"editor 'e' cannot be loaded on .*: OSError: no weights here"):
        hired(Post(role="editor", verb="edit", name="e", factory=broken))
    with pytest.raises(InputError, match=r"thinker 't' cannot be held on .*: it is no thinker"):
        hired(Post(role="thinker", verb="think", name="t", factory=Editor))
    staff = Staff([EDITORS], Asked.read("1", "editor=2"), print)
    with pytest.raises(InputError, match=r"needs 2 GPU: the cluster has 1 machine with 8 CPUs and no GPU"):
        staff.begin(5.0, grows=False)


async def until(condition: Any) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.02)
