"""What is refused at the door, in which words, and at what price."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import socket
import struct
import subprocess
import sys
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_makers import MAGIC, chunk, encoded, photo, png, tiff, zeros
from PIL import Image, PngImagePlugin

from editthinker.core import decoding
from editthinker.core.errors import ImageError, InputError
from editthinker.core.images import Picture

PNG = encoded(photo(), "PNG")
JPEG = encoded(photo(), "JPEG")
FORMS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")


def refusal(source: object) -> str:
    with pytest.raises(ImageError) as caught:
        Picture.open(source)
    message = str(caught.value)
    assert message.startswith("cannot use ")
    assert message.isprintable()
    assert len(message) < 250
    return message


def progressive_with_scans(count: int) -> bytes:
    data = encoded(photo(), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * count + data[-2:]


def webp_of_16383() -> bytes:
    side = (16382).to_bytes(3, "little")
    canvas = b"VP8X" + struct.pack("<I", 10) + bytes(4) + side * 2
    picture = b"VP8L" + struct.pack("<I", 8) + b"\x2f" + struct.pack("<I", 16382 | 16382 << 14) + bytes(3)
    return b"RIFF" + struct.pack("<I", 4 + len(canvas) + len(picture)) + b"WEBP" + canvas + picture


def text_bomb() -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "A" * (8 << 20), zip=True)
    return encoded(photo(), "PNG", pnginfo=info)


def header_says(form: str, offset: int, fields: str, *values: int) -> bytes:
    data = bytearray(encoded(photo(), form))
    struct.pack_into(fields, data, offset, *values)
    return bytes(data)


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it is empty"),
        (b"\x89", "it is not an image of a known kind"),
        (os.urandom(4) + bytes(5000), "it is not an image of a known kind"),
        (b"just a note\n", "it is text"),
        ("Zürich 图片 ".encode() * 200, "it is text"),
        (b"#!/bin/sh\ntouch /tmp/x\n", "it is a script"),
        (b"\n <!DOCTYPE html><html><script>alert(1)</script>", "it is a web page"),
        (b'<?xml version="1.0"?><!DOCTYPE svg []><svg xmlns="http://www.w3.org/2000/svg"/>', "it is SVG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "it is PostScript"),
        (b"%PDF-1.7\n", "it is PDF"),
        (b"PK\3\4" + bytes(100), "it is an archive"),
        (b"\x7fELF" + bytes(100), "it is a program"),
        (
            b"\0\0\0\x18ftypheic" + bytes(100),
            "it is HEIC, which is not supported; convert it to JPEG or PNG first",
        ),
        (b"\0\0\0\x18ftypmif1" + bytes(100), "it is HEIC"),
        (b"\0\0\0\x18ftypavif" + bytes(100), "it is AVIF"),
        (b"\0\0\0\x18ftypcrx " + bytes(100), "it is a camera raw file"),
        (b"II*\0\x10\0\0\0CR\2\0" + bytes(100), "it is a camera raw file"),
        (b"\0\0\0\x18ftypisom" + bytes(100), "it is a video"),
        (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(100), "it is JPEG 2000"),
        (b"\xff\x0a" + bytes(100), "it is JPEG XL"),
        (b"#?RADIANCE\n", "it is Radiance HDR"),
        (b"v/1\x01" + bytes(100), "it is OpenEXR"),
        (b"8BPS\0\1" + bytes(100), "it is a Photoshop document"),
        (b"icns" + bytes(100), "it is an icon set"),
        (b"SIMPLE  =                    T", "it is FITS"),
    ],
)
def test_other_kinds_are_named(data: bytes, reason: str) -> None:
    assert reason in refusal(data)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (png(30_000, 30_000, kind=0), "it is 30000 x 30000 pixels; at most 64,000,000"),
        (png(9_400, 9_400, 16, 6), "it is 9400 x 9400 pixels"),
        (png(2**31 - 1, 2**31 - 1, kind=0), "it is 2147483647 x 2147483647 pixels"),
        (header_says("GIF", 6, "<HH", 65535, 65535), "it is 65535 x 65535 pixels"),
        (header_says("BMP", 18, "<ii", 60000, 60000), "it is 60000 x 60000 pixels"),
        (png(1, 60_000_000), "each side must have at least 16"),
        (png(16, 1601), "one side may be at most 100 times the other"),
        (encoded(Image.new("RGB", (15, 15)), "PNG"), "it is 15 x 15 pixels; each side must have at least 16"),
        (encoded(Image.new("L", (1, 1)), "GIF"), "it is 1 x 1 pixels"),
        (png(0, 10), "it is a broken PNG file"),
        (webp_of_16383(), "more pixels than are allowed"),
        (
            tiff({256: 64, 257: 64, 258: 8, 259: 8, 262: 2, 277: 3, 322: 9000, 323: 9000, 324: -1, 325: 9}),
            "tiles",
        ),
        (
            tiff({254: 1, 256: 64, 257: 64, 258: 8, 259: 1, 262: 1, 273: -1, 279: 4096}, bytes(4096)),
            "camera raw",
        ),
        (tiff({256: 100}), "it is a broken TIFF file"),
        (text_bomb(), "metadata unpacks to more than is allowed"),
        (PNG[:33] + chunk(b"iCCP", b"x\0\0" + zeros(8 << 20)) + PNG[33:], "metadata unpacks"),
    ],
)
def test_bombs_and_odd_sizes_are_refused(data: bytes, reason: str) -> None:
    assert reason in refusal(data)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
def test_truncated_files_are_refused(form: str, share: float) -> None:
    data = encoded(photo(), form)
    assert f"{form} file" in refusal(data[: int(len(data) * share)])


@pytest.mark.parametrize(
    "data",
    [
        PNG[:33],
        flipped(PNG, 29),
        flipped(PNG, len(PNG) // 2),
        MAGIC + b"\x07" * 5000,
        b"\xff\xd8\xff\xe0" + bytes(range(256)) * 20,
        JPEG[:-200],
        JPEG[:2] + b"\xff\xfe\x00\x20<script>alert(document.cookie)</" + JPEG[2:300],
    ],
)
def test_broken_files_are_refused(data: bytes) -> None:
    assert " file" in refusal(data)


def test_a_jpeg_that_would_take_minutes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = progressive_with_scans(50)
    assert Picture.open(data).size == (96, 64)
    monkeypatch.setattr(decoding, "MAX_SCANNED", 40 * 96 * 64)
    assert "its 60 scans would take too long" in refusal(data)


@given(st.sampled_from(FORMS), st.data())
@settings(max_examples=150, deadline=None)
def test_damage_never_gives_anything_but_a_picture_or_a_sentence(form: str, draw: st.DataObject) -> None:
    data = bytearray(encoded(photo(32, 24), form))
    for at in draw.draw(st.lists(st.integers(0, len(data) - 1), max_size=6)):
        data[at] = draw.draw(st.integers(0, 255))
    with contextlib.suppress(ImageError):
        assert Picture.open(bytes(data)).pixels.mode in ("RGB", "RGBA")


@given(
    st.binary(max_size=200),
    st.sampled_from([b"", MAGIC, b"\xff\xd8\xff", b"GIF89a", b"BM", b"II*\0", b"RIFF1234WEBP"]),
)
@settings(max_examples=150, deadline=None)
def test_noise_gives_a_sentence(noise: bytes, magic: bytes) -> None:
    with pytest.raises(ImageError, match=r"^cannot use the image: "):
        Picture.open(magic + noise)


@pytest.mark.parametrize(
    "name", ["gone.png", "gone\n.png", "gone\x1b[31m.png", "\udcff.png", "a\0b.png", "x" * 300]
)
def test_missing_files_are_named_on_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(ImageError) as caught:
        Picture.open(f"{tmp_path}/{name}")
    assert str(caught.value).isprintable()


def test_what_is_no_regular_file_is_refused_unread(tmp_path: Path) -> None:
    (tmp_path / "adir.png").mkdir()
    os.mkfifo(tmp_path / "fifo.png")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    (tmp_path / "dangling.png").symlink_to("/nonexistent")
    (tmp_path / "loop.png").symlink_to("loop.png")
    (tmp_path / "passwd.png").symlink_to("/etc/passwd")
    (tmp_path / "link.png").symlink_to("real.png")
    (tmp_path / "real.png").write_bytes(PNG)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s.png"))
        assert "it is a socket" in refusal(tmp_path / "s.png")
    assert "it is a folder" in refusal(tmp_path / "adir.png")
    assert "it is a pipe" in refusal(tmp_path / "fifo.png")
    assert "it is a device" in refusal(tmp_path / "zero.png")
    assert "a link to a file that does not exist" in refusal(tmp_path / "dangling.png")
    assert "symbolic links" in refusal(tmp_path / "loop.png")
    assert "it is text" in refusal(tmp_path / "passwd.png")
    assert "it is a folder" in refusal("")
    assert "download the image first" in refusal("https://example.org/a.png")
    assert Picture.open(tmp_path / "link.png").size == (96, 64)


def test_a_file_that_cannot_be_read_is_refused() -> None:
    assert "cannot use /proc/self/mem" in refusal("/proc/self/mem")


def test_a_failing_disk_is_not_called_a_broken_file() -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() > 100:
                raise OSError(errno.EIO, "Input/output error")
            return super().read(size)

    with pytest.raises(OSError, match="Input/output error"):
        decoding.decode_stream(Failing(PNG))


def test_huge_files_are_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "sparse.png"
    with path.open("wb") as stream:
        stream.write(PNG)
        stream.truncate(decoding.MAX_BYTES + 1)
    assert "256 MiB allowed" in refusal(path)


def test_the_pixel_limit_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDITTHINKER_MAX_PIXELS", "6143")
    assert "at most 6,143" in refusal(PNG)
    monkeypatch.setenv("EDITTHINKER_MAX_PIXELS", "6144")
    assert Picture.open(PNG).size == (96, 64)
    for bad in ("", "0", "-1", "many", "1e6"):
        monkeypatch.setenv("EDITTHINKER_MAX_PIXELS", bad)
        with pytest.raises(InputError, match="EDITTHINKER_MAX_PIXELS must be"):
            Picture.open(PNG)


def test_an_editors_answer_meets_the_same_limits() -> None:
    for data, reason in ((b"", "empty"), (png(30_000, 30_000), "64,000,000"), (PNG[:-300], "truncated")):
        with pytest.raises(ImageError, match=f"cannot use the answer of turn 2: .*{reason}"):
            Picture.decode(data, "the answer of turn 2")


def test_warnings_are_kept_in_and_the_filters_come_back() -> None:
    loud = encoded(photo(), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\x02\0" + b"\x1a\1\5\0\xff\xff\xff\x7f" * 4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        before = list(warnings.filters)
        with ThreadPoolExecutor(4) as pool:
            pictures = list(pool.map(Picture.open, [loud] * 40))
        assert warnings.filters == before
    assert {picture.size for picture in pictures} == {(96, 64)}


PRICE = """
import sys
from editthinker.core.errors import ImageError
from editthinker.core.images import Picture
try:
    Picture.open(sys.argv[1])
