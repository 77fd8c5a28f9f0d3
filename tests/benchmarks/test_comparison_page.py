"""The page of a comparison: complete in itself, nothing in it acts, the largest differences with images."""

from __future__ import annotations

import base64
import hashlib
import math
import re
from pathlib import Path
from typing import Any

import pytest

from editthinker.benchmarks.against import against
from editthinker.benchmarks.comparison import plot
from editthinker.benchmarks.comparison.gallery import MOST, gallery
from editthinker.benchmarks.comparison.page import write_html
from editthinker.benchmarks.intervals import Estimate, estimate
from editthinker.benchmarks.judged import About, Asked, Judged
from editthinker.benchmarks.known import benchmark_named, options_of
from editthinker.benchmarks.scoring import Scoring
from editthinker.benchmarks.suite import Case, Reply
from editthinker.core.types import Critique, Edited, Sample, Score, Stop, StopReason, Trajectory, Turn
from editthinker.runs.folder import RunFolder
from editthinker.testing.behaviour import photograph
from peers.pages import Page

HOSTILE = (
    "</script><script>document.title='pwned'</script>",
    "</style><img src=x onerror=document.title='pwned'>",
    "\" onload=\"document.title='pwned'",
    "</title><iframe src=http://evil>",
    "\x1b[31mred\u202egnp.exe \x00",
    "</text><svg/onload=document.title='pwned'>",
    "make it warmer",
)


def judged_run(place: Path, marks: list[int], words: tuple[str, ...] = ("warmer",), model: str = "m") -> Path:
    """A run of ImgEdit whose cases got these marks, each with two turns."""
    cases, asked, said = [], [], []
    with RunFolder.create(place, {"verb": "bench"}) as folder:
        for number, mark in enumerate(marks):
            said_to_it = words[number % len(words)]
            case = Case(f"{number:03}", said_to_it, (), "add")
            clean = said_to_it.replace("\x00", "")
            sample = Sample((photograph(64, 48, seed=number),), clean, case.id, tags={"case": case.id})
            edited = Edited(photograph(64, 48, seed=100 + number + mark))
            critique = Critique(Score(8, 8), said_to_it, clean)
            turns = (Turn(1, clean, 0, edited, critique), Turn(2, clean + " again", 0, edited, critique))
            stop = Stop(StopReason.TURN_LIMIT)
            folder.recorder(sample).finish(Trajectory(sample, turns, stop, "loop", chosen=2))
            cases.append(case)
            asked.append(Asked(case.id, 2, "marks", True, case.id, "gpt-4o"))
            text = f"Fine.\nInstruction: {mark}\nPreservation: {mark}\nQuality: {mark}"
            said.append((case.id, Reply(text, model=model)))
    about = About("imgedit", options_of(benchmark_named("imgedit")), len(cases))
    with Judged(place, write=True) as store:
        store.begin("judge", about, cases, asked)
        for question, reply in said:
            store.keep(question, "judge", 0, ("", ""), reply, 0.0)
    return place


def written(out: Path, places: tuple[Path, Path], names: tuple[str, str] = ("a", "b")) -> Page:
    runs = Scoring.of(places[0]), Scoring.of(places[1])
    found = [against(*runs, rules, names) for rules in ("strict", "paper")]
    write_html(out, places, runs, found, None)
    return Page(out)


