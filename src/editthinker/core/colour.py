"""Any Pillow image to what the rest of the program knows: upright, 8 bits a channel, sRGB, RGB or RGBA."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from PIL import Image

from editthinker.core.errors import ImageError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL import ImageCms

WHITE: Final = (255, 255, 255)
_ORIENTATION: Final = 0x0112
_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_GREY: Final = frozenset({"1", "L", "LA", "La"})
_ALPHA: Final = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
_SIXTEEN_BITS: Final = frozenset({"I;16", "I;16L", "I;16B", "I;16N"})
_PROFILE_SPACES: Final = {"L": "GRAY", "RGB": "RGB", "RGBA": "RGB", "CMYK": "CMYK"}
_BAND: Final = 256
"""Rows converted at a time."""


def normalised(image: Image.Image) -> tuple[Image.Image, bool]:
    """A new RGB or RGBA image, and whether the source carried a colour profile; `image` stays as it is.

    White lies under whatever is fully transparent, so that no hidden colour can come to light later. Raises
    `ImageError` for pixels without an agreed meaning (floats beyond 0..1, 32-bit integers).
    """
    image.load()  # first: loading a TIFF turns it upright and takes the orientation away
    turn = _turn(image)
    profile = image.info.get("icc_profile")
    pixels = _eight_bits(image if turn is None else image.transpose(turn))
    pixels = _to_srgb(pixels, profile if isinstance(profile, bytes) else b"")
    if pixels is image:
        pixels = image.copy()
    if pixels.mode == "RGBA":
        pixels.paste((*WHITE, 0), mask=pixels.getchannel("A").point(lambda alpha: 0 if alpha else 255))
    pixels.info = {}
    return pixels, bool(profile)


def flattened(pixels: Image.Image) -> Image.Image:
    """RGB, composited over white where `pixels` is transparent."""
    if pixels.mode == "RGB":
        return pixels
    canvas = Image.new("RGB", pixels.size, WHITE)
    canvas.paste(pixels, mask=pixels.getchannel("A"))
    return canvas


@cache
def srgb_profile() -> bytes:
    """An ICC profile for sRGB, the same bytes every time."""
    from PIL import ImageCms

    raw = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    raw[24:36] = bytes.fromhex("07d000010001000000000000")  # the moment of creation: 2000-01-01 00:00
    return bytes(raw)


def bytes_of_unit(values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """0..1 to 0..255; raises `ImageError` for anything outside, infinite or not a number."""
    import numpy as np

    low, high = float(values.min()), float(values.max())
    if not (low >= -1e-3 and high <= 1 + 1e-3):  # written so that NaN fails
        raise ImageError(f"its floating-point pixels span {low:g}..{high:g}; only 0..1 is supported")
    scaled: npt.NDArray[np.uint8] = (np.clip(values, 0, 1) * 255 + 0.5).astype(np.uint8)
    return scaled


def _turn(image: Image.Image) -> Image.Transpose | None:
    try:
        return _UPRIGHT.get(image.getexif()[_ORIENTATION])
    except Exception:  # noqa: BLE001 - EXIF is foreign bytes, and broken EXIF is no reason to refuse a photo
        return None


def _eight_bits(image: Image.Image) -> Image.Image:
    """Mode L, LA, RGB, RGBA, CMYK or LAB; `image` itself if it is that already."""
    if image.mode in _SIXTEEN_BITS:
        return _from_sixteen_bits(image)
    if image.mode == "F":
        return _in_bands(image, bytes_of_unit)
    if image.mode == "I":
        raise ImageError("its pixels are 32-bit integers; convert it to 8 or 16 bits first")
    alpha = image.mode in _ALPHA or "transparency" in image.info
    if image.mode in _GREY:
        mode = "LA" if alpha else "L"
    elif image.mode in ("CMYK", "LAB"):
        mode = image.mode
    else:
        mode = "RGBA" if alpha else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _from_sixteen_bits(image: Image.Image) -> Image.Image:
    """Scaled; Pillow's own conversion clips everything above 255 to white."""
    import numpy as np

    grey = _in_bands(image, lambda values: ((values.astype(np.uint32) + 128) // 257).astype(np.uint8))
    clear = image.info.get("transparency")
    if isinstance(clear, int):
        grey.putalpha(_in_bands(image, lambda values: np.where(values == clear, 0, 255).astype(np.uint8)))
    return grey


def _in_bands(
    image: Image.Image, to_bytes: Callable[[npt.NDArray[Any]], npt.NDArray[np.uint8]]
) -> Image.Image:
    """Mode L, a band of rows at a time: temporaries of the whole image would multiply the memory it takes."""
    import numpy as np

    grey = Image.new("L", image.size)
    for top in range(0, image.height, _BAND):
        band = image.crop((0, top, image.width, min(top + _BAND, image.height)))
        grey.paste(Image.fromarray(to_bytes(np.asarray(band))), (0, top))
    return grey


def _to_srgb(pixels: Image.Image, profile: bytes) -> Image.Image:
    """RGB or RGBA; `pixels` itself if nothing needs to change."""
    from PIL import ImageCms

    if pixels.mode == "LA":
        grey = _to_srgb(pixels.getchannel("L"), profile)
        grey.putalpha(pixels.getchannel("A"))
        return grey
    plain = pixels.mode if pixels.mode in ("RGB", "RGBA") else "RGB"
    if pixels.mode == "LAB":
        return _transformed(pixels, ImageCms.createProfile("LAB"), plain)
    if profile and (source := _usable(profile, pixels.mode)) is not None:
        with contextlib.suppress(ImageCms.PyCMSError):  # not usable after all
            return _transformed(pixels, source, plain)
    return pixels if pixels.mode == plain else pixels.convert(plain)


def _usable(profile: bytes, mode: str) -> ImageCms.ImageCmsProfile | None:
    """The profile if it must be applied; a broken one, or one for other pixels, is ignored as viewers do."""
    from PIL import ImageCms

    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        fits = source.profile.xcolor_space.strip() == _PROFILE_SPACES.get(mode)
        # From sRGB to sRGB, a transform could only add rounding errors.
        return source if fits and not ImageCms.getProfileDescription(source).startswith("sRGB") else None
    except (OSError, ImageCms.PyCMSError):
        return None


def _transformed(pixels: Image.Image, source: Any, mode: str) -> Image.Image:
    from PIL import ImageCms

    converted = ImageCms.profileToProfile(
        pixels,
        source,
        ImageCms.createProfile("sRGB"),
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        mode,
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    assert converted is not None  # noqa: S101 - only a conversion in place returns nothing
    return converted
