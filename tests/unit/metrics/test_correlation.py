from __future__ import annotations

import warnings

import numpy as np
import pytest
import scipy.stats
from hypothesis import example, given
from hypothesis import strategies as st

from bertwright.metrics.correlation import correlation_scores, pearson, spearman


def test_by_hand() -> None:
    # Centred: -1 0 1 and -1 -1 2. Their product is 3, their squares 2 and 6: 3 / sqrt(12).
    assert pearson([1, 2, 3], [0, 0, 3]) == pytest.approx(3 / 12**0.5)
    # Ranks: 1 2 3 and 1.5 1.5 3. Centred: -1 0 1 and -0.5 -0.5 1: 1.5 / sqrt(2 * 1.5).
    assert spearman([1, 2, 3], [0, 0, 3]) == pytest.approx(1.5 / 3**0.5)


@pytest.mark.parametrize(
    ("gold", "predicted", "expected"),
    [
        ([1, 2, 3, 4], [1, 4, 9, 16], (0.98437, 1.0)),
        ([1, 2, 3, 4], [-1, -2, -3, -4], (-1.0, -1.0)),
        ([1, 2, 3], [0.1, 0.1, 0.1], (0.0, 0.0)),  # a constant has no correlation
        ([0.1] * 3, [1, 2, 3], (0.0, 0.0)),  # whose mean is not 0.1 but 0.10000000000000002
        ([5], [5], (0.0, 0.0)),
        ([], [], (0.0, 0.0)),
        ([1e-200, 2e-200, 3e-200], [1e200, 2e200, 3e200], (1.0, 1.0)),  # whose squares are 0 and infinite
    ],
)
def test_edges(gold: list[float], predicted: list[float], expected: tuple[float, float]) -> None:
    assert tuple(correlation_scores(gold, predicted).values()) == pytest.approx(expected, abs=1e-5)


SCORES = st.one_of(st.integers(0, 5).map(float), st.floats(-100, 100).map(lambda value: round(value, 3)))


@given(st.lists(st.tuples(SCORES, SCORES), min_size=2, max_size=30))
@example([(0.0, 0.0), (0.0, 1.0), (5.0, 1.0)])
def test_scores_are_those_of_scipy(rows: list[tuple[float, float]]) -> None:
    gold, predicted = [row[0] for row in rows], [row[1] for row in rows]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of constants, and gives nan for them
        expected = {
            "pearson": scipy.stats.pearsonr(gold, predicted).statistic,
            "spearman": scipy.stats.spearmanr(gold, predicted).statistic,
        }
    expected = {name: 0.0 if np.isnan(value) else value for name, value in expected.items()}
    assert correlation_scores(gold, predicted) == pytest.approx(expected, abs=1e-9)


@given(st.lists(st.tuples(SCORES, SCORES), min_size=2, max_size=30))
def test_ranks_do_not_see_a_rising_function(rows: list[tuple[float, float]]) -> None:
    gold, predicted = [row[0] for row in rows], [row[1] for row in rows]
    assert spearman(gold, [value**3 + value for value in predicted]) == pytest.approx(spearman(gold, predicted))
    assert spearman(predicted, gold) == pytest.approx(spearman(gold, predicted))
