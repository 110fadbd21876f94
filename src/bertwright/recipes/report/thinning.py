"""Curves of any length in a bounded number of points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# About one for every second of a plot's pixels: more could not be told apart.
MOST_POINTS = 200


@dataclass(frozen=True, slots=True)
class Curve:
    """Points of a curve, (n,) each; where several values became one, their mean, lowest and highest.

    `values` counts what the points were made from: more than n where the curve was thinned.
    """

    places: NDArray[np.float64]
    means: NDArray[np.float64]
    lowest: NDArray[np.float64]
    highest: NDArray[np.float64]
    values: int

    @property
    def thinned(self) -> bool:
        """Whether a point stands for more than one value."""
        return self.values > len(self.places)


def thin(places: NDArray[np.float64], values: NDArray[np.float64], most: int = MOST_POINTS) -> Curve:
    """At most `most` points: the means of as many equal parts of the axis, and how far the values in each part go.

    places: (n,) ascending. Means, for one value out of many would show noise as if it were the curve; lowest and
    highest, so that no spike is lost.
    """
    if len(places) <= most:
        return Curve(places, values, values, values, len(values))
    span = places[-1] - places[0]
    part = np.zeros(len(places)) if span == 0 else (places - places[0]) * (most / span)
    part = np.minimum(part.astype(np.int64), most - 1)
    starts = np.flatnonzero(np.diff(part, prepend=-1))
    counts = np.diff(starts, append=len(places))
    return Curve(
        np.add.reduceat(places, starts) / counts,
        np.add.reduceat(values, starts) / counts,
        np.minimum.reduceat(values, starts),
        np.maximum.reduceat(values, starts),
        len(values),
    )
