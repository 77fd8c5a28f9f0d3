"""Means with 95 % bootstrap intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean and the interval that holds it in 95 % of resamples."""

    mean: float
    low: float
    high: float
    n: int


def estimate(values: Sequence[float], *, seed: int = 0) -> Estimate:
    """Mean of `values` with a percentile bootstrap; NaN for none."""
    if not values:
        return Estimate(float("nan"), float("nan"), float("nan"), 0)
    array = np.asarray(values, np.float64)
    picks = np.random.default_rng(seed).integers(0, len(array), (RESAMPLES, len(array)))
    low, high = np.percentile(array[picks].mean(axis=1), [2.5, 97.5])
    return Estimate(float(array.mean()), float(low), float(high), len(array))


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
