"""Scores of a classifier from its confusion matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def confusion_matrix(gold: ArrayLike, predicted: ArrayLike, labels: int) -> NDArray[np.int64]:
    """Counts, (labels, labels): row the gold label, column the predicted one."""
    gold, predicted = np.asarray(gold, dtype=np.int64), np.asarray(predicted, dtype=np.int64)
    return np.bincount(gold * labels + predicted, minlength=labels * labels).reshape(labels, labels)


def accuracy(confusion: NDArray[np.int64]) -> float:
    """Share of rows that got their gold label."""
    return float(np.trace(confusion) / confusion.sum())


def macro_f1(confusion: NDArray[np.int64]) -> float:
    """Mean of the labels' F1, over labels that occur in the gold or the predictions (as scikit-learn's default)."""
    hits = np.diag(confusion)
    total = confusion.sum(axis=0) + confusion.sum(axis=1)
    return float(np.mean(2 * hits[total > 0] / total[total > 0]))


def matthews(confusion: NDArray[np.int64]) -> float:
    """Matthews correlation for any number of labels (Gorodkin 2004); 0 where it has no value, as for a single class."""
    count = float(confusion.sum())
    gold, predicted = confusion.sum(axis=1).astype(float), confusion.sum(axis=0).astype(float)
    covariance = np.trace(confusion) * count - gold @ predicted
    spread = (count**2 - gold @ gold) * (count**2 - predicted @ predicted)
    return float(covariance / np.sqrt(spread)) if spread > 0 else 0.0


def classification_scores(gold: ArrayLike, predicted: ArrayLike, labels: int) -> dict[str, float]:
    """accuracy, macro_f1 and mcc of a set of rows, at least one."""
    confusion = confusion_matrix(gold, predicted, labels)
    return {"accuracy": accuracy(confusion), "macro_f1": macro_f1(confusion), "mcc": matthews(confusion)}
