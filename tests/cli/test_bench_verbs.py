"""Benchmarks end to end on the command line: run, judge, score, import, compare; killed, refused, misled."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from editthinker.cli import main
from editthinker.testing.behaviour import photograph
from peers.benchmark_data import DATA, REPLIES
from peers.chat_server import Asked, ChatPeer
from peers.imgedit_judge import marks, write_data
from peers.serving import serving

Shell = Callable[..., subprocess.CompletedProcess[bytes]]
FAKES = ("--editor", "fakes:editor", "--thinker", "fakes:rising", "--turns", "2", "--threshold", "11")


@pytest.fixture
def peer() -> ChatPeer:
    return ChatPeer(says=marks, by_content=True)


@pytest.fixture
def judge(peer: ChatPeer) -> Iterator[str]:
    with serving(peer.app) as url:
        yield f"chat:{peer.model}?base_url={url}/v1"


@pytest.fixture
def data(folder: Path) -> Path:
    return write_data(folder / "data")


def bench(judge: str, *more: str, run: str = "r", models: tuple[str, ...] = FAKES) -> int:
    said = ("imgedit", "--data", "data", "--prompts", "ours", "--judge", judge, "--run", run, "-q", *more)
    return main(["bench", *said, *models])


def document(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    made = json.loads(capsys.readouterr().out)
    assert isinstance(made, dict)
    return made


def test_run_judge_and_score(data: Path, judge: str, peer: ChatPeer, capsys: Any) -> None:
    assert bench(judge, "--rules", "all", "--json") == 0
    made = document(capsys)
    assert [table["rules"] for table in made["tables"]] == ["strict", "official", "paper"]
    assert len(peer.asked) == 3
    table = made["tables"][0]
    assert table["headline"]["mean"] == pytest.approx(4.67)
    assert table["judge"] == "darkroom-vl"
    assert table["per_sample"] == {"editor": 2.0, "thinker": 2.0, "judge": 1.0}
    assert not table["comparable"]
    assert "our own prompts" in " ".join(table["flags"])

    assert main(["bench", "score", "r", "--rules", "paper"]) == 0
    out = capsys.readouterr().out
    assert "imgedit, paper rules: score of samples: 4.670" in out
    assert "NOT COMPARABLE" in out
    assert "missing  unparsed  refused  unanswered" in out
    assert len(peer.asked) == 3, "scoring asks nobody"


@pytest.mark.parametrize(("name", "missing"), [("gedit", 0), ("rise", 0), ("kris", 1), ("uniredit", 0)])
def test_every_other_benchmark(
    name: str, missing: int, folder: Path, judge: str, peer: ChatPeer, capsys: Any
) -> None:
    (folder / "data").mkdir()
    DATA[name](folder / "data")
    peer.says = lambda _: REPLIES[name]
    models = ("--editor", "fakes:plain_editor", "--thinker", "none", "--run", "r", "--json")
    said = ("bench", name, "--data", "data", "--prompts", "ours", "--judge", judge, *models, "--rules", "all")
    assert main(list(said)) == (3 if missing else 0)
    for table in document(capsys)["tables"]:
        assert table["benchmark"] == name
        states = [sample["state"] for sample in table["samples"]]
        assert states.count("missing") == missing, "the editor takes three images, one sample has five"
        assert set(states) <= {"missing", "scored", "unparsed"}
    asked = len(peer.asked)
    assert main(list(said)) == (3 if missing else 0)
    assert len(peer.asked) == asked


def test_the_same_again_asks_nobody(data: Path, judge: str, peer: ChatPeer, capsys: Any) -> None:
    assert bench(judge) == 0
    assert bench(judge) == 0
    assert len(peer.asked) == 3


def test_a_larger_limit_goes_on(data: Path, judge: str, peer: ChatPeer, capsys: Any) -> None:
    assert bench(judge, "--limit", "1", "--json") == 0
    table = document(capsys)["tables"][0]
    assert "only the first 1 of 3 samples" in table["flags"]
    assert bench(judge, "--json") == 0
    table = document(capsys)["tables"][0]
    assert not [flag for flag in table["flags"] if "only the first" in flag]
    assert len(peer.asked) == 3


def test_killed_while_judging(
    data: Path, judge: str, peer: ChatPeer, program: list[str], capsys: Any
) -> None:
    def slowly(asked: Asked) -> str:
        if len(peer.asked) > 1:
            peer.started.set()
            time.sleep(0.5)
        return marks(asked)

    peer.says = slowly
    said = ("bench", "imgedit", "--data", "data", "--prompts", "ours", "--judge", judge, "--run", "r")
    command = [*program, *said, *FAKES, "--judge-concurrency", "1"]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        assert peer.started.wait(20) or process.kill(), process.stderr and process.stderr.read()
        os.kill(process.pid, signal.SIGKILL)
    before = len(peer.asked)
    assert before == 2
    peer.says = marks
    assert bench(judge, "--json") == 0
    assert document(capsys)["tables"][0]["lines"][0]["unanswered"] == 0
    assert len(peer.asked) == before + 2, "the first reply was kept; the second was lost with the process"


def test_interrupted_while_judging(
    data: Path, judge: str, peer: ChatPeer, program: list[str], capsys: Any
) -> None:
    def slowly(asked: Asked) -> str:
        peer.started.set()
        time.sleep(0.5)
        return marks(asked)

    peer.says = slowly
    said = ("bench", "imgedit", "--data", "data", "--prompts", "ours", "--judge", judge, "--run", "r")
    command = [*program, *said, *FAKES, "--judge-concurrency", "1"]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        assert peer.started.wait(20) or process.kill(), process.stderr and process.stderr.read()
        process.send_signal(signal.SIGINT)
        told = process.communicate(timeout=20)[1].decode()
    assert process.returncode == 130
    assert "stopped: interrupted" in told
    assert "2 of 3 questions have no answer" in told
    assert "resume: editthinker bench imgedit" in told
    assert "judge: 1 calls" in told
    peer.says = marks
    assert bench(judge) == 0
    assert len(peer.asked) == 3


def test_judge_down_then_up(data: Path, judge: str, peer: ChatPeer, capsys: Any) -> None:
    peer.always = "server-error"
    assert bench(judge, "--retries", "0", "--json") == 3
    told = capsys.readouterr()
    assert "3 of 3 questions have no answer" in told.err
    lines = json.loads(told.out)["tables"][0]["lines"]
    assert lines[0]["unanswered"] == 3
    assert json.loads(told.out)["tables"][0]["headline"]["mean"] == 1.0
    peer.always = ""
    assert bench(judge, "--retries", "0", "--json") == 0
    assert document(capsys)["tables"][0]["lines"][0]["unanswered"] == 0
    assert len(peer.asked) == 3


def test_failures_in_passing_are_repeated(data: Path, judge: str, peer: ChatPeer, capsys: Any) -> None:
    peer.faults = ["server-error", "server-error"]
    assert bench(judge, "--judge-concurrency", "1") == 0
    assert len(peer.asked) == 3


def test_a_wrong_key_is_tried_once(data: Path, judge: str, peer: ChatPeer, capsys: Any) -> None:
    peer.faults = ["unauthorized"]
    assert bench(judge, "--judge-concurrency", "1") == 3
    assert "stopped:" in capsys.readouterr().err
    assert peer.asked == []


def test_refusals_are_kept_and_not_repeated(data: Path, judge: str, peer: ChatPeer, capsys: Any) -> None:
    peer.faults = ["moderated", "refusal"]
    assert bench(judge, "--judge-concurrency", "1", "--json") == 0
    assert document(capsys)["tables"][0]["lines"][0]["refused"] == 2
    asked = len(peer.asked)
    assert bench(judge) == 0
    assert len(peer.asked) == asked


def test_unreadable_replies_are_asked_again_with_the_reason(
    data: Path, judge: str, peer: ChatPeer, capsys: Any
) -> None:
    replies = iter(["Lovely.", "Instruction: 5\nPreservation: 5"])
    peer.says = lambda asked: next(replies, None) or marks(asked)
    assert bench(judge, "--limit", "1", "--judge-concurrency", "1", "--rules", "all", "--json") == 0
    texts = [asked.text for asked in peer.asked]
    assert len(texts) == 3
    assert "no line reads 'name: number'" in texts[1]
    assert "2 lines" in texts[2]
    strict, official, _ = document(capsys)["tables"]
    assert strict["lines"][0]["unparsed"] == 0
    assert official["lines"][0]["unparsed"] == 1, "the official code asks once"


def test_reasks_are_bounded(data: Path, judge: str, peer: ChatPeer, capsys: Any) -> None:
    peer.says = lambda _: "Lovely."
    assert bench(judge, "--limit", "1", "--reasks", "1", "--json") == 0
    assert len(peer.asked) == 2
    table = document(capsys)["tables"][0]
    assert table["lines"][0]["unparsed"] == 1
    assert table["headline"]["mean"] == 1.0
    assert bench(judge, "--limit", "1", "--reasks", "1") == 0
    assert len(peer.asked) == 2


def test_every_turn(data: Path, judge: str, peer: ChatPeer, capsys: Any) -> None:
    assert bench(judge, "--every-turn", "--json") == 0
    table = document(capsys)["tables"][0]
    assert main(["bench", "score", "r"]) == 0
    out = capsys.readouterr().out
    assert "score, delivered" in out
    assert "best turn of each sample, chosen by the judge itself" in out
    assert main(["bench", "compare", "r", "r"]) == 0
    assert "equal editor calls: both made 2.00 editor calls per sample" in capsys.readouterr().out
    assert [turn["editor_calls"] for turn in table["turns"]] == [1.0, 2.0]
    assert table["best_turn"]["mean"] >= max(turn["delivered"]["mean"] for turn in table["turns"])
    assert table["turns"][-1]["delivered"] == {
        name: table["headline"][name] for name in ("mean", "low", "high", "n")
    }
    assert sum(table["chosen"].values()) == 3
    assert table["per_sample"]["judge"] == 2.0
    assert len(peer.asked) == 6


def test_given_back_unedited(data: Path, judge: str, peer: ChatPeer, capsys: Any) -> None:
    models = ("--editor", "fakes:Still", "--thinker", "none")
    assert bench(judge, "--json", models=models) == 0
    table = document(capsys)["tables"][0]
    assert table["headline"]["mean"] == 2.0
    assert "no turn was better than the source" in " ".join(table["flags"])


def test_refused_edits_are_missing(data: Path, judge: str, peer: ChatPeer, capsys: Any) -> None:
    models = ("--editor", "fakes:refusing_editor", "--thinker", "none")
    assert bench(judge, "--json", models=models) == 3
    table = document(capsys)["tables"][0]
    assert table["lines"][0]["missing"] == 1
    assert table["headline"]["mean"] == pytest.approx((1 + 4.67 + 4.67) / 3, abs=0.01)
    assert len(peer.asked) == 2, "what has no image is not judged"


def test_dry_run_says_what_then_happens(data: Path, judge: str, peer: ChatPeer, capsys: Any) -> None:
    models = ("--editor", "darkroom", "--thinker", "none")
    priced = f"{judge}&price_in=10&price_out=20"
    assert bench(priced, "--dry-run", "--json", models=models) == 0
    plan = document(capsys)
    assert (plan["most_editor_calls"], plan["most_thinker_calls"], plan["most_judge_calls"]) == (3, 0, 3)
    assert plan["most_cost"] == pytest.approx(3 * (3500 * 10 + 600 * 20) / 1e6)
    assert bench(judge, "--dry-run", models=models) == 0
    out = capsys.readouterr().out
    assert "at most 3 of the editor, 0 of the thinker, 3 of the judge" in out
    assert "cost:     at most $0.00" in out, "a server on this machine costs nothing"
    assert peer.asked == []
    assert not Path("r").exists()
    assert bench(priced, "--json", models=models) == 0
    assert len(peer.asked) == 3
    assert document(capsys)["tables"][0]["per_sample"] == {"editor": 1.0, "judge": 1.0}


def test_import(data: Path, folder: Path, judge: str, peer: ChatPeer, capsys: Any) -> None:
    results = folder / "theirs"
    results.mkdir()
    photograph(96, 64, seed=9).save(results / "1.png")
    photograph(96, 64, seed=9).save(results / "2.png")
    (results / "3.png").write_bytes(b"no image")
    said = ("import", "theirs", "--format", "imgedit", "--data", "data", "--prompts", "ours")
    assert main(["bench", *said, "--judge", judge, "--run", "r", "--json"]) == 0
    told = capsys.readouterr()
    assert "3: counts as missing" in told.err
    table = json.loads(told.out)["tables"][0]
    assert table["lines"][0]["missing"] == 1
    assert len(peer.asked) == 2
    assert "editor" not in table["per_sample"]


def test_what_is_exported_can_be_imported(data: Path, judge: str, peer: ChatPeer, capsys: Any) -> None:
    assert bench(judge) == 0
    assert main(["bench", "export", "r", "--data", "data", "--out", "official"]) == 0
    assert sorted(path.name for path in Path("official").iterdir()) == ["1.png", "2.png", "3.png"]
    said = ("import", "official", "--format", "imgedit", "--data", "data", "--prompts", "ours")
    assert main(["bench", *said, "--judge", judge, "--run", "again"]) == 0
    capsys.readouterr()
    assert main(["bench", "compare", "r", "again", "--json"]) == 0
    assert document(capsys)["comparisons"][0]["differences"][0]["difference"]["mean"] == 0


def test_compare(data: Path, judge: str, peer: ChatPeer, capsys: Any) -> None:
    assert bench(judge, run="still", models=("--editor", "fakes:Still", "--thinker", "none")) == 0
    assert bench(judge, run="think") == 0
    capsys.readouterr()
    assert main(["bench", "compare", "still", "think", "--json"]) == 0
    made = document(capsys)["comparisons"][0]
    headline = made["differences"][0]
    assert headline["line"] == "all"
    assert headline["difference"]["mean"] == pytest.approx(2.67)
    assert (headline["better"], headline["worse"]) == (3, 0)
    assert main(["bench", "compare", "still", "think", "--markdown"]) == 0
    assert "| all | score |" in capsys.readouterr().out


def test_other_judges_stand_beside_each_other(data: Path, judge: str, peer: ChatPeer, capsys: Any) -> None:
    assert bench(judge) == 0
    peer.says = lambda _: "Instruction: 2\nPreservation: 2\nQuality: 2"
    assert bench(f"{judge}&temperature=0.5") == 0
    capsys.readouterr()
    means = []
    for name in ("chat:darkroom-vl", "chat:darkroom-vl?temperature=0.5"):
        assert main(["bench", "score", "r", "--judge", name, "--json"]) == 0
        means.append(document(capsys)["tables"][0]["headline"]["mean"])
    assert means == [pytest.approx(4.67), 2.0]
    assert main(["bench", "score", "r", "--judge", "nobody"]) == 2
    assert "was not judged by nobody" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (("--data", "nowhere", "--prompts", "ours"), "there is no data folder"),
        (("--data", "data"), "--prompts ours"),
        (("--data", "data", "--prompts", "ours", "--judge", "darkroom"), "chat:MODEL does"),
        (("--data", "data", "--prompts", "ours", "--turns", "0"), "--turns"),
    ],
)
def test_what_cannot_be_done_is_refused_first(
    said: tuple[str, ...], sentence: str, data: Path, judge: str, capsys: Any
) -> None:
    assert main(["bench", "imgedit", "--judge", judge, "--run", "r", *FAKES, *said]) == 2
    assert sentence in capsys.readouterr().err
    assert not Path("r").exists()


def test_score_of_what_was_never_judged(folder: Path, capsys: Any) -> None:
    assert main(["bench", "score", "nowhere"]) == 2
    assert "no run folder" in capsys.readouterr().err


def test_the_darkroom_itself(data: Path, judge: str, peer: ChatPeer, capsys: Any) -> None:
    assert bench(judge, "--turns", "2", "--json", models=()) in (0, 3)
    table = document(capsys)["tables"][0]
    assert table["per_sample"]["editor"] >= 1.0
    assert table["lines"][0]["n"] == 3
    assert all(isinstance(picture, Image.Image) for asked in peer.asked for picture in asked.pictures)
