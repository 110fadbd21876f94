from __future__ import annotations

import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from bertwright.metrics.intervals import Interval, interval, paired, t_quantile


# The two-sided table at the end of any statistics book.
@pytest.mark.parametrize(
    ("freedom", "at_90", "at_95", "at_99"),
    [
        (1, 6.314, 12.706, 63.657),
        (2, 2.920, 4.303, 9.925),
        (3, 2.353, 3.182, 5.841),
        (4, 2.132, 2.776, 4.604),
        (5, 2.015, 2.571, 4.032),
        (9, 1.833, 2.262, 3.250),
        (10, 1.812, 2.228, 3.169),
        (30, 1.697, 2.042, 2.750),
        (120, 1.658, 1.980, 2.617),
    ],
)
def test_quantiles_are_the_printed_ones(freedom: int, at_90: float, at_95: float, at_99: float) -> None:
    computed = [t_quantile(level, freedom) for level in (0.90, 0.95, 0.99)]
    assert computed == pytest.approx([at_90, at_95, at_99], abs=6e-4)


@given(st.floats(0.001, 0.999), st.integers(1, 3000))
def test_quantiles_are_those_of_scipy(level: float, freedom: int) -> None:
    assert t_quantile(level, freedom) == pytest.approx(scipy.stats.t.ppf((1 + level) / 2, freedom), rel=1e-9)


def test_by_hand() -> None:
    # Squared distances from 3: 4 1 0 1 4, of which a quarter is 2.5; 2.776 * sqrt(2.5 / 5) = 1.963.
    assert interval([1, 2, 3, 4, 5]) == pytest.approx((3, 2.5**0.5, 3 - 1.963, 3 + 1.963, 5), abs=6e-4)
    # At 90%: 2.132 * sqrt(2.5 / 5) = 1.508.
    assert interval([1, 2, 3, 4, 5], 0.9)[2:4] == pytest.approx((3 - 1.508, 3 + 1.508), abs=6e-4)


def test_one_value_is_its_own_interval() -> None:
    assert interval([0.7]) == Interval(mean=0.7, deviation=0.0, low=0.7, high=0.7, count=1)


def test_equal_values_have_no_spread() -> None:
    # (0.1 + 0.1 + 0.1) / 3 is more than 0.1 in floating point.
    assert interval([0.1, 0.1, 0.1]) == Interval(mean=0.1, deviation=0.0, low=0.1, high=0.1, count=3)


def test_pairs_that_differ_alike_leave_no_doubt() -> None:
    # The runs spread widely, their differences hardly: 0.5 0.5 0.25, mean 5/12.
    better, plain = [1.5, 3.5, 9.25], [1.0, 3.0, 9.0]
    assert paired(better, plain) == interval([0.5, 0.5, 0.25])
    assert paired(better, plain).low > 0
    assert paired(plain, better).high < 0
    assert interval(better).low < interval(plain).high


def test_pairs_need_partners() -> None:
    with pytest.raises(ValueError, match=r"zip\(\)"):
        paired([1.0, 2.0], [1.0])


@given(st.lists(st.integers(-1000, 1000).map(float), min_size=2, max_size=20))
def test_an_interval_grows_with_its_level(values: list[float]) -> None:
    narrow, wide = interval(values, 0.5), interval(values, 0.99)
    assert wide.low <= narrow.low <= narrow.mean <= narrow.high <= wide.high
    assert wide.deviation == narrow.deviation
