"""What goes wrong at a provider ends as one sentence, the right exit code, and a report to look at."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from editthinker.cli import main
from editthinker.core.images import Picture
from peers.openai_images import KEY, ImagesPeer
from peers.serving import serving

FAILURES = {
    "unauthorized": "does not accept the key from env:PEER_KEY (401)",
    "forbidden": "does not allow this to the key (403)",
    "no-such-model": "does not know the model or the address (404)",
    "rate-limited": "is asked too often (429)",
    "out-of-credit": "has no credit left for this key (429)",
    "overloaded": "is overloaded or broken (503)",
    "too-large": "says that the image is too large (413)",
    "html": "editor 'openai:gpt-image-2'",
    "truncated-image": "editor 'openai:gpt-image-2'",
    "black": "entirely black",
}


@pytest.fixture
def peer(monkeypatch: pytest.MonkeyPatch) -> ImagesPeer:
    monkeypatch.setenv("PEER_KEY", KEY)
    return ImagesPeer()


def edit(url: str, *more: str) -> int:
    editor = f"openai:gpt-image-2?base_url={url}/v1&key=env:PEER_KEY"
    given = ["--editor", editor, "--thinker", "fakes:rising", "--retries", "0", "--run", "r"]
    return main(["edit", "photo.jpg", "black and white", *given, *more])


@pytest.mark.parametrize(("fault", "sentence"), FAILURES.items(), ids=FAILURES)
def test_a_failure_is_one_sentence_and_a_report(
    fault: str, sentence: str, peer: ImagesPeer, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    peer.faults.extend([fault] * 9)
    with serving(peer.app) as url:
        assert edit(url, "-q") == 1
    out, err = capsys.readouterr()
    first, *rest = err.splitlines()
    assert out == ""
    assert first.startswith("error: ")
    assert sentence in first
    assert first.endswith("; nothing was written")
    assert [line for line in rest if not line.startswith("cost: ")] == ["report: r/report.html"]
    assert KEY not in err
    assert KEY not in (folder / "r" / "report.html").read_text("utf-8")
    assert not (folder / "photo.edited.png").exists()
    call = json.loads(_document(capsys))["trajectories"][0]["calls"][0]
    assert (call["role"], call["outcome"]) == ("editor", "EditorError")


def test_a_refusal_is_told_with_its_reason_and_leaves_nothing(
    peer: ImagesPeer, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    peer.faults.extend(["moderation"] * 9)
    with serving(peer.app) as url:
        assert edit(url, "-q") == 2
    err = capsys.readouterr().err
    assert "refused: Your request was rejected by the safety system" in err
    assert len(err.splitlines()) == 1
    assert not (folder / "r").exists()


def test_a_refusal_after_more_than_one_call_keeps_its_story(
    peer: ImagesPeer, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    peer.faults.extend(["moderation"] * 9)
    with serving(peer.app) as url:
        assert edit(url, "-q", "--policy", "adaptive", "--also", "fakes:refusing_editor") == 1
    err = capsys.readouterr().err
    assert "refused: " in err.splitlines()[0]
    assert err.splitlines()[0].endswith("; nothing was written")
    assert "report: r/report.html" in err


def test_an_unchanged_image_is_named(
    peer: ImagesPeer, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    peer.flavour = "self-hosted"
    peer.faults.extend(["unchanged"] * 9)
    Picture.open(folder / "photo.jpg").save(folder / "photo.png")
    with serving(peer.app) as url:
        editor = f"openai:gpt-image-2?base_url={url}/v1&key=env:PEER_KEY&rules=open"
        given = ["--editor", editor, "--thinker", "fakes:poor", "-q"]
        assert main(["edit", "photo.png", "black and white", *given]) == 1
    assert "the editor gave the photo back unchanged" in capsys.readouterr().err


def _document(capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["show", "r", "--json"]) == 0
    return capsys.readouterr().out
