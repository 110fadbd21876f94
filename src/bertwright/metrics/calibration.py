"""Does a model know how often it is right: temperature, reliability, and when to give no answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.05, 20.0


class Bin(NamedTuple):
    """The rows whose confidence lies above `low` and at most at `high`: mean confidence and share of right ones."""

    low: float
    high: float
    confidence: float
    accuracy: float
    count: int  # type: ignore[assignment]  # the method of tuples is of no use here


class Abstention(NamedTuple):
    """Answers with a confidence of at least `threshold`: their share of all rows, and how many of them are right."""

    threshold: float
    coverage: float
    accuracy: float


def fit_temperature(scores: ArrayLike, gold: ArrayLike) -> float:
    """The temperature T at which softmax(scores / T) gives the gold classes the highest likelihood (Guo et al. 2017).

    `scores`, (rows, labels), finite, before the softmax; `gold`, (rows,), the right labels. The result lies in
    [0.05, 20]: where every row is right, the likelihood has its limit at 0, and where the scores say less than nothing,
    at infinity. It is 1 where the temperature changes nothing, as for scores that are equal throughout each row.
    """
    values = np.asarray(scores, dtype=np.float64)
    values = values - values.max(axis=1, keepdims=True)
    of_gold = np.take_along_axis(values, np.asarray(gold, dtype=np.int64)[:, None], axis=1)[:, 0]

    def slope(sharpness: float) -> float:
        """Of the loss, over 1 / T, in which it is convex: the slope only rises, so a bisection finds where it is 0."""
        weights = np.exp(sharpness * values)
        return float(np.mean((weights * values).sum(axis=1) / weights.sum(axis=1) - of_gold))

    low, high = 1 / HIGHEST_TEMPERATURE, 1 / LOWEST_TEMPERATURE
    if slope(low) == slope(high) == 0:
        return 1.0
    if slope(low) >= 0:
        return HIGHEST_TEMPERATURE
    if slope(high) <= 0:
        return LOWEST_TEMPERATURE
    for _ in range(60):  # 20 / 2**60 is below the rounding of float64
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return 2 / (low + high)


def reliability(confidence: ArrayLike, right: ArrayLike, bins: int = 10) -> list[Bin]:
    """Confidence beside accuracy, in bins of equal width over 0..1; those without a row are left out.

    `confidence`, (rows,), the probability of the answer given; `right`, (rows,), whether it was right.
    """
    sure, correct = np.asarray(confidence, dtype=np.float64), np.asarray(right, dtype=bool)
    assert sure.shape == correct.shape
    assert len(sure), "no decision, no calibration"
    # Not i * (1 / bins), which puts 0.3 above its own edge.
    edges = np.arange(bins + 1) / bins
    place = np.maximum(np.searchsorted(edges, sure, side="left") - 1, 0)  # a confidence of 0 goes to the first
    return [
        Bin(
            low=float(edges[at]),
            high=float(edges[at + 1]),
            confidence=float(sure[place == at].mean()),
            accuracy=float(correct[place == at].mean()),
            count=int((place == at).sum()),
        )
        for at in np.unique(place).tolist()
    ]


def calibration_error(bins: Sequence[Bin]) -> float:
    """Expected calibration error (ECE): mean distance of confidence and accuracy over the rows of at least one bin."""
    return sum(each.count * abs(each.confidence - each.accuracy) for each in bins) / sum(each.count for each in bins)


def abstention(confidence: ArrayLike, right: ArrayLike, wanted: float) -> Abstention | None:
    """The lowest threshold at which the answers kept reach the accuracy `wanted`; None where none does.

    `confidence` and `right`, (rows,), as for `reliability`. A threshold is the confidence of a row, and equal ones are
    kept or dropped together. Accuracy need not rise with the threshold: a higher one may do worse.
    """
    sure, correct = np.asarray(confidence, dtype=np.float64), np.asarray(right, dtype=bool)
    assert sure.shape == correct.shape
    order = np.argsort(-sure, kind="stable")
    sure, accuracy = sure[order], _running_share(correct[order])
    last_of_equals = np.append(sure[1:] != sure[:-1], True)[: len(sure)]
    enough = np.flatnonzero(last_of_equals & (accuracy >= wanted))
    if not len(enough):
        return None
    at = int(enough[-1])
    return Abstention(threshold=float(sure[at]), coverage=(at + 1) / len(sure), accuracy=float(accuracy[at]))


def _running_share(correct: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Share of right ones among the first 1, 2, ... rows."""
    return np.cumsum(correct) / np.arange(1, len(correct) + 1)
