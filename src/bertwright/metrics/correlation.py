"""How far predicted numbers rise and fall with the gold ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def pearson(gold: ArrayLike, predicted: ArrayLike) -> float:
    """Correlation of the values, -1..1; 0 where it has no value: one side is constant, as any single row is."""
    x, y = np.asarray(gold, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    assert x.shape == y.shape
    # Asked of the values, not of their spread: the mean of equal numbers may differ from them by a rounding.
    if not len(x) or (x == x[0]).all() or (y == y[0]).all():
        return 0.0
    return float(np.clip(_direction(x) @ _direction(y), -1.0, 1.0))


def spearman(gold: ArrayLike, predicted: ArrayLike) -> float:
    """Correlation of the ranks, -1..1, equal values sharing the mean of their ranks; 0 where it has no value."""
    return pearson(_ranks(gold), _ranks(predicted))


def correlation_scores(gold: ArrayLike, predicted: ArrayLike) -> dict[str, float]:
    """Both correlations, pearson and spearman, of two sequences of equal length."""
    return {"pearson": pearson(gold, predicted), "spearman": spearman(gold, predicted)}


def _direction(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The centred values at length 1."""
    centred = values - values.mean()
    centred /= np.abs(centred).max()  # so that squares of tiny or huge values neither vanish nor overflow
    return centred / np.linalg.norm(centred)


def _ranks(values: ArrayLike) -> NDArray[np.float64]:
    """1 for the smallest; equal values share the mean of the ranks they take up."""
    _, place, count = np.unique(np.asarray(values, dtype=np.float64), return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[place]
