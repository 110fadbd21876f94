"""Input embeddings: the sum of word, position and segment (paper, section 3, figure 2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bertwright.encoder.dropout import Dropout


class Embeddings(nn.Module):
    """Word, position and segment vectors, summed, normalised, with dropout."""

    def __init__(
        self,
        *,
        vocab_size: int,
        hidden_size: int,
        max_position_embeddings: int,
        type_vocab_size: int,
        layer_norm_eps: float,
        dropout: float,
    ) -> None:
        super().__init__()
        self.word = nn.Embedding(vocab_size, hidden_size)
        self.position = nn.Embedding(max_position_embeddings, hidden_size)
        self.segment = nn.Embedding(type_vocab_size, hidden_size)
        self.norm = nn.LayerNorm(hidden_size, eps=layer_norm_eps)
        self.dropout = Dropout(dropout)

    def forward(self, input_ids: Tensor, token_type_ids: Tensor, positions: Tensor | None = None) -> Tensor:
        """input_ids, token_type_ids, positions: (batch, length) int64 -> (batch, length, hidden).

        Positions count from 0 along each row unless they are given.
        """
        if positions is None:
            positions = torch.arange(input_ids.shape[1], device=input_ids.device)
        # The sum of three is added in this order in every implementation that ours is compared with.
        summed = self.word(input_ids) + self.segment(token_type_ids) + self.position(positions)
        normed: Tensor = self.norm(summed)
        dropped: Tensor = self.dropout(normed)
        return dropped
