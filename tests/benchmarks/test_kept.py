"""What edits left as it was: the figures, measured once, beside the scores."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image, ImageChops

from editthinker.benchmarks import kept
from editthinker.benchmarks.compare import compare
from editthinker.benchmarks.evaluation import Edited
from editthinker.benchmarks.suite import Case
from editthinker.core.errors import StoreError
from editthinker.core.images import Picture
from editthinker.testing.behaviour import photograph


def saved(picture: Picture | Image.Image, path: Path) -> Path:
    (picture if isinstance(picture, Image.Image) else picture.pixels).save(path)
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return saved(photograph(96, 64), tmp_path / "source.png")


def case(source: Path, name: str = "1", category: str = "add", mask: Path | None = None) -> Case:
    return Case(name, "warmer", (source,), category, references={kept.MASK: mask} if mask else {})


def test_an_edit_inside_its_mask_leaves_the_rest(tmp_path: Path, source: Path) -> None:
    edited = photograph(96, 64).pixels.copy()
    edited.paste((255, 0, 0), (10, 10, 30, 30))
    mask = Image.new("L", (96, 64), 0)
    mask.paste(255, (10, 10, 30, 30))
    place = saved(edited, tmp_path / "edited.png")
    masked = case(source, "masked", mask=saved(mask, tmp_path / "mask.png"))
    kept.measure(tmp_path, [Edited(masked, place), Edited(case(source, "whole"), place)])
    found = kept.stored(tmp_path)
    assert (found["masked"]["method"], found["whole"]["method"]) == ("mask", "whole")
    assert (found["masked"]["unchanged"], found["masked"]["difference"]) == (1.0, 0.0)
    assert found["whole"]["unchanged"] == pytest.approx(1 - 400 / (96 * 64), abs=0.01)
    assert found["whole"]["difference"] > 1
    table = kept.table("imgedit", [masked, case(source, "whole"), case(source, "x")], found, "strict")
    assert table is not None
    assert table.headline == (kept.LOCAL, "SSIM")
    assert [(line.n, line.missing) for line in table.lines] == [(3, 1)] * 3
    assert table.flags == ("1 images: no mask is known, so the whole image is compared, the edit included",)


def test_moved_frames_and_other_sizes_are_told(tmp_path: Path) -> None:
    large = photograph(256, 192)
    source = saved(large, tmp_path / "source.png")
    moved = saved(ImageChops.offset(large.pixels, 4, 0), tmp_path / "moved.png")
    other = saved(large.pixels.resize((128, 96)), tmp_path / "other.png")
    kept.measure(tmp_path, [Edited(case(source, "a"), moved), Edited(case(source, "b"), other)])
    table = kept.table("imgedit", [case(source, "a"), case(source, "b")], kept.stored(tmp_path), "strict")
    assert table is not None
    figures = {one.case: one.values for one in table.scored}
    assert (figures["a"]["moved"], figures["a"]["same size"]) == (1.0, 1.0)
    assert figures["b"]["same size"] == 0.0


def test_nothing_is_measured_twice(tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = saved(photograph(96, 64, seed=2), tmp_path / "edited.png")
    told: list[tuple[int, int]] = []
    images = [
        Edited(case(source), place),
        Edited(case(source, "2"), source),
        Edited(case(source, "3"), place, 1, False),
    ]
    first = kept.measure(tmp_path, images, done=lambda *numbers: told.append(numbers))
    assert (first.measured, first.found, told) == (2, 0, [(1, 2), (2, 2)])
    before = kept.stored(tmp_path)

    def never(*_: object) -> None:
        raise AssertionError("measured again")

    monkeypatch.setattr(kept, "figures_of", never)
    copy = saved(photograph(96, 64, seed=2), tmp_path / "copy.png")
    again = kept.measure(tmp_path, [Edited(case(source), copy), Edited(case(source, "2"), source)])
    assert (again.measured, again.found) == (0, 2), "the same bytes elsewhere are the same image"
    assert kept.stored(tmp_path) == before
    kept.measure(tmp_path, [Edited(case(source), copy)])
    assert set(kept.stored(tmp_path)) == {"1"}, "what is not delivered any more does not count"


def test_what_cannot_be_measured_is_missing(tmp_path: Path, source: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no image")
    mask = saved(Image.new("L", (20, 20)), tmp_path / "mask.png")
    broken = Edited(case(source), tmp_path / "broken.png")
    made = kept.measure(tmp_path, [broken, Edited(case(source, "2", mask=mask), source)])
    assert set(made.problems) == {"1", "2"}
    assert "they must agree" in made.problems["2"]
    assert kept.table("imgedit", [case(source)], kept.stored(tmp_path), "strict") is None
    assert kept.stored(tmp_path / "nowhere") == {}


def test_where_all_may_change_it_is_information(tmp_path: Path, source: Path) -> None:
    cases = [case(source, "1", "style"), case(source, "2", "add")]
    kept.measure(tmp_path, [Edited(one, source) for one in cases])
    found = kept.stored(tmp_path)
    table, all_free = (kept.table(name, cases, found, "strict") for name in ("imgedit", "rise"))
    assert table is not None
    assert all_free is not None
    assert "style: an instruction may change the whole picture; information, not a score" in table.flags
    assert [line.n for line in table.lines if line.name == kept.LOCAL] == [1]
    assert "every line: an instruction may change the whole picture" in all_free.flags[-1]
    assert kept.LOCAL not in [line.name for line in all_free.lines]
    same = compare(table, table).of("all", "colour")
    assert same is not None
    assert same.ties == 2


def test_a_damaged_store_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / kept.NAME).write_bytes(b"no database at all" * 100)
    with pytest.raises(StoreError, match="cannot keep the preservation figures"):
        kept.stored(tmp_path)