def test_nothing_in_it_acts_and_nothing_is_fetched(tmp_path: Path) -> None:
    places = tuple(
        judged_run(tmp_path / name, marks, HOSTILE, HOSTILE[0])
        for name, marks in (("a", [1, 2, 3, 4, 5, 1, 2]), ("b", [5, 4, 3, 2, 1, 5, 5]))
    )
    page = written(tmp_path / "page.html", (places[0], places[1]), (HOSTILE[0], HOSTILE[3]))
    assert {"script", "iframe", "form", "object", "link", "base"}.isdisjoint(tag for tag, _ in page.tags)
    assert len(page.of("style")) == len(page.of("title")) == 1
    for _, attributes in page.tags:
        assert not any(name.startswith("on") or name in ("style", "href") for name in attributes)
        assert (attributes.get("src") or "data:image/jpeg;").startswith("data:image/jpeg;")
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]", page.html)
    style = re.search(r"<style>(.*?)</style>", page.html, re.DOTALL)
    assert style is not None
    assert not re.search(r"//|url\(|@import", re.sub(r"data:image/[a-z]+;base64,[\w+/=]+", "", style[1]))
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    (policy,) = (a["content"] for a in page.of("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith(f"default-src 'none'; img-src data:; style-src 'sha256-{digest}';")
    assert "unsafe" not in policy
    assert "script-src" not in policy


def test_it_tells_the_story(tmp_path: Path) -> None:
    places = judged_run(tmp_path / "a", [2, 3, 4, 4]), judged_run(tmp_path / "b", [5, 3, 1, 4])
    page = written(tmp_path / "page.html", places)
    assert "The interval holds zero: that may be chance." in page.words
    assert "4 scored, 0 missing" in page.words
    assert "1 better, 2 ties, 1 worse" in page.words
    assert "+3.00" in page.words
    assert "-3.00" in page.words
    assert "Under other rules" in page.words
    assert "Not every turn was judged" in page.words
    assert "judged with our own prompts" in page.words
    assert "warmer again" in page.words, "what the editor was told in the delivered turn"
    images = page.of("img")
    assert len(images) == 2 * 3
    assert all((image["src"] or "").startswith("data:image/jpeg;base64,") for image in images)


def test_the_gallery_has_the_largest_differences_and_not_more(tmp_path: Path) -> None:
    first, second = [3] * 40, [3 + (number % 3) - 1 for number in range(39)] + [5]
    places = judged_run(tmp_path / "a", first), judged_run(tmp_path / "b", second)
    runs = Scoring.of(places[0]), Scoring.of(places[1])
    up, down = gallery(places, runs, (runs[0].table("strict"), runs[1].table("strict")))
    assert len(up) == len(down) == MOST
    assert (up[0].case, up[0].gain) == ("039", 2)
    assert all(pair.gain == -1 for pair in down)
    assert up[0].source
    assert all(view.image and view.turn == 2 for view in up[0].views)
    assert (up[0].views[0].value, up[0].views[1].value) == (3, 5)


def test_images_that_are_gone_are_named_so(tmp_path: Path) -> None:
    places = judged_run(tmp_path / "a", [1]), judged_run(tmp_path / "b", [5])
    for image in (tmp_path / "b" / "images").rglob("*.png"):
        image.write_bytes(b"no image")
    page = written(tmp_path / "page.html", places)
    assert "image missing" in page.words
    assert len(page.of("img")) == 2, "the source and the first run's image are still there"


@pytest.mark.parametrize("values", [[], [math.nan], [0.0], [5.0, 5.0], [1e-9, 1e9], [-3.0, -1.0]])
def test_curves_of_any_values_can_be_drawn(values: list[float]) -> None:
    points = [(float(place), Estimate(value, value - 1, value + 1, 3)) for place, value in enumerate(values)]
    series = [plot.Series("<b>", "one", points, estimate(())), plot.Series("x", "two", [])]
    drawn = plot.chart(series, "calls", "score")
    assert drawn.count("<circle") == sum(map(math.isfinite, values))
    assert "nan" not in drawn
    assert "<b>" not in drawn
    for number in re.findall(r'"(-?[\d.]+)"', drawn):
        assert math.isfinite(float(number))


def test_bars_stay_in_their_frame() -> None:
    gain: Any = plot.difference(Estimate(5, -9, 20, 3), 1.0)
    places = [float(number) for number in re.findall(r'(?:x1|x2|cx)="([\d.]+)"', gain)]
    assert all(0 <= place <= plot.BAR for place in places)
    assert plot.difference(estimate(()), 1.0) is None
    assert plot.shares(0, 0, 0).count("<rect") == 3
