from __future__ import annotations

import pytest
import torch

from bertwright.training.clipping import clip_gradients


def with_gradients(*gradients: torch.Tensor) -> list[torch.nn.Parameter]:
    found = []
    for gradient in gradients:
        parameter = torch.nn.Parameter(torch.zeros_like(gradient))
        parameter.grad = gradient.clone()
        found.append(parameter)
    return found


def test_gradients_together_are_cut_to_the_length_given() -> None:
    parameters = with_gradients(torch.tensor([[3.0, 0.0]]), torch.tensor([0.0, 4.0]))
    parameters.append(torch.nn.Parameter(torch.zeros(2)))  # took no part in the loss
    assert clip_gradients(parameters, 0.5).item() == 5
    first, second, none = (parameter.grad for parameter in parameters)
    assert first is not None
    assert second is not None
    torch.testing.assert_close(first, torch.tensor([[0.3, 0.0]]))
    torch.testing.assert_close(second, torch.tensor([0.0, 0.4]))
    assert none is None


def test_shorter_ones_stay_as_they_are() -> None:
    parameters = with_gradients(torch.tensor([3.0, 4.0]))
    assert clip_gradients(parameters, 5.1).item() == 5
    gradient = parameters[0].grad
    assert gradient is not None
    assert gradient.tolist() == [3, 4]


def test_the_length_of_a_large_table_is_exact() -> None:
    """Of a vocabulary's size; summed up in a line, as torch does over a whole tensor, it is off by 3 in 10,000."""
    table = torch.randn(30_522, 768, generator=torch.Generator().manual_seed(0))
    parameters = with_gradients(table, torch.ones(768))
    wanted = (table.double().square().sum() + 768).sqrt().item()
    assert clip_gradients(parameters, 1.0).item() == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_is_seen(value: float) -> None:
    parameters = with_gradients(torch.ones(3, 2), torch.tensor([1.0, value]))
    assert not torch.isfinite(clip_gradients(parameters, 1.0))
