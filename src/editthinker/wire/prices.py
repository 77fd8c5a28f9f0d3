"""What models cost: a small dated table beside this file, to be overridden by settings.

In: a model id and perhaps the user's own price. Out: a rate, or None when nobody knows. A price is an
estimate, before a call and after it: the provider's bill decides.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Rate:
    """US dollars per million tokens."""

    inward: float
    outward: float
    image: float | None = None
    """Per million image tokens in; None: as other tokens."""

    def of(self, sent: int, received: int, images: int = 0) -> float:
        """US dollars for so many tokens; `images` of those sent are image tokens."""
        picture = self.inward if self.image is None else self.image
        return ((sent - images) * self.inward + images * picture + received * self.outward) / MILLION


def tokens(
    model: str, inward: float | None = None, outward: float | None = None, *, hosted: bool = True
) -> Rate | None:
    """The rate of a model: what the user says, else the table's; models served by oneself cost nothing."""
    if inward is not None or outward is not None:
        return Rate(inward or 0.0, outward or 0.0)
    if not hosted:
        return Rate(0.0, 0.0)
    row = _row("tokens", model)
    return Rate(row["in"], row["out"], row.get("image_in")) if row else None


def per_image(model: str) -> float | None:
    """US dollars a single image is expected to cost at the default quality and about a megapixel."""
    row = _row("images", model)
    return float(row["each"]) if row else None


def dated() -> str:
    """When the table was last checked, as YYYY-MM-DD."""
    return str(_table()["checked"])


def _row(kind: str, model: str) -> dict[str, Any] | None:
    """The row of the longest id that `model` is, or is a dated release or preview of."""
    bare = model.rpartition("/")[2].lower().removesuffix("-preview")
    rows: dict[str, dict[str, Any]] = _table().get(kind, {})
    fitting = [name for name in rows if bare == name or bare.startswith(f"{name}-2")]
    return rows[max(fitting, key=len)] if fitting else None


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads((files("editthinker.wire") / "prices.toml").read_text("utf-8"))
