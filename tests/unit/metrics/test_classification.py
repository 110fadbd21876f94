from __future__ import annotations

import warnings

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import example, given
from hypothesis import strategies as st

from bertwright.metrics.classification import (
    ClassScore,
    accuracy,
    class_scores,
    classification_scores,
    confusion_matrix,
    multilabel_class_scores,
    multilabel_scores,
)

GOLD = [0, 0, 0, 1, 1, 2]
PREDICTED = [0, 0, 1, 1, 2, 2]


def test_scores_by_hand() -> None:
    assert confusion_matrix(GOLD, PREDICTED, 4).tolist() == [
        [2, 1, 0, 0],
        [0, 1, 1, 0],
        [0, 0, 1, 0],
        [0, 0, 0, 0],
    ]
    # F1: 2*2/(3+2) = 0.8; 2*1/(2+2) = 0.5; 2*1/(1+2) = 2/3; label 3 occurs nowhere and counts for nothing.
    # MCC: (4*6 - (3*2 + 2*2 + 1*2)) / sqrt((36 - 14) * (36 - 12)) = 12 / sqrt(528).
    assert classification_scores(GOLD, PREDICTED, 4) == {
        "accuracy": pytest.approx(4 / 6),
        "macro_f1": pytest.approx((0.8 + 0.5 + 2 / 3) / 3),
        "mcc": pytest.approx(12 / 528**0.5),
    }


@pytest.mark.parametrize(
    ("gold", "predicted", "expected"),
    [
        ([0, 1, 1, 0], [0, 1, 1, 0], (1.0, 1.0, 1.0)),
        ([0, 1, 1, 0], [1, 0, 0, 1], (0.0, 0.0, -1.0)),
        ([0, 1, 1, 0], [1, 1, 1, 1], (0.5, 1 / 3, 0.0)),  # one class throughout: MCC has no value
        ([1], [1], (1.0, 1.0, 0.0)),
    ],
)
def test_edges(gold: list[int], predicted: list[int], expected: tuple[float, ...]) -> None:
    assert tuple(classification_scores(gold, predicted, 2).values()) == pytest.approx(expected)


def test_class_scores_by_hand() -> None:
    confusion = confusion_matrix(GOLD, PREDICTED, 4)
    assert class_scores(confusion) == [
        ClassScore(precision=1.0, recall=2 / 3, f1=0.8, support=3),
        ClassScore(precision=0.5, recall=0.5, f1=0.5, support=2),
        ClassScore(precision=0.5, recall=1.0, f1=2 / 3, support=1),
        ClassScore(precision=0.0, recall=0.0, f1=0.0, support=0),
    ]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40))
@example([(0, 0), (0, 0)])
@example([(0, 1), (1, 2), (2, 0)])
def test_scores_are_those_of_scikit_learn(rows: list[tuple[int, int]]) -> None:
    gold, predicted = [row[0] for row in rows], [row[1] for row in rows]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of labels that are never predicted
        expected = {
            "accuracy": sklearn.metrics.accuracy_score(gold, predicted),
            "macro_f1": sklearn.metrics.f1_score(gold, predicted, average="macro"),
            "mcc": sklearn.metrics.matthews_corrcoef(gold, predicted),
        }
    assert classification_scores(gold, predicted, 5) == pytest.approx(expected, abs=1e-12)
    confusion = confusion_matrix(gold, predicted, 5)
    assert accuracy(confusion) == pytest.approx(sklearn.metrics.f1_score(gold, predicted, average="micro"))
    by_label = sklearn.metrics.precision_recall_fscore_support(gold, predicted, labels=range(5), zero_division=0)
    assert np.array(class_scores(confusion)) == pytest.approx(np.array(by_label).T, abs=1e-12)


GOLD_SETS = [[1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]
PREDICTED_SETS = [[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]


def test_multilabel_by_hand() -> None:
    assert multilabel_class_scores(GOLD_SETS, PREDICTED_SETS) == [
        ClassScore(precision=0.5, recall=1.0, f1=2 / 3, support=1),
        ClassScore(precision=1.0, recall=0.5, f1=2 / 3, support=2),
        ClassScore(precision=0.0, recall=0.0, f1=0.0, support=1),
        ClassScore(precision=0.0, recall=0.0, f1=0.0, support=0),
    ]
    # Two hits among four labels in the gold and three predicted; the last label occurs nowhere and counts for nothing.
    assert multilabel_scores(GOLD_SETS, PREDICTED_SETS) == {
        "micro_f1": pytest.approx(4 / 7),
        "macro_f1": pytest.approx((2 / 3 + 2 / 3 + 0) / 3),
        "exact": pytest.approx(1 / 3),
    }


def test_rows_without_labels_are_exact_and_score_nothing() -> None:
    nothing = [[False, False]]
    assert multilabel_scores(nothing, nothing) == {"micro_f1": 0.0, "macro_f1": 0.0, "exact": 1.0}


SETS = st.lists(st.booleans(), min_size=3, max_size=3)


@given(st.lists(st.tuples(SETS, SETS), min_size=1, max_size=12))
@example([([False] * 3, [False] * 3)])
@example([([True, False, False], [False] * 3)])
def test_multilabel_scores_are_those_of_scikit_learn(rows: list[tuple[list[bool], list[bool]]]) -> None:
    gold, predicted = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    by_label = sklearn.metrics.precision_recall_fscore_support(gold, predicted, zero_division=0)
    assert np.array(multilabel_class_scores(gold, predicted)) == pytest.approx(np.array(by_label).T, abs=1e-12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the mean of nothing
        # zero_division=nan leaves out labels that occur nowhere, as we do.
        macro = sklearn.metrics.f1_score(gold, predicted, average="macro", zero_division=np.nan)
    assert multilabel_scores(gold, predicted) == pytest.approx(
        {
            "micro_f1": sklearn.metrics.f1_score(gold, predicted, average="micro", zero_division=0),
            "macro_f1": 0.0 if np.isnan(macro) else macro,
            "exact": sklearn.metrics.accuracy_score(gold, predicted),
        },
        abs=1e-12,
    )


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=20))
def test_one_label_a_row_is_a_case_of_many(rows: list[tuple[int, int]]) -> None:
    gold, predicted = np.array(rows).T
    confusion = confusion_matrix(gold, predicted, 4)
    one_hot = np.eye(4, dtype=bool)
    assert multilabel_class_scores(one_hot[gold], one_hot[predicted]) == class_scores(confusion)
    assert multilabel_scores(one_hot[gold], one_hot[predicted]) == pytest.approx(
        {
            "micro_f1": accuracy(confusion),
            "macro_f1": classification_scores(gold, predicted, 4)["macro_f1"],
            "exact": classification_scores(gold, predicted, 4)["accuracy"],
        }
    )
