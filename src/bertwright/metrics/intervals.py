"""How sure the mean of a few runs is."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence


class Interval(NamedTuple):
    """Mean and sample standard deviation of `count` values, and between what bounds the true mean may lie."""

    mean: float
    deviation: float
    low: float
    high: float
    count: int  # type: ignore[assignment]  # the method of tuples is of no use here


def interval(values: Sequence[float], level: float = 0.95) -> Interval:
    """Student's t interval of the mean of at least one value: in `level` of all cases it holds the true mean.

    That is so where the values are independent and about normal. One value tells nothing of the spread: `deviation` is
    then 0 and both bounds are the value, which is not to say that it is exact.
    """
    mean = float(statistics.mean(values))  # exact, so that the mean of equal values is that value
    if len(values) == 1:
        return Interval(mean, 0.0, mean, mean, 1)
    deviation = statistics.stdev(values)
    reach = t_quantile(level, len(values) - 1) * deviation / math.sqrt(len(values))
    return Interval(mean, deviation, mean - reach, mean + reach, len(values))


def paired(a: Sequence[float], b: Sequence[float], level: float = 0.95) -> Interval:
    """The interval of the differences a - b, value by value, as of two settings run with the same seeds."""
    return interval([one - other for one, other in zip(a, b, strict=True)], level)


def t_quantile(level: float, freedom: int) -> float:
    """The t with -t..t holding the share `level` of Student's distribution with `freedom` >= 1 degrees of freedom."""
    assert 0 < level < 1
    low, high = 0.0, math.pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _central_share(middle, freedom) < level else (low, middle)
    return math.sqrt(freedom) * math.tan((low + high) / 2)


def _central_share(angle: float, freedom: int) -> float:
    """The share within sqrt(freedom) * tan(angle) of 0, a finite sum (Abramowitz & Stegun 26.7.3 and 26.7.4)."""
    sine, cosine = math.sin(angle), math.cos(angle)
    if freedom % 2:
        k = np.arange(1, (freedom - 1) // 2)
        terms = cosine * (1 + np.cumprod(2 * k / (2 * k + 1) * cosine**2).sum()) if freedom > 1 else 0.0
        return float(2 / math.pi * (angle + sine * terms))
    k = np.arange(1, freedom // 2)
    return float(sine * (1 + np.cumprod((2 * k - 1) / (2 * k) * cosine**2).sum()))
