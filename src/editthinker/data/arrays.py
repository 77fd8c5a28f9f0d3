"""The items of a JSON array of any length, one at a time: a published file is one array of a gigabyte."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from typing import Any, BinaryIO

from editthinker.core.errors import InputError

CHUNK = 1 << 20
MAX_ITEM = 8 * 2**20
"""Characters of an item; more than that is not waited for."""
_SPACE = " \t\r\n"


def items(stream: BinaryIO) -> Iterator[Any]:
    """Every item. Raises `InputError` when the file is no array, or breaks off or is broken in the middle.

    Nothing behind a broken item can be told apart, so unlike a broken line it ends the reading.
    """
    decoder, text = json.JSONDecoder(), _Text(stream)
    if text.next_sign() != "[":
        raise InputError("the file is no JSON array")
    text.position += 1
    number, sign = 0, text.next_sign()
    while sign != "]":
        number += 1
        yield _item(decoder, text, number)
        sign = text.next_sign()
        if sign == ",":
            text.position += 1
        elif sign != "]":
            raise _broken(number)
    text.position += 1
    if text.next_sign():
        raise InputError("there is something behind the end of the JSON array")


class _Text:
    """The part of a file that is looked at."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._decoder = stream, codecs.getincrementaldecoder("utf-8-sig")()
        self.text, self.position = "", 0

    def more(self) -> bool:
        """Read on; whether there was anything left."""
        try:
            data = self._stream.read(CHUNK)
            fresh = self._decoder.decode(data, final=not data)
        except UnicodeDecodeError:
            raise InputError("the file is not UTF-8 text") from None
        self.text, self.position = self.text[self.position :] + fresh, 0
        return bool(data)

    def next_sign(self) -> str:
        """The next character that is no space, which stays unread; empty at the end."""
        while True:
            while self.position < len(self.text) and self.text[self.position] in _SPACE:
                self.position += 1
            if self.position < len(self.text):
                return self.text[self.position]
            if not self.more():
                return ""


def _item(decoder: json.JSONDecoder, text: _Text, number: int) -> Any:
    text.next_sign()
    while True:
        try:
            item, text.position = decoder.raw_decode(text.text, text.position)
        except (ValueError, RecursionError):
            if len(text.text) - text.position > MAX_ITEM or not text.more():
                raise _broken(number) from None
        else:
            return item


def _broken(number: int) -> InputError:
    return InputError(f"the JSON array is broken off, or broken, at item {number}; download the file again")
