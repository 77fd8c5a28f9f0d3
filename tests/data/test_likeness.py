"""Prints: which changes of a photograph they see through, and that all near pairs are found."""

from __future__ import annotations

import io
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from editthinker.core.errors import ImageError, StoreError
from editthinker.core.images import Picture
from editthinker.darkroom.photographs import photographs
from editthinker.data import album
from editthinker.data.album import Album
from editthinker.data.likeness import RADIUS, Print, groups, known, pairs, print_of
from editthinker.testing import photograph


def near(one: Print, other: Print) -> bool:
    return max((one.light ^ other.light).bit_count(), (one.shape ^ other.shape).bit_count()) <= RADIUS


def as_jpeg(picture: Picture, quality: int) -> Picture:
    stream = io.BytesIO()
    picture.flattened().pixels.save(stream, "JPEG", quality=quality)
    return Picture.open(stream.getvalue())


def trimmed(picture: Picture, share: float) -> Picture:
    width, height = picture.size
    across, down = int(width * share), int(height * share)
    return Picture(picture.pixels.crop((across, down, width - across, height - down)))


def brightened(picture: Picture) -> Picture:
    return Picture(
        Image.fromarray(np.clip(picture.array()[..., :3].astype(int) + 25, 0, 255).astype(np.uint8))
    )


@pytest.mark.slow
def test_copies_of_photographs_are_recognised_and_others_are_not() -> None:
    every = [p.picture() for split in ("test", "validation", "demo", "train") for p in photographs(split)]  # type: ignore[arg-type]
    prints = [print_of(picture) for picture in every]
    light, shape = (np.array([getattr(p, n) for p in prints], np.uint64) for n in ("light", "shape"))
    assert len(every) > 200
    assert len(set(groups(light, shape).tolist())) == len(every)

    def recognised(change: object) -> float:
        return sum(near(p, print_of(change(q))) for p, q in zip(prints, every, strict=True)) / len(every)  # type: ignore[operator]

    assert recognised(lambda p: as_jpeg(p, 40)) > 0.98
    assert recognised(lambda p: p.resized((p.size[0] // 3, p.size[1] // 3))) > 0.99
    assert recognised(brightened) > 0.98
    assert recognised(lambda p: trimmed(p, 0.02)) > 0.93
    assert recognised(lambda p: trimmed(p, 0.05)) < 0.5  # said in the docstring; better would be news


def test_a_mirror_image_has_the_print_that_is_asked_for() -> None:
    picture = photograph(300, 200, seed=4)
    turned = Picture(picture.pixels.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    assert near(print_of(turned), print_of(picture, mirrored=True))
    assert not near(print_of(turned), print_of(picture))


Bits = st.integers(0, 2**64 - 1)


@given(st.lists(st.tuples(Bits, Bits), min_size=1, max_size=20), st.data())
def test_every_near_pair_is_found_and_no_other(prints: list[tuple[int, int]], data: st.DataObject) -> None:
    flips = st.sets(st.integers(0, 63), max_size=RADIUS + 2)
    for place in range(len(prints)):
        by = [sum(1 << bit for bit in data.draw(flips)) for _ in range(2)]
        prints.append((prints[place][0] ^ by[0], prints[place][1] ^ by[1]))
    light, shape = (np.array(column, np.uint64) for column in zip(*prints, strict=True))
    wanted = {
        (i, j)
        for i, one in enumerate(prints)
        for j, other in enumerate(prints)
        if i < j and near(Print(*one), Print(*other))
    }
    found = {
        tuple(sorted(pair))
        for left, right in pairs(light, shape)
        for pair in zip(left.tolist(), right.tolist(), strict=True)
    }
    assert found == wanted
    label = groups(light, shape)
    assert all(label[i] == label[j] for i, j in wanted)
    half = len(prints) // 2
    hits = known(light[half:], shape[half:], light[:half], shape[:half])
    for place, hit in enumerate(hits.tolist()):
        theirs = [j for j in range(half) if near(Print(*prints[half + place]), Print(*prints[j]))]
        assert hit in theirs if theirs else hit == -1


@pytest.mark.clock
@pytest.mark.slow
def test_a_hundred_thousand_prints_are_grouped_in_seconds() -> None:
    import time

    rng = np.random.default_rng(0)
    light, shape = (rng.integers(0, 2**64, 100_000, dtype=np.uint64) for _ in range(2))
    light[50_000:], shape[50_000:] = light[:50_000] ^ np.uint64(5), shape[:50_000] ^ np.uint64(1 << 40)
    began = time.process_time()
    assert len(np.unique(groups(light, shape))) == 50_000
    assert time.process_time() - began < 60


# --- the album ---


def test_an_album_looks_once_and_again_when_the_file_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    real = album.print_of
    monkeypatch.setattr(album, "print_of", lambda picture: (looked.append(picture.name), real(picture))[1])
    path = tmp_path / "a.png"
    photograph(64, 48, seed=1).save(path)
    first = real(Picture.open(path))
    for _ in range(2):
        with Album(tmp_path / "prints") as kept:
            assert kept.print_of(str(path)) == kept.print_of(str(path)) == first
    assert len(looked) == 1
    photograph(80, 48, seed=2).save(path, overwrite=True)
    with Album(tmp_path / "prints") as kept:
        assert kept.print_of(str(path)) == real(Picture.open(path)) != first
    assert len(looked) == 2


def test_what_was_looked_at_before_a_failure_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    photograph(64, 48).save(path)
    absent = str(tmp_path / "absent.png")
    with pytest.raises(ImageError), Album(tmp_path / "prints") as kept:
        assert [kept.print_of(name) for name in (str(path), absent)] == "never reached"
    db = sqlite3.connect(tmp_path / "prints")
    assert db.execute("SELECT count(*) FROM prints").fetchone() == (1,)
    db.close()


@pytest.mark.parametrize("path", ["", "a\0b", "absent.png"])
@pytest.mark.parametrize("kept", [True, False])
def test_what_is_no_image_is_an_image_error(tmp_path: Path, path: str, kept: bool) -> None:
    with Album(tmp_path / "prints" if kept else None) as made, pytest.raises(ImageError):
        made.print_of(path)


def test_a_file_that_is_no_album_is_refused_and_left(tmp_path: Path) -> None:
    path = tmp_path / "prints"
    path.write_bytes(b"my diary, long enough to be read as something else" * 100)
    with pytest.raises(StoreError, match="cannot remember prints in"):
        Album(path)
    assert path.read_bytes().startswith(b"my diary")


def test_only_so_many_prints_are_at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(album, "AT_HAND", 2)
    made = Album()
    for number in range(4):
        path = tmp_path / f"{number}.png"
        photograph(32, 32, seed=number).save(path)
        made.print_of(str(path))
    assert len(made._at_hand) == 2
