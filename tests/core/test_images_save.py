"""A file is written whole or not at all, and carries pixels and perhaps a profile, nothing else."""

from __future__ import annotations

import errno
import os
import resource
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from image_makers import encoded, exif, near, photo
from PIL import Image, ImageCms

from editthinker.core import files
from editthinker.core.errors import EditThinkerError, InputError, StoreError
from editthinker.core.images import Picture

PICTURE = Picture.open(photo())
FORMATS = {
    "png": "PNG",
    "jpg": "JPEG",
    "JPEG": "JPEG",
    "webp": "WEBP",
    "tif": "TIFF",
    "tiff": "TIFF",
    "bmp": "BMP",
}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(("suffix", "form"), FORMATS.items())
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_the_suffix_names_the_format(tmp_path: Path, suffix: str, form: str, mode: str) -> None:
    image = photo().convert(mode)
    if mode == "RGBA":
        image.paste((0, 255, 0, 0), (40, 20, 60, 40))
    path = tmp_path / f"out.{suffix}"
    Picture.open(image).save(path)
    with Image.open(path) as saved:
        assert (saved.format, saved.size) == (form, (96, 64))
        assert saved.mode == ("RGB" if form in {"JPEG", "BMP"} else mode)
        assert near(saved.convert("RGB").getpixel((6, 6)), (255, 0, 0))
        if mode == "RGBA":
            assert near(saved.convert("RGB").getpixel((50, 30)), (255, 255, 255), tolerance=4)
    assert Picture.open(path).size == (96, 64)
    assert names(tmp_path) == [path.name]


@pytest.mark.parametrize("form", sorted(set(FORMATS.values())))
def test_a_profile_is_answered_with_a_profile_and_metadata_with_nothing(tmp_path: Path, form: str) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path = tmp_path / f"out.{form.lower().replace('tiff', 'tif')}"
    for profile in (srgb, None):
        source = encoded(photo(), "JPEG", exif=exif(1), comment=b"SecretNote", icc_profile=profile)
        Picture.open(source).save(path, overwrite=True)
        assert b"Secret" not in path.read_bytes()
        with Image.open(path) as saved:
            assert ("icc_profile" in saved.info) == (profile is not None and form != "BMP")
        first = path.read_bytes()
        Picture.open(source).save(path, overwrite=True)
        assert path.read_bytes() == first
        assert np.abs(Picture.open(path).array().astype(int) - Picture.open(source).array()).mean() < 4


@pytest.mark.parametrize("name", ["out", "out.gif", "out.heic", "out.jpg.txt", ".png"])
def test_other_suffixes_are_refused_before_anything_is_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"use one of \.png, \.jpg"):
        PICTURE.save(tmp_path / name)
    assert names(tmp_path) == []


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    path = tmp_path / "out.png"
    path.write_bytes(b"precious")
    with pytest.raises(InputError, match="exists already"):
        PICTURE.save(path)
    assert path.read_bytes() == b"precious"
    PICTURE.save(path, overwrite=True)
    assert Picture.open(path).sha256 == PICTURE.sha256


def test_of_many_writers_one_wins(tmp_path: Path) -> None:
    def attempt(number: int) -> bool:
        try:
            files.write_atomically(tmp_path / "out.png", b"%d" % number * 9999, overwrite=False)
        except InputError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = [number for number, ok in enumerate(pool.map(attempt, range(8))) if ok]
    assert len(won) == 1
    assert (tmp_path / "out.png").read_bytes() == b"%d" % won[0] * 9999
    assert names(tmp_path) == ["out.png"]


def test_a_file_system_without_links_is_served_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    PICTURE.save(tmp_path / "out.png")
    assert Picture.open(tmp_path / "out.png").sha256 == PICTURE.sha256
    assert names(tmp_path) == ["out.png"]


@pytest.mark.parametrize(
    ("step", "failure", "raised"),
    [
        ("fsync", OSError(errno.ENOSPC, "No space left on device"), StoreError),
        ("fsync", OSError(errno.EROFS, "Read-only file system"), InputError),
        ("fsync", KeyboardInterrupt(), KeyboardInterrupt),
        ("rename", OSError(errno.EIO, "Input/output error"), StoreError),
        ("rename", KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_a_failure_leaves_the_old_file_and_no_other(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    failure: BaseException,
    raised: type[BaseException],
) -> None:
    path = tmp_path / "out.png"
    path.write_bytes(b"old")

    def fail(*_: Any) -> None:
        raise failure

    monkeypatch.setattr(*((os, "fsync") if step == "fsync" else (Path, "replace")), fail)
    with pytest.raises(raised) as caught:
        PICTURE.save(path, overwrite=True)
    if isinstance(caught.value, EditThinkerError):
        assert str(caught.value).startswith(f"cannot write {path}: ")
        assert str(caught.value).isprintable()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["out.png"]


def test_a_real_limit_of_the_system_leaves_nothing(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(StoreError, match="file too large"):
            PICTURE.save(tmp_path / "out.png")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names(tmp_path) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_devices_and_folders_are_never_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "full.png").symlink_to("/dev/full")
    for name, kind in (("pipe", "a pipe"), ("folder", "a folder"), ("full", "a device")):
        with pytest.raises(InputError, match=kind):
            PICTURE.save(tmp_path / f"{name}.png", overwrite=True)
    assert stat.S_ISCHR(Path("/dev/full").stat().st_mode)


def test_unusable_paths_are_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for name in ("no/such/out.png", "file/out.png", "a\0b.png", f"{'x' * 300}.png"):
        with pytest.raises(InputError) as caught:
            PICTURE.save(f"{tmp_path}/{name}")
        assert str(caught.value).startswith("cannot write ")
        assert str(caught.value).isprintable()


def test_a_link_is_followed_and_permissions_stay(tmp_path: Path) -> None:
    (tmp_path / "real.png").write_bytes(b"old")
    (tmp_path / "real.png").chmod(0o600)
    (tmp_path / "link.png").symlink_to("real.png")
    PICTURE.save(tmp_path / "link.png", overwrite=True)
    assert (tmp_path / "link.png").is_symlink()
    assert stat.S_IMODE((tmp_path / "real.png").stat().st_mode) == 0o600
    assert Picture.open(tmp_path / "real.png").sha256 == PICTURE.sha256
    umask = os.umask(0o027)
    try:
        PICTURE.save(tmp_path / "new.png")
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "new.png").stat().st_mode) == 0o640


def test_sides_beyond_the_format_are_refused(tmp_path: Path) -> None:
    wide = Picture(Image.new("RGB", (16_384, 200)))
    with pytest.raises(InputError, match="WEBP holds at most 16383 pixels a side"):
        wide.save(tmp_path / "out.webp")
    wide.save(tmp_path / "out.jpg")
