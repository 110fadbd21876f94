"""How fast the machine multiplies matrices, measured: what a training step is compared with."""

from __future__ import annotations

import time

import torch
from torch.nn import functional

# The products of base's feed-forward for 4,096 tokens (a small one on a CPU takes 20 ms), and of a GPU's fill.
_SIZES = {"cpu": (4096, 768, 3072), "cuda": (16384, 4096, 4096)}
_ROUNDS = 5


def matmul_rate(dtype: torch.dtype, device: torch.device) -> float:
    """Floating-point operations a second in a large product of matrices of `dtype`: the best of a few."""
    rows, inner, columns = _SIZES.get(device.type, _SIZES["cpu"])
    left = torch.randn(rows, inner, device=device).to(dtype)
    right = torch.randn(columns, inner, device=device).to(dtype)
    quickest = float("inf")
    with torch.no_grad():
        for _ in range(_ROUNDS):
            _wait(device)
            start = time.perf_counter()
            functional.linear(left, right)
            _wait(device)
            quickest = min(quickest, time.perf_counter() - start)
    return 2 * rows * inner * columns / quickest


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
