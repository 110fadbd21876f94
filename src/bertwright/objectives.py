"""What training minimises, one function a loss. All return the mean in fp32, as a scalar."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor


def masked_word_loss(scores: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of the hidden words: scores (predictions, vocabulary), labels (predictions,)."""
    return functional.cross_entropy(scores.float(), labels)


def next_sentence_loss(scores: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of next-sentence answers: scores (batch, 2), labels (batch,), 0 where B follows A."""
    return functional.cross_entropy(scores.float(), labels)


def pretraining_loss(masked_words: Tensor, next_sentence: Tensor) -> Tensor:
    """The sum of the two mean losses (paper, appendix A.2)."""
    return masked_words + next_sentence


def classification_loss(scores: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of classes: scores (batch, labels), labels (batch,)."""
    return functional.cross_entropy(scores.float(), labels)
