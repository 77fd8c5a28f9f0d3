"""Means with 95 % bootstrap intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

RESAMPLES = 2000
SMALL = 400
"""Up to so many values it is kept how often each was drawn: the same for every figure and every turn."""
FEW = 20
"""So many times fewer different values than values make it worth drawing how often each came."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean and the interval that holds it in 95 % of resamples."""

    mean: float
    low: float
    high: float
    n: int

    def as_json(self) -> dict[str, float | int | None]:
        """JSON values; what is not a number is null."""
        named = {"mean": self.mean, "low": self.low, "high": self.high}
        return {**{name: one if math.isfinite(one) else None for name, one in named.items()}, "n": self.n}


def estimate(
    values: Sequence[float],
    *,
    groups: Sequence[str] | None = None,
    weights: Sequence[float] | None = None,
    seed: int = 0,
) -> Estimate:
    """Mean of `values` with a percentile bootstrap; NaN for none.

    With `groups`, one label per value: the mean of the groups' means, each group drawn anew within itself.
    With `weights`, the weighted mean. Not both.
    """
    if not len(values):
        return Estimate(float("nan"), float("nan"), float("nan"), 0)
    array = np.asarray(values, np.float64)
    if not np.isfinite(array).all():  # official code lets NaN through, and so does its mean
        return Estimate(float("nan"), float("nan"), float("nan"), len(array))
    if groups is None:
        mean, means = _resampled(array, seed, 0, None if weights is None else np.asarray(weights, np.float64))
    else:
        labels = np.asarray(groups)
        parts = [
            _resampled(array[labels == label], seed, stream, None)
            for stream, label in enumerate(dict.fromkeys(groups))
        ]
        mean = sum(part[0] for part in parts) / len(parts)
        means = np.mean([part[1] for part in parts], axis=0)
    low, high = np.percentile(means, [2.5, 97.5])
    return Estimate(mean, float(low), float(high), len(array))


def _resampled(values: Floats, seed: int, stream: int, weights: Floats | None) -> tuple[float, Floats]:
    """The mean, and the means of resamples; other streams are other draws."""
    number = len(values)
    if (values == values[0]).all():
        return float(values[0]), np.full(RESAMPLES, values[0])
    products = values if weights is None else values * weights
    mean = float(values.mean() if weights is None else products.sum() / weights.sum())
    if number <= SMALL:
        drawn = _drawn(number, seed, stream)
        means: Floats = drawn @ products / (number if weights is None else drawn @ weights)
        return mean, means
    rng = np.random.default_rng([seed, stream])
    if weights is None:
        kinds, counts = np.unique(values, return_counts=True)
        if len(kinds) * FEW <= number:
            return mean, rng.multinomial(number, counts / number, RESAMPLES) @ kinds / number
    picks = _picks(rng, number)
    means = products[picks].mean(axis=1)
    return mean, means if weights is None else means / weights[picks].mean(axis=1)


@lru_cache(maxsize=24)
def _drawn(number: int, seed: int, stream: int) -> Floats:
    """How often each of `number` values stands in each resample."""
    picks = _picks(np.random.default_rng([seed, stream]), number).astype(np.intp)
    places = picks + np.arange(RESAMPLES)[:, np.newaxis] * number
    counts = np.bincount(places.ravel(), minlength=RESAMPLES * number)
    return counts.reshape(RESAMPLES, number).astype(np.float64)


def _picks(rng: np.random.Generator, number: int) -> npt.NDArray[Any]:
    narrow = number <= np.iinfo(np.uint16).max  # drawn in a third of the time
    return rng.integers(0, number, (RESAMPLES, number), dtype=np.uint16 if narrow else np.int64)


def ranks(values: Sequence[float]) -> Floats:
    """Ranks from 0, ties sharing their mean."""
    array = np.asarray(values, np.float64)
    _, inverse, counts = np.unique(array, return_inverse=True, return_counts=True)
    first = np.cumsum(counts) - counts
    result: Floats = (first + (counts - 1) / 2)[inverse]
    return result


def rank_correlation(one: Sequence[float], other: Sequence[float]) -> float:
    """Spearman's rho; NaN when either side does not vary."""
    if len(one) < 2:
        return float("nan")
    a, b = ranks(one), ranks(other)
    if a.std() == 0 or b.std() == 0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])
