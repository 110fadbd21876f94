"""The masked-word head: vectors at hidden positions become scores over the vocabulary (paper, section 3.1, task 1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class MaskedWordHead(nn.Module):
    """Dense, GELU, LayerNorm, then the product with the input word embeddings and a bias of its own."""

    def __init__(self, *, vocab_size: int, hidden_size: int, layer_norm_eps: float) -> None:
        super().__init__()
        self.dense = nn.Linear(hidden_size, hidden_size)
        self.norm = nn.LayerNorm(hidden_size, eps=layer_norm_eps)
        self.bias = nn.Parameter(torch.zeros(vocab_size))

    def forward(self, hidden: Tensor, word_embeddings: Tensor) -> Tensor:
        """Score every word at every position given.

        hidden: (positions, hidden), only those whose word is wanted: the vocabulary is by far the widest product.
        word_embeddings: (vocabulary, hidden), shared with the input. Returns (positions, vocabulary).
        """
        transformed = self.norm(functional.gelu(self.dense(hidden)))
        return functional.linear(transformed, word_embeddings, self.bias)
