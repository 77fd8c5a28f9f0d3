"""One sample that no server wants, among others: what it costs, and what becomes of it and of them."""

from __future__ import annotations

import asyncio
import base64
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, Response

from editthinker.core.limits import Limits
from editthinker.resolve import resolve_editor, resolve_thinker
from editthinker.runs import RunFolder
from editthinker.runs.orders import Crew, Orders
from editthinker.runs.resuming import taken_up
from editthinker.runs.runner import Runner
from editthinker.runs.samples import read
from editthinker.testing import photograph
from editthinker.wire.pool import Pool
from editthinker.wire.pooled import PooledEditor, pooled_thinker
from peers.painting import plain, png
from peers.serving import serving

pytestmark = pytest.mark.clock

POISON = 2
"""So many samples come before the one that is not wanted: a server that never answered counts as out."""
INPUTS = 6
IMAGE = base64.b64encode(png(plain((9, 200, 9), (32, 32)))).decode()
REPLY = '<think>so so</think><score>{"semantic": 3, "quality": 9}</score><answer>do number %d now</answer>'


class Services:
    """An editor and a thinker; what is done to the sample `poison` is in `editor` and `thinker`."""

    def __init__(self) -> None:
        self.app = FastAPI()
        self.editor: Response | None = None
        self.thinker: str | int = ""
        self.calls: Counter[tuple[str, int]] = Counter()
        self.came: list[int] = []

        @self.app.post("/edit")
        async def edit(request: Request) -> Response:
            number = int((await request.json())["prompt"].split("number ")[1].split()[0])
            self.calls["editor", number] += 1
            if self.editor is not None and self.unwanted(number):
                return self.editor
            return JSONResponse({"success": True, "edited_image": IMAGE})

        @self.app.post("/v1/chat/completions")
        async def chat(request: Request) -> Response:
            number = int((await request.body()).decode().split("number ")[1].split()[0])
            self.calls["thinker", number] += 1
            words = REPLY % number
            if self.thinker and self.unwanted(number):
                if isinstance(self.thinker, int):
                    return JSONResponse({"error": {"message": "no"}}, self.thinker)
                words = self.thinker
            message = {"role": "assistant", "content": words}
            return JSONResponse(
                {"id": "1", "choices": [{"index": 0, "finish_reason": "stop", "message": message}]}
            )

    @property
    def poison(self) -> int:
        """The sample that is not wanted."""
        return self.came[POISON]

    def unwanted(self, number: int) -> bool:
        if number not in self.came:
            self.came.append(number)
        return self.came.index(number) == POISON


@pytest.fixture
def services() -> Iterator[tuple[Services, str]]:
    made = Services()
    with serving(made.app) as url:
        yield made, url


def play(folder: Path, url: str, at_once: int | None) -> Runner:
    photograph(32, 32).save(folder / "p.png")
    rows = [{"id": f"s{n}", "image": "p.png", "instruction": f"do number {n} please"} for n in range(INPUTS)]
    (folder / "samples.jsonl").write_text("\n".join(map(json.dumps, rows)))
    thinker = resolve_thinker(f"chat:any?base_url={url}/v1")
    assert thinker is not None
    crew = Crew(
        editor=PooledEditor(Pool("editor", {"e": resolve_editor(f"service:{url}")})),
        thinker=pooled_thinker(Pool("thinker", {"t": thinker})),
    )
    with taken_up(folder / "run", {"verb": "run"}, {}, must_exist=False) as kept:
        orders = Orders(limits=Limits(turns=2), samples=at_once)
        runner = Runner(kept, read(folder / "samples.jsonl"), crew, orders)
        asyncio.run(runner.run())
    return runner


def one_failed(peer: Services, runner: Runner, blame: str, reason: str) -> None:
    """Every other sample is finished; each is in the summary once."""
    (failure,) = runner.tally.failures
    assert (failure.id, failure.blame) == (f"s{peer.poison}", blame)
    assert reason in failure.message
    assert runner.tally.endings == {"finished": INPUTS - 1, "failed": 1}
    assert not runner.halted


@pytest.mark.parametrize("at_once", [1, 16])
@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
def test_what_no_repeating_helps_is_asked_once(
    services: tuple[Services, str], tmp_path: Path, status: int, at_once: int
) -> None:
    peer, url = services
    peer.editor = JSONResponse({"detail": "no"}, status)
    one_failed(peer, play(tmp_path, url, at_once), "editor", f"({status})")
    assert peer.calls["editor", peer.poison] == 1
    assert sum(peer.calls.values()) == 1 + 4 * (INPUTS - 1)


@pytest.mark.parametrize("status", [400, 404])
def test_what_no_thinker_wants_is_asked_once(
    services: tuple[Services, str], tmp_path: Path, status: int
) -> None:
    peer, url = services
    peer.thinker = status
    one_failed(peer, play(tmp_path, url, None), "thinker", f"({status})")
    assert peer.calls["thinker", peer.poison] == 1


@pytest.mark.parametrize("reply", ["", "I am sorry.", REPLY.partition("<answer>")[0], "<html>502</html>"])
def test_garbage_is_asked_about_twice_more_and_is_no_verdict(
    services: tuple[Services, str], tmp_path: Path, reply: str
) -> None:
    peer, url = services
    peer.thinker = reply or " "
    one_failed(peer, play(tmp_path, url, None), "thinker", "")
    assert peer.calls["thinker", peer.poison] == 3
    with RunFolder.open(tmp_path / "run") as kept:
        (record,) = [record for record in kept.trajectories() if record.sample.id == f"s{peer.poison}"]
    assert record.stop.reason == "failed"
    assert [turn.critique for turn in record.turns] == [None], "unknown is recorded as that"


@pytest.mark.slow
@pytest.mark.parametrize("at_once", [1, 16])
def test_what_never_works_is_tried_a_few_times(
    services: tuple[Services, str], tmp_path: Path, at_once: int
) -> None:
    peer, url = services
    peer.editor = JSONResponse({"detail": "broken"}, 500)
    one_failed(peer, play(tmp_path, url, at_once), "editor", "(500)")
    assert 2 <= peer.calls["editor", peer.poison] <= 8


@pytest.mark.parametrize("wrong", ["editor", "thinker"])
def test_a_key_that_nobody_takes_stops_the_run(
    services: tuple[Services, str], tmp_path: Path, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer, url = services

    @peer.app.middleware("http")
    async def guard(request: Request, call: object) -> Response:
        if ("edit" in request.url.path) == (wrong == "editor"):
            peer.calls["turned away", 0] += 1
            return JSONResponse({"detail": "who are you?"}, 401)
        return await call(request)  # type: ignore[operator,no-any-return]

    runner = play(tmp_path, url, None)
    assert "401" in runner.halted
    assert 1 <= peer.calls["turned away", 0] <= 5
    assert runner.tally.endings.total() == 0, "whoever sets the key goes on where this stopped"
