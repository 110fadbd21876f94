from __future__ import annotations

import numpy as np

from bertwright.recipes.report.thinning import thin


def test_a_short_curve_stays_as_it_is() -> None:
    curve = thin(np.array([1.0, 2.0, 4.0]), np.array([5.0, 3.0, 9.0]), most=3)
    assert (curve.places.tolist(), curve.means.tolist(), curve.thinned) == ([1, 2, 4], [5, 3, 9], False)


def test_equal_parts_of_the_axis_become_their_means() -> None:
    # 0 to 10 in two parts: below 5, and from 5 on.
    curve = thin(np.array([0.0, 1, 2, 5, 9, 10]), np.array([3.0, 0, 6, 1, 2, 30]), most=2)
    assert curve.places.tolist() == [1, 8]
    assert curve.means.tolist() == [3, 11]
    assert curve.lowest.tolist() == [0, 1]
    assert curve.highest.tolist() == [6, 30]
    assert (curve.thinned, curve.values) == (True, 6)


def test_a_part_without_values_has_no_point() -> None:
    curve = thin(np.array([0.0, 1, 99, 100]), np.array([1.0, 3, 5, 7]), most=3)
    assert (curve.places.tolist(), curve.means.tolist()) == ([0.5, 99.5], [2, 6])


def test_no_spike_is_lost_in_a_million() -> None:
    values = np.ones(1_000_000)
    values[654_321] = 500.0
    curve = thin(np.arange(1_000_000.0), values)
    assert len(curve.places) == 200
    assert curve.highest.max() == 500
    assert curve.means.max() < 1.2


def test_all_at_one_place() -> None:
    curve = thin(np.full(5, 7.0), np.arange(5.0), most=2)
    assert (curve.places.tolist(), curve.means.tolist()) == ([7], [2])
