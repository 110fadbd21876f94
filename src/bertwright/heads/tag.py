"""The tagger of tokens (paper, section 5.3): one layer over the vector of each."""

from __future__ import annotations

from torch import Tensor, nn

from bertwright.encoder.dropout import Dropout


class TaggingHead(nn.Module):
    """Dropout and one dense layer: the vector of a token -> a score for each tag."""

    def __init__(self, *, hidden_size: int, labels: int, dropout: float) -> None:
        super().__init__()
        self.dropout = Dropout(dropout)
        self.dense = nn.Linear(hidden_size, labels)

    def forward(self, hidden: Tensor) -> Tensor:
        """hidden: (batch, length, hidden) -> (batch, length, labels)."""
        scores: Tensor = self.dense(self.dropout(hidden))
        return scores
