"""Upright, sRGB, eight bits, nothing hidden: whatever the file's mode, orientation and profile."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from image_makers import chunk, encoded, exif, near, photo, png, rotated_profile, turned
from PIL import Image, ImageCms, ImageDraw

from editthinker.core.colour import srgb_profile
from editthinker.core.errors import ImageError
from editthinker.core.images import Picture

RED, BLUE, GREEN = (255, 0, 0), (0, 0, 255), (0, 255, 0)


def assert_upright(picture: Picture, size: tuple[int, int] = (96, 64)) -> None:
    pixels = picture.array()
    assert picture.size == size
    assert near(pixels[6, 6], RED), pixels[6, 6]
    assert near(pixels[-6, -6], BLUE), pixels[-6, -6]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("JPEG", {"quality": 95}),
        ("PNG", {}),
        ("WEBP", {"lossless": True}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_adobe_deflate"}),
    ],
)
def test_orientation_is_applied_once(form: str, options: dict[str, object], orientation: int) -> None:
    data = encoded(turned(photo(), orientation), form, exif=exif(orientation), **options)
    once = Picture.open(data)
    assert_upright(once)
    assert_upright(Picture.open(once.encode()))
    assert_upright(Picture.open(once.pixels))


@pytest.mark.parametrize("mode", ["L", "I;16", "RGBA", "P"])
def test_orientation_is_applied_in_every_mode(mode: str) -> None:
    grey = np.arange(40 * 20, dtype=np.uint16).reshape(20, 40) * 80
    image = Image.fromarray(grey) if mode == "I;16" else photo(40, 20).convert(mode)
    sideways = encoded(image.transpose(Image.Transpose.ROTATE_90), "PNG", exif=exif(6))
    assert np.array_equal(Picture.open(sideways).array(), Picture.open(encoded(image, "PNG")).array())


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_invalid_orientation_is_ignored(orientation: int) -> None:
    assert_upright(Picture.open(encoded(photo(), "JPEG", exif=exif(orientation))))


def test_broken_exif_is_ignored_in_silence() -> None:
    for junk in (
        b"Exif\0\0",
        b"Exif\0\0nonsense",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\1" * 99,
    ):
        assert_upright(Picture.open(encoded(photo(), "JPEG", exif=junk)))


def test_sixteen_bit_grey_is_scaled_not_clipped() -> None:
    ramp = np.linspace(0, 65535, 64 * 32).reshape(32, 64).astype(np.uint16)
    wanted = np.round(ramp / 257).astype(np.uint8)
    big_endian = Image.frombytes("I;16B", (64, 32), ramp.astype(">u2").tobytes())
    for data in (
        encoded(Image.fromarray(ramp), "PNG"),
        encoded(Image.fromarray(ramp), "TIFF"),
        encoded(big_endian, "TIFF"),
    ):
        assert np.array_equal(Picture.open(data).array()[..., 1], wanted)


def test_sixteen_bit_grey_keeps_its_transparent_value() -> None:
    rows = b"".join(
        b"\0" + struct.pack(">H", 0x1234) * 10 + struct.pack(">H", 0x1235) * 10 for _ in range(20)
    )
    data = png(20, 20, 16, 0, zlib.compress(rows), chunk(b"tRNS", struct.pack(">H", 0x1234)))
    assert Picture.open(data).array()[0, [0, 15]].tolist() == [[255, 255, 255, 0], [18, 18, 18, 255]]


def test_sixteen_bit_rgb_is_scaled() -> None:
    row = b"\0" + struct.pack(">HHH", 65535, 32768, 0) * 20
    assert Picture.open(png(20, 20, 16, 2, zlib.compress(row * 20))).array()[3, 3].tolist() == [255, 128, 0]


def test_float_images_are_scaled_and_beyond_one_refused() -> None:
    ramp = np.linspace(0, 1, 600, dtype=np.float32).reshape(20, 30)
    pixels = Picture.open(encoded(Image.fromarray(ramp), "TIFF")).array()
    assert np.array_equal(pixels[..., 0], (ramp * 255 + 0.5).astype(np.uint8))
    for bad in (ramp * 20, ramp - 1, ramp * np.nan):
        with pytest.raises(ImageError, match=r"only 0\.\.1 is supported"):
            Picture.open(encoded(Image.fromarray(bad), "TIFF"))


def test_thirty_two_bit_integers_are_refused() -> None:
    with pytest.raises(ImageError, match="32-bit integers"):
        Picture.open(Image.new("I", (20, 20), 70000))


@pytest.mark.parametrize("form", ["JPEG", "TIFF"])
def test_cmyk_without_profile(form: str) -> None:
    assert_upright(Picture.open(encoded(photo().convert("CMYK"), form)))


@pytest.mark.parametrize(
    "mode", ["1", "L", "P", "YCbCr", "HSV", "LAB", "RGBX", "LA", "PA", "RGBa", "La", "CMYK"]
)
def test_every_pillow_mode_gives_rgb_or_rgba(mode: str) -> None:
    step = {"PA": "P", "La": "LA", "RGBa": "RGBA", "HSV": "RGB"}.get(mode)
    if mode == "LAB":
        image = Image.new("LAB", (20, 20), (128, 128, 128))
    else:
        base = Image.new("RGB", (20, 20), (128, 128, 128))
        image = (base.convert(step) if step else base).convert(mode)
    picture = Picture.open(image)
    assert picture.pixels.mode == ("RGBA" if mode in {"LA", "PA", "RGBa", "La"} else "RGB")
    if mode != "1":
        assert near(picture.array()[5, 5, :3], (128, 128, 128), tolerance=30)


def with_hole(mode: str = "RGBA") -> Image.Image:
    """A hole that is fully transparent and green underneath."""
    image = photo().convert("RGBA")
    ImageDraw.Draw(image).rectangle((40, 20, 60, 40), fill=(*GREEN, 0))
    return image.convert(mode)


@pytest.mark.parametrize(
    ("form", "options"), [("PNG", {}), ("WEBP", {"lossless": True, "exact": True}), ("TIFF", {})]
)
def test_hidden_colours_never_come_to_light(form: str, options: dict[str, bool]) -> None:
    picture = Picture.open(encoded(with_hole(), form, **options))
    assert_upright(picture)
    assert picture.array()[30, 50].tolist() == [255, 255, 255, 0]
    for media_type in ("image/png", "image/jpeg", "image/webp"):
        sent = Picture.decode(picture.encode(media_type), "sent")
        assert near(sent.pixels.convert("RGB").getpixel((50, 30)), (255, 255, 255), tolerance=3)
    assert picture.fitted(96).array()[16 + 30, 50].tolist() == [255, 255, 255]


def test_partial_alpha_survives() -> None:
    image = Image.new("RGBA", (20, 20), (10, 20, 30, 77))
    assert Picture.open(encoded(image, "PNG")).array()[4, 4].tolist() == [10, 20, 30, 77]


def test_palette_transparency_becomes_alpha() -> None:
    image = photo().quantize(32)
    data = encoded(image, "PNG", transparency=image.getpixel((6, 6)))
    picture = Picture.open(data)
    assert picture.array()[6, 6].tolist() == [255, 255, 255, 0]
    assert near(picture.array()[-6, -6], (*BLUE, 255))


def test_transparent_colours_of_grey_and_rgb_become_alpha() -> None:
    grey = Image.new("L", (20, 20), 9)
    assert Picture.open(encoded(grey, "PNG", transparency=9)).array()[0, 0].tolist() == [255, 255, 255, 0]
    rgb = Image.new("RGB", (20, 20), (9, 8, 7))
    assert Picture.open(encoded(rgb, "PNG", transparency=(9, 8, 7))).array()[0, 0].tolist() == [255] * 3 + [0]


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_frame_of_many(form: str) -> None:
    options = {"lossless": True} if form == "WEBP" else {}
    others = [Image.new("RGB", (96, 64), shade) for shade in ("white", "black")]
    assert_upright(Picture.open(encoded(photo(), form, save_all=True, append_images=others, **options)))


@pytest.mark.parametrize(
    ("form", "mode"), [("JPEG", "RGB"), ("PNG", "RGB"), ("PNG", "RGBA"), ("TIFF", "RGB"), ("WEBP", "RGB")]
)
def test_colours_are_converted_by_the_profile(form: str, mode: str) -> None:
    image = Image.new(mode, (20, 20), (255, 0, 0, 255) if mode == "RGBA" else RED)
    options = {"lossless": True} if form == "WEBP" else {}
    picture = Picture.open(encoded(image, form, icc_profile=rotated_profile(), **options))
    assert near(picture.array()[5, 5], BLUE, tolerance=4)
    assert picture.has_alpha == (mode == "RGBA")
    assert picture.profiled
    assert "icc_profile" not in picture.pixels.info


def test_alpha_passes_through_a_profile_unchanged() -> None:
    image = photo().convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    picture = Picture.open(encoded(image, "PNG", icc_profile=rotated_profile()))
    assert np.array_equal(picture.array()[..., 3], np.asarray(image)[..., 3])


def test_an_srgb_profile_changes_nothing() -> None:
    standard = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    # Published sRGB profiles differ in the last digits of their primaries; a transform would show it.
    entry = standard.index(b"rXYZ")
    at = struct.unpack_from(">I", standard, entry + 4)[0] + 8
    red = struct.unpack_from(">i", standard, at)[0]
    profile = standard[:at] + struct.pack(">i", red - 600) + standard[at + 4 :]
    picture = Picture.open(encoded(photo(), "PNG", icc_profile=profile))
    assert np.array_equal(picture.array(), np.asarray(photo()))
    assert picture.profiled


def test_the_profile_that_is_written_is_the_same_on_every_day() -> None:
    profile = srgb_profile()
    assert struct.unpack_from(">6H", profile, 24) == (2000, 1, 1, 0, 0, 0)
    assert Picture.open(encoded(photo(), "PNG", icc_profile=profile)).profiled


def test_useless_profiles_are_ignored() -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    good = rotated_profile()
    for profile in (lab, b"garbage" * 20, good[:200], good[:128] + bytes(len(good) - 128)):
        assert np.array_equal(
            Picture.open(encoded(photo(), "PNG", icc_profile=profile)).array(), np.asarray(photo())
        )
    grey = encoded(photo().convert("L"), "PNG", icc_profile=good)
    assert np.array_equal(Picture.open(grey).array()[..., 0], np.asarray(photo().convert("L")))
