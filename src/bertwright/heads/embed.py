"""A text as one vector, from the vectors of its tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

Pooling = Literal["mean", "cls"]


def pool(hidden: Tensor, attention_mask: Tensor, pooling: Pooling) -> Tensor:
    """One vector a text: the mean over its tokens, or that of [CLS].

    hidden: (batch, length, hidden); attention_mask: (batch, length), false on padding -> (batch, hidden).
    """
    if pooling == "cls":
        return hidden[:, 0]
    weights = attention_mask.to(hidden.dtype)[:, :, None]
    return (hidden * weights).sum(dim=1) / weights.sum(dim=1)
