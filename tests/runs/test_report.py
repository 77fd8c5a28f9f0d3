"""The page shows what happened, needs nothing but a browser, and nothing in it acts."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from editthinker.core.errors import EditorError, InputError
from editthinker.core.images import Picture
from editthinker.core.records import TrajectoryRecord
from editthinker.core.types import Critique, Edited, EditRequest, Sample, Score
from editthinker.runs import RunFolder, markup, report
from editthinker.testing.behaviour import photograph
from editthinker.testing.scripted import ScriptedEditor, ScriptedThinker
from peers import pages

Play = Callable[..., TrajectoryRecord]

PAYLOADS = [
    *("</script><script>document.title='pwned'</script>", "<img src=x onerror=document.title='pwned'>"),
    *("</style><script>document.title='pwned'</script>", "</title><script>document.title='pwned'</script>"),
    *("\" onload=\"document.title='pwned'", "' autofocus onfocus=document.title='pwned' x='", "<!-- <x"),
    *(
        "<svg/onload=document.title='pwned'>",
        "javascript:document.title='pwned'",
        "&lt;b&gt;",
        "]]>",
        "\0\x01",
    ),
    *("\x1b[31mred\x1b]8;;http://evil\x07", "\u202egnp.exe", "\u2066\u2069\u200f", "\x85\x9b31m", "\udcff"),
    *(
        "{{7*7}} ${7*7} %s %(x)s {0}",
        '=HYPERLINK("http://evil")',
        "[bold red]x[/]",
        "**x** [y](javascript:z)",
    ),
    *(
        "<iframe src=http://evil>",
        "<base href=http://evil>",
        "<meta http-equiv=refresh content=0>",
        "\r\n\r\nx",
    ),
    *("<form action=http://evil><button>", "a" * 5000, "<" * 5000, "A\u0301" * 3000, "\ufeff\ufffe"),
]
TAGS = {
    *(
        "html",
        "head",
        "meta",
        "title",
        "style",
        "script",
        "body",
        "header",
        "main",
        "footer",
        "article",
        "nav",
    ),
    *("section", "aside", "div", "span", "p", "b", "i", "strong", "h1", "h2", "h3", "a", "time", "ol", "li"),
    *("dl", "dt", "dd", "details", "summary", "pre", "blockquote", "ins", "del", "img", "input", "button"),
    *("svg", "rect", "table", "tr", "th", "td"),
}


class Page(pages.Page):
    """A report."""

    def with_class(self, name: str) -> list[dict[str, str | None]]:
        return [a for _, a in self.tags if name in (a.get("class") or "").split()]

    def check_inert(self) -> None:
        assert {tag for tag, _ in self.tags} <= TAGS
        assert len(self.of("script")) == len(self.of("style")) == len(self.of("title")) == 1
        for _, attributes in self.tags:
            assert not any(name.startswith("on") or name == "style" for name in attributes)
            assert (attributes.get("src") or "data:image/").startswith("data:image/")
            assert (attributes.get("href") or "#t1").startswith("#t")
        assert not re.search(
            r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]", self.html
        )


def test_the_page_tells_the_story(run: RunFolder, play: Play) -> None:
    critique = Critique(Score(3, 8), "There is no grain.", "make it warmer and add grain")
    record = play(run, thinker=ScriptedThinker(critique, (9, 9)))
    page = Page(report.write_html(run))
    page.check_inert()
    assert page.html.count("make it warmer") >= 2
    assert "make it warmer<ins> and add grain</ins>" in page.html
    assert "There is no grain." in page.words
    assert "The thinker is satisfied with the result." in page.words
    assert "Turn 2 delivered" in page.words
    assert "4 calls in" in page.words
    assert len(page.with_class("after")) == len(record.turns) == 2
    assert [image["data-turn"] for image in page.with_class("after") if "hidden" not in image] == ["2"]
    assert len(page.with_class("chosen")) == 1
    assert len(page.with_class("bar")) == 3 * 2
    assert re.findall(r'"figure">([\d.]+)<', page.html) == ["3.0", "8.0", "4.9", "9.0", "9.0", "9.0"]
    assert "+4.1" in page.words
    assert not page.with_class("index")
    assert '"scripted"' not in page.words
    assert "scripted" in page.words


def test_the_page_is_complete_in_itself(run: RunFolder, play: Play) -> None:
    play(run)
    page = Page(report.write_html(run))
    assert not re.search(r"//|url\(|@import", re.sub(r"data:image/[a-z]+;base64,[\w+/=]+", "", page.html))
    (policy,) = (a["content"] for a in page.of("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page.html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


class Talker(ScriptedEditor):
    """An editor whose notes carry a payload."""

    def __init__(self, payload: str) -> None:
        super().__init__(name=payload)
        self._payload = payload

    async def edit(self, request: EditRequest) -> Edited:
        if len(self.requests) == 1:
            raise EditorError(self._payload)
        edited = await super().edit(request)
        return Edited(edited.image, notes={self._payload: self._payload, "list": [self._payload]})


def hostile_run(tmp_path: Path, play: Play, payloads: list[str]) -> RunFolder:
    config: dict[str, Any] = {
        payload.encode("utf-8", "replace").decode(): payload for payload in payloads[:20]
    }
    run = RunFolder.create(tmp_path / "<script>run", json.loads(json.dumps(config).replace("\\udcff", "")))
    for payload in payloads:
        words = payload.replace("\udcff", "").strip() or "x"
        critique = Critique(Score(5, 5), payload, words + " again", reply=payload)
        sample = Sample((photograph(16, 16),), words, id=payload, tags={payload: payload})
        play(run, sample, editor=Talker(payload), thinker=ScriptedThinker(critique, name=payload))
    return run


def test_words_from_outside_are_data(tmp_path: Path, play: Play) -> None:
    with hostile_run(tmp_path, play, PAYLOADS) as run:
        Page(report.write_html(run)).check_inert()


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("chromium"), reason="needs chromium")
def test_a_browser_runs_nothing_from_outside(tmp_path: Path, play: Play) -> None:
    with hostile_run(tmp_path, play, PAYLOADS) as run:
        page = report.write_html(run, tmp_path / "page.html")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    command = ["chromium", *options, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", page.as_uri()]
    dom = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout.decode()
    assert "<title>pwned" not in dom
    assert f"<title>{len(PAYLOADS)} edits" in dom
    assert len(re.findall("<script", dom)) == 1
    assert not re.search("<iframe|<base|<form|<object", dom)


def test_long_words_are_cut(run: RunFolder, play: Play) -> None:
    critique = Critique(Score(9, 9), "x" * 1_000_000, "y", reply="z" * 1_000_000)
    play(run, thinker=ScriptedThinker(critique))
    page = Page(report.write_html(run))
    assert len(page.html) < 60_000
    assert "998,500 more characters" in page.words


def test_failures_and_what_has_no_turn(run: RunFolder, play: Play) -> None:
    play(run, editor=ScriptedEditor(EditorError("out of paint")))
    page = Page(report.write_html(run))
    page.check_inert()
    assert "Failed (editor)" in page.words
    assert "out of paint" in page.words
    assert not page.of("button")


def test_nothing_better_than_the_source_is_said(run: RunFolder, play: Play) -> None:
    play(run, thinker=ScriptedThinker((1, 9), (1, 9)), turns=2)
    page = Page(report.write_html(run))
    assert "Nothing better than the source" in page.words
    assert not page.with_class("badge")


async def test_an_unfinished_run_can_be_shown(run: RunFolder) -> None:
    from editthinker.core.episode import Episode

    sample = Sample((photograph(),), "warmer")
    episode = Episode(sample, ScriptedEditor(), ScriptedThinker(), listener=run.recorder(sample))
    await anext(aiter(episode))
    with RunFolder.open(run.path) as reader:
        page = Page(report.write_html(reader, run.path.parent / "now.html"))
        assert report.summary(reader)["trajectories"][0]["finished"] is False
    await episode.aclose()
    assert "Not finished" in page.words
    assert "still running" in page.words


def test_a_missing_and_a_damaged_image_are_said_to_be_missing(run: RunFolder, play: Play) -> None:
    record = play(run, turns=2)
    run.image_path(record.turns[0].image).unlink()
    run.image_path(record.turns[1].image).write_bytes(b"\x89PNG\r\n\x1a\n damaged")
    page = Page(report.write_html(run))
    page.check_inert()
    assert page.words.count("image missing") == 4


def test_alpha_survives_in_the_page(run: RunFolder, play: Play) -> None:
    pixels = photograph().pixels.convert("RGBA")
    pixels.putalpha(100)
    play(run, Sample((Picture.open(pixels),), "warmer"), turns=1)
    assert 'src="data:image/webp' in report.write_html(run).read_text()


def test_many_have_an_index_and_no_page_grows_for_ever(
    run: RunFolder, play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "MOST", 3)
    photo = photograph(16, 16)
    for number in range(5):
        play(run, Sample((photo,), f"instruction {number}"), turns=1)
    page = Page(report.write_html(run))
    assert [a["href"] for a in page.of("a")] == ["#t1", "#t2", "#t3"]
    assert "the first 3 of 5 are shown" in page.words
    assert "instruction 3" not in page.words


def test_an_empty_run_has_a_page(run: RunFolder) -> None:
    assert "0 edits, 0 delivered" in Page(report.write_html(run)).words


def test_the_page_goes_where_it_is_wanted(run: RunFolder, play: Play, tmp_path: Path) -> None:
    play(run, turns=1)
    assert report.write_html(run) == run.path / "report.html"
    assert report.write_html(run, tmp_path / "x.html") == tmp_path / "x.html"
    with pytest.raises(InputError, match="there is no folder"):
        report.write_html(run, tmp_path / "missing" / "x.html")
    with pytest.raises(InputError, match="it is a folder"):
        report.write_html(run, tmp_path)


def test_the_summary_is_json_and_complete(run: RunFolder, play: Play) -> None:
    record = play(run)
    document = json.loads(json.dumps(report.summary(run)))
    (trajectory,) = document["trajectories"]
    assert trajectory.pop("finished") is True
    assert TrajectoryRecord.model_validate(trajectory) == record
    assert (document["samples"], document["finished"], document["delivered"]) == (1, 1, 1)
    assert document["config"]["editor"] == "scripted"
    for sha256, place in document["images"].items():
        assert hashlib.sha256((run.path / place).read_bytes()).hexdigest() == sha256


WORDS = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=80)


@given(WORDS, WORDS)
def test_a_diff_holds_both_texts(before: str, after: str) -> None:
    words = markup.changed_words(before, after)
    assert _plain(re.sub("<del>.*?</del>", "", words, flags=re.DOTALL)) == _squeezed(after)
    assert _plain(re.sub("<ins>.*?</ins>", "", words, flags=re.DOTALL)) == _squeezed(before)


@pytest.mark.parametrize("size", [100, 1000, 100_000])
def test_a_diff_of_repetitive_texts_is_quick(size: int) -> None:
    assert markup.changed_words("a b " * size, "b c " * size)


def _squeezed(words: str) -> str:
    return "".join(markup.inert(words).split())


def _plain(words: str) -> str:
    import html

    return "".join(html.unescape(re.sub("</?(ins|del)>", "", words)).split())
