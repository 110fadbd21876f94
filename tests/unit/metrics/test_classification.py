from __future__ import annotations

import warnings

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bertwright.metrics.classification import classification_scores, confusion_matrix

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


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40))
@example([(0, 0), (0, 0)])
@example([(0, 1), (1, 2), (2, 0)])
def test_scores_are_those_of_scikit_learn(rows: list[tuple[int, int]]) -> None:
    reference = pytest.importorskip("sklearn.metrics")
    gold, predicted = [row[0] for row in rows], [row[1] for row in rows]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of labels that are never predicted
        expected = {
            "accuracy": reference.accuracy_score(gold, predicted),
            "macro_f1": reference.f1_score(gold, predicted, average="macro"),
            "mcc": reference.matthews_corrcoef(gold, predicted),
        }
    assert classification_scores(gold, predicted, 5) == pytest.approx(expected, abs=1e-12)
