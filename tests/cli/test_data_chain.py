"""From darkroom samples to training files, with every default; and the same bytes from the same seed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from editthinker.cli import main
from editthinker.core.records import ScoreRecord
from editthinker.darkroom.photographs import photographs
from editthinker.darkroom.targets import TAG
from editthinker.data.records import StepRow, TrajectoryRow
from editthinker.data.rows import Source
from editthinker.data.stage import Counts

CHAIN = (
    "generate darkroom --count 24 --photos photos --out pool --tag licence=CC0-1.0",
    "score pool",
    "filter pool --out kept",
    "unroll kept --out steps",
    "balance steps --out even",
    "split even --out sides",
    "check sides/sft.jsonl --out clean",
    "export clean --relative --out sft",
)


def play(folder: Path, monkeypatch: pytest.MonkeyPatch, photos: Path) -> None:
    folder.mkdir()
    monkeypatch.chdir(folder)
    shutil.copytree(photos, folder / "photos")
    for words in CHAIN:
        assert main(["data", *words.split(), *["--quiet"] * words.startswith(("gen", "sco"))]) == 0, words


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos") / "six"
    folder.mkdir()
    for photo in photographs("validation")[:6]:
        photo.picture().within(60_000).save(folder / photo.path.name)
    return folder


def stages(folder: Path) -> dict[str, bytes]:
    """Everything that the stages wrote, but for the ledger and its pictures."""
    files = (
        path
        for path in folder.rglob("*")
        if path.suffix in (".json", ".jsonl") and "darkroom" not in path.parts
    )
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.mark.slow
def test_the_chain_works_as_it_is_and_gives_the_same_bytes_twice(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    play(tmp_path / "a", monkeypatch, photos)
    made = tmp_path / "a"
    rows = list(Source(TrajectoryRow, (made / "pool",)).read(Counts()))
    assert len(rows) == 24
    for row in rows:
        assert (row.licence, row.provenance) == ("CC0-1.0", "darkroom")
        assert row.about
        assert row.task in ("direct", "compound", "preserve", "reasoning")
        assert json.loads(row.tags[TAG])
        assert all(turn.judged for turn in row.turns)
    steps = list(Source(StepRow, (made / "clean",)).read(Counts()))
    assert steps
    assert all(TAG in step.tags for step in steps), "a reward can still score what comes of a step"
    sides = told(made / "sides")["files"]
    assert sides["rl.jsonl"]["rows"] > 0 < sides["sft.jsonl"]["rows"]
    assert "About the editor" in (made / "sft" / "sft_train.json").read_text()
    capsys.readouterr()
    play(tmp_path / "b", monkeypatch, photos)
    one, other = stages(made), stages(tmp_path / "b")
    assert len(one) > 15
    assert [name for name in one if one[name] != other[name]] == []
    assert one.keys() == other.keys()


def told(folder: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return manifest


@pytest.mark.slow
def test_the_exact_judge_knows_the_target_from_the_row(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the expert saw in memory and what the judge reads from disk are one score."""
    monkeypatch.chdir(tmp_path)
    generate = ["data", "generate", "darkroom", "--photos", str(photos), "--out", "pool", "--quiet"]
    assert main([*generate, "--count", "8"]) == 0
    assert main(["data", "score", "pool", "--quiet"]) == 0
    rows = list(Source(TrajectoryRow, (Path("pool"),)).read(Counts()))
    for turn in (turn for row in rows for turn in row.turns):
        assert turn.judged
        assert turn.critique
        assert isinstance(turn.critique.score, ScoreRecord)
        assert turn.judged.overall == pytest.approx(turn.critique.score.overall, abs=1e-6)
    names = {row.id for row in rows}
    assert main([*generate, "--count", "12"]) == 0, "the pool grows at its end"
    assert names < {row.id for row in Source(TrajectoryRow, (Path("pool"),)).read(Counts())}
    assert main([*generate, "--count", "12", "--seed", "1"]) == 2
