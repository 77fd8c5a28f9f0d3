"""The door every image comes through, and `Picture`, what it is from then on (DESIGN section 6).

In: a path, bytes, a Pillow image, a numpy array. Out: an upright 8-bit sRGB `Picture`, or an `ImageError`
that names the image and says why it cannot be used.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from PIL import Image

from editthinker.core import colour, decoding, files, formats
from editthinker.core.errors import ImageError, InputError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_OPTIONS: Final[Mapping[str, Mapping[str, int | str]]] = {
    "PNG": {"compress_level": 2},
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"quality": 95},
    "TIFF": {"compression": "tiff_adobe_deflate"},
}
_OPAQUE: Final = frozenset({"JPEG", "BMP"})
SAME_SHAPE: Final = 0.03
"""Relative difference of aspect ratios up to which a picture may be resized rather than padded."""
_MAX_SIDE: Final = {"WEBP": 16_383, "JPEG": 65_535}


@dataclass(frozen=True, eq=False)
class Picture:
    """An image in memory: 8-bit sRGB, RGB or RGBA, upright."""

    pixels: Image.Image
    """Mode "RGB" or "RGBA", no metadata; treat as read-only."""
    encoded: bytes = b""
    """The editor's own bytes when it sent an encoded image; stored as they came."""
    media_type: str = ""
    """Of `encoded`, or of the file it was read from."""
    name: str = ""
    """Where it came from, for messages."""
    profiled: bool = False
    """Whether the source carried a colour profile, so that the result should too."""

    @classmethod
    def open(cls, source: Any) -> Picture:
        """A picture from a path, bytes, a Pillow image, a numpy array or a picture. Raises `ImageError`."""
        if isinstance(source, Picture):
            return source
        if isinstance(source, str | os.PathLike):
            return cls._read(os.fsdecode(source))
        if isinstance(source, bytes | bytearray | memoryview):
            return cls._decode(bytes(source), "the image")
        with _naming("the image"):
            image = source if isinstance(source, Image.Image) else Image.fromarray(_channels(source))
            return cls._of(decoding.decode_image(image), "the image")

    @classmethod
    def decode(cls, data: bytes, name: str) -> Picture:
        """A picture from the bytes an editor sent, which are kept as they came. Raises `ImageError`."""
        return cls._decode(data, name, encoded=data)

    @classmethod
    def from_array(cls, array: npt.NDArray[Any], name: str = "array") -> Picture:
        """A picture from HxW, HxWx1, HxWx3 or HxWx4, uint8 or float 0..1, sRGB. Raises `ImageError`."""
        with _naming("the array"):
            return cls(Image.fromarray(_channels(array)), name=name)

    @classmethod
    def _read(cls, path: str) -> Picture:
        with _naming(path), files.open_regular(Path(path), decoding.MAX_BYTES) as stream:
            return cls._of(decoding.decode_stream(stream), path)

    @classmethod
    def _decode(cls, data: bytes, name: str, encoded: bytes = b"") -> Picture:
        with _naming(name):
            if len(data) > decoding.MAX_BYTES:
                raise ImageError(f"it has more than {decoding.MAX_BYTES // 2**20} MiB")
            return cls._of(decoding.decode_stream(io.BytesIO(data)), name, encoded)

    @classmethod
    def _of(cls, decoded: decoding.Decoded, name: str, encoded: bytes = b"") -> Picture:
        return cls(decoded.pixels, encoded, decoded.media_type, name, decoded.profiled)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.pixels.size

    @property
    def has_alpha(self) -> bool:
        """Whether there is an alpha channel."""
        return self.pixels.mode == "RGBA"

    @cached_property
    def sha256(self) -> str:
        """Of mode, size and pixels: equal for pictures that look equal, however they were encoded."""
        width, height = self.size
        digest = hashlib.sha256(f"{self.pixels.mode} {width} {height}\n".encode())
        digest.update(self.pixels.tobytes())
        return digest.hexdigest()

    @property
    def is_hashed(self) -> bool:
        """Whether `sha256` costs nothing any more."""
        return "sha256" in self.__dict__

    def array(self) -> npt.NDArray[np.uint8]:
        """The pixels, uint8 HxWx3 or HxWx4, read-only."""
        import numpy as np

        array = np.asarray(self.pixels)
        array.flags.writeable = False
        return array

    def encode(self, media_type: str = "image/png") -> bytes:
        """The pixels as PNG, JPEG or WebP with no metadata at all. Raises `InputError`.

        PNG is made once however often it is asked for, and not at all where the editor's own bytes are it.
        """
        if media_type == "image/png":
            return self._png
        return _encoded(self.pixels, formats.format_of_media_type(media_type))

    @cached_property
    def _png(self) -> bytes:
        return self.encoded if formats.is_plain_png(self.encoded) else _encoded(self.pixels, "PNG")

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write a file in the format its suffix names, whole or not at all, without metadata.

        Raises `InputError` when the path cannot be used and `StoreError` when the disk fails.
        """
        target = Path(path)
        name = formats.format_of_suffix(target.suffix)
        profile = colour.srgb_profile() if self.profiled else None
        files.write_atomically(target, _encoded(self.pixels, name, profile), overwrite=overwrite)

    def within(self, pixels: int) -> Picture:
        """Itself, or shrunk (never squeezed, never enlarged) so that width x height is at most `pixels`."""
        return self.resized(size_within(self.size, pixels))

    def resized(self, size: tuple[int, int]) -> Picture:
        """At another size, alpha too; the caller answers for the aspect ratio."""
        return self if size == self.size else Picture(_resized(self.pixels, size), name=self.name)

    def flattened(self) -> Picture:
        """Without alpha, over white."""
        return Picture(colour.flattened(self.pixels), name=self.name) if self.has_alpha else self

    def fitted(self, side: int, fill: tuple[int, int, int] = (128, 128, 128)) -> Fitted:
        """The whole picture within a square of `side` pixels, centred, never squeezed, flat over white."""
        width, height = self.size
        scale = side / max(width, height)
        inner = (max(1, round(width * scale)), max(1, round(height * scale)))
        left, top = (side - inner[0]) // 2, (side - inner[1]) // 2
        canvas = Image.new("RGB", (side, side), fill)
        canvas.paste(_resized(colour.flattened(self.pixels), inner), (left, top))
        return Fitted(canvas, name=self.name, box=(left, top, left + inner[0], top + inner[1]))


def size_within(size: tuple[int, int], pixels: int) -> tuple[int, int]:
    """The size, or the largest of its shape that has at most so many pixels."""
    width, height = size
    if width * height <= pixels:
        return size
    scale = (pixels / (width * height)) ** 0.5
    return max(1, int(width * scale)), max(1, int(height * scale))


def same_shape(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two sizes have nearly the same aspect ratio: models round their sides to blocks."""
    return abs(one[0] * other[1] - other[0] * one[1]) <= SAME_SHAPE * one[0] * other[1]


