"""Scores of a classifier: with one label a row from the confusion matrix, with any number from the columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


class ClassScore(NamedTuple):
    """How well one class is found; `support` is its count in the gold. A share of nothing is 0, as zero_division=0."""

    precision: float
    recall: float
    f1: float
    support: int


def class_score(hits: int, gold: int, predicted: int) -> ClassScore:
    """The score of a class that occurs `gold` times, was predicted `predicted` times, and rightly `hits` times."""
    return ClassScore(
        precision=hits / predicted if predicted else 0.0,
        recall=hits / gold if gold else 0.0,
        f1=2 * hits / (gold + predicted) if gold + predicted else 0.0,
        support=gold,
    )


def confusion_matrix(gold: ArrayLike, predicted: ArrayLike, labels: int) -> NDArray[np.int64]:
    """Counts, (labels, labels): row the gold label, column the predicted one."""
    gold, predicted = np.asarray(gold, dtype=np.int64), np.asarray(predicted, dtype=np.int64)
    return np.bincount(gold * labels + predicted, minlength=labels * labels).reshape(labels, labels)


def accuracy(confusion: NDArray[np.int64]) -> float:
    """Share of rows that got their gold label.

    It is the micro F1 too: where each row has one label, a miss of one label is a false alarm of another.
    """
    return float(np.trace(confusion) / confusion.sum())


def class_scores(confusion: NDArray[np.int64]) -> list[ClassScore]:
    """One score a label, in the order of the matrix; all 0 for a label that occurs nowhere."""
    return _scores(np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0))


def macro_f1(confusion: NDArray[np.int64]) -> float:
    """Mean of the labels' F1, over labels that occur in the gold or the predictions (as scikit-learn's default)."""
    return _mean_f1(np.diag(confusion), confusion.sum(axis=0) + confusion.sum(axis=1))


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


def multilabel_class_scores(gold: ArrayLike, predicted: ArrayLike) -> list[ClassScore]:
    """One score a label, from boolean arrays (rows, labels); all 0 for a label that occurs nowhere."""
    return _scores(*_label_counts(gold, predicted))


def multilabel_scores(gold: ArrayLike, predicted: ArrayLike) -> dict[str, float]:
    """micro_f1, macro_f1 and exact (share of rows with every label right) of boolean arrays (rows, labels).

    At least one row. macro_f1 is over labels that occur in the gold or the predictions, as for one label a row:
    scikit-learn with zero_division=nan, where zero_division=0 counts a label nobody ever saw as a failure. Where no
    label occurs at all, both F1 are 0.
    """
    hits, in_gold, in_predicted = _label_counts(gold, predicted)
    total = in_gold + in_predicted
    right = (np.asarray(gold, dtype=bool) == np.asarray(predicted, dtype=bool)).all(axis=1)
    return {
        "micro_f1": class_score(int(hits.sum()), int(in_gold.sum()), int(in_predicted.sum())).f1,
        "macro_f1": _mean_f1(hits, total) if total.any() else 0.0,
        "exact": float(right.mean()),
    }


def _label_counts(
    gold: ArrayLike, predicted: ArrayLike
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Hits, gold and predicted counts of each column, (labels,) each."""
    gold, predicted = np.asarray(gold, dtype=bool), np.asarray(predicted, dtype=bool)
    assert gold.shape == predicted.shape
    return (gold & predicted).sum(axis=0), gold.sum(axis=0), predicted.sum(axis=0)


def _scores(hits: NDArray[np.int64], gold: NDArray[np.int64], predicted: NDArray[np.int64]) -> list[ClassScore]:
    counts = zip(hits.tolist(), gold.tolist(), predicted.tolist(), strict=True)
    return [class_score(*of_label) for of_label in counts]


def _mean_f1(hits: NDArray[np.int64], total: NDArray[np.int64]) -> float:
    """`total`: gold and predicted counts together."""
    return float(np.mean(2 * hits[total > 0] / total[total > 0]))
