"""Dropout whose random bits cost little on a CPU.

torch draws one Bernoulli number an element, on one core, which was a quarter of a small model's training step. Here one
number of torch's generator seeds numpy's SFC64, whose raw 16-bit words become a mask of all ones or all zeros; dropping
is then an AND on the bits of the activations. The probability is met to within 2**-16. On other devices it is torch's.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

_ONE = 1 << 15


class Dropout(nn.Module):
    """In training, zero each element with probability `probability` and scale the rest to the same expectation."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, hidden: Tensor) -> Tensor:
        """Any shape, any float type -> the same."""
        if not self.training or self.probability == 0:
            return hidden
        if hidden.device.type != "cpu" or torch.compiler.is_compiling():
            return functional.dropout(hidden, self.probability)
        dropped: Tensor = _MaskedDropout.apply(hidden, self.probability)  # type: ignore[no-untyped-call]  # torch's
        return dropped

    def extra_repr(self) -> str:
        return f"{self.probability}"


class _MaskedDropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, probability: float) -> Tensor:
        dropped = round(probability * _ONE)
        ctx.mask = _keep_mask(hidden.shape, dropped)
        ctx.scale = _ONE / (_ONE - dropped)
        return _keep(hidden, ctx.mask).mul_(ctx.scale)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _keep(gradient, ctx.mask).mul_(ctx.scale), None


def _keep_mask(shape: torch.Size, dropped: int) -> Tensor:
    """int16 of `shape`: 0 with probability dropped / 2**15, else -1, which is all ones."""
    count = math.prod(shape)
    seed = int(torch.randint(2**62, ()))
    words = np.random.SFC64(seed).random_raw((count + 3) // 4).view(np.int16)
    uniform = torch.from_numpy(words)[:count].bitwise_and_(_ONE - 1)
    # Negative for kept elements; the shift spreads the sign over all bits.
    return uniform.sub_(_ONE - dropped).bitwise_right_shift_(15).view(shape)


def _keep(hidden: Tensor, mask: Tensor) -> Tensor:
    # A 0 or -1 of 16 bits stays one when it is widened to the 32 of fp32.
    bits = {2: torch.int16, 4: torch.int32, 8: torch.int64}[hidden.element_size()]
    return torch.bitwise_and(hidden.contiguous().view(bits), mask.to(bits)).view(hidden.dtype)
