"""Text from users and models cannot act on a terminal."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from editthinker.cli.terminal import inert

PAYLOADS = {
    "\x1b[31mred\x1b[0m": "[31mred[0m",
    "\x1b]0;title\x07": "]0;title",
    "\x9b2Jgone": "2Jgone",
    "a\rb\nc\td": "a b c d",
    "\u202egnp.exe": "gnp.exe",
    "x\u2066y\u2069z": "xyz",
    "[bold]loud[/bold]": "[bold]loud[/bold]",
    "\ud800lone": "lone",
    "\x00nul\x7f": "nul",
    "家を赤く 👩‍🎨": "家を赤く 👩‍🎨",
}


@pytest.mark.parametrize(("hostile", "shown"), PAYLOADS.items(), ids=ascii)
def test_payloads(hostile: str, shown: str) -> None:
    assert inert(hostile) == shown


@given(st.text(st.characters(), max_size=200))
def test_never_a_control_or_a_second_line(text: str) -> None:
    shown = inert(text)
    assert not {unicodedata.category(char) for char in shown} & {"Cc", "Cs"}
    assert len(shown.splitlines()) <= 1
    shown.encode()


def test_a_long_line_is_cut() -> None:
    assert len(inert("x" * 1_000_000)) < 3000
