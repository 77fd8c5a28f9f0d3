"""What every benchmark shares: how a case stands, how an image is shown, tables and their intervals."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from editthinker.benchmarks.gedit import GEdit
from editthinker.benchmarks.imgedit import ImgEdit
from editthinker.benchmarks.intervals import estimate
from editthinker.benchmarks.showing import Shown, size
from editthinker.benchmarks.suite import Benchmark, Case, Reply, duplicates, state_of
from editthinker.benchmarks.table import Scored, Table, tabulate
from editthinker.core.errors import ImageError


@pytest.mark.parametrize("benchmark", [ImgEdit(), GEdit(), GEdit("cn", "intersection")])
def test_an_empty_run_is_a_table_too(benchmark: Benchmark) -> None:
    for rules in ("strict", "official", "paper"):
        table = benchmark.aggregate([], {}, rules)
        assert table.value.n == 0
        json.dumps(table.as_json(), allow_nan=False)


# --- how a case stands ---


@pytest.mark.parametrize(
    ("replies", "readable", "state"),
    [
        (None, False, "missing"),
        ([], False, "unanswered"),
        ([Reply(outcome="failed")], False, "unanswered"),
        ([Reply("words")], False, "unparsed"),
        ([Reply("I'm sorry, but I can't assist with that request.")], False, "refused"),
        ([Reply(outcome="refused")], False, "refused"),
        ([Reply("words"), Reply("5")], True, "scored"),
    ],
)
def test_how_a_case_stands(replies: list[Reply] | None, readable: bool, state: str) -> None:
    answers = {} if replies is None else {"a": {"k": replies}}
    assert state_of(answers, "a", {"k": readable}) == state


def test_a_case_becomes_an_input_of_a_run_without_the_judges_part() -> None:
    case = Case("a/b", "x", (Path("p.png"),), "add", {"truth": Path("q.png")}, {"language": "en"})
    entry = case.entry
    assert "/" not in entry.id
    assert dict(entry.tags) == {"case": "a/b", "category": "add", "language": "en"}
    assert "q.png" not in repr(entry)
    assert duplicates(["a", "b", "a", "a"]) == ("a",)


# --- how an image is shown ---


def saved(path: Path, size: tuple[int, int], *, mode: str = "RGB", orientation: int = 1) -> Path:
    exif = Image.Exif()
    exif[274] = orientation
    rng = np.random.default_rng(0)
    channels = len(mode)
    pixels = rng.integers(0, 255, (size[1], size[0], channels), dtype=np.uint8)
    Image.fromarray(pixels).save(path, exif=exif)
    return path


def test_bytes_go_as_they_are_unless_asked_otherwise(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.jpg", (40, 30))
    assert Shown(path, media_type="image/png").encoded() == path.read_bytes()


def test_a_recipe_is_pillows_steps_with_pillows_defaults(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", (90, 60), mode="RGBA")
    other = saved(tmp_path / "b.png", (50, 70))
    with Image.open(path) as image:
        expected = io.BytesIO()
        image.resize((50, 70)).convert("RGB").save(expected, "JPEG")
        assert Shown(path, quality=75, size_of=other).encoded() == expected.getvalue()
        small, expected = image.convert("RGB"), io.BytesIO()
        small.thumbnail((32, 32))
        small.save(expected, "JPEG", quality=85)
        assert Shown(path, quality=85, longest=32).encoded() == expected.getvalue()


def test_orientation_is_applied_only_when_asked(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.jpg", (60, 20), orientation=6)
    assert size(path, upright=False) == (60, 20)
    assert size(path, upright=True) == (20, 60)
    for upright in (False, True):
        with Image.open(io.BytesIO(Shown(path, quality=75, upright=upright).encoded())) as image:
            assert image.size == size(path, upright=upright)


@pytest.mark.parametrize("quality", [None, 75])
def test_what_is_no_image_is_never_sent(tmp_path: Path, quality: int | None) -> None:
    broken = saved(tmp_path / "a.png", (40, 30))
    for data in (b"words", b"", b"\x89PNG\r\n\x1a\n" + b"\0" * 40):
        broken.write_bytes(data)
        with pytest.raises(ImageError, match=r"cannot use .*a\.png"):
            Shown(broken, quality=quality).encoded()
    with pytest.raises(ImageError, match="no such file"):
        Shown(tmp_path / "none.png", quality=quality).encoded()


def test_a_truncated_image_is_named(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", (64, 64))
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ImageError, match=r"a\.png: it cannot be decoded"):
        Shown(path, quality=75).encoded()


def test_a_bomb_is_refused_before_it_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "a.png", (300, 300))
    monkeypatch.setenv("EDITTHINKER_MAX_PIXELS", "10000")
    with pytest.raises(ImageError, match="at most 10,000"):
        Shown(path, quality=75).encoded()


# --- tables ---


def scored(values: dict[str, float], category: str, *, weight: float = 1.0) -> list[Scored]:
    return [
        Scored(name, category, "scored", ("all", "flat", category), {"v": value}, weight)
        for name, value in values.items()
    ]


def lines(rows: list[Scored], **more: Any) -> Table:
    layout: list[Any] = [("all", "categories"), ("flat", "samples"), ("x", "samples"), ("y", "samples")]
    return Table("b", "strict", ("all", "v"), tabulate(rows, layout, ["v"], **more), tuple(rows))


def test_a_mean_over_categories_and_over_samples() -> None:
    table = lines(scored({"a": 1, "b": 2, "c": 3}, "x") + scored({"d": 10}, "y"))
    means = {line.name: line.figures["v"].mean for line in table.lines}
    assert means == {"all": 6.0, "flat": 4.0, "x": 2.0, "y": 10.0}
    assert table.value.n == 4
    assert table.value.low < 6.0 < table.value.high


def test_weights_count_where_a_mean_runs_over_samples() -> None:
    table = lines(scored({"a": 1}, "x", weight=3.0) + scored({"b": 5}, "y"))
    flat = table.line("flat")
    assert flat is not None
    assert flat.figures["v"].mean == 2.0


def test_a_printed_value_may_be_given_and_cases_without_values_are_counted() -> None:
    rows = [*scored({"a": 1}, "x"), Scored("b", "x", "missing", ("all", "flat", "x"))]
    table = lines(rows, exact={("x", "v"): 1.23})
    line = table.line("x")
    assert line is not None
    assert (line.figures["v"].mean, line.figures["v"].n, line.n, line.missing) == (1.23, 1, 2, 1)


def test_intervals_hold_the_mean_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(3)
    hits = 0
    for place in range(200):
        one, other = rng.normal(1, 1, 40), rng.normal(3, 2, 60)
        value = estimate([*one, *other], groups=["a"] * 40 + ["b"] * 60, seed=place)
        hits += value.low <= 2.0 <= value.high
    assert 180 <= hits <= 199


@pytest.mark.parametrize("odd", ["nan", "inf"])
def test_what_is_not_finite_has_no_interval(odd: str) -> None:
    value = estimate([1.0, float(odd)])
    assert np.isnan([value.mean, value.low, value.high]).all()
    assert value.as_json() == {"mean": None, "low": None, "high": None, "n": 2}
