from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertwright.batches.sequences import by_length, pad
from bertwright.batches.windows import Window


def window(ids: list[int], second: int) -> Window:
    return Window(np.array(ids, dtype=np.int32), second, 1, 0, (0, 1))


def test_padding() -> None:
    batch = pad([window([2, 5, 3], 3), window([2, 5, 3, 6, 3], 3)], pad_id=9)
    assert batch.input_ids.tolist() == [[2, 5, 3, 9, 9], [2, 5, 3, 6, 3]]
    assert batch.token_type_ids.tolist() == [[0, 0, 0, 0, 0], [0, 0, 0, 1, 1]]
    assert batch.attention_mask.tolist() == [[True] * 3 + [False] * 2, [True] * 5]
    assert batch.tokens == 8


@pytest.mark.parametrize(
    ("lengths", "budget", "expected"),
    [
        ([3, 9, 5, 9], 18, [[1, 3], [2, 0]]),
        ([3, 9, 5, 9], 17, [[1], [3], [2, 0]]),
        ([100, 2], 10, [[0], [1]]),  # what is longer than the budget goes alone
        ([], 10, []),
        ([4, 4, 4], 8, [[0, 1], [2]]),
    ],
)
def test_batches_of_like_length(lengths: list[int], budget: int, expected: list[list[int]]) -> None:
    assert list(by_length(lengths, budget)) == expected


@given(st.lists(st.integers(1, 50)), st.integers(1, 200))
def test_every_row_is_in_one_batch_within_the_budget(lengths: list[int], budget: int) -> None:
    batches = list(by_length(lengths, budget))
    assert sorted(position for batch in batches for position in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or max(lengths[position] for position in batch) * len(batch) <= budget
