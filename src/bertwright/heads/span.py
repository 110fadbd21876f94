"""Where an answer begins and ends (paper, section 4.2): the product of each token's vector with two others."""

from __future__ import annotations

from torch import Tensor, nn


class SpanHead(nn.Module):
    """The vector of a token -> how well an answer begins there, and how well it ends there.

    With a bias for each, as in the original `run_squad.py`; no dropout, as there.
    """

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.dense = nn.Linear(hidden_size, 2)

    def forward(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """hidden: (batch, length, hidden) -> scores of start and of end, (batch, length) each."""
        start, end = self.dense(hidden).unbind(-1)
        return start, end
