"""What a file is, judged by its first bytes and never by its name.

An allow-list, since a parser that is not needed is only a risk: any other bytes are named for the user and
reach no decoder at all.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from typing import Final

from editthinker.core.errors import ImageError, InputError

HEAD: Final = 1024
"""Bytes `identify` wants to see."""

MEDIA_TYPES: Final[Mapping[str, str]] = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "BMP": "image/bmp",
    "TIFF": "image/tiff",
}
"""Formats that are read, by Pillow's name."""

SUFFIXES: Final[Mapping[str, str]] = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
}
"""Formats that are written, by the suffix of the file."""

ENCODABLE: Final[Mapping[str, str]] = {MEDIA_TYPES[name]: name for name in ("PNG", "JPEG", "WEBP")}
"""Formats an editor or thinker can be sent."""

_READABLE = (
    (rb"\x89PNG\r\n\x1a\n", "PNG"),
    (rb"\xff\xd8\xff", "JPEG"),
    (rb"RIFF.{4}WEBP", "WEBP"),
    (rb"GIF8[79]a", "GIF"),
    (rb"BM", "BMP"),
    (rb"II[*+]\0|MM\0[*+]", "TIFF"),
)
_CONVERT = "convert it to JPEG or PNG first"
_EXPORT = "export a page of it as JPEG or PNG first"
_RAW = "develop it to JPEG, PNG or TIFF first"
_FOREIGN = (
    (rb"II\*\0.{4}CR", "a camera raw file", _RAW),
    (rb".{4}ftypcrx|II(RO|RS|U\0)|MMOR|FUJIFILM", "a camera raw file", _RAW),
    (rb".{4}ftypavi[fs]", "AVIF", _CONVERT),
    (rb".{4}ftyp(hei|hev|mif1|msf1)", "HEIC", _CONVERT),
    (rb".{4}ftyp|\x1aE\xdf\xa3|RIFF.{4}AVI ", "a video", "take a still from it first"),
    (rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51", "JPEG 2000", _CONVERT),
    (rb"\xff\x0a|\0\0\0\x0cJXL ", "JPEG XL", _CONVERT),
    (rb"v/1\x01", "OpenEXR", "tone-map it to JPEG or PNG first"),
    (rb"#\?(RADIANCE|RGBE)", "Radiance HDR", "tone-map it to JPEG or PNG first"),
    (rb"8BPS", "a Photoshop document", "export it as JPEG or PNG first"),
    (rb"%!PS|\xc5\xd0\xd3\xc6", "PostScript", _EXPORT),
    (rb"%PDF", "PDF", _EXPORT),
    (rb"SIMPLE  =", "FITS", _CONVERT),
    (rb"icns", "an icon set", _CONVERT),
    (rb"\0\0[\x01\x02]\0", "an icon", _CONVERT),
    (rb"P[1-7]\s|DDS |qoif", "a format this program does not read", _CONVERT),
    (rb"PK\x03\x04|\x1f\x8b|7z\xbc\xaf|Rar!|BZh|\xfd7zXZ", "an archive", "unpack it first"),
    (rb"\x7fELF|MZ", "a program", ""),
    (rb"#!", "a script", ""),
)
_MARKUP = (
    (rb"<svg[\s>]", "SVG", "render it to PNG first"),
    (rb"<(!doctype )?html", "a web page", "save the image itself instead"),
    (rb"<\?xml", "XML", ""),
)


def identify(head: bytes) -> str:
    """Pillow's name of the format that `head` (the first `HEAD` bytes) begins; raises `ImageError`."""
    if not head:
        raise ImageError("it is empty")
    for magic, what, remedy in _FOREIGN:
        if re.match(magic, head, re.DOTALL):
            raise ImageError(_not_supported(what, remedy))
    for magic, name in _READABLE:
        if re.match(magic, head, re.DOTALL):
            return name
    for tag, what, remedy in _MARKUP:
        if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<") and re.search(tag, head, re.IGNORECASE):
            raise ImageError(_not_supported(what, remedy))
    if _is_text(head):
        raise ImageError("it is text, not an image")
    raise ImageError(f"it is not an image of a known kind; those are {', '.join(MEDIA_TYPES)}")


_PLAIN_CHUNKS = frozenset({b"IHDR", b"sRGB", b"pHYs", b"IDAT", b"IEND"})


def is_plain_png(data: bytes) -> bool:
    """Whether these bytes are a PNG of 8-bit RGB or RGBA and nothing else: no profile, no words, no tail.

    Who decodes such a file sees the pixels we see, and learns nothing more. Only the frame is looked at;
    whether the pixels are whole is the decoder's business.
    """
    if data[:8] != b"\x89PNG\r\n\x1a\n" or data[24:26] not in (b"\x08\x02", b"\x08\x06"):
        return False
    place = 8
    while place + 12 <= len(data):
        length, name = int.from_bytes(data[place : place + 4]), data[place + 4 : place + 8]
        if name not in _PLAIN_CHUNKS:
            return False
        place += 12 + length
        if name == b"IEND":
            return place == len(data)
    return False


def format_of_suffix(suffix: str) -> str:
    """Pillow's name of the format to write for ".jpg" and the like; otherwise raises `InputError`."""
    try:
        return SUFFIXES[suffix.lower()]
    except KeyError:
        known = ", ".join(SUFFIXES)
        raise InputError(f"cannot write {suffix or 'a file without suffix'}; use one of {known}") from None


def format_of_media_type(media_type: str) -> str:
    """Pillow's name of the format to encode for "image/png" and the like; otherwise raises `InputError`."""
    try:
        return ENCODABLE[media_type]
    except KeyError:
        raise InputError(f"cannot encode {media_type!r}; use one of {', '.join(ENCODABLE)}") from None


def _not_supported(what: str, remedy: str) -> str:
    verdict = f"it is {what}, not an image" if not remedy else f"it is {what}, which is not supported"
    return f"{verdict}; {remedy}" if remedy else verdict


def _is_text(head: bytes) -> bool:
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head, final=len(head) < HEAD)
    except UnicodeDecodeError:
        return False
    return all(char.isprintable() or char in "\t\r\n\f" for char in text)
