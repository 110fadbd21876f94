from __future__ import annotations

import pytest
import torch

from bertwright.heads.model import Bert, Parts
from bertwright.training.optimizers import adamw
from tests.unit.training.tiny import CONFIG, settings

MODEL_PARTS = Parts(masked_words=True, next_sentence=True, labels=3)


def test_matrices_decay_and_biases_and_norms_do_not() -> None:
    model = Bert(CONFIG, MODEL_PARTS)
    name_of = {id(parameter): name for name, parameter in model.named_parameters()}
    decaying, others = adamw(model, settings(weight_decay=0.25)).param_groups
    assert (decaying["weight_decay"], others["weight_decay"]) == (0.25, 0.0)
    with_decay = {name_of[id(parameter)] for parameter in decaying["params"]}
    without = {name_of[id(parameter)] for parameter in others["params"]}
    assert with_decay | without == set(name_of.values())
    assert not with_decay & without
    # As in the original code: everything but what is called LayerNorm, layer_norm or bias.
    assert without == {name for name in name_of.values() if "norm" in name or name.endswith("bias")}
    assert {
        "encoder.embeddings.word.weight",
        "encoder.embeddings.position.weight",
        "encoder.layers.1.attention.query_key_value.weight",
        "classifier.dense.weight",
    } <= with_decay


def test_it_is_adamw_with_the_settings_given() -> None:
    chosen = settings(learning_rate=0.5, adam_beta1=0.7, adam_beta2=0.8, adam_epsilon=0.01)
    optimizer = adamw(Bert(CONFIG, MODEL_PARTS), chosen)
    assert type(optimizer) is torch.optim.AdamW
    for group in optimizer.param_groups:
        assert (group["lr"], group["betas"], group["eps"]) == (0.5, (0.7, 0.8), 0.01)


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_a_step_is_that_of_the_paper(decay: float) -> None:
    """Loshchilov and Hutter 2019, algorithm 2, written out for two steps."""
    model = torch.nn.Linear(3, 2).double()
    chosen = settings(learning_rate=0.01, weight_decay=decay)
    optimizer = adamw(model, chosen)
    weight, bias = model.weight.detach().clone(), model.bias.detach().clone()
    moments = {name: (torch.zeros_like(value), torch.zeros_like(value)) for name, value in (("w", weight), ("b", bias))}
    for number in (1, 2):
        model.weight.grad, model.bias.grad = torch.full_like(weight, number), torch.full_like(bias, -number)
        optimizer.step()
        for name, value, gradient, rate in (("w", weight, model.weight.grad, decay), ("b", bias, model.bias.grad, 0.0)):
            first = 0.9 * moments[name][0] + 0.1 * gradient
            second = 0.999 * moments[name][1] + 0.001 * gradient**2
            moments[name] = (first, second)
            value.mul_(1 - 0.01 * rate)
            value.sub_(0.01 * (first / (1 - 0.9**number)) / ((second / (1 - 0.999**number)).sqrt() + 1e-6))
    torch.testing.assert_close(model.weight.detach(), weight)
    torch.testing.assert_close(model.bias.detach(), bias)
