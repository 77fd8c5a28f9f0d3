"""What a training was begun with is known again by its content, not by where that lies in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("datasets")

from editthinker.training import fingerprints


def rows(level: int = 7, words: str = "make it warmer") -> list[dict[str, Any]]:
    """As a dataset of prompts gives them, made anew at every call."""
    image = Image.fromarray(np.full((4, 6, 3), level, np.uint8))
    return [{"images": [image], "prompt": [{"role": "user", "content": words}], "semantic": 7.5, "mask": ""}]


def test_the_same_rows_are_known_again() -> None:
    kept = [rows() for _ in range(3)]  # all alive, so none lies where another lay
    assert len({fingerprints.of_rows(one) for one in kept}) == 1


@pytest.mark.parametrize("other", [rows(level=8), rows(words="make it cooler"), rows() * 2])
def test_other_rows_are_told_apart(other: list[dict[str, Any]]) -> None:
    assert fingerprints.of_rows(other) != fingerprints.of_rows(rows())


def test_what_can_only_say_where_it_lies_is_refused() -> None:
    with pytest.raises(TypeError, match="object"):
        fingerprints.of_rows([{"images": object()}])
