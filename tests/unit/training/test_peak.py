from __future__ import annotations

import math

import pytest
import torch

from bertwright.training import peak


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_rate_is_a_number_above_nothing(monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype) -> None:
    monkeypatch.setattr(peak, "_SIZES", {"cpu": (64, 32, 32)})  # bf16 is slow where the processor lacks it
    rate = peak.matmul_rate(dtype, torch.device("cpu"))
    assert math.isfinite(rate)
    assert rate > 0


def test_operations_are_two_for_each_product_of_two_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The best of a few rounds: on a clock that shows 3 s, 2 s, 2 s ... a product of 4 x 3 x 5 takes two."""
    monkeypatch.setattr(peak, "_SIZES", {"cpu": (4, 3, 5)})
    times = iter([0.0, 3.0, *(float(2 * number) for number in range(8))])
    monkeypatch.setattr("bertwright.training.peak.time.perf_counter", lambda: next(times))
    assert peak.matmul_rate(torch.float32, torch.device("cpu")) == 2 * 4 * 3 * 5 / 2
