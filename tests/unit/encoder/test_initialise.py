from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from bertwright.encoder.config import EncoderConfig
from bertwright.heads.model import Bert, Parts

CONFIG = EncoderConfig(
    num_hidden_layers=2, hidden_size=64, num_attention_heads=4, intermediate_size=256, vocab_size=500
)
PARTS = Parts(masked_words=True, next_sentence=True, labels=3)


def fresh(seed: int, *, deviation: float = 0.02) -> Bert:
    model = Bert(CONFIG.model_copy(update={"initializer_range": deviation}), PARTS)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(7.0)  # a weight that was forgotten would keep this
    model.initialise(seed)
    return model


@pytest.mark.parametrize("deviation", [0.02, 0.5])
def test_weights_are_a_normal_distribution_cut_at_two_deviations(deviation: float) -> None:
    model = fresh(0, deviation=deviation)
    matrices = [parameter.detach() for parameter in model.parameters() if parameter.dim() == 2]
    drawn = torch.cat([matrix.flatten() for matrix in matrices]) / deviation
    assert len(drawn) > 150_000
    assert float(drawn.abs().max()) <= 2
    assert float(drawn.abs().max()) > 1.99
    # What is left of a normal distribution within two deviations has the mean 0 and this variance.
    within = math.erf(2 / math.sqrt(2))
    variance = 1 - 4 * math.exp(-2) / math.sqrt(2 * math.pi) / within
    assert abs(float(drawn.mean())) < 5 * math.sqrt(variance / len(drawn))
    assert float(drawn.var()) == pytest.approx(variance, rel=0.01)
    assert float((drawn.abs() < 1).float().mean()) == pytest.approx(math.erf(1 / math.sqrt(2)) / within, abs=0.005)


def test_biases_are_0_and_norms_1() -> None:
    model = fresh(0)
    norms = {f"{name}.weight" for name, module in model.named_modules() if isinstance(module, nn.LayerNorm)}
    vectors = {name: parameter for name, parameter in model.named_parameters() if parameter.dim() == 1}
    assert len(norms) == 1 + 2 * CONFIG.num_hidden_layers + 1
    for name, parameter in vectors.items():
        assert parameter.unique().tolist() == [1.0 if name in norms else 0.0], name


def test_the_seed_decides() -> None:
    one, same, other = fresh(1), fresh(1), fresh(2)
    for (name, parameter), again, different in zip(
        one.named_parameters(), same.parameters(), other.parameters(), strict=True
    ):
        assert torch.equal(parameter, again), name
        if parameter.dim() == 2:
            assert not torch.equal(parameter, different), name


def test_torchs_own_generator_has_no_part_in_it() -> None:
    torch.manual_seed(1)
    one = fresh(5)
    before = torch.get_rng_state()
    one.initialise(5)
    assert torch.equal(torch.get_rng_state(), before)
