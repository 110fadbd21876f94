"""The next-sentence head (paper, section 3.1, task 2)."""

from __future__ import annotations

from torch import Tensor, nn


class NextSentenceHead(nn.Module):
    """Pooled vector -> scores of two answers: 0, B follows A; 1, it does not."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.dense = nn.Linear(hidden_size, 2)

    def forward(self, pooled: Tensor) -> Tensor:
        """pooled: (batch, hidden) -> (batch, 2)."""
        scores: Tensor = self.dense(pooled)
        return scores
