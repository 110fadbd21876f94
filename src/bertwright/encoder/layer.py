"""One transformer layer: attention, then feed-forward, each added to its input and normalised after (post-LN)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from bertwright.encoder.attention import SelfAttention, select_positions
from bertwright.encoder.dropout import Dropout
from bertwright.encoder.varlen import Sequences


class EncoderLayer(nn.Module):
    """hidden -> norm(hidden + attention(hidden)) -> norm(that + feed-forward(that))."""

    def __init__(
        self,
        *,
        hidden_size: int,
        num_attention_heads: int,
        intermediate_size: int,
        layer_norm_eps: float,
        hidden_dropout: float,
        attention_dropout: float,
    ) -> None:
        super().__init__()
        self.attention = SelfAttention(
            hidden_size=hidden_size, num_attention_heads=num_attention_heads, dropout=attention_dropout
        )
        self.attention_norm = nn.LayerNorm(hidden_size, eps=layer_norm_eps)
        self.expand = nn.Linear(hidden_size, intermediate_size)
        self.contract = nn.Linear(intermediate_size, hidden_size)
        self.feed_forward_norm = nn.LayerNorm(hidden_size, eps=layer_norm_eps)
        self.dropout = Dropout(hidden_dropout)

    def forward(
        self,
        hidden: Tensor,
        bias: Tensor | None,
        asking: Tensor | None = None,
        apart: Sequences | None = None,
    ) -> Tensor:
        """hidden: (batch, length, hidden); the rest as in SelfAttention -> (batch, queries or length, hidden)."""
        length = hidden.shape[1]
        attended = self.attention(hidden, bias, asking, apart)
        if asking is not None:
            hidden = select_positions(hidden, asking)
        hidden = self.attention_norm(hidden + self.dropout(attended, asking, length))
        # The paper's GELU is the exact one, with the error function; the tanh form came to the code in 2019.
        expanded = functional.gelu(self.expand(hidden))
        normed: Tensor = self.feed_forward_norm(hidden + self.dropout(self.contract(expanded), asking, length))
        return normed
