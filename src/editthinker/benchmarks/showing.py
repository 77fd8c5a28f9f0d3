"""How an image is put before a judge: which bytes, under which name, at which size.

In: where an image lies and a benchmark's recipe. Out: bytes. The steps are Pillow's with Pillow's defaults,
in the order of the official scripts, because a judge sees the difference; the limits on size are ours.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

from PIL import ExifTags, Image, ImageOps

from editthinker.core import decoding
from editthinker.core.errors import ImageError
from editthinker.core.files import cause, open_regular, shown
from editthinker.core.formats import HEAD, identify
from editthinker.runs.tables import Cell

Source = Path | Cell
"""Where an image lies: a file, or a cell of a table."""


@dataclass(frozen=True, slots=True)
class Shown:
    """An image as a judge is to see it."""

    image: Source
    media_type: str = "image/jpeg"
    """What the judge is told; some official scripts say image/png whatever the bytes are."""
    quality: int | None = None
    """Encoded anew as JPEG of this quality (75: Pillow's default); None: the file's own bytes, untouched."""
    size_of: Source | None = None
    """First resized to the size of this image (Pillow's default filter)."""
    upright: bool = False
    """EXIF orientation is applied."""
    longest: int = 0
    """Shrunk until no side is longer; 0: no limit."""
    detail: str = ""
    """OpenAI's image detail; empty sends none."""

    def encoded(self) -> bytes:
        """The bytes to send; may block. Raises `ImageError`."""
        data = bytes_of(self.image)
        if self.quality is None:
            _opened(data, self.image).close()  # a file that is no image is not sent to be scored
            return data
        with _opened(data, self.image) as image:
            try:
                return self._encoded(image)
            except ImageError:
                raise
            except Exception as error:  # noqa: BLE001 - decoders of foreign bytes raise anything
                raise _damaged(self.image, error) from None

    def _encoded(self, image: Image.Image) -> bytes:
        if self.upright:
            image = ImageOps.exif_transpose(image)
        if self.size_of is not None:
            image = image.resize(size(self.size_of, upright=self.upright))
        if image.mode != "RGB":  # an unconverted JPEG shrinks while it is decoded, as at the authors'
            image = image.convert("RGB")
        if self.longest:
            image.thumbnail((self.longest, self.longest))
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=self.quality or 75)
        return stream.getvalue()


def size(image: Source, *, upright: bool) -> tuple[int, int]:
    """Width and height, as stored or with the EXIF orientation applied; may block. Raises `ImageError`."""
    with _opened(bytes_of(image), image) as opened:
        turned = upright and opened.getexif().get(ExifTags.Base.Orientation) in (5, 6, 7, 8)
        return (opened.height, opened.width) if turned else opened.size


def bytes_of(image: Source) -> bytes:
    """The file's own bytes; may block. Raises `ImageError` or `InputError`."""
    if isinstance(image, Cell):
        return image.read()
    try:
        with open_regular(image, decoding.MAX_BYTES) as stream:
            return stream.read()
    except ImageError as error:
        raise ImageError(f"cannot use {_named(image)}: {error}") from None
    except OSError as error:
        raise ImageError(f"cannot use {_named(image)}: {cause(error)}") from None


def _opened(data: bytes, image: Source) -> Image.Image:
    try:
        opened = Image.open(io.BytesIO(data), formats=(identify(data[:HEAD]),))
        decoding.check_size(opened.size)
        return opened
    except ImageError as error:
        raise ImageError(f"cannot use {_named(image)}: {error}") from None
    except Exception as error:  # noqa: BLE001 - parsers raise anything, warnings of bombs included
        raise _damaged(image, error) from None


def _damaged(image: Source, error: Exception) -> ImageError:
    return ImageError(f"cannot use {_named(image)}: it cannot be decoded ({error})")


def _named(image: Source) -> str:
    if isinstance(image, Path):
        return shown(str(image))
    return f"the image in column {image.column!r}, row {image.row + 1}"
