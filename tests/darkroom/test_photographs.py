"""The photographs: disjoint splits, true credits, light files, and a person's own folder."""

from __future__ import annotations

import hashlib
from itertools import combinations, product
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageOps

from editthinker.core.errors import InputError
from editthinker.darkroom import photographs as room
from editthinker.darkroom.photographs import Photograph, Split, demo_photo, folder, photographs

SHIPPED: tuple[Split, ...] = ("validation", "test", "demo")
SPLITS: tuple[Split, ...] = ("train", *SHIPPED)
FREE = {"CC0-1.0", "LicenseRef-public-domain"}
ATTRIBUTION = {f"CC-BY{share}-{version}" for share in ("", "-SA") for version in ("2.0", "3.0", "4.0")}
COPYLEFT = {"GPL-2.0-or-later", "LGPL-3.0-only"}
BITS_APART = 50
"""Of 256 hash bits; unrelated photographs differ in about 128."""


@pytest.fixture(scope="module")
def every() -> dict[Split, list[Photograph]]:
    return {split: photographs(split) for split in SPLITS}


def test_there_are_enough_in_every_split(every: dict[Split, list[Photograph]]) -> None:
    assert len(every["train"]) >= 150
    assert len(every["validation"]) >= 8
    assert len(every["test"]) >= 16
    assert len(every["demo"]) == 1


def test_each_file_is_the_one_its_entry_names(every: dict[Split, list[Photograph]]) -> None:
    for photo in (photo for photos in every.values() for photo in photos):
        assert hashlib.sha256(photo.path.read_bytes()).hexdigest() == photo.sha256, photo.name
        with Image.open(photo.path) as image:
            assert image.size == (photo.width, photo.height), photo.name
            assert not image.getexif(), photo.name
            assert not {"exif", "icc_profile", "xmp", "comment", "photoshop"} & set(image.info), photo.name


def test_no_file_is_without_an_entry(every: dict[Split, list[Photograph]]) -> None:
    named = {photo.path for photos in every.values() for photo in photos}
    assert named == {*room.SHIPPED.glob("*.jpg"), *room.TRAINING.glob("*.jpg")}


def test_licences_are_free_and_credited(every: dict[Split, list[Photograph]]) -> None:
    for split, photos in every.items():
        allowed = FREE | ATTRIBUTION | (COPYLEFT if split == "train" else set())
        for photo in photos:
            assert photo.licence in allowed, photo.name
            assert photo.author, photo.name
            assert photo.package, photo.name
            assert photo.source, photo.name


def test_files_are_small(every: dict[Split, list[Photograph]]) -> None:
    weight = {split: sum(photo.path.stat().st_size for photo in photos) for split, photos in every.items()}
    assert weight["demo"] < 700_000
    assert weight["validation"] + weight["test"] < 4_000_000
    assert weight["train"] < 8_000_000
    assert all(max(photo.width, photo.height) <= 512 for photo in every["train"])
    assert all(max(p.width, p.height) <= 768 for split in ("validation", "test") for p in every[split])


def test_photos_of_many_shapes_are_held_out(every: dict[Split, list[Photograph]]) -> None:
    aspects = [photo.width / photo.height for photo in every["test"]]
    assert min(aspects) < 0.8
    assert max(aspects) > 1.3
    assert any(0.9 < aspect < 1.1 for aspect in aspects)


def test_no_photo_is_in_two_splits(every: dict[Split, list[Photograph]]) -> None:
    prints = {split: [_prints(photo) for photo in photos] for split, photos in every.items()}
    for one, other in combinations(SPLITS, 2):
        assert not {p.sha256 for p in every[one]} & {p.sha256 for p in every[other]}
        for (i, left), (j, right) in product(enumerate(prints[one]), enumerate(prints[other])):
            apart = min(int((left[0] != hashed).sum()) for hashed in right)
            assert apart > BITS_APART, f"{every[one][i].name} looks like {every[other][j].name}"


def test_the_hash_finds_a_mirrored_and_recompressed_copy(tmp_path: Path) -> None:
    photo = photographs("test")[0]
    with Image.open(photo.path) as image:
        ImageOps.mirror(image).resize((300, 300)).save(tmp_path / "copy.jpg", quality=60)
    copy = folder(tmp_path).photographs[0]
    assert min(int((_prints(copy)[0] != hashed).sum()) for hashed in _prints(photo)) <= BITS_APART


def test_the_demo_photo_has_two_megapixels() -> None:
    with Image.open(demo_photo()) as image:
        assert image.size == (1600, 1067)


def test_a_picture_has_the_size_of_its_entry() -> None:
    photo = photographs("validation")[0]
    assert photo.picture().size == (photo.width, photo.height)


def test_training_photos_are_asked_for_where_there_are_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(room, "TRAINING", tmp_path)
    with pytest.raises(InputError, match="no train photographs"):
        photographs("train")


def test_a_folder_keeps_what_it_can_read_and_says_what_it_cannot(tmp_path: Path) -> None:
    Image.new("RGB", (40, 30), "teal").save(tmp_path / "b.png")
    Image.new("RGB", (30, 40), "pink").save(tmp_path / "a.webp")
    (tmp_path / "notes.jpg").write_text("not a photo")
    (tmp_path / ".hidden").write_text("passed over")
    (tmp_path / "deeper").mkdir()
    found = folder(tmp_path)
    assert [(photo.name, photo.width, photo.split) for photo in found.photographs] == [
        ("a", 30, "own"),
        ("b", 40, "own"),
    ]
    assert len(found.skipped) == 1
    assert "notes.jpg" in found.skipped[0]


def test_a_folder_without_photographs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no readable photograph"):
        folder(tmp_path)
    with pytest.raises(InputError, match="is not a folder"):
        folder(tmp_path / "absent")


def _prints(photo: Photograph) -> list[npt.NDArray[np.bool_]]:
    """Difference hashes, 256 bits, of the photo and of its mirror image."""
    with Image.open(photo.path) as image:
        image.draft("L", (64, 64))
        grey = image.convert("L").resize((17, 16), Image.Resampling.LANCZOS)
    pixels = [np.asarray(view, np.int16) for view in (grey, ImageOps.mirror(grey))]
    return [(view[:, 1:] > view[:, :-1]).ravel() for view in pixels]
