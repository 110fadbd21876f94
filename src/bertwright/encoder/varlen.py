"""Attention of packed sequences on a GPU: each by itself, one after the other, instead of a whole row under a mask.

torch's varlen kernel (FlashAttention, Dao 2023) takes all tokens in one line and the places where sequences begin. It
computes no score between two sequences, where the plain path computes it and adds minus infinity; the plain path is the
reference, and what other devices take.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

_HAS_KERNEL = importlib.util.find_spec("torch.nn.attention.varlen") is not None  # from torch 2.10 on


@dataclass(frozen=True, slots=True)
class Sequences:
    """Where sequences begin in a batch laid out as one line of tokens.

    offsets: (sequences + 1,) int32, the last is the number of tokens; equal neighbours are sequences of nothing.
    longest: no sequence is longer.
    """

    offsets: Tensor
    longest: int


def attends_apart_on(device: torch.device) -> bool:
    """Whether there is a kernel for it: on CUDA from torch 2.10 on, computing in half precision."""
    if not _HAS_KERNEL or device.type != "cuda" or not torch.is_autocast_enabled("cuda"):
        return False
    return torch.get_autocast_dtype("cuda") in (torch.bfloat16, torch.float16)


def sequences_of(numbers: Tensor) -> Sequences:
    """numbers: (batch, length), the number of each token's sequence in its row, 0 on padding.

    The padding of a row counts as one more sequence. The number of offsets depends on the shape alone, so that nothing
    waits for the device: (batch * length / 4 + batch + 1) of them, as a row holds a sequence every four tokens at most.
    """
    batch, length = numbers.shape
    begins = functional.pad(numbers[:, 1:] != numbers[:, :-1], (1, 0), value=True).flatten()
    total = batch * length
    places = torch.where(begins, torch.arange(total, device=numbers.device), total)
    offsets = places.sort().values[: batch * (length // 4 + 1)]
    return Sequences(functional.pad(offsets, (0, 1), value=total).to(torch.int32), length)


def attend_apart(query: Tensor, key: Tensor, value: Tensor, sequences: Sequences) -> Tensor:
    """query, key, value: (tokens, heads, head size) of all sequences -> the same shape."""
    offsets, longest = sequences.offsets, sequences.longest
    found = _kernel()(query, key, value, offsets, offsets, longest, longest)
    assert isinstance(found, Tensor)
    return found


def _kernel() -> Callable[..., Any]:
    # Imported where it is used: torch's compiler comes with it, and a second that nothing on a CPU needs.
    from torch.nn.attention.varlen import varlen_attn  # noqa: PLC0415

    return varlen_attn
