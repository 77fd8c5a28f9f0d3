"""A picture is encoded once for all who are sent it."""

from __future__ import annotations

import asyncio
import base64
import gc
from weakref import ref

import pytest

from editthinker.testing import photograph
from editthinker.wire.pictures import Shape, as_base64

WHOLE = Shape("image/png", (32, 32))


async def test_made_once_for_all_who_ask_at_the_same_time_and_later() -> None:
    picture, made = photograph(32, 32), []

    def encode() -> bytes:
        made.append(1)
        return picture.encode()

    texts = await asyncio.gather(*(as_base64(picture, WHOLE, encode) for _ in range(8)))
    texts.append(await as_base64(picture, Shape("image/png", (32, 32)), encode))
    assert len(made) == 1
    assert {base64.b64decode(text) for text in texts} == {picture.encode()}


async def test_another_shape_or_picture_is_another_text() -> None:
    picture = photograph(32, 32)
    shapes = [WHOLE, Shape("image/jpeg", (32, 32)), Shape("image/png", (16, 16))]
    shapes.append(Shape("image/png", (32, 32), (0, 0, 32, 16)))
    texts = [await as_base64(picture, shape, str(shape).encode) for shape in shapes]
    assert [base64.b64decode(text).decode() for text in texts] == list(map(str, shapes))
    assert base64.b64decode(await as_base64(photograph(32, 32), WHOLE, b"other".strip)) == b"other"


def test_from_one_loop_after_another() -> None:
    picture = photograph(32, 32)
    first, second = (asyncio.run(as_base64(picture, WHOLE, picture.encode)) for _ in range(2))
    assert first is second


async def test_what_cannot_be_encoded_is_tried_again() -> None:
    picture = photograph(32, 32)
    with pytest.raises(ZeroDivisionError):
        await as_base64(picture, WHOLE, lambda: b"%d" % (1 // 0))
    assert await as_base64(picture, WHOLE, picture.encode)


async def test_nothing_is_kept_of_a_picture_that_is_gone() -> None:
    picture = photograph(32, 32)
    await as_base64(picture, WHOLE, picture.encode)
    gone = ref(picture)
    del picture
    gc.collect()
    assert gone() is None
