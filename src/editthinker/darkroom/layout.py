"""How a thinker of the Qwen3-VL architecture is addressed: images to patches, words to a prompt, positions.

Three images of 128 x 128 pixels in this order: the source, the edited image, and their difference (mid-grey
where nothing changed). The difference is an ordinary third image, so any Qwen3-VL code runs the model; it
spares a small model from having to align two pictures. numpy only; equality with transformers is tested.
"""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from editthinker.core import reply
from editthinker.core.images import Picture
from editthinker.core.types import Critique, Score

SIDE = 128
"""Pixels of the square view; photos are fitted into it, never squeezed."""
PATCH, MERGE, FRAMES = 16, 2, 2
GRID = SIDE // PATCH
TOKENS = (GRID // MERGE) ** 2
"""Tokens an image takes in the prompt (16)."""
IMAGES = 3

IM_START, IM_END, END_OF_TEXT = "<|im_start|>", "<|im_end|>", "<|endoftext|>"
VISION_START, VISION_END, IMAGE_PAD, VIDEO_PAD = (
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
SPECIAL = (END_OF_TEXT, IM_START, IM_END, VISION_START, VISION_END, IMAGE_PAD, VIDEO_PAD)

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


def views(source: Picture, edited: Picture) -> Pixels:
    """The three images the thinker looks at, uint8 (3, 128, 128, 3)."""
    first, second = (np.asarray(_square(picture)) for picture in (source, edited))
    return stack(first, second)


def stack(source: Pixels, edited: Pixels) -> Pixels:
    """Source, edited and difference of two (128, 128, 3) views."""
    difference = 128 + (edited.astype(np.int16) - source.astype(np.int16)) // 2
    return np.stack([source, edited, np.clip(difference, 0, 255).astype(np.uint8)])


def _square(picture: Picture) -> Pixels:
    return picture.fitted(SIDE).array()[..., :3]


def patches(images: Pixels) -> Floats:
    """Patches in Qwen's order, float32 (n * 64, 1536), from uint8 (n, 128, 128, 3).

    Pixels become -1..1 (mean and deviation 0.5); each 2 x 2 block of patches stands together; an image fills
    both frames of a temporal patch.
    """
    count, cells = len(images), GRID // MERGE
    scaled = images.astype(np.float32) / 127.5 - 1.0
    tiled = scaled.reshape(count, cells, MERGE, PATCH, cells, MERGE, PATCH, 3)
    ordered = tiled.transpose(0, 1, 4, 2, 5, 7, 3, 6).reshape(count * GRID * GRID, 3, 1, PATCH * PATCH)
    return np.repeat(ordered, FRAMES, axis=2).reshape(count * GRID * GRID, -1)


def prompt(instruction: str, sent: str, *, images: int = IMAGES) -> str:
    """The prompt up to the reply: the user's instruction, and what the editor got (paper T_s, T_t)."""
    return _turn(images, question(instruction, sent))


def views_alone() -> str:
    """The prompt up to the reply when nothing but the images is given."""
    return _turn(IMAGES, "")


def _turn(images: int, words: str) -> str:
    image = VISION_START + IMAGE_PAD * TOKENS + VISION_END
    return f"{IM_START}user\n{image * images}{words}{IM_END}\n{IM_START}assistant\n"


def question(instruction: str, sent: str) -> str:
    """The words of a prompt."""
    said = "the same" if sent == instruction else sent or "nothing yet"
    return f"asked: {instruction}\nsent: {said}"


def frame() -> list[str]:
    """The five fixed pieces of a reply, around reasoning, semantic, quality and answer; each is one token."""
    text = reply.render(Critique(Score(1, 2), "R", "A"))
    return [piece for piece in re.split("[R12A]", text) if piece]


def positions(image_starts: list[int], length: int) -> npt.NDArray[np.int64]:
    """Rotary positions (3, length) of a prompt whose images start at `image_starts` (interleaved M-RoPE).

    Text counts on in all three axes; the tokens of one image share the time axis and count rows and columns;
    the text after an image goes on from the largest position so far plus one.
    """
    cells = GRID // MERGE
    rows, columns = np.divmod(np.arange(TOKENS), cells)
    result = np.zeros((3, length), np.int64)
    index = position = 0
    for start in [*image_starts, length]:
        text = start - index
        result[:, index:start] = np.arange(position, position + text)
        position += text
        if start < length:
            result[0, start : start + TOKENS] = position
            result[1, start : start + TOKENS] = position + rows
            result[2, start : start + TOKENS] = position + columns
            position += cells
            index = start + TOKENS
    return result
