"""Judging: durable, resumable, bounded; the same answers under every rule, for every benchmark."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from editthinker.benchmarks.compare import best_of
from editthinker.benchmarks.evaluation import Edited, Ended, Evaluation, Said
from editthinker.benchmarks.judged import NAME, About, Judged
from editthinker.benchmarks.known import SUITES, benchmark_named, options_of
from editthinker.benchmarks.prompts import Prompts
from editthinker.benchmarks.scoring import Scoring, is_model
from editthinker.benchmarks.suite import Benchmark, Case, JudgeCall, Reply
from editthinker.benchmarks.table import RULES
from editthinker.core.errors import InputError, JudgeError, StoreError
from editthinker.runs.folder import RunFolder
from editthinker.testing.behaviour import photograph
from peers.benchmark_data import DATA, REPLIES

GOOD = {
    "marks": "Fine.\nInstruction: 4\nPreservation: 4\nQuality: 4",
    "SC": '{"score": [8, 9], "reasoning": "fine"}',
    "PQ": '{"score": [8, 9], "reasoning": "fine"}',
}


@dataclass
class Judge:
    """Answers by the kind of a question; `troubles` come first, one for each call."""

    says: Callable[[JudgeCall], str] = lambda call: GOOD.get(call.kind, "It is.\nFinal Score: 4")
    troubles: list[BaseException] = field(default_factory=list)
    model: str = "made-up"
    cost: float = 0.01
    asked: list[tuple[str, str, str]] = field(default_factory=list)

    async def answer(self, request: JudgeCall, /, *, complaint_of_last: str = "") -> Said:
        for part in request.parts:
            if not isinstance(part, str):
                part.encoded()
        await asyncio.sleep(0)
        self.asked.append((request.case, request.kind, complaint_of_last))
        if self.troubles:
            raise self.troubles.pop(0)
        return Answer(self.says(request), "answered", self.model, self.cost)


@dataclass(frozen=True)
class Answer:
    text: str
    outcome: Any
    model: str
    cost: float


@dataclass
class Bench:
    """One benchmark with its data, an edited image for every case, and a run folder."""

    benchmark: Benchmark
    cases: tuple[Case, ...]
    folder: Path
    prompts: Prompts

    @property
    def images(self) -> list[Edited]:
        return [Edited(case, self.folder / "edited.png") for case in self.cases if not case.problem]

    def about(self, **more: Any) -> About:
        return About(self.benchmark.name, options_of(self.benchmark), len(self.cases), **more)

    async def judged(self, judge: Judge, images: list[Edited] | None = None, **more: Any) -> Ended:
        with Judged(self.folder, write=True) as store:
            asking = Evaluation(self.benchmark, self.prompts, judge, store, "judge", **more)
            every = len({(image.case.id, image.turn) for image in images or ()}) > len(self.cases)
            about = self.about(every_turn=every)
            return await asking.run(about, self.cases, self.images if images is None else images)

    @property
    def scoring(self) -> Scoring:
        return Scoring.of(self.folder)


def made(name: str, place: Path) -> Bench:
    (data := place / "data").mkdir()
    DATA[name](data)
    benchmark = benchmark_named(name)
    RunFolder.create(place / "run", {"verb": "bench", "benchmark": name}).close()
    photograph(40, 30, seed=5).save(place / "run" / "edited.png")
    return Bench(benchmark, benchmark.load(data), place / "run", benchmark.prompts(None))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return made("imgedit", tmp_path)


@pytest.mark.parametrize("name", SUITES)
async def test_every_benchmark_from_images_to_tables(name: str, tmp_path: Path) -> None:
    bench = made(name, tmp_path)
    judge = Judge()
    if name == "kris":
        judge.says = lambda _: REPLIES["kris"]
    if name == "rise":
        logical = {case.id for case in bench.cases if case.category == "logical_reasoning"}
        judge.says = lambda call: f"Final Score: {1 if call.case in logical else 4}"
    ended = await bench.judged(judge)
    assert ended.complete
    assert (ended.failed, ended.problems, ended.halted) == ({}, {}, "")
    assert ended.calls == ended.questions == len(judge.asked)
    for rules in RULES:
        table = bench.scoring.table(rules)
        assert table.rules == rules
        assert {one.state for one in table.scored} == {"scored"}
        assert table.value.n
        assert table.value.mean >= bench.benchmark.lowest or name == "rise"
        assert not table.comparable
        assert table.judge == "made-up"
    assert (await bench.judged(judge)).kept == ended.questions
    assert len(judge.asked) == ended.questions, "nothing is asked twice"


async def test_every_reply_is_kept_before_the_next_question(bench: Bench) -> None:
    judge = Judge()
    judge.says = lambda call: GOOD["marks"] if len(judge.asked) < 3 else lost()
    with pytest.raises(Lost):
        await bench.judged(judge, at_a_time=1)
    assert len(judge.asked) == 3
    judge.says = lambda _: GOOD["marks"]
    ended = await bench.judged(judge, at_a_time=1)
    assert (ended.kept, ended.calls) == (2, 1)


class Lost(BaseException):
    """Stands for the end of the process."""


def lost() -> str:
    raise Lost


@pytest.mark.clock
async def test_what_failed_in_passing_is_repeated_when_the_judge_says(bench: Bench) -> None:
    busy = JudgeError("429")
    busy.transient, busy.retry_after = True, 0.05
    judge = Judge(troubles=[busy, busy])
    clock = time.monotonic()
    ended = await bench.judged(judge, at_a_time=1)
    assert 0.1 <= time.monotonic() - clock < 0.4
    assert ended.complete
    assert len(judge.asked) == 5


async def test_what_failed_for_good_is_not_repeated_and_the_others_go_on(bench: Bench) -> None:
    judge = Judge(troubles=[JudgeError("no")])
    ended = await bench.judged(judge, at_a_time=1)
    assert list(ended.failed.values()) == ["no"]
    assert ended.answered == 2
    assert not ended.complete
    assert Counter(one.state for one in bench.scoring.table("strict").scored) == {
        "scored": 2,
        "unanswered": 1,
    }
    assert (await bench.judged(judge)).complete
    assert len(judge.asked) == 4


async def test_no_access_ends_it_at_once(bench: Bench) -> None:
    error = JudgeError("not allowed")
    error.status = 403
    judge = Judge(troubles=[error])
    ended = await bench.judged(judge, at_a_time=1)
    assert ended.halted == "not allowed"
    assert len(judge.asked) == 1


async def test_a_judge_that_breaks_costs_one_question(bench: Bench) -> None:
    ended = await bench.judged(Judge(troubles=[ZeroDivisionError("oops")]), at_a_time=1)
    assert list(ended.failed.values()) == ["the judge broke: ZeroDivisionError: oops"]
    assert ended.answered == 2


async def test_money_ends_it(bench: Bench) -> None:
    judge = Judge(cost=1.0)
    ended = await bench.judged(judge, at_a_time=1, max_cost=2.0)
    assert (ended.calls, ended.cost, ended.halted) == (2, 2.0, "the limit of cost was reached")
    assert (await bench.judged(judge, at_a_time=1, max_cost=0.0)).calls == 0
    assert (await bench.judged(judge, at_a_time=1)).complete


async def test_words_that_decline_are_not_asked_again(bench: Bench) -> None:
    judge = Judge(lambda _: "I'm sorry, I can't help with that.")
    assert (await bench.judged(judge)).complete
    assert len(judge.asked) == 3
    assert bench.scoring.table("strict").lines[0].refused == 3


async def test_the_reason_is_told_when_it_is_asked_again(bench: Bench) -> None:
    judge = Judge(lambda call: "Lovely." if call.case == "1" else GOOD["marks"])
    ended = await bench.judged(judge, reasks=1)
    assert ended.complete
    assert [told for case, _, told in judge.asked if case == "1"] == ["", "no line reads 'name: number'"]
    assert bench.scoring.table("strict").lines[0].unparsed == 1
    assert (await bench.judged(judge, reasks=1)).calls == 0
    assert (await bench.judged(judge, reasks=2)).calls == 1, "a higher bound goes on from what is there"


async def test_another_image_or_prompt_is_another_question(bench: Bench, tmp_path: Path) -> None:
    judge = Judge()
    await bench.judged(judge)
    photograph(40, 30, seed=6).save(tmp_path / "other.png")
    images = [Edited(bench.cases[0], tmp_path / "other.png"), *bench.images[1:]]
    assert (await bench.judged(judge, images)).calls == 1
    bench.prompts = Prompts({name: f"{text} " for name, text in bench.prompts.texts.items()}, "")
    assert (await bench.judged(judge, images)).calls == 3
    assert (await bench.judged(judge, images[1:])).calls == 0
    assert bench.scoring.table("strict").lines[0].missing == 1


async def test_turns_curves_and_the_best_turn(bench: Bench, tmp_path: Path) -> None:
    images = []
    for turn in (1, 2):
        photograph(40, 30, seed=turn).save(tmp_path / f"{turn}.png")
        images += [Edited(case, tmp_path / f"{turn}.png", turn, turn == 2) for case in bench.cases]
    images += [Edited(bench.cases[0], tmp_path / "2.png", 3, False)]
    better = {"1": ("1.png", "5"), "2": ("2.png", "5"), "3": ("2.png", "3")}

    def says(call: JudgeCall) -> str:
        name, mark = better[call.case]
        found = mark if Path(str(call.parts[2].image)).name == name else "1"  # type: ignore[union-attr]
        return f"Instruction: {found}\nPreservation: {found}\nQuality: {found}"

    judge = Judge(says)
    ended = await bench.judged(judge, images)
    assert ended.calls == 6, "the same image at another turn is the same question"
    scoring = bench.scoring
    assert scoring.table("strict").value.mean == pytest.approx((1 + 5 + 3) / 3)
    assert [table.value.mean for table in scoring.turns("strict")] == pytest.approx([7 / 3, 3, 3])
    assert best_of(scoring.turns("strict")).value.mean == pytest.approx(13 / 3)


async def test_an_image_that_is_none_counts_as_missing(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "torn.png").write_bytes((bench.folder / "edited.png").read_bytes()[:9])
    images = [
        Edited(bench.cases[0], tmp_path / "torn.png"),
        Edited(bench.cases[1], tmp_path / "nowhere.png"),
        bench.images[2],
    ]
    ended = await bench.judged(Judge(), images)
    assert sorted(ended.problems) == ["1", "2"]
    assert ended.complete
    assert bench.scoring.table("strict").lines[0].missing == 2


async def test_stop_lets_calls_under_way_end(bench: Bench) -> None:
    with Judged(bench.folder, write=True) as store:
        judge = Judge()
        asking = Evaluation(bench.benchmark, bench.prompts, judge, store, "judge", at_a_time=1)
        judge.says = lambda _: [asking.stop("enough"), GOOD["marks"]][1] or ""
        ended = await asking.run(bench.about(), bench.cases, bench.images)
    assert (ended.calls, ended.answered, ended.halted) == (1, 1, "enough")


async def test_scores_need_neither_data_nor_images(bench: Bench) -> None:
    await bench.judged(Judge())
    before = bench.scoring.table("strict")
    (bench.folder / "edited.png").unlink()
    for path in (bench.folder.parent / "data").iterdir():
        path.unlink()
    assert bench.scoring.table("strict") == before


@pytest.mark.clock
def test_two_thousand_answers_are_scored_within_seconds(bench: Bench) -> None:
    kinds = ("add", "adjust", "extract", "replace", "remove", "background", "style", "compose", "action")
    cases = [Case(str(n), "x", (), kinds[n % 9]) for n in range(2000)]
    with Judged(bench.folder, write=True) as store:
        from editthinker.benchmarks.judged import Asked

        asked = [Asked(case.id, 1, "marks", True, f"q{case.id}", "gpt-4o") for case in cases]
        store.begin("judge", bench.about(), cases, asked)
        store._db.execute("BEGIN")
        for case in cases:
            store.keep(f"q{case.id}", "judge", 0, ("p", "i"), Reply(GOOD["marks"], model="gpt-4o"), 0.0)
        store._db.execute("COMMIT")
    clock = time.monotonic()
    for rules in RULES:
        assert bench.scoring.table(rules).value.mean == 4.0
    assert time.monotonic() - clock < 5


def test_the_published_judge_is_known_by_its_id() -> None:
    assert is_model("gpt-4o", "gpt-4o")
    assert is_model("gpt-4o-2024-11-20", "gpt-4o")
    assert not is_model("gpt-4o-mini", "gpt-4o")
    assert not is_model("gpt-4.1", "gpt-4o")


@pytest.mark.parametrize(
    ("model", "comparable"), [("gpt-4o-2024-11-20", True), ("gpt-4.1", True), ("gpt-4o-mini", False)]
)
async def test_only_the_published_judge_with_official_prompts_is_comparable(
    model: str, comparable: bool, bench: Bench
) -> None:
    with Judged(bench.folder, write=True) as store:
        official = Prompts(bench.prompts.texts, "prompts.json")
        asking = Evaluation(bench.benchmark, official, Judge(model=model), store, "judge")
        await asking.run(bench.about(origin="prompts.json"), bench.cases, bench.images)
    table = bench.scoring.table("official")
    assert table.comparable is comparable
    assert any(f"judged by {model}, published" in flag for flag in table.flags) is not comparable
    assert any("asks gpt-4o, their published table was judged by GPT-4.1" in flag for flag in table.flags)


def test_a_store_that_is_none_is_refused_in_words(bench: Bench) -> None:
    with pytest.raises(InputError, match="has no judgements"):
        Judged(bench.folder, write=False)
    path = bench.folder / NAME
    path.write_bytes(b"this is no database, but long enough to be taken for one" * 20)
    with pytest.raises(StoreError, match="damaged"):
        Judged(bench.folder, write=False)
    path.unlink()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StoreError, match="newer editthinker"):
        Judged(bench.folder, write=True)
