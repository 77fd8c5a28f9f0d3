"""Small images, well-formed and hostile, made from bytes so that no file need be shipped."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image, ImageCms, ImageDraw

UPRIGHT = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
"""EXIF orientation to the `Image.Transpose` that a camera held that way applies to the scene."""
MAGIC = b"\x89PNG\r\n\x1a\n"


def photo(width: int = 96, height: int = 64) -> Image.Image:
    """Grey-blue noise with a red top-left and a blue bottom-right corner."""
    rng = np.random.default_rng(5)
    image = Image.fromarray(rng.integers(90, 140, (height, width, 3), dtype=np.uint8))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, width // 4, height // 4), fill=(255, 0, 0))
    draw.rectangle((width - width // 4, height - height // 4, width, height), fill=(0, 0, 255))
    return image


def encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def exif(orientation: int) -> Image.Exif:
    block = Image.Exif()
    block[0x0112] = orientation
    block[0x010F] = "SecretCam"
    block.get_ifd(0x8825).update({1: "N", 2: (52.0, 1.0, 2.0)})
    return block


def turned(image: Image.Image, orientation: int) -> Image.Image:
    """What a camera stores beside that orientation."""
    operation = UPRIGHT[orientation]
    return image if operation is None else image.transpose(Image.Transpose(operation))


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    width: int, height: int, depth: int = 8, kind: int = 2, data: bytes | None = None, extra: bytes = b""
) -> bytes:
    """A PNG that says what it likes; without `data` its pixels are missing."""
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    body = zlib.compress(b"\0" * 10) if data is None else data
    return MAGIC + chunk(b"IHDR", header) + extra + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def zeros(count: int) -> bytes:
    """`count` zero bytes, deflated."""
    packer = zlib.compressobj(9)
    block = bytes(2**20)
    parts = [packer.compress(block[: min(2**20, count - done)]) for done in range(0, count, 2**20)]
    return b"".join(parts) + packer.flush()


def tiff(tags: dict[int, int], body: bytes = b"") -> bytes:
    """A little-endian TIFF with these tags as longs; tag value -1 becomes the offset of `body`."""
    offset = 8 + 2 + 12 * len(tags) + 4
    entries = b"".join(
        struct.pack("<HHII", tag, 4, 1, offset if value == -1 else value)
        for tag, value in sorted(tags.items())
    )
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + struct.pack("<I", 0) + body


def rotated_profile() -> bytes:
    """An sRGB profile whose red, green and blue are exchanged: its red is blue in sRGB."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    renamed = {b"rXYZ": b"gXYZ", b"gXYZ": b"bXYZ", b"bXYZ": b"rXYZ"}
    count = struct.unpack(">I", profile[128:132])[0]
    for at in range(132, 132 + 12 * count, 12):
        tag = bytes(profile[at : at + 4])
        profile[at : at + 4] = renamed.get(tag, tag)
        if tag == b"desc":
            offset = struct.unpack(">I", profile[at + 4 : at + 8])[0]
            place = profile.index("sRGB".encode("utf-16-be"), offset)
            profile[place : place + 8] = "swap".encode("utf-16-be")
    return bytes(profile)


def near(pixel: Any, colour: tuple[int, ...], tolerance: int = 40) -> bool:
    return all(abs(int(a) - b) <= tolerance for a, b in zip(pixel, colour, strict=False))
