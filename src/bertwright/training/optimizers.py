"""Which optimizer moves which parameters, and which of them decay."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from bertwright.encoder.layer import EncoderLayer
from bertwright.training.muon import Muon
from bertwright.training.precision import choose_dtype

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import nn

    from bertwright.heads.model import Bert
    from bertwright.training.settings import TrainingSettings


def decays(parameter: nn.Parameter) -> bool:
    """Weight decay is for matrices; biases and norms, of one dimension, have none.

    As `exclude_from_weight_decay` of the original code.
    """
    return parameter.dim() > 1


def build_optimizers(model: Bert, settings: TrainingSettings) -> tuple[torch.optim.Optimizer, ...]:
    """The optimizers of a run; every parameter belongs to one of them."""
    if settings.optimizer == "adamw":
        return (adamw(model.parameters(), settings),)
    stacked, single = [], []
    for layer in model.encoder.layers:
        assert isinstance(layer, EncoderLayer)
        stacked.append(layer.attention.query_key_value.weight)
        single += [linear.weight for linear in (layer.attention.output, layer.expand, layer.contract)]
    moved = {*stacked, *single}
    muon = Muon(
        [{"params": stacked, "blocks": 3}, {"params": single, "blocks": 1}],
        lr=settings.muon_learning_rate,
        weight_decay=settings.weight_decay,
        dtype=choose_dtype(settings.precision, next(model.parameters()).device),
    )
    # Embeddings, biases, norms and heads stay with AdamW: they are tables and vectors, not maps between hidden states.
    return muon, adamw((parameter for parameter in model.parameters() if parameter not in moved), settings)


def adamw(parameters: Iterable[nn.Parameter], settings: TrainingSettings) -> torch.optim.AdamW:
    """AdamW in one fused pass; no decay on biases and norms."""
    parameters = list(parameters)
    groups = [
        {"params": [p for p in parameters if decays(p)], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if not decays(p)], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        groups,
        lr=settings.learning_rate,
        betas=(settings.adam_beta1, settings.adam_beta2),
        eps=settings.adam_epsilon,
        fused=True,
    )
