"""Multi-head self-attention (Vaswani et al. 2017, section 3.2), as BERT uses it: every token sees every token."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from bertwright.encoder.dropout import Dropout
from bertwright.encoder.varlen import Sequences, attend_apart

# From so many tokens on torch's fused kernel is the faster one without gradients: 1.3 to 1.5 times on one core.
_LONG = 64


class JoinedLinear(nn.Linear):
    """Several linear layers of one input in one matrix product; their outputs one after the other."""

    def part(self, inputs: Tensor, start: int, stop: int) -> Tensor:
        """The outputs from `start` to `stop`, and no others: (..., in) -> (..., stop - start)."""
        return functional.linear(inputs, self.weight[start:stop], self.bias[start:stop])


class SelfAttention(nn.Module):
    """Scaled dot-product attention of all heads, and the projection of what they found."""

    def __init__(self, *, hidden_size: int, num_attention_heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = num_attention_heads
        # Query, key and value of all heads; rows in that order.
        self.query_key_value = JoinedLinear(hidden_size, 3 * hidden_size)
        self.dropout = Dropout(dropout)
        self.output = nn.Linear(hidden_size, hidden_size)

    def forward(
        self,
        hidden: Tensor,
        bias: Tensor | None,
        asking: Tensor | None = None,
        apart: Sequences | None = None,
    ) -> Tensor:
        """Let tokens look at each other.

        hidden: (batch, length, hidden). bias: (batch, 1, 1, length), 0 on tokens and -inf on padding, or
        (batch, 1, length, length), -inf where a token does not see another; None where all see all. asking:
        (batch, queries) positions that look; None means that all do. apart: where sequences begin, for the kernel that
        takes them one after the other, without a bias. Returns (batch, queries or length, hidden).
        """
        batch, length, size = hidden.shape
        if apart is not None and asking is None:
            query, key, value = self.query_key_value(hidden).view(batch * length, 3, self.heads, -1).unbind(1)
            alone: Tensor = self.output(attend_apart(query, key, value, apart).reshape(batch, length, size))
            return alone
        if asking is None:
            query, key, value = self.query_key_value(hidden).view(batch, length, 3, size).unbind(2)
        else:
            query = self.query_key_value.part(select_positions(hidden, asking), 0, size)
            key, value = self.query_key_value.part(hidden, size, 3 * size).unflatten(-1, (2, size)).unbind(2)
            if bias is not None and bias.shape[2] > 1:
                bias = select_positions(bias[:, 0], asking)[:, None]
        found = self._attend(self._split(query), self._split(key), self._split(value), bias, asking)
        projected: Tensor = self.output(found.transpose(1, 2).reshape(batch, -1, size))
        return projected

    def shares(self, hidden: Tensor) -> Tensor:
        """What share of its look each token gives to each other, for whoever wants to see it.

        hidden: (batch, length, hidden), without padding. Returns (batch, heads, length, length); rows sum to 1.
        """
        query, key, _ = map(self._split, self.query_key_value(hidden).chunk(3, dim=-1))
        return torch.softmax(query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1]), dim=-1)

    def _split(self, part: Tensor) -> Tensor:
        """(batch, length, hidden) -> (batch, heads, length, head size)."""
        return part.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, asking: Tensor | None) -> Tensor:
        # What is traced or compiled holds the lines below; a compiler cannot ask whether it is in inference mode.
        answering = not torch.compiler.is_compiling() and torch.is_inference_mode_enabled() and not self.training
        if query.device.type != "cpu" or (answering and key.shape[2] >= _LONG):
            probability = self.dropout.probability if self.training else 0.0
            mask = None if bias is None else bias.to(query.dtype)
            return functional.scaled_dot_product_attention(query, key, value, mask, probability)
        # Written out because torch's fused kernel is slow at gradients: on a CPU at 128 tokens these five lines are
        # five times as fast with them.
        # The scale goes to the query, which is smaller than the scores.
        scores = (query * (1 / math.sqrt(query.shape[-1]))) @ key.transpose(-1, -2)
        if bias is not None:
            scores = scores + bias.to(scores.dtype)
        # Autocast would copy the scores to fp32 and the shares back; the kernel itself counts in fp32 either way.
        with torch.autocast("cpu", enabled=False):
            shares = torch.softmax(scores, dim=-1)
        return self.dropout(shares, asking, key.shape[2]) @ value


def select_positions(hidden: Tensor, positions: Tensor) -> Tensor:
    """hidden: (batch, length, size), positions: (batch, n) -> (batch, n, size)."""
    batch, length, size = hidden.shape
    rows = positions + torch.arange(batch, device=hidden.device)[:, None] * length
    # index_select on rows: its gradient is one addition a row, where gather's is one an element.
    return hidden.reshape(batch * length, size).index_select(0, rows.flatten()).view(batch, -1, size)
