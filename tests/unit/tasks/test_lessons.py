from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bertwright.batches.windows import Window
from bertwright.tasks.lessons import LessonPlan, parts_of
from bertwright.tasks.task import Item


def lesson(*lengths: int) -> Item:
    return Item(tuple(Window(np.zeros(length, dtype=np.int32), length, 1, 0, (0, 0)) for length in lengths))


@given(st.lists(st.integers(1, 50), min_size=1, max_size=300), st.integers(1, 9), st.integers(1, 3))
def test_every_lesson_is_taught_once_an_epoch(lengths: list[int], batch_size: int, epochs: int) -> None:
    plan = LessonPlan(lengths, batch_size=batch_size, epochs=epochs, seed=7)
    batches = list(plan.batches())
    assert len(batches) == plan.steps == math.ceil(len(lengths) / batch_size) * epochs
    for begin in range(0, len(batches), plan.steps_an_epoch):
        epoch = batches[begin : begin + plan.steps_an_epoch]
        assert sorted(number for batch in epoch for number in batch) == list(range(len(lengths)))
        assert all(len(batch) == batch_size for batch in epoch[:-1])


@given(st.integers(1, 300), st.integers(0, 200))
def test_a_run_that_goes_on_sees_what_it_would_have_seen(count: int, start: int) -> None:
    plan = LessonPlan(list(range(count)), batch_size=3, epochs=2, seed=0)
    assert list(plan.batches(start)) == list(plan.batches())[start:]


def test_lessons_of_like_length_come_together_and_short_and_long_batches_take_turns() -> None:
    lengths = [number % 100 for number in range(2000)]
    batches = list(LessonPlan(lengths, batch_size=20, epochs=1, seed=0).batches())
    means = [float(np.mean([lengths[number] for number in batch])) for batch in batches]
    spreads = [max(lengths[number] for number in batch) - min(lengths[number] for number in batch) for batch in batches]
    assert max(spreads) <= 4
    # Not from long to short: the steps of one half of the training are no longer than those of the other.
    assert abs(np.mean(means[:50]) - np.mean(means[50:])) < 1
    assert sum(a > b for a, b in pairwise(means)) > 30


def test_epochs_and_seeds_differ() -> None:
    def order(seed: int) -> list[int]:
        return [
            number for batch in LessonPlan([1] * 50, batch_size=50, epochs=2, seed=seed).batches() for number in batch
        ]

    assert order(0)[:50] != order(0)[50:]
    assert order(0) != order(1)
    assert order(0) == order(0)


def test_a_step_is_parted_within_the_budget_and_a_lesson_never() -> None:
    lessons = [lesson(10), lesson(8, 8), lesson(8), lesson(3), lesson(3)]
    found = [[[len(window) for window in each.windows] for each in part] for part in parts_of(lessons, 30)]
    assert found == [[[10], [8, 8]], [[8], [3], [3]]]
    assert [len(part) for part in parts_of([lesson(40), lesson(5)], 30)] == [1, 1]
    assert list(parts_of([], 30)) == []
