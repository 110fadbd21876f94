from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertwright.examples.packing import packed_rows, row_count, single_rows
from bertwright.randomness import Stream


def by_lengths(lengths: list[int], capacity: int, most: int = 8) -> list[list[int]]:
    """The lengths that stand together in each row."""
    rows = packed_rows(np.array(lengths, dtype=np.int64), capacity, most, Stream(0, "test"))
    return [[lengths[member] for member in rows.members[a:b]] for a, b in pairwise(rows.offsets)]


@pytest.mark.parametrize(
    ("lengths", "capacity", "expected"),
    [
        ([10, 10], 10, [[10], [10]]),
        ([7, 3, 6, 4], 10, [[6, 4], [7, 3]]),
        ([5, 5, 5, 5, 5], 10, [[5], [5, 5], [5, 5]]),
        ([3, 3, 3, 3], 10, [[3], [3, 3, 3]]),
        ([9, 2, 1], 10, [[2], [9, 1]]),
        ([60, 30, 30], 128, [[60, 30, 30]]),  # one length twice into the same row
        ([70] * 3 + [20] * 6, 110, [[70, 20, 20]] * 3),
        ([], 10, []),
    ],
)
def test_rows_by_eye(lengths: list[int], capacity: int, expected: list[list[int]]) -> None:
    assert sorted(by_lengths(lengths, capacity)) == expected


@given(st.lists(st.integers(1, 40), max_size=200), st.integers(1, 6), st.integers(0, 5))
def test_every_sequence_stands_once_in_a_row_that_holds_it(lengths: list[int], most: int, seed: int) -> None:
    array = np.array(lengths, dtype=np.int64)
    rows = packed_rows(array, 40, most, Stream(seed, "test"))
    assert sorted(rows.members.tolist()) == list(range(len(lengths)))
    assert len(rows) == row_count(array, 40, most)
    sizes = np.diff(rows.offsets)
    assert not len(rows) or (sizes.min() >= 1 and sizes.max() <= most)
    totals = np.add.reduceat(array[rows.members], rows.offsets[:-1]) if len(rows) else np.zeros(0)
    assert (totals <= 40).all()


def test_of_many_lengths_little_room_is_left() -> None:
    lengths = np.random.default_rng(0).integers(5, 129, size=20_000)
    rows = packed_rows(lengths, 128, 16, Stream(0, "test"))
    assert lengths.sum() / (len(rows) * 128) > 0.995


def test_who_stands_with_whom_is_drawn() -> None:
    lengths = np.full(1000, 64)
    one, same, other = (packed_rows(lengths, 128, 8, Stream(seed, "test")) for seed in (1, 1, 2))
    assert (one.members == same.members).all()
    assert (one.members != other.members).mean() > 0.9
    assert np.abs(np.diff(one.members)).mean() > 200  # no order of the corpus is left
    single = single_rows(1000, Stream(1, "test"))
    assert sorted(single.members.tolist()) == list(range(1000))
    assert len(single) == 1000
