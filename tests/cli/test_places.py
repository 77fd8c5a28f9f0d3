"""Nothing is overwritten unasked, nothing is half written, and what cannot work is refused early."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from editthinker.cli import places
from editthinker.core.errors import InputError
from editthinker.core.images import Picture

NEW = Picture.open(Image.new("RGB", (24, 16), "teal"))


def test_default_name_is_beside_the_photo() -> None:
    assert places.default_name("a/b/photo.final.jpg") == Path("a/b/photo.final.edited.png")
    assert places.default_name("-") == Path("stdin.edited.png")


def test_an_existing_result_needs_force(tmp_path: Path) -> None:
    taken = tmp_path / "out.png"
    taken.write_bytes(b"precious")
    with pytest.raises(InputError, match="exists already; --force"):
        places.destination(str(taken), "photo.jpg", force=False)
    places.destination(str(taken), "photo.jpg", force=True).write(NEW)
    assert taken.read_bytes() == NEW.encode()


def test_a_file_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    target = places.destination(str(tmp_path / "out.png"), "photo.jpg", force=False)
    (tmp_path / "out.png").write_bytes(b"precious")
    with pytest.raises(InputError, match="exists already"):
        target.write(NEW)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"precious"]


@pytest.mark.parametrize(
    ("out", "sentence"),
    [
        (".", "is a folder"),
        ("missing/out.png", "cannot write into .*missing"),
        ("out", "cannot write a file without suffix"),
        ("out.gif", "cannot write .gif"),
        ("/proc/out.png", "cannot write into /proc"),
    ],
)
def test_impossible_places_are_refused(out: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=sentence):
        places.destination(str(tmp_path / out), "photo.jpg", force=True)
    assert list(tmp_path.iterdir()) == []


def test_checking_leaves_nothing_behind(tmp_path: Path) -> None:
    places.destination(str(tmp_path / "out.png"), "photo.jpg", force=False)
    assert list(tmp_path.iterdir()) == []


def test_a_link_is_followed_not_replaced(tmp_path: Path) -> None:
    real = tmp_path / "real.png"
    real.write_bytes(b"old")
    (tmp_path / "link.png").symlink_to(real)
    places.destination(str(tmp_path / "link.png"), "photo.jpg", force=True).write(NEW)
    assert real.read_bytes() == NEW.encode()
    assert (tmp_path / "link.png").is_symlink()