except ImageError as error:
    print(type(error).__name__)
status = open("/proc/self/status").read()
print(status.split("VmHWM:")[1].split()[0])
"""


def bomb(kind: str) -> bytes:
    if kind == "169 Mpx":
        return png(13_000, 13_000, data=zeros(13_000 * 39_001 // 4))
    if kind == "16 bits":
        return png(9_400, 9_400, 16, 6, zeros(9_400 * 75_201 // 4))
    if kind == "tile":
        tags = {
            256: 64,
            257: 64,
            258: 8,
            259: 8,
            262: 1,
            277: 1,
            322: 16_000,
            323: 16_000,
            324: -1,
            325: 300_000,
        }
        return tiff(tags, zeros(16_000**2))
    unpacking_to_128_mib = chunk(kind.encode(), b"x\0\0" + zeros(128 << 20))
    return PNG[:33] + unpacking_to_128_mib + PNG[33:]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="measures memory as Linux reports it")
@pytest.mark.parametrize("kind", ["169 Mpx", "16 bits", "tile", "iCCP", "zTXt"])
def test_bombs_take_little_memory(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "bomb"
    path.write_bytes(bomb(kind))
    run = subprocess.run([sys.executable, "-c", PRICE, str(path)], capture_output=True, text=True, timeout=20)
    outcome, kilobytes = run.stdout.split()
    assert outcome == "ImageError"
    assert int(kilobytes) < 100_000


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="measures memory as Linux reports it")
def test_a_long_animation_costs_one_frame(tmp_path: Path) -> None:
    frames = [Image.new("P", (400, 400), shade) for shade in range(200)]
    path = tmp_path / "long.gif"
    path.write_bytes(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    run = subprocess.run([sys.executable, "-c", PRICE, str(path)], capture_output=True, text=True, timeout=20)
    assert int(run.stdout) < 100_000


def test_a_png_without_its_last_chunk_is_whole_in_pixels_or_refused() -> None:
    rows = zlib.compress((b"\0" + bytes(range(60))) * 20)
    whole = png(20, 20, data=rows)
    assert Picture.open(whole[:-12]).sha256 == Picture.open(whole).sha256
