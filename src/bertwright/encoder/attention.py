"""Multi-head self-attention (Vaswani et al. 2017, section 3.2), as BERT uses it: every token sees every token."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class SelfAttention(nn.Module):
    """Scaled dot-product attention of all heads, and the projection of what they found."""

    def __init__(self, *, hidden_size: int, num_attention_heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = num_attention_heads
        self.dropout = dropout
        # Query, key and value of all heads in one matrix product; rows in that order.
        self.query_key_value = nn.Linear(hidden_size, 3 * hidden_size)
        self.output = nn.Linear(hidden_size, hidden_size)

    def forward(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        """hidden: (batch, length, hidden); mask: (batch, 1, 1, length) bool, false on padding, or None."""
        batch, length, size = hidden.shape
        # (batch, length, 3 * hidden) -> three times (batch, heads, length, head size)
        query, key, value = (
            self.query_key_value(hidden).view(batch, length, 3, self.heads, size // self.heads).permute(2, 0, 3, 1, 4)
        )
        found = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, dropout_p=self.dropout if self.training else 0.0
        )
        projected: Tensor = self.output(found.transpose(1, 2).reshape(batch, length, size))
        return projected
