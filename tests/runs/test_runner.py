from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from editthinker.core.errors import EditorError, InputError, Refused, StoreError, ThinkerError
from editthinker.core.limits import Limits
from editthinker.core.method import Method
from editthinker.core.types import Edited, EditRequest
from editthinker.runs.disk import put
from editthinker.runs.doors import Budget
from editthinker.runs.folder import RunFolder
from editthinker.runs.orders import Crew, Orders
from editthinker.runs.resuming import taken_up
from editthinker.runs.runner import Runner
from editthinker.runs.samples import Entry, read
from editthinker.runs.tally import Tally
from editthinker.testing.behaviour import photograph
from editthinker.testing.scripted import ScriptedEditor, ScriptedThinker

pytestmark = pytest.mark.clock

CONFIG = {"verb": "run", "editor": ["scripted"], "turns": 3, "seed": 0}
ORDERS = Orders(limits=Limits(turns=3))


@pytest.fixture
def entries(tmp_path: Path) -> list[Entry]:
    return make_entries(tmp_path, 8)


def make_entries(folder: Path, number: int) -> list[Entry]:
    for place in range(number):
        if not (folder / f"p{place}.png").exists():
            photograph(48, 32, seed=place).save(folder / f"p{place}.png")
    rows = (
        {"id": f"s{place}", "image": f"p{place}.png", "instruction": f"wish {place}"}
        for place in range(number)
    )
    (folder / "samples.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return read(folder / "samples.jsonl")


class Watched(ScriptedEditor):
    """Counts how many calls run at a time; fails as `fails` says of a request."""

    def __init__(
        self, fails: Callable[[EditRequest], Exception | None] = lambda _: None, **more: Any
    ) -> None:
        super().__init__(**more)
        self.fails = fails
        self.at_once = self.most = 0

    async def edit(self, request: EditRequest) -> Edited:
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        try:
            if error := self.fails(request):
                self.requests.append(request)
                await asyncio.sleep(0)
                raise error
            return await super().edit(request)
        finally:
            self.at_once -= 1


def crew(editor: Any = None, thinker: Any = None, **more: Any) -> Crew:
    return Crew(editor=editor or ScriptedEditor(), thinker=thinker or ScriptedThinker(), **more)


def go(
    path: Path,
    entries: list[Entry],
    made: Crew,
    orders: Orders = ORDERS,
    config: dict[str, Any] = CONFIG,
    meanwhile: Callable[[Runner], Any] | None = None,
) -> tuple[Runner, Tally]:
    async def played(runner: Runner) -> Tally:
        task = asyncio.create_task(meanwhile(runner)) if meanwhile else None
        try:
            return await runner.run()
        finally:
            if task:
                task.cancel()

    with taken_up(path, config, {}, must_exist=False) as folder:
        runner = Runner(folder, entries, made, orders)
        return runner, asyncio.run(played(runner))


def results(path: Path) -> dict[str, Any]:
    """What came of each sample, without times."""
    with RunFolder.open(path) as folder:
        return {
            record.sample.id: (
                record.stop.reason,
                record.chosen,
                [(turn.instruction, turn.seed, turn.image.sha256) for turn in record.turns],
                [call.outcome for call in record.calls if call.outcome == "ok"],
            )
            for record in folder.trajectories()
        }


# --- all of it ---


def test_every_input_ends_exactly_once(tmp_path: Path, entries: list[Entry]) -> None:
    (tmp_path / "p3.png").write_bytes(b"no image")

    def fails(request: EditRequest) -> Exception | None:
        if "wish 5" in request.instruction:
            return Refused("not this")
        return EditorError("cannot") if "wish 6" in request.instruction else None

    entries.append(Entry("bad", problem="it has no instruction"))
    runner, tally = go(tmp_path / "run", entries, crew(Watched(fails)))
    assert tally.endings == {"finished": 5, "failed": 3, "refused": 1}
    assert tally.ended == tally.inputs == 9
    assert {failed.id: (failed.ending, failed.blame) for failed in tally.failures} == {
        "bad": ("failed", "input"),
        "s3": ("failed", "input"),
        "s5": ("refused", "editor"),
        "s6": ("failed", "editor"),
    }
    assert not runner.halted
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert (summary["finished"], summary["failed"], summary["refused"]) == (5, 3, 1)
    assert {failed["id"] for failed in summary["failures"]} == {"bad", "s3", "s5", "s6"}
    assert summary["state"] == "done"
    with RunFolder.open(tmp_path / "run") as folder:
        assert set(folder.unusable()) == {"bad", "s3"}


def test_images_are_delivered_by_id_and_never_encoded_again(tmp_path: Path, entries: list[Entry]) -> None:
    out = tmp_path / "out"
    go(tmp_path / "run", entries, crew(), replace(ORDERS, out=out))
    with RunFolder.open(tmp_path / "run") as folder:
        for record in folder.trajectories():
            assert record.chosen
            stored = folder.image_path(record.turns[record.chosen - 1].image)
            assert (out / f"{record.sample.id}.png").read_bytes() == stored.read_bytes()
    (out / "s0.png").unlink()
    (out / "s1.png").write_bytes(b"torn")
    (out / ".editthinker-0123.tmp").write_bytes(b"left over")
    go(
        tmp_path / "run",
        entries,
        crew(ScriptedEditor(EditorError("not asked again"))),
        replace(ORDERS, out=out),
    )
    assert {path.name for path in out.iterdir()} == {f"s{n}.png" for n in range(8)}
    assert (out / "s1.png").read_bytes() != b"torn"
    go(tmp_path / "run", entries, crew(), replace(ORDERS, out=tmp_path / "elsewhere"))
    assert len(list((tmp_path / "elsewhere").iterdir())) == 8


@pytest.mark.parametrize("samples", [1, 3, 64])
def test_what_comes_out_does_not_depend_on_how_many_are_at_work(
    tmp_path: Path, entries: list[Entry], samples: int
) -> None:
    go(tmp_path / "auto", entries, crew(ScriptedEditor(seconds=0.002)))
    go(tmp_path / "run", list(reversed(entries)), crew(), replace(ORDERS, samples=samples))
    assert results(tmp_path / "run") == results(tmp_path / "auto")


def test_another_seed_is_another_result(tmp_path: Path, entries: list[Entry]) -> None:
    go(tmp_path / "one", entries, crew())
    go(tmp_path / "two", entries, crew(), replace(ORDERS, seed=1))
    assert results(tmp_path / "one") != results(tmp_path / "two")


def test_samples_at_work_are_bounded(tmp_path: Path) -> None:
    entries = make_entries(tmp_path, 60)
    editor = Watched(seconds=0.01)
    seen = []

    async def look(runner: Runner) -> None:
        while True:
            seen.append(len(runner._ushers))
            await asyncio.sleep(0.002)

    go(tmp_path / "run", entries, crew(editor, ScriptedThinker(seconds=0.01)), meanwhile=look)
    assert editor.most == 8
    assert max(seen) <= 32
    go(tmp_path / "few", entries[:9], crew(few := Watched(seconds=0.002)), replace(ORDERS, samples=2))
    assert few.most <= 2


def test_the_bottleneck_is_never_idle_and_the_end_is_not_left_to_one(tmp_path: Path) -> None:
    entries = make_entries(tmp_path, 40)
    loop_seconds: list[float] = []

    class Timed(Watched):
        async def edit(self, request: EditRequest) -> Edited:
            loop_seconds.append(asyncio.get_running_loop().time())
            return await super().edit(request)

    editor = Timed(seconds=0.1)
    go(tmp_path / "run", entries, crew(editor, ScriptedThinker(seconds=0.05)))
    bound = 40 * 3 * 0.1 / 8
    assert loop_seconds[-1] + 0.1 - loop_seconds[0] < 1.35 * bound


# --- going on ---


@pytest.mark.parametrize("stop_after", [1, 4, 9, 17, 30])
def test_an_interrupted_run_goes_on_where_it_stopped(
    tmp_path: Path, entries: list[Entry], stop_after: int
) -> None:
    go(tmp_path / "whole", entries, crew())
    editor, thinker = Watched(seconds=0.001), ScriptedThinker(seconds=0.001)

    async def interrupt(runner: Runner) -> None:
        while len(editor.requests) + len(thinker.views) < stop_after:
            await asyncio.sleep(0)
        runner.drain("interrupted")

    runner, tally = go(tmp_path / "run", entries, crew(editor, thinker), meanwhile=interrupt)
    assert runner.halted == "interrupted"
    before = len(editor.requests) + len(thinker.views)
    again, view = Watched(), ScriptedThinker()
    runner, tally = go(tmp_path / "run", entries, crew(again, view))
    assert not runner.halted
    assert tally.endings["finished"] == 8
    assert before + len(again.requests) + len(view.views) == 8 * 3 * 2, "nothing was asked twice"
    assert results(tmp_path / "run") == results(tmp_path / "whole")
    assert tally.calls == {"editor": 24, "thinker": 24}


def test_calls_that_were_cancelled_are_made_again(tmp_path: Path, entries: list[Entry]) -> None:
    editor = ScriptedEditor(seconds=30)

    async def interrupt(runner: Runner) -> None:
        while not editor.requests:
            await asyncio.sleep(0.001)
        runner.stop("interrupted")

    go(tmp_path / "run", entries, crew(editor), meanwhile=interrupt)
    assert editor.cancelled == len(editor.requests) > 0
    _, tally = go(tmp_path / "run", entries, crew())
    assert tally.endings["finished"] == 8
    assert tally.calls["editor"] == 24 + editor.cancelled


def test_draining_starts_no_call_and_waits_for_those_under_way(tmp_path: Path, entries: list[Entry]) -> None:
    editor = ScriptedEditor(seconds=0.2)

    async def interrupt(runner: Runner) -> None:
        while not editor.requests:
            await asyncio.sleep(0.001)
        runner.drain("interrupted")

    go(tmp_path / "run", entries, crew(editor), meanwhile=interrupt)
    assert editor.cancelled == 0
    made = len(editor.requests)
    assert made <= 4
    again = ScriptedEditor()
    go(tmp_path / "run", entries, crew(again))
    assert len(again.requests) == 24 - made, "what was under way was kept"


def test_a_finished_run_calls_nobody(tmp_path: Path, entries: list[Entry]) -> None:
    go(tmp_path / "run", entries, crew())
    editor, thinker = ScriptedEditor(), ScriptedThinker()
    _, tally = go(tmp_path / "run", entries, crew(editor, thinker))
    assert not editor.requests
    assert not thinker.views
    assert (tally.before, tally.endings["finished"]) == (8, 8)


def test_more_samples_may_come_later(tmp_path: Path) -> None:
    go(tmp_path / "run", make_entries(tmp_path, 3), crew())
    editor = ScriptedEditor()
    _, tally = go(tmp_path / "run", make_entries(tmp_path, 5), crew(editor))
    assert len(editor.requests) == 6
    assert tally.endings["finished"] == 5


def test_what_failed_stays_so_until_it_is_asked_for(tmp_path: Path, entries: list[Entry]) -> None:
    broken = Watched(lambda request: EditorError("gone") if "wish 2" in request.instruction else None)
    _, tally = go(tmp_path / "run", entries, crew(broken))
    assert tally.endings["failed"] == 1
    editor = ScriptedEditor()
    _, tally = go(tmp_path / "run", entries, crew(editor))
    assert not editor.requests
    assert [failed.message for failed in tally.failures] == ["gone"]
    _, tally = go(tmp_path / "run", entries, crew(editor), replace(ORDERS, retry_failed=True))
    assert len(editor.requests) == 3
    assert (tally.endings["finished"], tally.endings["failed"], tally.failures) == (8, 0, [])


def test_a_sample_that_fails_late_is_taken_up_at_its_turn(tmp_path: Path, entries: list[Entry]) -> None:
    tired = ScriptedThinker()
    real = tired.think

    async def think(view: Any) -> Any:
        if "wish 2" in view.instruction and view.turns:
            raise ThinkerError("gone")
        return await real(view)

    tired.think = think  # type: ignore[method-assign]
    go(tmp_path / "run", entries, crew(thinker=tired))
    editor, thinker = ScriptedEditor(), ScriptedThinker()
    go(tmp_path / "run", entries, crew(editor, thinker), replace(ORDERS, retry_failed=True))
    assert (len(editor.requests), len(thinker.views)) == (1, 2), "turns 1 and 2 were edited already"


@pytest.mark.parametrize("method", [{"strategy": "think-before-and-while"}, {"candidates": 3}])
def test_rewrites_and_candidates_are_not_asked_for_again(
    tmp_path: Path, entries: list[Entry], method: dict[str, Any]
) -> None:
    orders = replace(ORDERS, method=Method(**method))
    go(tmp_path / "whole", entries, crew(), orders)
    editor, thinker = ScriptedEditor(seconds=0.001), ScriptedThinker(seconds=0.001)

    async def interrupt(runner: Runner) -> None:
        while len(thinker.views) < 12:
            await asyncio.sleep(0)
        runner.drain("interrupted")

    go(tmp_path / "run", entries, crew(editor, thinker), orders, meanwhile=interrupt)
    again, view = ScriptedEditor(), ScriptedThinker()
    _, tally = go(tmp_path / "run", entries, crew(again, view), orders)
    assert tally.calls["editor"] == len(editor.requests) + len(again.requests)
    with RunFolder.open(tmp_path / "run") as run, RunFolder.open(tmp_path / "whole") as whole:
        assert run.spent() == whole.spent()
    assert results(tmp_path / "run") == results(tmp_path / "whole")


# --- what must not be mixed ---


@pytest.mark.parametrize(
    ("key", "value"), [("turns", 4), ("seed", 1), ("editor", ["other"]), ("verb", "edit"), ("new", 1)]
)
def test_a_changed_configuration_is_refused_by_name(
    tmp_path: Path, entries: list[Entry], key: str, value: object
) -> None:
    go(tmp_path / "run", entries[:1], crew())
    with pytest.raises(InputError, match=f"was begun with {key} "):
        taken_up(tmp_path / "run", {**CONFIG, key: value}, {}, must_exist=False)


def test_a_changed_sample_is_refused_by_name(tmp_path: Path, entries: list[Entry]) -> None:
    go(tmp_path / "run", entries, crew())
    changed = [replace(entry, instruction="other") if entry.id == "s4" else entry for entry in entries]
    with pytest.raises(InputError, match=r"sample 's4'.*instruction"):
        go(tmp_path / "run", changed, crew())
    photograph(48, 32, seed=99).save(tmp_path / "p1.png", overwrite=True)
    with pytest.raises(InputError, match=r"sample 's1'.*p1\.png has changed"):
        go(tmp_path / "run", entries, crew())


def test_a_run_that_must_exist(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no run at"):
        taken_up(tmp_path / "run", CONFIG, {}, must_exist=True)
    assert not (tmp_path / "run").exists()


def test_a_second_process_is_told_who_holds_the_run(tmp_path: Path) -> None:
    first = taken_up(tmp_path / "run", CONFIG, {}, must_exist=False)
    with first, pytest.raises(StoreError, match="in use by process"):
        taken_up(tmp_path / "run", CONFIG, {}, must_exist=False)
    taken_up(tmp_path / "run", CONFIG, {}, must_exist=True).close()


# --- budgets ---


def test_editor_calls_are_never_more_than_allowed_over_all_starts(
    tmp_path: Path, entries: list[Entry]
) -> None:
    orders = replace(ORDERS, budget=Budget(editor_calls=10))
    editor = ScriptedEditor(seconds=0.001)
    runner, tally = go(tmp_path / "run", entries, crew(editor), orders)
    assert len(editor.requests) == 10
    assert "10 editor calls" in runner.halted
    assert tally.ended < 8
    runner, tally = go(tmp_path / "run", entries, crew(editor), orders)
    assert len(editor.requests) == 10
    more = replace(ORDERS, budget=Budget(editor_calls=24))
    runner, tally = go(tmp_path / "run", entries, crew(editor), more)
    assert len(editor.requests) == 24
    assert (runner.halted, tally.endings["finished"]) == ("", 8)


@pytest.mark.parametrize("price", [None, 0.25])
def test_no_call_starts_that_would_cost_too_much(
    tmp_path: Path, entries: list[Entry], price: float | None
) -> None:
    editor = ScriptedEditor(cost=0.25, seconds=0.001)
    editor.info = replace(editor.info, price=price)
    runner, tally = go(tmp_path / "run", entries, crew(editor), replace(ORDERS, budget=Budget(cost=2.0)))
    assert "$2" in runner.halted
    known = 0 if price else 7  # calls under way when the line was crossed
    assert 8 <= len(editor.requests) <= 8 + known
    assert tally.cost == pytest.approx(0.25 * len(editor.requests))


def test_the_time_is_up(tmp_path: Path, entries: list[Entry]) -> None:
    editor = ScriptedEditor(seconds=0.05)
    runner, _ = go(tmp_path / "run", entries, crew(editor), replace(ORDERS, budget=Budget(seconds=0.12)))
    assert "0.12 s" in runner.halted
    assert len(editor.requests) < 24


# --- when everything fails ---


def test_a_key_that_nobody_accepts_ends_the_run_after_a_few_calls(
    tmp_path: Path, entries: list[Entry]
) -> None:
    editor = Watched(lambda _: EditorError("does not accept the key (401)"))
    runner, tally = go(tmp_path / "run", entries, crew(editor))
    assert len(editor.requests) <= 5
    assert "does not accept the key" in runner.halted
    assert tally.ended == 0, "it is not the samples' fault"
    _, tally = go(tmp_path / "run", entries, crew())
    assert tally.endings["finished"] == 8


def test_a_thinker_that_always_fails_ends_the_run_too(tmp_path: Path) -> None:
    entries = make_entries(tmp_path, 30)
    thinker = ScriptedThinker(*[ThinkerError("no")] * 99)
    editor = ScriptedEditor()
    runner, _ = go(tmp_path / "run", entries, crew(editor, thinker))
    assert len(thinker.views) <= 5
    assert "failed" in runner.halted
    assert len(editor.requests) <= 30


def test_two_samples_that_fail_are_two_failures(tmp_path: Path, entries: list[Entry]) -> None:
    runner, tally = go(tmp_path / "run", entries[:2], crew(Watched(lambda _: EditorError("no"))))
    assert tally.endings["failed"] == 2
    assert not runner.halted


def test_fail_fast(tmp_path: Path) -> None:
    entries = make_entries(tmp_path, 30)
    editor = Watched(lambda request: EditorError("no") if "wish 3" in request.instruction else None)
    runner, tally = go(tmp_path / "run", entries, crew(editor), replace(ORDERS, fail_fast=True, samples=2))
    assert "s3" in runner.halted
    assert tally.ended < 10


# --- the store ---


@pytest.fixture
def full_after(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    def fill(images: int) -> None:
        left = [images]

        def cramped(path: Path, data: bytes, *, overwrite: bool) -> None:
            left[0] -= path.suffix == ".png"
            if left[0] < 0:
                raise StoreError("the disk is full")
            put(path, data, overwrite=overwrite)

        monkeypatch.setattr("editthinker.runs.blobs.put", cramped)

    yield fill
    monkeypatch.undo()


def test_a_full_disk_ends_the_run_and_loses_nothing_that_was_stored(
    tmp_path: Path, full_after: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = make_entries(tmp_path, 12)
    go(tmp_path / "whole", entries, crew())
    editor = ScriptedEditor(seconds=0.005)
    full_after(15)
    with pytest.raises(StoreError, match="disk is full"):
        go(tmp_path / "run", entries, crew(editor))
    first = len(editor.requests)
    assert first < 36
    monkeypatch.undo()
    again = ScriptedEditor()
    _, tally = go(tmp_path / "run", entries, crew(again))
    assert tally.endings["finished"] == 12
    lost = first + len(again.requests) - 36
    assert lost <= len(entries), "only what was under way: at most one turn of a sample"
    assert results(tmp_path / "run").keys() == results(tmp_path / "whole").keys()
    assert {k: v[2] for k, v in results(tmp_path / "run").items()} == {
        k: v[2] for k, v in results(tmp_path / "whole").items()
    }


def test_a_torn_image_is_edited_again_with_all_that_rests_on_it(tmp_path: Path, entries: list[Entry]) -> None:
    go(tmp_path / "whole", entries, crew())
    editor = ScriptedEditor(seconds=0.001)

    async def interrupt(runner: Runner) -> None:
        while len(editor.requests) < 12:
            await asyncio.sleep(0)
        runner.drain("interrupted")

    go(tmp_path / "run", entries, crew(editor), meanwhile=interrupt)
    with RunFolder.open(tmp_path / "run") as folder:
        torn = next(t for t in folder.trajectories() if t.turns and t.stop.reason == "cancelled")
        path = folder.image_path(torn.turns[0].image)
    path.write_bytes(path.read_bytes()[:100])
    _, tally = go(tmp_path / "run", entries, crew())
    assert tally.endings["finished"] == 8
    assert {k: v[:3] for k, v in results(tmp_path / "run").items()} == {
        k: v[:3] for k, v in results(tmp_path / "whole").items()
    }
    assert path.stat().st_size > 100


def test_the_heartbeat_says_how_far_it_is(tmp_path: Path, entries: list[Entry]) -> None:
    beats = []

    async def look(runner: Runner) -> None:
        while True:
            await asyncio.sleep(0.05)
            beats.append(json.loads((tmp_path / "run" / "heartbeat.json").read_text()))

    go(tmp_path / "run", entries, crew(ScriptedEditor(seconds=0.05)), meanwhile=look)
    assert beats[0]["state"] == "running"
    assert (beats[0]["inputs"], beats[0]["pid"] > 0) == (8, True)
    last = json.loads((tmp_path / "run" / "heartbeat.json").read_text())
    assert (last["state"], last["finished"], last["calls"]) == ("done", 8, {"editor": 24, "thinker": 24})
