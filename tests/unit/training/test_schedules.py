from __future__ import annotations

import pytest

from bertwright.training.schedules import linear_warmup_linear_decay


def factors(steps: int, warmup_steps: int) -> list[float]:
    return [linear_warmup_linear_decay(step, steps=steps, warmup_steps=warmup_steps) for step in range(steps + 2)]


def test_up_over_the_warm_up_and_down_to_nothing() -> None:
    expected = [1 / 4, 2 / 4, 3 / 4, 1, 1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6, 0, 0]
    assert factors(10, 4) == pytest.approx(expected)


def test_without_a_warm_up_and_with_nothing_else() -> None:
    assert factors(4, 0) == pytest.approx([1, 3 / 4, 2 / 4, 1 / 4, 0, 0])
    assert factors(4, 4) == pytest.approx([1 / 4, 2 / 4, 3 / 4, 1, 0, 0])
    assert factors(1, 0) == pytest.approx([1, 0, 0])


@pytest.mark.parametrize(("steps", "warmup_steps"), [(1000, 100), (7, 3), (100, 99)])
def test_the_highest_rate_is_reached_and_no_step_is_lost(steps: int, warmup_steps: int) -> None:
    found = factors(steps, warmup_steps)
    assert max(found) == 1
    assert all(factor > 0 for factor in found[:steps])
    assert found[steps] == 0
