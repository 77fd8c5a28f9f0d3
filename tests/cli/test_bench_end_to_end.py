"""Every benchmark from its authors' layout to its table: the darkroom edits, thinks, and marks over HTTP."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from editthinker.benchmarks.known import SUITES
from editthinker.cli import main
from peers.chat_server import ChatPeer
from peers.exact_judge import ExactJudge, cases, written
from peers.serving import serving

FULL = {"imgedit": 5, "uge": 5, "gedit": 10, "rise": 1, "kris": 100, "uniredit": 100}
"""The best there is of each headline."""


@pytest.mark.slow
@pytest.mark.parametrize("suite", SUITES)
def test_the_darkroom_on_every_benchmark(suite: str, folder: Path, capsys: Any) -> None:
    samples = cases(4)
    written(suite, samples, folder / "data")
    exact = ExactJudge(suite, samples)
    peer = ChatPeer(says=exact, by_content=True)
    ways = {
        "still": ("--editor", "fakes:Still", "--thinker", "none"),
        "once": ("--editor", "darkroom", "--thinker", "none"),
        "loop": ("--editor", "darkroom", "--thinker", "darkroom", "--turns", "4", "--every-turn"),
    }
    means = {}
    with serving(peer.app) as url:
        for way, models in ways.items():
            judge = f"chat:{peer.model}?base_url={url}/v1"
            said = (
                "--data",
                "data",
                "--prompts",
                "ours",
                "--judge",
                judge,
                "--run",
                way,
                "-q",
                "--json",
                "--patience",
                "20",
            )
            assert main(["bench", suite, *said, *models, "--rules", "all"]) == 0
            tables = json.loads(capsys.readouterr().out)["tables"]
            for table in tables:
                assert {sample["state"] for sample in table["samples"]} == {"scored"}
                assert len(table["samples"]) == 4
                assert table["judge"] == peer.model
                assert table["per_sample"]["judge"] >= 1
                assert not table["comparable"]
            line = next(line for line in tables[0]["lines"] if line["name"] == tables[0]["headline"]["line"])
            means[way] = line["figures"][tables[0]["headline"]["figure"]]["mean"]
    assert means["still"] < means["once"] <= means["loop"] <= FULL[suite] or suite == "rise"
    if suite == "rise":  # all or nothing
        assert means["still"] == 0 <= means["once"] <= means["loop"] <= 1
    assert 5 in exact.marks, "what is done gets full marks"
    assert 1 in exact.marks, "and what is not done the lowest"
    assert main(["bench", "compare", "still", "loop"]) == 0
    assert suite in capsys.readouterr().out
