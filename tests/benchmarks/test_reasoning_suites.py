"""RISE, KRIS and UniREdit from data and somebody's results, over a real chat server, to the tables."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from PIL import Image

from editthinker.benchmarks.evaluation import Ended, Evaluation, of_results
from editthinker.benchmarks.judged import About, Judged
from editthinker.benchmarks.known import benchmark_named
from editthinker.benchmarks.layout import lay_out
from editthinker.benchmarks.showing import size
from editthinker.benchmarks.suite import Answers, Benchmark, Case
from editthinker.benchmarks.table import RULES, Table
from editthinker.judges.asking import ChatJudge, JudgeSettings
from peers.chat_server import Asked, ChatPeer
from peers.kris_data import written as kris_folder
from peers.rise_data import GOLD
from peers.rise_data import written as rise_folder
from peers.serving import serving


def results(benchmark: Benchmark, cases: Sequence[Case], folder: Path) -> Path:
    """A results folder in the official layout; the last case has no image."""
    image = folder.parent / "edited.png"
    Image.new("RGB", (32, 24), (0, 120, 0)).save(image)
    lay_out(benchmark, cases, {case.id: image for case in cases[:-1]}, folder)
    return folder


async def judged(benchmark: Benchmark, cases: Sequence[Case], place: Path, url: str, store: Path) -> Ended:
    judge = ChatJudge("judge-1", JudgeSettings(base_url=f"{url}/v1"), name="chat:judge-1")
    edited = of_results(benchmark, cases, place)
    with Judged(store, write=True) as kept:
        evaluation = Evaluation(benchmark, benchmark.prompts(None), judge, kept, "judge")
        return await evaluation.run(About(benchmark.name, {}, len(cases)), cases, edited)


def tables(benchmark: Benchmark, store: Path) -> dict[str, Table]:
    """Out of the stored replies alone."""
    with Judged(store, write=False) as kept:
        cases, replies = kept.cases("judge"), kept.replies("judge")
        answers: dict[str, dict[str, list[object]]] = {}
        for one in kept.asked("judge"):
            answers.setdefault(one.case, {})[one.kind] = list(replies.get(one.question, []))
    stored: Answers = answers  # type: ignore[assignment]
    return {rules: benchmark.aggregate(cases, stored, rules) for rules in RULES}


def final_score(asked: Asked) -> str:
    return "Because.\nFinal Score: 1" if "1 for yes" in asked.text else "Because.\nFinal Score: 5"


def json_scores(asked: Asked) -> str:
    names = re.findall(r'"(\w+_score)"', asked.text)
    return json.dumps({"reasoning": "1. seen", **dict.fromkeys(names, 5)})


def uniredit_folder(folder: Path) -> Path:
    record = {"instruction": "Go.", "name": "maze", "rules": "Walls stay.", "reference_effect": "A way."}
    records = [
        {**record, "idx": number, "original_image_path": f"o/{number}.png", "reference_image_path": "r.png"}
        for number in range(3)
    ]
    (folder / "o").mkdir()
    for name in ("r.png", *(f"o/{number}.png" for number in range(3))):
        Image.new("RGB", (20, 20)).save(folder / name)
    (folder / "data.json").write_text(json.dumps(records))
    return folder


RECORDS = GOLD["inputs"]["records"][::3]
RISE_CALLS = sum(len(GOLD["judge_plan"][record["index"]]) for record in RECORDS[:-1])


def rise_data(folder: Path) -> Path:
    return rise_folder(folder, RECORDS)


@pytest.mark.parametrize(
    ("name", "data", "says", "calls", "value"),
    [
        # full marks for all but the last, which has no image
        ("rise", rise_data, final_score, RISE_CALLS, 7 / 8),
        ("kris", kris_folder, json_scores, 3 * 9, 90.0),
        ("uniredit", uniredit_folder, final_score, 3 * 2, 100 * 2 / 3),
    ],
)
async def test_from_a_results_folder_to_the_tables(
    name: str,
    data: Callable[[Path], Path],
    says: Callable[[Asked], str],
    calls: int,
    value: float,
    tmp_path: Path,
) -> None:
    benchmark = benchmark_named(name)
    (tmp_path / "data").mkdir()
    cases = benchmark.load(data(tmp_path / "data"))
    place = results(benchmark, cases, tmp_path / "results")
    peer = ChatPeer(says=says, model="judge-1")
    with serving(peer.app) as url:
        ended = await judged(benchmark, cases, place, url, tmp_path)
        assert (ended.failed, ended.problems, ended.complete) == ({}, {}, True)
        assert (ended.calls, len(peer.asked)) == (calls, calls)
        found = tables(benchmark, tmp_path)
        assert found["strict"].value.mean == pytest.approx(value)
        assert found["strict"].lines[0].missing == 1
        assert found["strict"].judge == "judge-1"
        again = await judged(benchmark, cases, place, url, tmp_path)
        assert (again.calls, again.kept) == (0, calls), "nothing is asked twice"
    for table in found.values():
        json.dumps(table.as_json(), allow_nan=False)


async def test_several_images_arrive_in_their_order(tmp_path: Path) -> None:
    """The judge sees the frames by number, the generated one at its place, each behind its label."""
    benchmark = benchmark_named("kris")
    (tmp_path / "data").mkdir()
    cases = [case for case in benchmark.load(kris_folder(tmp_path / "data")) if "temporal" in case.id]
    place = results(benchmark, [*cases, cases[0]], tmp_path / "results")
    peer = ChatPeer(says=json_scores, model="judge-1")
    with serving(peer.app) as url:
        await judged(benchmark, cases, place, url, tmp_path)
    sizes = {path.stem: size(path, upright=False) for path in (tmp_path / "data").rglob("16-*.jpg")}
    asked = next(one for one in peer.asked if "Frame 2 (Generated):" in one.parts)
    order = [part if isinstance(part, str) else part.size for part in asked.parts[1:]]
    assert order == [
        "Frame 1 (Reference):",
        sizes["16-1"],
        "Frame 2 (Generated):",
        (32, 24),
        "Frame 3 (Reference):",
        sizes["16-3"],
        "Frame 4 (Reference):",
        sizes["16-4"],
    ]
    assert asked.body["max_tokens"] == 1000
    assert "temperature" not in asked.body