@dataclass(frozen=True, eq=False)
class Fitted(Picture):
    """A picture letterboxed into a square; `box` is where it lies: left, top, right, bottom."""

    box: tuple[int, int, int, int] = (0, 0, 0, 0)

    def undone(self, size: tuple[int, int]) -> Picture:
        """Without the padding, at `size` (the original's)."""
        return Picture(_resized(self.pixels.crop(self.box), size), name=self.name)


class Folded(Picture):
    """A picture whose bytes lie elsewhere; they are read and decoded whenever somebody looks, and let go.

    What a finished turn's image is in a run with many samples: it is hardly looked at again.
    """

    def __init__(self, picture: Picture, read: Callable[[], bytes]) -> None:
        """`read` gives the bytes again, such as they are; hashes the pixels now, while they are there."""
        facts = {"media_type": picture.media_type, "name": picture.name, "profiled": picture.profiled}
        known = {"sha256": picture.sha256, "_read_again": read}
        self.__dict__.update(facts, **known, _size=picture.size, _alpha=picture.has_alpha)

    @property
    def encoded(self) -> bytes:
        """As stored."""
        data: bytes = self.__dict__["_read_again"]()
        return data

    @property
    def pixels(self) -> Image.Image:
        """Decoded anew."""
        return Picture.decode(self.encoded, self.name).pixels

    @property
    def size(self) -> tuple[int, int]:
        """As `Picture.size`."""
        size: tuple[int, int] = self.__dict__["_size"]
        return size

    @property
    def has_alpha(self) -> bool:
        """As `Picture.has_alpha`."""
        return bool(self.__dict__["_alpha"])


def _encoded(pixels: Image.Image, name: str, profile: bytes | None = None) -> bytes:
    if max(pixels.size) > (limit := _MAX_SIDE.get(name, max(pixels.size))):
        raise InputError(f"{name} holds at most {limit} pixels a side, not {max(pixels.size)}; choose PNG")
    stream = io.BytesIO()
    plain = colour.flattened(pixels) if name in _OPAQUE else pixels
    plain.save(stream, name, icc_profile=profile, **_OPTIONS.get(name, {}))
    return stream.getvalue()


def _resized(pixels: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Area averages when shrinking, cubic when growing: what the shipped thinker was trained on."""
    import cv2
    import numpy as np

    shrinks = size[0] * size[1] < pixels.width * pixels.height
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return Image.fromarray(cv2.resize(np.asarray(pixels), size, interpolation=method))


def _channels(array: Any) -> npt.NDArray[np.uint8]:
    import numpy as np

    if not isinstance(array, np.ndarray):
        raise ImageError(
            f"a {type(array).__name__} is no image; give a path, bytes, a Pillow image or a numpy array"
        )
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.size == 0 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))):
        raise ImageError(f"its shape is {array.shape}; it must be HxW, HxWx1, HxWx3 or HxWx4")
    if np.issubdtype(array.dtype, np.floating):
        array = colour.bytes_of_unit(array)
    if array.dtype != np.uint8:
        raise ImageError(f"its type is {array.dtype}; it must be uint8, or float in 0..1")
    return np.stack([array] * 3, axis=-1) if array.ndim == 2 else np.ascontiguousarray(array)


@contextmanager
def _naming(name: str) -> Iterator[None]:
    try:
        yield
    except ImageError as error:
        raise ImageError(f"cannot use {files.shown(name)}: {error}") from error.__cause__
    except OSError as error:
        raise ImageError(f"cannot use {files.shown(name)}: {files.cause(error)}") from error
