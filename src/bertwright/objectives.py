"""What training minimises, one function a loss. All return the mean as an fp32 scalar."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from bertwright.examples.masking import IGNORED


def masked_word_loss(scores: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of the hidden words: scores (n, vocabulary), labels (n,), of which IGNORED count for nothing."""
    loss: Tensor = _WideCrossEntropy.apply(scores, labels)  # type: ignore[no-untyped-call]  # torch's
    return loss


def plain_masked_word_loss(scores: Tensor, labels: Tensor) -> Tensor:
    """The same, written plainly: what `masked_word_loss` is tested against."""
    return functional.cross_entropy(scores.float(), labels, ignore_index=IGNORED)


def next_sentence_loss(scores: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of next-sentence answers: scores (n, 2), labels (n,), 0 where B follows A; IGNORED do not count."""
    return functional.cross_entropy(scores.float(), labels, ignore_index=IGNORED)


def pretraining_loss(masked_words: Tensor, next_sentence: Tensor) -> Tensor:
    """The sum of the two mean losses (paper, appendix A.2)."""
    return masked_words + next_sentence


def classification_loss(scores: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of classes: scores (batch, labels), labels (batch,)."""
    return functional.cross_entropy(scores.float(), labels)


class _WideCrossEntropy(torch.autograd.Function):
    """Cross-entropy that keeps one (n, vocabulary) tensor instead of five.

    The probabilities are turned into the gradient in place. Plain cross-entropy makes an fp32 copy of the scores, their
    log-softmax and two gradients: on a small model over a third of the step.
    """

    @staticmethod
    def forward(ctx: Any, scores: Tensor, labels: Tensor) -> Tensor:
        counted = labels != IGNORED
        weight = counted.float() / counted.sum()
        target = labels.clamp(min=0)
        row = torch.arange(len(labels), device=labels.device)
        probability = torch.softmax(scores, dim=-1)
        of_target = probability[row, target].float()
        probability[row, target] = (of_target - 1).to(probability.dtype)
        ctx.save_for_backward(probability, weight)
        # The smallest normal number stands for a probability of nothing: a loss of 87 instead of infinity.
        return -(of_target.clamp(min=torch.finfo(torch.float32).tiny).log() * weight).sum()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        probability, weight = ctx.saved_tensors
        # In place: a second backward through the same graph is refused by torch, which counts changes.
        return probability.mul_((weight * gradient)[:, None].to(probability.dtype)), None
