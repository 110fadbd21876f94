"""What training minimises, one function a loss. All return an fp32 scalar: the mean over what is labelled.

A step may go through the model in parts (micro-batches, processes), which hold different numbers of labels. Each part
then gives its sum divided by `total`, the labels in the whole step: those sums add up to the step's mean, and their
gradients to its gradient. The mean of the parts' means would weigh labels by the company they keep.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from bertwright.examples.masking import IGNORED


def masked_word_loss(scores: Tensor, labels: Tensor, total: float | None = None) -> Tensor:
    """Cross-entropy of the hidden words: scores (n, vocabulary), labels (n,), of which IGNORED count for nothing.

    total: the labels that the sum is divided by; None for those given here.
    """
    loss: Tensor = _WideCrossEntropy.apply(scores, labels, total)  # type: ignore[no-untyped-call]  # torch's
    return loss


def plain_masked_word_loss(scores: Tensor, labels: Tensor, total: float | None = None) -> Tensor:
    """The same, written plainly: what `masked_word_loss` is tested against."""
    return _cross_entropy(scores, labels, total)


def next_sentence_loss(scores: Tensor, labels: Tensor, total: float | None = None) -> Tensor:
    """Cross-entropy of next-sentence answers: scores (n, 2), labels (n,), 0 where B follows A; IGNORED do not count.

    total: the labels that the sum is divided by; None for those given here.
    """
    return _cross_entropy(scores, labels, total)


def pretraining_loss(masked_words: Tensor, next_sentence: Tensor) -> Tensor:
    """The sum of the two mean losses (paper, appendix A.2)."""
    return masked_words + next_sentence


def classification_loss(scores: Tensor, labels: Tensor, total: float | None = None) -> Tensor:
    """Cross-entropy of classes: scores (batch, labels), labels (batch,).

    total: the rows that the sum is divided by; None for those given here.
    """
    return _cross_entropy(scores, labels, total)


def _cross_entropy(scores: Tensor, labels: Tensor, total: float | None) -> Tensor:
    if total is None:
        return functional.cross_entropy(scores.float(), labels, ignore_index=IGNORED)
    return functional.cross_entropy(scores.float(), labels, ignore_index=IGNORED, reduction="sum") / total


class _WideCrossEntropy(torch.autograd.Function):
    """Cross-entropy that keeps one (n, vocabulary) tensor instead of five.

    The probabilities are turned into the gradient in place. Plain cross-entropy makes an fp32 copy of the scores, their
    log-softmax and two gradients: on a small model over a third of the step.
    """

    @staticmethod
    def forward(ctx: Any, scores: Tensor, labels: Tensor, total: float | None) -> Tensor:
        counted = labels != IGNORED
        weight = counted.float() / (counted.sum() if total is None else total)
        target = labels.clamp(min=0)
        row = torch.arange(len(labels), device=labels.device)
        probability = torch.softmax(scores, dim=-1)
        of_target = probability[row, target].float()
        probability[row, target] = (of_target - 1).to(probability.dtype)
        ctx.save_for_backward(probability, weight)
        # The smallest normal number stands for a probability of nothing: a loss of 87 instead of infinity.
        return -(of_target.clamp(min=torch.finfo(torch.float32).tiny).log() * weight).sum()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        probability, weight = ctx.saved_tensors
        # In place: a second backward through the same graph is refused by torch, which counts changes.
        return probability.mul_((weight * gradient)[:, None].to(probability.dtype)), None, None
