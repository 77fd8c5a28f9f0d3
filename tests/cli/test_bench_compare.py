"""`bench compare` and `bench score` on runs as they are made, with every suite; figures of the pixels."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from editthinker.cli import main
from peers.benchmark_data import DATA, REPLIES
from peers.chat_server import ChatPeer
from peers.imgedit_judge import marks, write_data
from peers.serving import serving

RISING = ("--editor", "fakes:editor", "--thinker", "fakes:rising", "--turns", "2", "--threshold", "11")
SINGLE = ("--editor", "fakes:editor", "--thinker", "none")


@pytest.fixture
def peer() -> ChatPeer:
    return ChatPeer(says=marks, by_content=True)


@pytest.fixture
def judge(peer: ChatPeer) -> Iterator[str]:
    with serving(peer.app) as url:
        yield f"chat:{peer.model}?base_url={url}/v1"


def bench(judge: str, run: str, *more: str, suite: str = "imgedit") -> int:
    said = (suite, "--data", "data", "--prompts", "ours", "--judge", judge, "--run", run, "-q", "--json")
    return main(["bench", *said, *more])


def document(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    made = json.loads(capsys.readouterr().out)
    assert isinstance(made, dict)
    return made


@pytest.mark.slow
@pytest.mark.parametrize("suite", DATA)
def test_every_suite_says_all_that_its_numbers_need(
    suite: str, folder: Path, judge: str, peer: ChatPeer, capsys: Any
) -> None:
    (folder / "data").mkdir()
    DATA[suite](folder / "data")
    peer.says = lambda _: REPLIES[suite]
    for run, turns in (("one", "1"), ("two", "2")):
        models = ("--editor", "fakes:editor", "--thinker", "fakes:rising", "--turns", turns)
        assert bench(judge, run, *models, "--threshold", "11", "--every-turn", suite=suite) in (0, 3)
        capsys.readouterr()
    assert main(["bench", "score", "two", "--rules", "all"]) == 0
    out = capsys.readouterr().out
    for words in ("missing  unparsed  refused  unanswered", "judge: darkroom-vl", "95 % bootstrap"):
        assert out.count(words) == 3, "under each of the rules"
    for rules in ("strict", "official", "paper"):
        assert f"{suite}, {rules} rules: " in out
    assert out.count("of the editor, ") == 3
    assert "preservation, without a judge" in out
    assert "no mask is known" in out
    asked = len(peer.asked)
    assert main(["bench", "compare", "one", "two", "--html", "page.html", "--rules", "all"]) == 0
    told = capsys.readouterr().out
    assert told.count("equal editor calls: ") == 3
    assert "preservation, without a judge" in told
    assert Path("page.html").read_text("utf-8").startswith("<!doctype html>")
    assert len(peer.asked) == asked, "comparing asks nobody"


def test_figures_of_pixels_stand_beside_the_scores(
    folder: Path, judge: str, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_data(folder / "data")
    assert bench(judge, "r", *SINGLE, "--no-preservation") == 0
    assert document(capsys)["preservation"] is None
    assert not Path("r/preservation.sqlite").exists()
    assert bench(judge, "r", *SINGLE) == 0
    table = document(capsys)["preservation"]
    assert (table["lines"][0]["n"], table["lines"][0]["missing"]) == (1, 0)
    assert table["lines"][0]["name"] == "local edits"
    assert 0 < table["lines"][0]["figures"]["SSIM"]["mean"] <= 1
    from editthinker.benchmarks import kept

    monkeypatch.setattr(kept, "figures_of", None)  # would break if it were called again
    assert bench(judge, "r", *SINGLE) == 0
    assert document(capsys)["preservation"] == table
    assert main(["bench", "score", "r", "--no-preservation"]) == 0
    assert "without a judge" not in capsys.readouterr().out


def test_best_of_n_against_the_loop_at_equal_calls(folder: Path, judge: str, capsys: Any) -> None:
    write_data(folder / "data")
    best = (
        "--editor",
        "fakes:editor",
        "--thinker",
        "fakes:rising",
        "--strategy",
        "best-of-n",
        "--turns",
        "3",
    )
    assert bench(judge, "best", *best, "--every-turn") == 0
    assert bench(judge, "loop", *RISING, "--every-turn") == 0
    capsys.readouterr()
    assert main(["bench", "compare", "best", "loop", "--json"]) == 0
    (found,) = document(capsys)["comparisons"]
    sides, equal = found["sides"], found["equal_editor_calls"]
    assert [turn["editor_calls"] for turn in sides["first"]["turns"]] == [1.0, 2.0, 3.0]
    assert [turn["editor_calls"] for turn in sides["second"]["turns"]] == [1.0, 2.0]
    assert equal["says"].startswith("best made 3.00 editor calls per sample and loop 2.00")
    (one,) = equal["at"]
    assert (one["ended_early"], one["turns"], one["editor_calls"]) == ("best", 2, [2.0, 2.0])
    assert one["differences"][0]["difference"]["n"] == 3


def test_unpaired_samples_are_named(folder: Path, judge: str, capsys: Any) -> None:
    write_data(folder / "data")
    assert bench(judge, "all", *SINGLE) == 0
    assert bench(judge, "some", *SINGLE, "--limit", "2") == 0
    capsys.readouterr()
    assert main(["bench", "compare", "all", "some"]) == 0
    assert "1 samples are in the first table only: 3" in capsys.readouterr().out
    assert main(["bench", "compare", "all", "some", "--json"]) == 0
    assert document(capsys)["comparisons"][0]["unpaired"] == {"first": ["3"], "second": []}


def test_another_judge_is_refused_unless_asked_for(folder: Path, judge: str, capsys: Any) -> None:
    write_data(folder / "data")
    assert bench(judge, "a", *SINGLE) == 0
    assert bench(f"{judge}&temperature=0.5", "b", *SINGLE) == 0
    capsys.readouterr()
    assert main(["bench", "compare", "a", "b", "--html", "page.html"]) == 2
    assert "the judges differ: chat:darkroom-vl" in capsys.readouterr().err
    assert not Path("page.html").exists()
    assert main(["bench", "compare", "a", "b", "--anyway", "--html", "page.html"]) == 0
    assert "NOT COMPARABLE: the judges differ" in capsys.readouterr().out
    assert "Not comparable: the judges differ" in Path("page.html").read_text("utf-8")


def test_a_page_that_cannot_be_written_is_refused_first(folder: Path, capsys: Any) -> None:
    assert main(["bench", "compare", "a", "b", "--html", "nowhere/page.html"]) == 2
    assert "nowhere" in capsys.readouterr().err


@pytest.mark.slow
def test_the_darkroom_bench_goes_the_same_way(folder: Path, capsys: Any) -> None:
    said = ("bench", "darkroom", "--n", "4", "-q", "--turns", "2")
    assert main([*said, "--strategy", "best-of-n", "--run", "best", "--json", "best.json"]) == 0
    assert main([*said, "--run", "loop"]) == 0
    capsys.readouterr()
    assert main(["bench", "score", "best", "--json"]) == 0
    kept = document(capsys)
    assert (kept["benchmark"], kept["samples"], kept["judge"]) == ("darkroom", 4, "darkroom")
    assert kept["preservation"]["lines"][0]["n"] == 4
    assert main(["bench", "score", "best.json", "--json"]) == 0
    assert document(capsys)["tables"] == kept["tables"]
    assert main(["bench", "compare", "best", "loop", "--html", "page.html"]) == 0
    assert "success" in capsys.readouterr().out
    assert main([*said, "--run", "loop"]) == 2, "a run is not written over"
    assert main(["bench", "compare", "best.json", "loop/darkroom.json"]) == 0


def test_results_of_others_have_their_images_too(folder: Path, judge: str, capsys: Any) -> None:
    write_data(folder / "data")
    assert bench(judge, "still", "--editor", "fakes:Still", "--thinker", "none") == 0
    assert bench(judge, "edited", *SINGLE) == 0
    assert main(["bench", "export", "edited", "--data", "data", "--out", "official"]) == 0
    said = ("import", "official", "--format", "imgedit", "--data", "data", "--prompts", "ours")
    assert main(["bench", *said, "--judge", judge, "--run", "theirs", "-q", "--json"]) == 0
    capsys.readouterr()
    assert main(["bench", "compare", "still", "theirs", "--html", "page.html"]) == 0
    assert "editor calls are not known of both runs" in capsys.readouterr().out
    page = Path("page.html").read_text("utf-8")
    assert page.count("<img") == 3 * 3
    assert "image missing" not in page
    for image in Path("official").iterdir():
        image.unlink()
    assert main(["bench", "compare", "still", "theirs", "--html", "page.html"]) == 0
    assert Path("page.html").read_text("utf-8").count("image missing") == 3
