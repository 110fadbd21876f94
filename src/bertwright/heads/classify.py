"""The classifier of a sequence or a pair (paper, section 4.1): one layer over the pooled [CLS]."""

from __future__ import annotations

from torch import Tensor, nn

from bertwright.encoder.dropout import Dropout


class ClassificationHead(nn.Module):
    """Dropout and one dense layer: pooled vector -> a score for each label."""

    def __init__(self, *, hidden_size: int, labels: int, dropout: float) -> None:
        super().__init__()
        self.dropout = Dropout(dropout)
        self.dense = nn.Linear(hidden_size, labels)

    def forward(self, pooled: Tensor) -> Tensor:
        """pooled: (batch, hidden) -> (batch, labels)."""
        scores: Tensor = self.dense(self.dropout(pooled))
        return scores
