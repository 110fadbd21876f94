"""Computing in bf16 while the weights and the optimizer stay in fp32.

In bf16 the layers and heads are copies, made from the fp32 weights at the start of each step; their gradients go back
to the fp32 weights. The embeddings are not copied: a frequent word adds up hundreds of gradients in a batch, and bf16
would lose the later ones.
"""

from __future__ import annotations

import copy
import platform
from pathlib import Path
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from bertwright.heads.model import Bert
    from bertwright.training.settings import PrecisionName


def computes_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bf16 matrices in hardware."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return False
    # torch has no public question for this on a CPU; the kernel's list of features is where it would look too.
    cpuinfo = Path("/proc/cpuinfo")
    features = set(cpuinfo.read_text().split()) if cpuinfo.exists() else set()
    return bool(features & {"avx512_bf16", "amx_bf16"}) or (platform.machine() == "aarch64" and "bf16" in features)


def choose_dtype(precision: PrecisionName, device: torch.device) -> torch.dtype:
    """The type that layers compute in."""
    if precision == "auto":
        return torch.bfloat16 if computes_bf16(device) else torch.float32
    return torch.bfloat16 if precision == "bf16" else torch.float32


class Computation:
    """The model that computes a step for the model that learns: itself in fp32, a bf16 copy otherwise."""

    def __init__(self, model: Bert, dtype: torch.dtype) -> None:
        self.dtype = dtype
        self._learning = model
        self._computing = model
        self._pairs: tuple[list[torch.nn.Parameter], list[torch.nn.Parameter]] = ([], [])
        if dtype != torch.float32:
            self._computing = lower_precision(model, dtype)
            shared = set(model.encoder.embeddings.parameters())
            both = zip(model.parameters(), self._computing.parameters(), strict=True)
            pairs = [(learning, computing) for learning, computing in both if learning not in shared]
            self._pairs = ([learning for learning, _ in pairs], [computing for _, computing in pairs])

    def begin_step(self) -> Bert:
        """The model to compute with, its weights fresh."""
        return self.current().train()

    def current(self) -> Bert:
        """The model to compute with, its weights fresh, in whatever mode it was."""
        learning, computing = self._pairs
        with torch.no_grad():
            if computing:
                torch._foreach_copy_(computing, learning)  # noqa: SLF001  # one call for all; the loop is 5 times slower
        return self._computing

    def collect_gradients(self) -> None:
        """Move the gradients to the weights that learn."""
        for learning, computing in zip(*self._pairs, strict=True):
            if computing.grad is not None:
                learning.grad = computing.grad.to(learning.dtype)
                computing.grad = None


def lower_precision(model: Bert, dtype: torch.dtype) -> Bert:
    """A copy of `model` whose layers and heads have `dtype`; the embeddings are the same parameters."""
    embeddings = model.encoder.embeddings
    # deepcopy takes the embeddings from `memo` as if it had copied them already.
    twin = copy.deepcopy(model, {id(embeddings): embeddings})
    for name, parameter in twin.named_parameters():
        if not name.startswith("encoder.embeddings."):
            parameter.data = parameter.data.to(dtype)
    return twin
