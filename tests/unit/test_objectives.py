from __future__ import annotations

import math

import pytest
import torch

from bertwright.examples.masking import IGNORED
from bertwright.objectives import (
    classification_loss,
    masked_word_loss,
    next_sentence_loss,
    plain_masked_word_loss,
    pretraining_loss,
)


def scores_and_labels(dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    scores = (3 * torch.randn(40, 101, generator=generator)).to(dtype)
    labels = torch.randint(101, (40,), generator=generator)
    labels[::3] = IGNORED
    return scores, labels


def value_and_gradient(loss: object, scores: torch.Tensor, labels: torch.Tensor) -> tuple[float, torch.Tensor]:
    assert callable(loss)
    leaf = scores.clone().requires_grad_()
    value = loss(leaf, labels)
    assert value.dtype is torch.float32
    (7 * value).backward()
    assert leaf.grad is not None
    assert leaf.grad.dtype is scores.dtype
    return value.item(), leaf.grad


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.bfloat16, 1e-2)])
def test_the_fast_loss_is_the_plain_one(dtype: torch.dtype, tolerance: float) -> None:
    scores, labels = scores_and_labels(dtype)
    fast, fast_gradient = value_and_gradient(masked_word_loss, scores, labels)
    plain, plain_gradient = value_and_gradient(plain_masked_word_loss, scores, labels)
    assert fast == pytest.approx(plain, rel=tolerance)
    difference = (fast_gradient.double() - plain_gradient.double()).norm()
    assert difference <= tolerance * plain_gradient.double().norm()
    assert (fast_gradient[::3] == 0).all()
    assert (fast_gradient[1::3] != 0).any()


def test_by_hand() -> None:
    scores = torch.tensor([[0.0, math.log(3)], [5.0, -5.0], [0.0, 0.0]])
    labels = torch.tensor([1, IGNORED, 0])
    # Probabilities 3/4 and 1/2; the middle row counts for nothing.
    expected = -(math.log(3 / 4) + math.log(1 / 2)) / 2
    value, gradient = value_and_gradient(masked_word_loss, scores, labels)
    assert value == pytest.approx(expected)
    assert gradient.flatten().tolist() == pytest.approx([7 / 8, -7 / 8, 0, 0, -7 / 4, 7 / 4])


def test_scores_that_leave_a_word_no_chance_give_a_finite_loss() -> None:
    scores = torch.tensor([[1000.0, 0.0], [0.0, 0.0]])
    value, gradient = value_and_gradient(masked_word_loss, scores, torch.tensor([1, 0]))
    assert value == pytest.approx((87.336544 + math.log(2)) / 2)
    assert gradient[0].tolist() == [3.5, -3.5]


def test_a_second_backward_is_refused_and_not_wrong() -> None:
    scores, labels = scores_and_labels(torch.float32)
    value = masked_word_loss(scores.requires_grad_(), labels)
    value.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        value.backward()


@pytest.mark.parametrize("loss", [next_sentence_loss, classification_loss])
def test_every_class_counts(loss: object) -> None:
    assert callable(loss)
    scores, labels = torch.tensor([[0.0, math.log(3)], [0.0, 0.0]]), torch.tensor([0, 1])
    expected = -(math.log(1 / 4) + math.log(1 / 2)) / 2
    assert loss(scores, labels).item() == pytest.approx(expected)
    assert loss(scores.bfloat16(), labels).dtype is torch.float32


def test_the_two_losses_are_added() -> None:
    assert pretraining_loss(torch.tensor(2.0), torch.tensor(0.5)).item() == 2.5
