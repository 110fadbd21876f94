from __future__ import annotations

import pytest
import torch

from bertwright.training.adam_2018 import Adam2018
from tests.unit.training.tiny import followed


def test_two_steps_by_eye() -> None:
    """With these betas gradients of 2 and 1 make a mean, and a root of the mean square, of 1 after either step."""
    matrix, bias = torch.nn.Parameter(torch.tensor([[2.0]])), torch.nn.Parameter(torch.tensor([3.0]))
    groups = [{"params": [matrix], "weight_decay": 0.5}, {"params": [bias], "weight_decay": 0.0}]
    optimizer = Adam2018(groups, lr=0.1, betas=(0.5, 0.75), eps=1.0)
    found = []
    for gradient in (2.0, 1.0):
        matrix.grad, bias.grad = torch.full_like(matrix, gradient), torch.full_like(bias, gradient)
        optimizer.step()
        found.append((matrix.item(), bias.item()))
    # 1 / (1 + 1), and for the matrix half of itself besides: 2 - 0.1 * (0.5 + 1.0), then 1.85 - 0.1 * (0.5 + 0.925).
    assert found == [pytest.approx((1.85, 2.95)), pytest.approx((1.7075, 2.9))]


def test_the_first_step_is_longer_than_the_rate_for_nothing_corrects_it() -> None:
    weight = torch.nn.Parameter(torch.zeros(1))
    weight.grad = torch.tensor([0.001])
    Adam2018([{"params": [weight]}], lr=1.0, betas=(0.9, 0.999), eps=1e-12).step()
    assert weight.item() == pytest.approx(-0.1 / 0.001**0.5)  # -3.16; Adam's own first step is -1


def test_a_model_moves_as_the_published_code_says() -> None:
    """`apply_gradients` of optimization.py, line by line: next_m, next_v, update, decay, next_param."""
    model = followed("adam-2018")
    for _ in range(2):
        for name, gradient in model.gradients():
            m, v = model.moments[name]
            next_m = 0.9 * m + (1.0 - 0.9) * gradient
            next_v = 0.999 * v + (1.0 - 0.999) * gradient**2
            update = next_m / (next_v**0.5 + 1e-6)
            if "norm" not in name and not name.endswith("bias"):
                update = update + 0.5 * model.wanted[name]
            model.wanted[name] = model.wanted[name] - 0.25 * update
            model.moments[name] = (next_m, next_v)
        model.optimizer.step()
    model.check()


def test_what_has_no_gradient_stays() -> None:
    moved, left = torch.nn.Parameter(torch.ones(1)), torch.nn.Parameter(torch.ones(1))
    moved.grad = torch.ones(1)
    optimizer = Adam2018(
        [{"params": [moved, left], "weight_decay": 0.5}, {"params": [torch.nn.Parameter(torch.ones(1))]}],
        lr=0.1,
        betas=(0.9, 0.999),
        eps=1e-6,
    )
    optimizer.step()
    assert moved.item() < 1
    assert left.item() == 1
