from __future__ import annotations

import pytest
import torch

from bertwright.encoder.dropout import drawing
from bertwright.heads.model import PRETRAINING, Bert
from bertwright.randomness import Stream
from bertwright.tasks.pretrain import objective
from tests.unit.training.tiny import CONFIG, batches


def gradients(dropout: float, *, recompute: bool) -> dict[str, torch.Tensor]:
    model = Bert(
        CONFIG.model_copy(update={"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}), PRETRAINING
    )
    model.initialise(0)
    model.encoder.recompute = recompute
    model.train()
    batch = next(batches())
    with drawing(Stream(0, "dropout", 0), 0):
        loss, _ = objective(model, batch, batch.counts)
        loss.backward()
    found = {name: parameter.grad for name, parameter in model.named_parameters()}
    assert all(gradient is not None for gradient in found.values())
    return {name: gradient for name, gradient in found.items() if gradient is not None}


@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_layers_computed_twice_give_the_same_gradients_to_the_last_bit(dropout: float) -> None:
    once, twice = gradients(dropout, recompute=False), gradients(dropout, recompute=True)
    for name, gradient in once.items():
        assert torch.equal(twice[name], gradient), name


def test_layers_are_really_computed_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    from bertwright.encoder.layer import EncoderLayer

    counted = 0
    forward = EncoderLayer.forward

    def counting(self: EncoderLayer, *inputs: object) -> torch.Tensor:
        nonlocal counted
        counted += 1
        return forward(self, *inputs)  # type: ignore[arg-type]  # as they come

    monkeypatch.setattr(EncoderLayer, "forward", counting)
    gradients(0.1, recompute=False)
    assert counted == 2
    gradients(0.1, recompute=True)
    assert counted == 2 + 4
