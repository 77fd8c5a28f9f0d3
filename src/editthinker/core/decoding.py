"""Foreign bytes to pixels, within limits that hold before anything is decoded.

In: an open stream. Out: an upright 8-bit sRGB image. Every refusal is an `ImageError` whose message is the
reason alone ("it is ..."); `core.images` puts the name of the image in front.
"""

from __future__ import annotations

import os
import re
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

from PIL import Image, ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from editthinker.core.colour import normalised
from editthinker.core.errors import ImageError, InputError
from editthinker.core.formats import HEAD, MEDIA_TYPES, identify

MAX_BYTES: Final = 256 * 2**20
"""Size of an encoded image."""
MAX_PIXELS: Final = 64_000_000
"""Width times height; the environment variable `EDITTHINKER_MAX_PIXELS` sets another limit."""
MAX_SCANNED: Final = 4_000_000_000
"""Pixels times scans of a JPEG, some seconds of work; cameras make 1 scan, optimisers 10 to 60."""
MIN_SIDE: Final = 16
"""Shorter sides become nothing in models that work on blocks of 16 pixels."""
MAX_ASPECT: Final = 100
"""Longer side over shorter side."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """An image that came through the door."""

    pixels: Image.Image
    """Upright, 8-bit sRGB, mode RGB or RGBA, without metadata."""
    media_type: str
    """True of the bytes; empty when there were none."""
    profiled: bool
    """Whether the source carried a colour profile."""


def decode_stream(stream: BinaryIO) -> Decoded:
    """Read one image, the first frame of an animation. Raises `ImageError`."""
    name = identify(stream.read(HEAD) or b"")
    stream.seek(0)
    with _quiet, _hostile(name), _parser(name)(stream) as image:
        check_size(image.size)
        if isinstance(image, TiffImageFile):
            _refuse_tiff(image.tag_v2, image.size)
        if name == "JPEG":
            _refuse_scans(stream, image.size)
        pixels, profiled = normalised(image)
    return Decoded(pixels, MEDIA_TYPES[name], profiled)


def decode_image(image: Image.Image) -> Decoded:
    """The same for an image that Pillow opened elsewhere; it is not altered. Raises `ImageError`."""
    check_size(image.size)
    with _quiet, _hostile(image.format or "Pillow image"):
        pixels, profiled = normalised(image)
    return Decoded(pixels, "", profiled)


def check_size(size: tuple[int, int]) -> None:
    """Refuse sizes that no editor can work with or that would exhaust the memory. Raises `ImageError`."""
    width, height = size
    short, long = sorted(size)
    limit = max_pixels()
    what = f"it is {width} x {height} pixels"
    if width * height > limit:
        raise ImageError(f"{what}; at most {limit:,} in all are allowed (EDITTHINKER_MAX_PIXELS)")
    if short < MIN_SIDE:
        raise ImageError(f"{what}; each side must have at least {MIN_SIDE}")
    if long > short * MAX_ASPECT:
        raise ImageError(f"{what}; one side may be at most {MAX_ASPECT} times the other")


def max_pixels() -> int:
    """The limit on width times height. Raises `InputError` when the environment holds no positive number."""
    setting = os.environ.get("EDITTHINKER_MAX_PIXELS", str(MAX_PIXELS))
    if not re.fullmatch("[1-9][0-9]{0,17}", setting):
        raise InputError(f"EDITTHINKER_MAX_PIXELS must be a positive whole number, not {setting!r}")
    return int(setting)


def _parser(name: str) -> type[ImageFile.ImageFile]:
    """Pillow's class for one format.

    Not `Image.open`: that compares with a process-wide pixel limit, which is not ours to set, before our own
    limit has a chance to speak.
    """
    return {
        "PNG": PngImageFile,
        "JPEG": JpegImageFile,
        "WEBP": WebPImageFile,
        "GIF": GifImageFile,
        "BMP": BmpImageFile,
        "TIFF": TiffImageFile,
    }[name]


@contextmanager
def _hostile(name: str) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except OSError as error:
        if error.errno:  # the disk's fault, not the file's
            raise
        raise ImageError(_complaint(name, str(error))) from error
    except Image.DecompressionBombError as error:
        raise ImageError("it claims far more pixels than are allowed") from error
    except MemoryError as error:
        raise ImageError("there is not enough memory to decode it") from error
    except Exception as error:  # parsers of foreign bytes raise anything: SyntaxError, KeyError, struct.error
        raise ImageError(_complaint(name, str(error))) from error


def _complaint(name: str, detail: str) -> str:
    if "MAX_TEXT" in detail:
        return f"it is a {name} file whose metadata unpacks to more than is allowed"
    if "truncated" in detail.lower():
        return f"it is a truncated {name} file"
    return f"it is a broken {name} file, or of a kind that cannot be read"


def _refuse_tiff(tags: Mapping[int, Any], size: tuple[int, int]) -> None:
    """Refuse a TIFF whose first image is a preview of a raw photo, or whose tiles are a hidden bomb."""
    subfile_type, tile_width, tile_height, dng_version = 254, 322, 323, 50706
    if dng_version in tags or tags.get(subfile_type, 0) & 1:
        raise ImageError("it is a camera raw file; develop it to JPEG, PNG or TIFF first")
    if tags.get(tile_width, 0) * tags.get(tile_height, 0) > 4 * max(size[0] * size[1], 2**20):
        raise ImageError("its tiles are far larger than the image")


def _refuse_scans(stream: BinaryIO, size: tuple[int, int]) -> None:
    """Refuse a JPEG that goes over its pixels so often that decoding would take minutes."""
    place = stream.tell()
    stream.seek(0)
    start_of_scan = b"\xff\xda\0"  # the 0 makes it rare enough in a video that a phone appended
    scans = sum(block.count(start_of_scan) for block in iter(lambda: stream.read(2**20), b""))
    stream.seek(place)
    if scans * size[0] * size[1] > MAX_SCANNED:
        raise ImageError(f"its {scans} scans would take too long to decode")


class _Quiet:
    """Ignores Pillow's own warnings while any thread decodes.

    They tell of slips in metadata that we do not read, and a user can do nothing about them. Threads share
    one `catch_warnings`, since overlapping ones restore the filters in the wrong order.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._filters = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._filters = warnings.catch_warnings()
                self._filters.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\.")
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._filters.__exit__(None, None, None)


_quiet = _Quiet()
