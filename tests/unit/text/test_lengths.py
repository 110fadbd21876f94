from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertwright.text.lengths import EXACT, Lengths


def of(*values: int) -> Lengths:
    lengths = Lengths()
    for value in values:  # one by one, or all at once: the same
        lengths.add(np.array([value]))
    return lengths


def test_numbers_one_can_check_by_eye() -> None:
    lengths = of(1, 2, 3, 3, 0, 9, 1024)
    assert (lengths.count, lengths.total, lengths.longest) == (6, 1042, 1024)
    assert lengths.quantile(0.5) == 3
    assert lengths.quantile(1.0) == 1024
    assert lengths.histogram() == [
        (1, 1, 1), (2, 3, 3), (4, 7, 0), (8, 15, 1), (16, 31, 0), (32, 63, 0), (64, 127, 0), (128, 255, 0),
        (256, 511, 0), (512, 1023, 0), (1024, 2047, 1),
    ]  # fmt: skip


@given(st.lists(st.integers(1, 1 << 30), min_size=1), st.floats(0, 1))
def test_quantiles_are_those_of_the_sorted_values(values: list[int], share: float) -> None:
    lengths = Lengths()
    lengths.add(np.array(values))
    plain = sorted(values)[max(1, math.ceil(share * len(values))) - 1]
    assert lengths.quantile(share) == (plain if plain < EXACT else pytest.approx(plain, rel=0.012))
    for low, high, count in lengths.histogram():
        assert count == sum(low <= value <= high for value in values)


def test_nothing_counted() -> None:
    assert (Lengths().quantile(0.5), Lengths().histogram(), Lengths().mean) == (0, [], 0.0)
