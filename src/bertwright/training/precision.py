"""Computing in bf16 while the weights, the residual stream, the norms and the optimizer stay in fp32."""

from __future__ import annotations

import platform
from contextlib import AbstractContextManager
from pathlib import Path

import torch

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
    """The type that matrix products compute in."""
    if precision == "auto":
        return torch.bfloat16 if computes_bf16(device) else torch.float32
    return torch.bfloat16 if precision == "bf16" else torch.float32


def computing_in(dtype: torch.dtype, device: torch.device) -> AbstractContextManager[object]:
    """A block whose matrix products compute in `dtype`.

    Autocast, and not bf16 copies of the weights: it is as fast, and it leaves norms and sums in fp32. With norms in
    bf16 the gradients of their biases were off by 11% to 46%.
    """
    return torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32)
