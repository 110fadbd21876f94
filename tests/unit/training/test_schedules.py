from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertwright.errors import SettingsError
from bertwright.training.schedules import batch_sizes, rate_share
from bertwright.training.settings import TrainingSettings
from tests.unit.training.tiny import settings


def shares(steps: int, **values: Any) -> list[float]:
    chosen = settings(steps=steps, **values)
    return [rate_share(step, chosen) for step in range(steps + 2)]


def test_up_over_the_warm_up_and_down_to_nothing() -> None:
    expected = [1 / 4, 2 / 4, 3 / 4, 1, 1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6, 0, 0]
    assert shares(10, warmup_fraction=0.4) == pytest.approx(expected)


def test_without_a_warm_up_and_with_nothing_else() -> None:
    assert shares(4, warmup_fraction=0.0) == pytest.approx([1, 3 / 4, 2 / 4, 1 / 4, 0, 0])
    assert shares(4, warmup_fraction=1.0) == pytest.approx([1 / 4, 2 / 4, 3 / 4, 1, 0, 0])
    assert shares(1, warmup_fraction=0.0) == pytest.approx([1, 0, 0])


def test_half_a_wave() -> None:
    half = 2**0.5 / 2  # the cosine of an eighth of a turn
    expected = [1 / 2, 1, 1, (1 + half) / 2, 1 / 2, (1 - half) / 2, 0, 0]
    assert shares(6, warmup_fraction=1 / 3, schedule="cosine") == pytest.approx(expected)


def test_up_level_and_down() -> None:
    found = shares(10, warmup_fraction=0.2, schedule="warmup-stable-decay", decay_fraction=0.4)
    assert found == pytest.approx([1 / 2, 1, 1, 1, 1, 1, 1, 3 / 4, 2 / 4, 1 / 4, 0, 0])
    # A decay of everything that the warm-up leaves is the straight line of "linear".
    straight = shares(10, warmup_fraction=0.4)
    assert shares(10, warmup_fraction=0.4, schedule="warmup-stable-decay", decay_fraction=0.6) == straight


@given(
    st.integers(1, 300),
    st.floats(0, 1),
    st.floats(0.01, 1),
    st.sampled_from(["linear", "cosine", "warmup-stable-decay"]),
)
def test_the_highest_rate_is_reached_and_no_step_is_lost(steps: int, warmup: float, decay: float, name: str) -> None:
    if name == "warmup-stable-decay" and warmup + decay > 1:
        warmup = 1 - decay
    found = shares(steps, warmup_fraction=warmup, decay_fraction=decay, schedule=name)
    assert max(found) == 1
    assert all(0 < share <= 1 for share in found[:steps])
    assert found[steps] == 0


def test_a_batch_that_grows_by_stairs() -> None:
    chosen = settings(steps=12, batch_size=8, ramp_from=2, ramp_fraction=0.5)
    assert batch_sizes(chosen).tolist() == [2, 2, 4, 4, 6, 6, 8, 8, 8, 8, 8, 8]
    assert batch_sizes(settings(steps=3, batch_size=8)).tolist() == [8, 8, 8]
    assert batch_sizes(settings(steps=3, batch_size=8, ramp_from=8)).tolist() == [8, 8, 8]
    # A ramp shorter than its stairs leaves some out.
    assert batch_sizes(settings(steps=10, batch_size=8, ramp_from=1, ramp_fraction=0.2)).tolist() == [1, 4, *[8] * 8]


def test_what_does_not_fit_together() -> None:
    with pytest.raises(SettingsError, match=r"^settings: `batch_size` 32 is no multiple of `ramp_from` 5$"):
        TrainingSettings.from_values({"steps": 5, "ramp_from": 5})
    too_much = {"steps": 5, "schedule": "warmup-stable-decay", "warmup_fraction": 0.9}
    with pytest.raises(SettingsError, match="`warmup_fraction` and `decay_fraction` add up to more than 1"):
        TrainingSettings.from_values(too_much)
