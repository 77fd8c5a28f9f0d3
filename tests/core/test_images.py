"""What a picture is and does once it is inside."""

from __future__ import annotations

import dataclasses
import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from image_makers import encoded, exif, near, photo
from PIL import Image

from editthinker.core.errors import ImageError, InputError
from editthinker.core.images import Picture

SIDES = st.integers(16, 70)
PIXELS = st.tuples(SIDES, SIDES, st.sampled_from([3, 4])).flatmap(
    lambda shape: arrays.arrays(np.uint8, shape)
)


def test_every_kind_of_source_gives_the_same_picture(tmp_path: Path) -> None:
    image = photo()
    data = encoded(image, "PNG")
    path = tmp_path / "ünïcode 图.with dots"
    path.write_bytes(data)
    array = np.asarray(image)
    sources = [path, str(path), data, bytearray(data), memoryview(data), image, array, array / 255.0]
    pictures = [Picture.open(source) for source in sources]
    assert {picture.sha256 for picture in pictures} == {Picture(image).sha256}
    assert all(picture.size == (96, 64) and not picture.has_alpha for picture in pictures)
    assert Picture.open(pictures[0]) is pictures[0]
    assert pictures[0].name == str(path)
    assert pictures[0].media_type == "image/png"


@given(PIXELS)
@settings(max_examples=40, deadline=None)
def test_png_and_arrays_round_trip(array: np.ndarray) -> None:
    picture = Picture.from_array(array)
    assert np.array_equal(picture.array(), array)
    assert picture.has_alpha == (array.shape[2] == 4)
    back = Picture.open(picture.encode())
    visible = array if array.shape[2] == 3 else np.where(array[..., 3:] > 0, array, [255, 255, 255, 0])
    assert np.array_equal(back.array(), visible)
    assert back.sha256 == Picture.open(array).sha256


@given(SIDES, SIDES, st.sampled_from(["image/png", "image/jpeg", "image/webp"]))
@settings(max_examples=30, deadline=None)
def test_every_encoding_keeps_the_size_and_looks_alike(width: int, height: int, media_type: str) -> None:
    flat = Picture.open(Image.new("RGB", (width, height), (200, 60, 30)))
    back = Picture.decode(flat.encode(media_type), "answer")
    assert (back.size, back.media_type) == (flat.size, media_type)
    assert near(back.array()[8, 8], (200, 60, 30), tolerance=6)


@pytest.mark.parametrize(
    ("array", "complaint"),
    [
        (np.zeros((20, 20, 2), np.uint8), "its shape is (20, 20, 2)"),
        (np.zeros((2, 20, 20, 3), np.uint8), "its shape is"),
        (np.zeros(400, np.uint8), "its shape is"),
        (np.zeros((0, 20, 3), np.uint8), "its shape is"),
        (np.zeros((20, 20), np.uint16), "its type is uint16"),
        (np.zeros((20, 20), bool), "its type is bool"),
        (np.zeros((20, 20), object), "its type is object"),
        (np.full((20, 20), 200.0), "span 200..200"),
        (np.full((20, 20), np.nan), "span nan..nan"),
        (np.zeros((10, 20), np.uint8), "it is 20 x 10 pixels"),
        (7, "a int is no image"),
        (None, "a NoneType is no image"),
    ],
)
def test_other_arrays_and_objects_are_refused(array: Any, complaint: str) -> None:
    with pytest.raises(ImageError) as caught:
        Picture.open(array)
    assert complaint in str(caught.value)


@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 1)])
def test_grey_arrays_become_rgb(shape: tuple[int, ...]) -> None:
    assert Picture.open(np.full(shape, 0.5)).array().tolist() == np.full((20, 30, 3), 128).tolist()


def test_views_of_arrays_are_read_as_they_look() -> None:
    array = np.asarray(photo())
    assert np.array_equal(Picture.open(array[::-1, :, ::-1]).array(), array[::-1, :, ::-1])


def test_an_editors_bytes_are_kept_and_a_users_are_not() -> None:
    data = encoded(photo(), "JPEG", exif=exif(1))
    answer = Picture.decode(data, "the editor's image")
    assert (answer.encoded, answer.media_type) == (data, "image/jpeg")
    assert Picture.open(data).encoded == b""


def test_sha256_tells_apart_what_differs_only_in_shape_or_mode() -> None:
    wide, tall = Image.new("RGB", (40, 20)), Image.new("RGB", (20, 40))
    opaque = wide.convert("RGBA")
    assert len({Picture(image).sha256 for image in (wide, tall, opaque)}) == 3


def test_a_picture_cannot_be_altered_by_accident() -> None:
    source = photo()
    picture = Picture.open(source)
    source.putpixel((50, 30), (1, 2, 3))
    assert picture.pixels.getpixel((50, 30)) != (1, 2, 3)
    with pytest.raises(ValueError, match="read-only"):
        picture.array()[0, 0] = 0
    with pytest.raises(dataclasses.FrozenInstanceError):
        picture.name = "other"  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(picture)).sha256 == picture.sha256  # noqa: S301
    assert dataclasses.replace(picture, pixels=source).sha256 != picture.sha256


def test_a_pillow_image_is_left_as_it_was() -> None:
    source = Image.open(io.BytesIO(encoded(photo().quantize(8), "PNG", transparency=0, exif=exif(6))))
    Picture.open(source)
    assert (source.mode, source.size, source.info["transparency"]) == ("P", (96, 64), 0)
    assert source.getexif()[0x0112] == 6


@pytest.mark.parametrize("media_type", ["image/png", "image/jpeg", "image/webp"])
@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_no_metadata_is_ever_sent(form: str, media_type: str) -> None:
    secret = b"SecretCam"
    source = encoded(photo(), form, exif=exif(1))
    assert secret in source
    sent = Picture.open(source).encode(media_type)
    assert secret not in sent
    again = Image.open(io.BytesIO(sent))
    assert not dict(again.getexif())
    assert set(again.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density", "loop", "background"} | {
        "timestamp",
        "duration",
    }


def test_unknown_media_types_are_refused() -> None:
    with pytest.raises(InputError, match="image/avif"):
        Picture.open(photo()).encode("image/avif")


@given(st.integers(16, 300), st.integers(16, 300), st.integers(8, 200))
@settings(max_examples=40, deadline=None)
def test_fitting_never_squeezes_and_can_be_undone(width: int, height: int, side: int) -> None:
    view = Picture.open(Image.new("RGB", (width, height), "red")).fitted(side, fill=(1, 2, 3))
    left, top, right, bottom = view.box
    assert view.size == (side, side)
    assert max(right - left, bottom - top) == side
    exact = side * min(width, height) / max(width, height)
    assert abs(min(right - left, bottom - top) - exact) <= 1
    inside = np.zeros((side, side), bool)
    inside[top:bottom, left:right] = True
    assert (view.array()[inside] == (255, 0, 0)).all()
    assert (view.array()[~inside] == (1, 2, 3)).all()
    back = view.undone((width, height))
    assert back.size == (width, height)
    assert (back.array() == (255, 0, 0)).all()


def test_the_fitted_view_of_transparency_is_white() -> None:
    view = Picture.open(Image.new("RGBA", (40, 40), (0, 255, 0, 0))).fitted(20)
    assert not view.has_alpha
    assert (view.array() == 255).all()


def test_importing_the_door_is_light() -> None:
    import subprocess
    import sys

    code = "import sys, editthinker.core.images; print({'numpy', 'cv2', 'PIL.ImageCms'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"
