from __future__ import annotations

import pytest
import torch

from bertwright.training.lamb import Lamb
from tests.unit.training.tiny import followed


def stepped(weight: list[list[float]], gradient: float, **group: object) -> list[list[float]]:
    """The weights after a first step at rate 0.5: corrected for its bias, the update is the sign of the gradient."""
    parameter = torch.nn.Parameter(torch.tensor(weight))
    parameter.grad = torch.full_like(parameter, gradient)
    Lamb([{"params": [parameter], **group}], lr=0.5, betas=(0.9, 0.999), eps=1e-12).step()
    found: list[list[float]] = parameter.detach().tolist()
    return found


def test_a_matrix_moves_by_a_share_of_its_own_length() -> None:
    # Weights of length 5, an update of ones of length 2: half of 5 / 2 is taken from each.
    for gradient in (0.001, 1.0, 1000.0):
        assert stepped([[3.0, 4.0], [0.0, 0.0]], gradient) == [
            pytest.approx([1.75, 2.75], rel=1e-4),
            pytest.approx([-1.25, -1.25], rel=1e-4),
        ]


def test_query_key_and_value_are_three_matrices_and_zero_weights_move_too() -> None:
    stacked = [[1.0, 1.0], [1.0, 1.0], [2.0, 2.0], [2.0, 2.0], [0.0, 0.0], [0.0, 0.0]]
    # Lengths 2, 4 and 0, updates of length 2: ratios 1 and 2, and Adam's own step where there is nothing to compare.
    wanted = [0.5, 0.5, 1.0, 1.0, -0.5, -0.5]
    assert stepped(stacked, 1.0, blocks=3) == [pytest.approx([value, value], rel=1e-4) for value in wanted]


def test_biases_and_norms_take_adams_own_step() -> None:
    assert stepped([[10.0, 20.0]], 1.0, adapted=False) == [pytest.approx([9.5, 19.5])]


def test_a_model_moves_as_algorithm_2_says() -> None:
    """You et al. 2020: m, v, bias correction, r, and the length of r + decay * weights set to that of the weights."""
    model = followed("lamb")
    for step in (1, 2):
        for name, gradient in model.gradients():
            m = 0.9 * model.moments[name][0] + 0.1 * gradient
            v = 0.999 * model.moments[name][1] + 0.001 * gradient**2
            model.moments[name] = (m, v)
            r = (m / (1 - 0.9**step)) / ((v / (1 - 0.999**step)).sqrt() + 1e-6)
            x = model.wanted[name]
            if x.dim() == 1:
                model.wanted[name] = x - 0.25 * r
                continue
            # What algorithm 2 calls a layer is a matrix; three of them lie in one where query, key and value do.
            blocks = 3 if "query_key_value" in name else 1
            moved = []
            for part, update in zip(x.chunk(blocks), r.chunk(blocks), strict=True):
                whole = update + 0.5 * part
                moved.append(part - 0.25 * part.norm() / whole.norm() * whole)
            model.wanted[name] = torch.cat(moved)
        model.optimizer.step()
    model.check()
