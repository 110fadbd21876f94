from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from bertwright.examples.masking import IGNORED
from bertwright.objectives import (
    classification_loss,
    contrastive_loss,
    cosine_regression_loss,
    masked_word_loss,
    multilabel_loss,
    next_sentence_loss,
    plain_masked_word_loss,
    pretraining_loss,
    regression_loss,
    span_loss,
    token_loss,
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


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_a_weighted_class_counts_as_often_as_its_weight_says() -> None:
    scores, labels = torch.tensor([[0.0, math.log(3)], [0.0, 0.0]]), torch.tensor([0, 1])
    weights = torch.tensor([3.0, 1.0])
    # Probabilities 1/4 three times and 1/2 once: four rows in all.
    expected = -(3 * math.log(1 / 4) + math.log(1 / 2)) / 4
    assert classification_loss(scores, labels, weights=weights).item() == pytest.approx(expected)
    assert classification_loss(scores, labels, 4.0, weights=weights).item() == pytest.approx(expected)


def test_a_smoothed_label_is_shared_with_all_classes() -> None:
    scores, labels = torch.tensor([[0.0, math.log(3)]]), torch.tensor([0])
    # A fifth is spread over two classes: nine tenths for the label, one tenth for the other.
    expected = -(0.9 * math.log(1 / 4) + 0.1 * math.log(3 / 4))
    assert classification_loss(scores, labels, smoothing=0.2).item() == pytest.approx(expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weights", [None, torch.tensor([0.5, 2.0, 0.1, 1.0])])
@pytest.mark.parametrize(
    ("loss", "shape", "sizes"), [(classification_loss, (8,), (3, 1, 4)), (token_loss, (4, 2), (1, 1, 2))]
)
def test_weights_and_smoothing_are_torchs_and_parts_add_up(
    loss: Callable[..., Tensor],
    shape: tuple[int, ...],
    sizes: tuple[int, ...],
    weights: Tensor | None,
    smoothing: float,
) -> None:
    labels = torch.tensor([0, 3, IGNORED, 1, 1, 2, IGNORED, 0])
    counted = labels[labels != IGNORED]
    total = float(len(counted) if weights is None else weights[counted].sum())
    scores, same = drawn(8, 4).requires_grad_(), drawn(8, 4).requires_grad_()
    wanted = functional.cross_entropy(same, labels, weight=weights, ignore_index=IGNORED, label_smoothing=smoothing)
    wanted.backward()

    shaped = scores.view(*shape, 4)
    chosen = {"weights": weights, "smoothing": smoothing}
    pairs = zip(shaped.split(sizes), labels.view(shape).split(sizes), strict=True)
    parts = torch.stack([loss(part, own, total, **chosen) for part, own in pairs])
    parts.sum().backward()
    assert parts.sum().item() == pytest.approx(wanted.item(), rel=1e-6)
    torch.testing.assert_close(scores.grad, same.grad)
    assert loss(shaped, labels.view(shape), **chosen).item() == pytest.approx(wanted.item(), rel=1e-6)


def test_labels_that_hold_or_not() -> None:
    scores, labels = torch.tensor([[0.0, math.log(3)], [-math.log(3), 0.0]]), torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    # Each label on its own: 1/2 that the first holds, 3/4 that the second does; then 1/4 and 1/2.
    answers = [math.log(1 / 2), math.log(1 / 4), math.log(1 / 4), math.log(1 / 2)]
    assert multilabel_loss(scores, labels).item() == pytest.approx(-sum(answers) / 4)
    # Where it holds, the second label counts ten times: in the second row alone.
    weighted = [*answers[:3], 10 * answers[3]]
    assert multilabel_loss(scores, labels, weights=torch.tensor([1.0, 10.0])).item() == pytest.approx(
        -sum(weighted) / 4
    )


@pytest.mark.parametrize("weights", [None, torch.tensor([0.5, 2.0, 1.0])])
def test_labels_that_hold_or_not_are_torchs(weights: Tensor | None) -> None:
    scores, labels = drawn(6, 3), (drawn(6, 3, seed=1) > 0).float()
    wanted = torch.nn.BCEWithLogitsLoss(pos_weight=weights)(scores, labels).item()
    assert multilabel_loss(scores, labels, weights=weights).item() == pytest.approx(wanted)
    parts = [multilabel_loss(scores[rows], labels[rows], 6, weights=weights) for rows in (slice(2), slice(2, 6))]
    assert sum(float(part) for part in parts) == pytest.approx(wanted)
    assert multilabel_loss(scores, labels.long()).item() == multilabel_loss(scores, labels).item()


@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_the_square_of_what_a_number_is_off(shape: tuple[int, ...]) -> None:
    scores, targets = torch.tensor([1.0, 2.0, 5.0]).view(shape), torch.tensor([1.0, 0.0, 6.0])
    assert regression_loss(scores, targets).item() == pytest.approx((0 + 4 + 1) / 3)
    parts = [regression_loss(scores[rows], targets[rows], 3) for rows in (slice(1), slice(1, 3))]
    assert [float(part) for part in parts] == pytest.approx([0, 5 / 3])


def test_a_span_begins_and_ends_where_it_may() -> None:
    zero, three = 0.0, math.log(3)
    start = torch.tensor([[zero, three, 99.0], [zero, zero, zero]])
    end = torch.tensor([[zero, zero, 99.0], [three, zero, zero]])
    mask = torch.tensor([[1, 1, 0], [1, 1, 1]])
    # The last place of the first window is padding. Start 3/4 and 1/3; end 1/2 and 3/5.
    parts = [(math.log(3 / 4) + math.log(1 / 2)) / 2, (math.log(1 / 3) + math.log(3 / 5)) / 2]
    starts, ends = torch.tensor([1, 2]), torch.tensor([1, 0])
    assert span_loss(start, end, starts, ends, mask).item() == pytest.approx(-sum(parts) / 2)
    for row, part in enumerate(parts):
        only = slice(row, row + 1)
        found = span_loss(start[only], end[only], starts[only], ends[only], mask[only], 2)
        assert found.item() == pytest.approx(-part / 2)


def test_what_a_span_may_not_be_has_no_gradient() -> None:
    scores = drawn(2, 3, 4).requires_grad_()
    mask = torch.tensor([[True, True, False, True], [True, True, True, False], [False, False, False, False]])
    # Nothing is to be learned of a window without a place for an answer.
    starts, ends = torch.tensor([0, 2, IGNORED]), torch.tensor([3, 2, IGNORED])
    loss = span_loss(scores[0], scores[1], starts, ends, mask, 3)
    loss.backward()
    assert scores.grad is not None
    assert torch.equal(scores.grad != 0, (mask & (starts != IGNORED)[:, None]).expand(2, 3, 4))


def test_without_a_mask_a_span_is_that_of_transformers() -> None:
    """`BertForQuestionAnswering`: the mean of two cross-entropies over all positions."""
    start, end, starts, ends = drawn(5, 7), drawn(5, 7, seed=1), torch.arange(5), torch.arange(5) + 2
    wanted = (functional.cross_entropy(start, starts) + functional.cross_entropy(end, ends)) / 2
    found = span_loss(start, end, starts, ends, torch.ones(5, 7, dtype=torch.bool))
    assert found.item() == pytest.approx(wanted.item())


def test_a_row_finds_its_partner_among_all_partners() -> None:
    a, b = torch.tensor([[2.0, 0.0], [0.0, 5.0]]), torch.tensor([[1.0, 0.0], [3.0, 0.0]])
    scale = math.log(3)
    # Cosines 1 and 1 for the first row, 0 and 0 for the second.
    assert contrastive_loss(a, b, scale=scale).item() == pytest.approx(math.log(2))
    assert contrastive_loss(a, b, 4, scale=scale).item() == pytest.approx(math.log(2) / 2)


def test_a_partner_that_two_rows_share_is_no_rival() -> None:
    a, b = torch.tensor([[2.0, 0.0], [1.0, 0.0], [0.0, 5.0]]), torch.tensor([[1.0, 0.0], [3.0, 0.0], [0.0, 1.0]])
    # Cosines 1, 1 and 0 for the first two rows, 0, 0 and 1 for the third: 3 against 1, and 3 against 1 and 1.
    # A row is taught its own partner whatever the diagonal says.
    rivals = torch.tensor([[0, 0, 1], [0, 0, 1], [1, 1, 0]]).bool()
    found = contrastive_loss(a, b, scale=math.log(3), rivals=rivals).item()
    assert found == pytest.approx(-(2 * math.log(3 / 4) + math.log(3 / 5)) / 3)


def test_pairs_are_ranked_by_cosine_times_twenty() -> None:
    a, b = drawn(4, 8), drawn(4, 8, seed=1)
    cosines = torch.nn.CosineSimilarity(dim=-1)(a[:, None], b[None])
    wanted = torch.nn.CrossEntropyLoss()(20 * cosines, torch.arange(4)).item()
    assert contrastive_loss(a, b).item() == pytest.approx(wanted, rel=1e-5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert contrastive_loss(a, b).item() == pytest.approx(wanted, rel=1e-5)


def test_cosines_are_drawn_to_their_targets() -> None:
    a, b = torch.tensor([[2.0, 0.0], [0.0, 5.0]]), torch.tensor([[1.0, 0.0], [3.0, 0.0]])
    # Cosines 1 and 0.
    assert cosine_regression_loss(a, b, torch.tensor([0.5, 1.0])).item() == pytest.approx((0.25 + 1) / 2)
    assert cosine_regression_loss(a, b, torch.tensor([0.5, 1.0]), 10).item() == pytest.approx((0.25 + 1) / 10)
    assert cosine_regression_loss(a, b, torch.tensor([1.0, 0.0])).item() == 0


@pytest.mark.parametrize(
    "loss",
    [
        lambda x: token_loss(x[None], torch.arange(4)[None]),
        lambda x: multilabel_loss(x, torch.ones(4, 4)),
        lambda x: regression_loss(x[:, 0], torch.zeros(4)),
        lambda x: span_loss(x, x, torch.arange(4), torch.arange(4), torch.ones(4, 4)),
        lambda x: contrastive_loss(x, x),
        lambda x: cosine_regression_loss(x, x, torch.zeros(4)),
    ],
)
def test_all_are_counted_in_fp32(loss: Callable[[Tensor], Tensor]) -> None:
    scores = drawn(4, 4).bfloat16().requires_grad_()
    value = loss(scores)
    assert (value.dtype, value.shape) == (torch.float32, ())
    assert value.item() == pytest.approx(loss(scores.detach().float()).item(), rel=1e-5)
    value.backward()
    assert scores.grad is not None
    assert scores.grad.dtype is torch.bfloat16
