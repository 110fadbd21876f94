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


def classification_loss(
    scores: Tensor,
    labels: Tensor,
    total: float | None = None,
    *,
    weights: Tensor | None = None,
    smoothing: float = 0.0,
) -> Tensor:
    """Cross-entropy of classes: scores (n, labels), labels (n,), of which IGNORED count for nothing.

    weights: (labels,) what a row of each class counts; the mean is over those of the rows. smoothing: the share of each
    label that is spread evenly over all classes (Szegedy et al. 2016), weighted as they are. Both as torch has them.
    total: the rows that the sum is divided by, with weights the sum of theirs; None for those given here.
    """
    return _cross_entropy(scores, labels, total, weights=weights, smoothing=smoothing)


def token_loss(
    scores: Tensor,
    labels: Tensor,
    total: float | None = None,
    *,
    weights: Tensor | None = None,
    smoothing: float = 0.0,
) -> Tensor:
    """Cross-entropy of tags: scores (windows, length, labels), labels (windows, length); IGNORED ones do not count.

    The rest as in `classification_loss`, with tokens for rows.
    """
    return _cross_entropy(scores.flatten(0, 1), labels.flatten(), total, weights=weights, smoothing=smoothing)


def multilabel_loss(
    scores: Tensor, labels: Tensor, total: float | None = None, *, weights: Tensor | None = None
) -> Tensor:
    """Binary cross-entropy, each label a question of its own: scores and labels (n, labels), 1 where it holds, else 0.

    The mean is over rows and labels. weights: (labels,) what a label counts where it holds, beside 1 where it does not
    (`pos_weight` of torch). total: the rows that the mean is over; None for those given here.
    """
    summed = functional.binary_cross_entropy_with_logits(
        scores.float(), labels.float(), reduction="sum", pos_weight=weights
    )
    return summed / (labels.shape[1] * (len(labels) if total is None else total))


def regression_loss(scores: Tensor, targets: Tensor, total: float | None = None) -> Tensor:
    """Mean squared error: scores (n,) or (n, 1), targets (n,).

    total: the rows that the sum is divided by; None for those given here.
    """
    # (n, 1) less (n,) would be a table of n x n.
    summed = functional.mse_loss(scores.float().reshape(targets.shape), targets.float(), reduction="sum")
    return summed / (len(targets) if total is None else total)


def span_loss(
    start_scores: Tensor,
    end_scores: Tensor,
    starts: Tensor,
    ends: Tensor,
    mask: Tensor,
    total: float | None = None,
) -> Tensor:
    """Cross-entropies of where an answer begins and ends among a window's positions, halved (paper, section 4.2).

    start_scores, end_scores: (windows, length). starts, ends: (windows,) positions, IGNORED where there is nothing to
    learn. mask: (windows, length), true where an answer may begin or end; the others are given no chance, so the loss
    is infinite where one of them is the answer. total: the windows that the sum is divided by; None for those given.
    """
    start, end = (
        _cross_entropy(scores.float().masked_fill(~mask.bool(), float("-inf")), positions, total)
        for scores, positions in ((start_scores, starts), (end_scores, ends))
    )
    return (start + end) / 2


def contrastive_loss(
    a: Tensor, b: Tensor, total: float | None = None, *, scale: float = 20.0, rivals: Tensor | None = None
) -> Tensor:
    """Cross-entropy of finding each row's partner among those of all rows, by cosine similarity times `scale`.

    Multiple negatives ranking (Henderson et al. 2017, section 4.4): a, b (n, hidden), of which a[i] and b[i] belong
    together. total: the rows that the sum is divided by; None for those given here. rivals: (n, n), true where b[j] is
    a wrong partner of a[i]; None for all but its own.
    """
    # In bf16 a similarity has two digits, which `scale` makes coarse.
    with torch.autocast(a.device.type, enabled=False):
        scores = functional.normalize(a.float(), dim=-1) @ functional.normalize(b.float(), dim=-1).T * scale
    if rivals is not None:
        scores = scores.masked_fill(~rivals.clone().fill_diagonal_(True), -torch.inf)
    return _cross_entropy(scores, torch.arange(len(a), device=a.device), total)


def cosine_regression_loss(a: Tensor, b: Tensor, targets: Tensor, total: float | None = None) -> Tensor:
    """Mean squared error of cosine similarities: a, b (n, hidden), targets (n,) from -1 to 1.

    total: the rows that the sum is divided by; None for those given here.
    """
    return regression_loss(functional.cosine_similarity(a.float(), b.float()), targets, total)


def _cross_entropy(
    scores: Tensor,
    labels: Tensor,
    total: float | None,
    *,
    weights: Tensor | None = None,
    smoothing: float = 0.0,
) -> Tensor:
    mean = functional.cross_entropy(
        scores.float(),
        labels,
        weight=weights,
        ignore_index=IGNORED,
        label_smoothing=smoothing,
        reduction="mean" if total is None else "sum",
    )
    return mean if total is None else mean / total


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
