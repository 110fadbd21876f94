from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.optimize
import scipy.special
from hypothesis import given
from hypothesis import strategies as st

from bertwright.metrics.calibration import Abstention, Bin, abstention, calibration_error, fit_temperature, reliability


def test_temperature_by_hand() -> None:
    # Two labels, a lead of 3, right three times of four: it should say 0.75, a lead of log 3.
    scores = [[3.0, 0.0]] * 4
    assert fit_temperature(scores, [0, 0, 0, 1]) == pytest.approx(3 / math.log(3))


@pytest.mark.parametrize(
    ("scores", "gold", "expected"),
    [
        ([[9.0, 0.0], [0.0, 9.0]], [0, 1], 0.05),  # all right: never sure enough
        ([[9.0, 0.0], [0.0, 9.0]], [1, 0], 20.0),  # all wrong
        ([[9.0, 0.0], [9.0, 0.0]], [0, 1], 20.0),  # right by chance
        ([[7.0, 7.0, 7.0], [0.1, 0.1, 0.1]], [0, 2], 1.0),  # says nothing at any temperature
        ([[1e6, 0.0], [0.0, 1e6]], [0, 1], 1.0),  # sure and right at any temperature
        ([[5.0], [6.0]], [0, 0], 1.0),  # one label
    ],
)
def test_temperature_has_bounds(scores: list[list[float]], gold: list[int], expected: float) -> None:
    assert fit_temperature(scores, gold) == expected


def loss(temperature: float, scores: np.ndarray, gold: np.ndarray) -> float:
    likelihood = scipy.special.log_softmax(scores / temperature, axis=1)
    return float(-np.take_along_axis(likelihood, gold[:, None], axis=1).mean())


@pytest.mark.parametrize("seed", range(10))
def test_temperature_is_where_a_search_finds_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(200, 4))
    gold = (truth + rng.gumbel(size=truth.shape)).argmax(axis=1)
    scores = truth * rng.uniform(0.3, 5) + rng.normal(scale=10, size=(200, 1))
    found = scipy.optimize.minimize_scalar(
        loss, bounds=(0.05, 20), args=(scores, gold), method="bounded", options={"xatol": 1e-9}
    )
    assert fit_temperature(scores, gold) == pytest.approx(found.x, rel=1e-5)


def test_reliability_by_hand() -> None:
    bins = reliability([0.0, 0.1, 0.3, 0.95, 1.0, 1.0], [0, 0, 1, 1, 1, 0])
    # An edge belongs to the bin below it, 0 to the first.
    assert bins[:2] == [
        Bin(low=0.0, high=0.1, confidence=0.05, accuracy=0.0, count=2),
        Bin(low=0.2, high=0.3, confidence=0.3, accuracy=1.0, count=1),
    ]
    assert bins[2:] == [pytest.approx((0.9, 1.0, 2.95 / 3, 2 / 3, 3))]
    # (2 * 0.05 + 1 * 0.7 + 3 * 0.95 / 3) / 6
    assert calibration_error(bins) == pytest.approx((0.1 + 0.7 + 0.95) / 6)


def test_every_edge_belongs_to_the_bin_below() -> None:
    edges = [place / 10 for place in range(1, 11)]
    assert [each.high for each in reliability(edges, [True] * 10)] == edges


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40), st.integers(1, 20))
def test_bins_hold_every_row_once(rows: list[tuple[float, bool]], bins: int) -> None:
    confidence, right = [row[0] for row in rows], [row[1] for row in rows]
    found = reliability(confidence, right, bins)
    assert sum(each.count for each in found) == len(rows)
    assert sum(each.count * each.accuracy for each in found) == pytest.approx(sum(right))
    assert sum(each.count * each.confidence for each in found) == pytest.approx(sum(confidence))
    assert 0 <= calibration_error(found) <= 1


CONFIDENCE = [0.9, 0.8, 0.8, 0.6, 0.5]
RIGHT = [True, True, False, True, False]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (0.5, Abstention(threshold=0.5, coverage=1.0, accuracy=0.6)),
        (0.7, Abstention(threshold=0.6, coverage=0.8, accuracy=0.75)),
        (0.75, Abstention(threshold=0.6, coverage=0.8, accuracy=0.75)),
        # At 0.8 both rows come or neither: 2 of 3, not 2 of 2.
        (0.8, Abstention(threshold=0.9, coverage=0.2, accuracy=1.0)),
        (1.0, Abstention(threshold=0.9, coverage=0.2, accuracy=1.0)),
    ],
)
def test_abstention_by_hand(wanted: float, expected: Abstention) -> None:
    assert abstention(CONFIDENCE, RIGHT, wanted) == expected


@pytest.mark.parametrize(("confidence", "right"), [([], []), ([0.9, 0.8], [False, True]), ([0.5, 0.5], [True, False])])
def test_abstention_where_no_threshold_will_do(confidence: list[float], right: list[bool]) -> None:
    assert abstention(confidence, right, 0.6) is None


@given(
    st.lists(st.tuples(st.integers(0, 5).map(lambda tenth: tenth / 10), st.booleans()), max_size=15), st.floats(0, 1)
)
def test_abstention_is_the_lowest_of_all_thresholds(rows: list[tuple[float, bool]], wanted: float) -> None:
    confidence, right = [row[0] for row in rows], [row[1] for row in rows]
    enough = []
    for threshold in confidence:
        kept = [hit for sure, hit in rows if sure >= threshold]
        if sum(kept) / len(kept) >= wanted:
            enough.append(Abstention(threshold, len(kept) / len(rows), sum(kept) / len(kept)))
    assert abstention(confidence, right, wanted) == min(enough, default=None)
