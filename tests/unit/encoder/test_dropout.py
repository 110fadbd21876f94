from __future__ import annotations

import math

import pytest
import torch
from torch.utils.checkpoint import checkpoint

from bertwright.encoder.dropout import Dropout, drawing, drawing_again
from bertwright.randomness import Stream

ONE = 1 << 15


def dropped(probability: float, hidden: torch.Tensor, seed: int = 0) -> torch.Tensor:
    torch.manual_seed(seed)
    result: torch.Tensor = Dropout(probability)(hidden)
    return result


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
def test_the_share_and_the_scale(probability: float, dtype: torch.dtype) -> None:
    hidden = torch.ones(1000, 1001, dtype=dtype)
    result = dropped(probability, hidden)
    assert result.shape == hidden.shape
    assert result.dtype is dtype
    share = round(probability * ONE) / ONE
    sigma = math.sqrt(share * (1 - share) / hidden.numel())
    assert abs((result == 0).double().mean().item() - share) < 5 * sigma
    kept = torch.tensor(1 / (1 - share), dtype=dtype)
    assert set(result.unique().tolist()) == {0.0, kept.item()}
    # No row or column has a share of its own.
    for dimension in (0, 1):
        means = (result == 0).double().mean(dim=dimension)
        assert (means - share).abs().max().item() < 6 * math.sqrt(share * (1 - share) / 1000)


def test_the_gradient_passes_where_the_value_did() -> None:
    hidden = torch.randn(37, 13, requires_grad=True)
    result = dropped(0.3, hidden)
    weight = torch.randn(37, 13)
    (result * weight).sum().backward()
    kept = result != 0
    scale = ONE / (ONE - round(0.3 * ONE))
    assert hidden.grad is not None
    assert torch.allclose(hidden.grad, kept * weight * scale)
    assert torch.allclose(result, kept * hidden.detach() * scale)
    # A gradient that is one number spread out, as `sum` gives it.
    hidden.grad = None
    dropped(0.3, hidden).sum().backward()
    assert torch.allclose(hidden.grad, kept * torch.tensor(scale))  # type: ignore[arg-type]  # backward filled it


def test_evaluation_and_no_probability_change_nothing() -> None:
    hidden = torch.randn(4, 4)
    assert Dropout(0.5).eval()(hidden) is hidden
    assert Dropout(0.0)(hidden) is hidden


def test_the_mask_follows_the_seed_of_torch() -> None:
    hidden = torch.ones(64, 64)
    assert torch.equal(dropped(0.5, hidden, seed=1), dropped(0.5, hidden, seed=1))
    assert not torch.equal(dropped(0.5, hidden, seed=1), dropped(0.5, hidden, seed=2))
    torch.manual_seed(1)
    layer = Dropout(0.5)
    assert not torch.equal(layer(hidden), layer(hidden))


def test_the_input_is_left_alone_whatever_its_layout() -> None:
    hidden = torch.arange(1.0, 25.0).reshape(4, 6)
    before = hidden.clone()
    result = dropped(0.5, hidden.T)
    assert torch.equal(hidden, before)
    assert ((result == 0) | (result == 2 * hidden.T)).all()
    assert dropped(0.5, torch.ones(3)).shape == (3,)
    assert dropped(0.5, torch.ones(0, 3)).shape == (0, 3)


def test_what_is_dropped_is_zero_even_if_it_was_no_number() -> None:
    result = dropped(0.5, torch.full((1000,), math.inf))
    assert set(result.tolist()) == {0.0, math.inf}


def of_rows(first: int, count: int, draw: int = 0, seed: int = 5) -> torch.Tensor:
    """What is left of ones, (count, 4, 6), by the `draw`th layer that drops."""
    with drawing(Stream(seed, "dropout"), first):
        found = [Dropout(0.5)(torch.ones(count, 4, 6)) for _ in range(draw + 1)]
    last: torch.Tensor = found[-1]
    return last


def test_a_row_loses_the_same_wherever_it_stands() -> None:
    whole = of_rows(0, 7)
    assert torch.equal(torch.cat([of_rows(0, 3), of_rows(3, 3), of_rows(6, 1)]), whole)
    assert len({tuple(row.flatten().tolist()) for row in whole}) == 7
    assert not torch.equal(of_rows(0, 7, draw=1), whole)
    assert not torch.equal(of_rows(0, 7, seed=6), whole)
    torch.manual_seed(0)  # torch's generator is of no account here
    assert torch.equal(of_rows(0, 7), whole)


@pytest.mark.parametrize("shape", [(3, 8, 5), (3, 2, 8, 5)])
def test_positions_lose_what_they_would_among_all(shape: tuple[int, ...]) -> None:
    positions = torch.tensor([[0, 5, 5], [7, 1, 2], [3, 3, 0]])
    chosen = positions.view(3, *[1] * (len(shape) - 3), 3, 1).expand(3, *shape[1:-2], 3, 5)
    stream = Stream(0, "dropout")
    with drawing(stream, 11):
        whole = Dropout(0.5)(torch.ones(shape))
    with drawing(stream, 11):
        part = Dropout(0.5)(torch.ones(*shape[:-2], 3, 5), positions, 8)
    assert torch.equal(part, whole.gather(-2, chosen))


def test_a_repeated_computation_draws_the_same_again() -> None:
    layers = torch.nn.ModuleList(Dropout(0.5) for _ in range(3))
    hidden = torch.ones(4, 9, requires_grad=True)
    outputs, gradients = [], []
    for again in (False, True):
        with drawing(Stream(1, "dropout"), 0):
            result = hidden
            for layer in layers:
                if again:
                    result = checkpoint(layer, result, use_reentrant=False, context_fn=drawing_again)
                else:
                    result = layer(result)
                result = result.exp()  # something whose gradient needs its input
            (gradient,) = torch.autograd.grad(result.sum(), hidden)
        outputs.append(result)
        gradients.append(gradient)
    assert torch.equal(*outputs)
    assert torch.equal(*gradients)


def test_as_good_as_all_may_be_dropped() -> None:
    with torch.no_grad():
        found = Dropout(0.99999).train()(torch.ones(64, 64))
    assert set(found.unique().tolist()) <= {0.0, 2.0**15}
