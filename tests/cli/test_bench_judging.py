"""Judges of a benchmark on the command line: several, slow, down, forbidden, refusing; configured once."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from editthinker.benchmarks.known import SUITES
from editthinker.cli import main
from peers.benchmark_data import DATA, REPLIES
from peers.chat_server import Asked, ChatPeer
from peers.imgedit_judge import marks, write_data
from peers.rise_data import GOLD
from peers.rise_data import written as rise_folder
from peers.serving import serving

QUESTIONS = 60
MODELS = ("--editor", "fakes:plain_editor", "--thinker", "none")


@pytest.fixture
def peers() -> tuple[ChatPeer, ChatPeer]:
    return ChatPeer(says=marks, by_content=True), ChatPeer(says=marks, by_content=True)


@pytest.fixture
def judges(peers: tuple[ChatPeer, ChatPeer]) -> Iterator[list[str]]:
    with ExitStack() as stack:
        urls = [stack.enter_context(serving(peer.app)) for peer in peers]
        yield [f"chat:{peer.model}?base_url={url}/v1" for peer, url in zip(peers, urls, strict=True)]


@pytest.fixture
def data(folder: Path) -> Path:
    """A RISE folder of 23 records, logical ones with two questions, others with up to three."""
    (folder / "data").mkdir()
    return rise_folder(folder / "data", GOLD["inputs"]["records"])


def score(_: Asked) -> str:
    return "Final Score: 1"


def bench(judges: list[str], *more: str, suite: str = "rise", models: tuple[str, ...] = MODELS) -> int:
    named = [word for judge in judges for word in ("--judge", judge)]
    said = ("--data", "data", "--prompts", "ours", "--run", "r", *models, *named, *more)
    return main(["bench", suite, *said])


def unanswered(capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    told = capsys.readouterr()
    return json.loads(told.out)["tables"][0]["lines"][0]["unanswered"], told.err


@pytest.mark.slow
def test_several_addresses_share_the_questions(
    data: Path, judges: list[str], peers: tuple[ChatPeer, ChatPeer], capsys: Any
) -> None:
    for peer in peers:
        peer.says = score
    assert bench(judges, "--json") == 0
    assert unanswered(capsys)[0] == 0
    numbers = [len(peer.asked) for peer in peers]
    assert sum(numbers) == QUESTIONS
    assert min(numbers) > 10
    assert bench(judges[:1], "--json") == 0
    assert sum(len(peer.asked) for peer in peers) == QUESTIONS, "who answers does not depend on the address"


@pytest.mark.slow
def test_one_of_two_is_down_from_the_start_and_costs_nothing(
    data: Path, judges: list[str], peers: tuple[ChatPeer, ChatPeer], capsys: Any
) -> None:
    good, bad = peers
    good.says, bad.always = score, "server-error"
    assert bench(judges, "--json") == 0
    assert unanswered(capsys)[0] == 0
    assert (len(good.asked), len(bad.asked)) == (QUESTIONS, 0)


@pytest.mark.parametrize("fault", ["unauthorized", "forbidden", "no-such-model"])
def test_one_of_two_may_not_be_asked(
    fault: str, data: Path, judges: list[str], peers: tuple[ChatPeer, ChatPeer], capsys: Any
) -> None:
    good, bad = peers
    good.says, bad.always = score, fault
    assert bench(judges, "--json") == 0
    number, told = unanswered(capsys)
    assert number == 0
    assert told.count("is not asked any more") == 1
    assert len(good.asked) == QUESTIONS


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("unauthorized", "does not accept the key"),
        ("forbidden", "does not allow this to the key"),
        ("no-such-model", "does not know the model"),
    ],
)
def test_a_key_without_access_ends_it_at_once(
    fault: str, words: str, data: Path, judges: list[str], peers: tuple[ChatPeer, ChatPeer], capsys: Any
) -> None:
    peers[0].always = fault
    assert bench(judges[:1], "--json") == 3
    number, told = unanswered(capsys)
    assert number == 23
    (stopped,) = [line for line in told.splitlines() if line.startswith("stopped: ")]
    assert words in stopped
    peers[0].always, peers[0].says = "", score
    assert bench(judges[:1], "--json") == 0
    assert unanswered(capsys)[0] == 0


@pytest.mark.slow
def test_all_down_is_said_once_and_nothing_is_lost(
    data: Path, judges: list[str], peers: tuple[ChatPeer, ChatPeer], capsys: Any
) -> None:
    def twenty(_: Asked) -> str:
        if sum(len(peer.asked) for peer in peers) >= 20:
            for peer in peers:
                peer.always = "server-error"
        return "Final Score: 1"

    for peer in peers:
        peer.says = twenty
    assert bench(judges, "--patience", "2", "--json") == 3
    told = capsys.readouterr().err
    assert told.count("no judge answers at present") == 1
    assert told.count("stopped: no judge came back within 2 s") == 1
    asked = sum(len(peer.asked) for peer in peers)
    assert f"{QUESTIONS - asked} of {QUESTIONS} questions have no answer" in told
    assert "resume: editthinker" in told
    for peer in peers:
        peer.says, peer.always = score, ""
    assert bench(judges, "--json") == 0
    assert unanswered(capsys)[0] == 0
    assert sum(len(peer.asked) for peer in peers) == QUESTIONS


@pytest.mark.slow
def test_a_judge_that_comes_back_is_waited_for(
    data: Path, judges: list[str], peers: tuple[ChatPeer, ChatPeer], capsys: Any
) -> None:
    peers[0].says = score
    peers[0].faults = [""] * 9 + ["server-error"] * 6
    assert bench(judges[:1], "--json") == 0
    number, told = unanswered(capsys)
    assert number == 0
    assert told.count("no judge answers at present") == 1
    assert told.count("answers again after") == 1
    assert len(peers[0].asked) == QUESTIONS


@pytest.mark.slow
def test_retry_after_is_kept_to(
    data: Path, judges: list[str], peers: tuple[ChatPeer, ChatPeer], capsys: Any
) -> None:
    peers[0].says = score
    peers[0].faults = [""] * 5 + ["overloaded"]
    began = time.monotonic()
    assert bench(judges[:1], "--json") == 0
    assert time.monotonic() - began >= 2, "the server asked for two seconds"
    assert unanswered(capsys)[0] == 0
    assert len(peers[0].asked) == QUESTIONS


@pytest.mark.parametrize("fault", ["moderated", "refusal", "filtered"])
def test_refusals_are_counted_and_cost_no_other_question(
    fault: str, data: Path, judges: list[str], peers: tuple[ChatPeer, ChatPeer], capsys: Any
) -> None:
    peers[0].says, peers[0].faults = score, [fault]
    assert bench(judges[:1], "--judge-concurrency", "1", "--json") == 0
    line = json.loads(capsys.readouterr().out)["tables"][0]["lines"][0]
    assert (line["refused"], line["unanswered"]) == (1, 0)


@pytest.mark.slow
def test_more_at_a_time_where_that_helps_and_never_more_than_said(
    data: Path, judges: list[str], peers: tuple[ChatPeer, ChatPeer], capsys: Any
) -> None:
    at_once = most = 0

    def slowly(asked: Asked) -> str:
        nonlocal at_once, most
        most = max(most, at_once)
        return score(asked)

    class Counted(ChatPeer):
        async def _text(self, asked: Asked, fault: str) -> str:
            import asyncio

            nonlocal at_once
            at_once += 1
            text = await super()._text(asked, fault)
            await asyncio.sleep(0.1)
            at_once -= 1
            return text

    peer = Counted(says=slowly, by_content=True)
    with serving(peer.app) as url:
        judge = f"chat:{peer.model}?base_url={url}/v1"
        assert bench([judge], "--json") == 0
        assert most >= 8
        most = 0
        assert bench([f"{judge}&temperature=0.1"], "--judge-concurrency", "3", "--json") == 0
        assert most == 3
    capsys.readouterr()


def test_different_judges_do_not_share_a_table(data: Path, judges: list[str], capsys: Any) -> None:
    assert bench([judges[0], f"{judges[1]}&temperature=1"]) == 2
    assert "cannot share one table" in capsys.readouterr().err
    assert bench([judges[0], judges[0]]) == 2
    assert "named twice" in capsys.readouterr().err
    assert bench(judges, "--judge-concurrency", "many") == 2
    assert "--judge-concurrency takes a whole number" in capsys.readouterr().err
    assert not Path("r").exists()


@pytest.mark.slow
@pytest.mark.parametrize("signals", [1, 2])
def test_ctrl_c_lets_questions_under_way_end_and_twice_does_not(
    signals: int,
    data: Path,
    judges: list[str],
    peers: tuple[ChatPeer, ChatPeer],
    program: list[str],
    capsys: Any,
) -> None:
    def slowly(asked: Asked) -> str:
        if len(peers[0].asked) > 3:
            peers[0].started.set()
            time.sleep(1.0)
        return score(asked)

    peers[0].says = slowly
    said = (
        "bench",
        "rise",
        "--data",
        "data",
        "--prompts",
        "ours",
        "--run",
        "r",
        *MODELS,
        "--judge",
        judges[0],
    )
    command = [*program, *said, "--judge-concurrency", "1"]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        assert peers[0].started.wait(30) or process.kill(), process.stderr and process.stderr.read()
        for _ in range(signals):
            process.send_signal(signal.SIGINT)
            time.sleep(0.2)
        told = process.communicate(timeout=20)[1].decode()
    assert process.returncode == 130
    assert told.count("stopping: questions under way may be answered") == 1
    assert "stopped: interrupted" in told
    kept = 4 if signals == 1 else 3
    assert f"judge: {kept} calls" in told
    assert json.loads(Path("r/heartbeat.json").read_text())["answered"] == kept
    before = len(peers[0].asked)
    peers[0].says = score
    assert bench(judges[:1], "--json", "-q") == 0
    assert len(peers[0].asked) == before + QUESTIONS - kept
    capsys.readouterr()


def test_the_heartbeat_says_how_judging_went(
    data: Path, judges: list[str], peers: tuple[ChatPeer, ChatPeer], capsys: Any
) -> None:
    peers[0].says = score
    assert bench([f"{judges[0]}&price_in=1&price_out=1"], "--json") == 0
    beat = json.loads(Path("r/heartbeat.json").read_text())
    assert (beat["state"], beat["questions"], beat["answered"], beat["failed"]) == (
        "done",
        QUESTIONS,
        QUESTIONS,
        0,
    )
    assert beat["calls"] == {"judge": QUESTIONS}
    assert beat["cost"] == pytest.approx(QUESTIONS * 1200 / 1e6)
    capsys.readouterr()


# --- written down once ---


def test_a_benchmark_that_is_configured_needs_no_word(
    folder: Path, judges: list[str], capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "home"))
    monkeypatch.setenv("EDITTHINKER_RUNS", str(folder / "runs"))
    own = folder / "home" / "editthinker" / "config.toml"
    own.parent.mkdir(parents=True)
    write_data(folder / "home" / "editthinker" / "pictures")
    told = json.dumps(judges)
    own.write_text(f'[bench.imgedit]\ndata = "pictures"\nprompts = "ours"\njudge = {told}\n', "utf-8")
    assert main(["bench", "imgedit", *MODELS, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tables"][0]["headline"]["n"] == 3
    assert (folder / "runs" / "imgedit" / "judged.sqlite").is_file()
    assert main(["config", "show", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)["bench"]["imgedit"]
    assert shown["data"] == {"value": str(own.parent / "pictures"), "origin": str(own)}
    assert shown["prompts"]["value"] == "ours"
    assert len(shown["judge"]["value"]) == 2
    assert main(["config", "show"]) == 0
    assert f"bench imgedit data = {own.parent / 'pictures'}" in capsys.readouterr().out
    assert main(["bench", "export", str(folder / "runs" / "imgedit"), "--out", "out"]) == 0
    assert len(list(Path("out").iterdir())) == 3
    project = folder / "editthinker.toml"
    project.write_text('[bench.imgedit]\ndata = "nowhere"\n', "utf-8")
    assert main(["bench", "imgedit", *MODELS]) == 2
    assert f"there is no data folder {folder / 'nowhere'}" in capsys.readouterr().err
    project.write_text('[bench.imgedit]\njudge = "chat:other?base_url=http://127.0.0.1:1"\n', "utf-8")
    assert main(["bench", "imgedit", *MODELS]) == 2
    assert "is not trusted" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[bench.imgedti]\n", "imgedti"),
        ("[bench.imgedit]\nfolder = 'x'\n", "folder"),
        ("[bench.imgedit]\ndata = 3\n", "data"),
        ("[bench.imgedit]\njudge = 'chat:x?key=sk-0123456789abcdef0123'\n", "a key is given by reference"),
        ("", "say --data DIR, the benchmark's data"),
        ("[bench.imgedit]\ndata = 'x'\n", "say --judge NAME"),
    ],
)
def test_what_is_wrong_with_it_is_said(
    content: str, words: str, folder: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "home"))
    own = folder / "home" / "editthinker" / "config.toml"
    own.parent.mkdir(parents=True)
    own.write_text(content, "utf-8")
    assert main(["bench", "imgedit", "--run", "r"]) == 2
    told = capsys.readouterr().err
    assert words in told
    assert "sk-0123" not in told


# --- data that is not what it should be ---


@pytest.mark.parametrize("suite", SUITES)
def test_a_wrong_folder_says_what_was_expected_and_what_is_there(
    suite: str, folder: Path, judges: list[str], capsys: Any
) -> None:
    (folder / "data").mkdir()
    for number in range(10):
        (folder / "data" / f"holiday-{number}.txt").write_text("sun")
    assert bench(judges, suite=suite) == 2
    told = capsys.readouterr().err
    assert "expected " in told
    assert "it holds holiday-0.txt, " in told
    assert "holiday-7.txt and 2 more" in told
    assert not Path("r").exists()
    assert bench(judges, "--data", "nowhere", suite=suite) == 2
    assert "there is no data folder nowhere" in capsys.readouterr().err


@pytest.mark.parametrize("suite", SUITES)
def test_missing_images_are_listed_and_counted(
    suite: str, folder: Path, judges: list[str], peers: tuple[ChatPeer, ChatPeer], capsys: Any
) -> None:
    (folder / "data").mkdir()
    DATA[suite](folder / "data")
    peers[0].says = lambda _: REPLIES[suite]
    pictures = [path for path in (folder / "data").rglob("*") if path.suffix in (".png", ".jpg")]
    for path in pictures:
        path.unlink()
    assert bench(judges[:1], "--dry-run", "--json", suite=suite) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["usable"] == plan["most_judge_calls"] == 0
    assert len(plan["unusable"]) == plan["samples"] > 0
    assert all("is not in the data folder" in problem for problem in plan["unusable"].values())
    assert bench(judges[:1], "--json", suite=suite) == 3
    told = capsys.readouterr()
    lines = json.loads(told.out)["tables"][0]["lines"]
    assert max(line["missing"] for line in lines) == plan["samples"]
    listed = [line for line in told.err.splitlines() if "is not in the data folder" in line]
    assert len(listed) >= min(20, plan["samples"])
    assert plan["samples"] <= 20 or f"... and {plan['samples'] - 20} more" in told.err
    assert peers[0].asked == []


def test_results_without_an_image_are_listed(
    folder: Path, judges: list[str], peers: tuple[ChatPeer, ChatPeer], capsys: Any
) -> None:
    write_data(folder / "data")
    (folder / "theirs").mkdir()
    (folder / "theirs" / "2.png").write_bytes((folder / "data" / "1.jpg").read_bytes())
    said = ("import", "theirs", "--format", "imgedit", "--data", "data", "--prompts", "ours", "--run", "r")
    assert main(["bench", *said, "--judge", judges[0]]) == 0
    told = capsys.readouterr().err
    assert "1: no 1.png" in told
    assert "1 of 3 samples have an image" in told


# --- said before, done after ---

PRICED = "&price_in=10&price_out=20"


@pytest.mark.parametrize("suite", DATA)
def test_a_dry_run_says_what_is_then_called(
    suite: str, folder: Path, judges: list[str], peers: tuple[ChatPeer, ChatPeer], capsys: Any
) -> None:
    (folder / "data").mkdir()
    DATA[suite](folder / "data")
    peers[0].says = lambda _: REPLIES[suite]
    judge = [f"{judges[0]}{PRICED}"]
    loop = ("--editor", "fakes:editor", "--thinker", "fakes:rising", "--turns", "3", "--every-turn")
    for models in (MODELS, (*loop, "--threshold", "11")):
        run = ("--run", f"r{len(models)}")
        assert bench(judge, "--dry-run", "--json", *run, suite=suite, models=models) == 0
        plan = json.loads(capsys.readouterr().out)
        assert not Path(run[1]).exists()
        before = len(peers[0].asked)
        bench(judge, "--json", *run, suite=suite, models=models)
        made = json.loads(capsys.readouterr().out)["tables"][0]
        calls = {role: round(number * len(made["samples"])) for role, number in made["per_sample"].items()}
        for role, number in calls.items():
            assert plan[f"most_{role}_calls"] >= number, role
        if models == MODELS and suite != "kris":  # of which one sample has more images than this editor takes
            assert plan["most_editor_calls"] == calls["editor"]
            assert plan["most_judge_calls"] == calls["judge"]
        assert len(peers[0].asked) - before == calls["judge"]
        spent = calls["judge"] * (1000 * 10 + 200 * 20) / 1e6
        assert plan["prices_unknown"] if plan["most_cost"] is None else plan["most_cost"] >= spent
