"""Which optimizer moves which parameters, and which of them decay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from bertwright.encoder.layer import EncoderLayer
from bertwright.training.adam_2018 import Adam2018
from bertwright.training.lamb import Lamb
from bertwright.training.muon import Muon
from bertwright.training.precision import choose_dtype

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor, nn

    from bertwright.heads.model import Bert
    from bertwright.training.settings import TrainingSettings


def decays(parameter: nn.Parameter) -> bool:
    """Weight decay is for matrices; biases and norms, of one dimension, have none.

    As `exclude_from_weight_decay` of the original code.
    """
    return parameter.dim() > 1


def build_optimizers(model: Bert, settings: TrainingSettings) -> tuple[torch.optim.Optimizer, ...]:
    """The optimizers of a run; every parameter that is to move belongs to one of them."""
    moving = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if settings.optimizer == "adamw":
        return (adamw(moving, settings),)
    adam: dict[str, Any] = {
        "lr": settings.learning_rate,
        "betas": (settings.adam_beta1, settings.adam_beta2),
        "eps": settings.adam_epsilon,
    }
    if settings.optimizer == "adam-2018":
        return (Adam2018(_by_decay(moving, settings), **adam),)
    stacked, single = _layer_matrices(model)
    inside = {*stacked, *single}
    others = [parameter for parameter in moving if parameter not in inside]
    if settings.optimizer == "lamb":
        tables, vectors = _by_decay(others, settings)
        decay = {"weight_decay": settings.weight_decay}
        # Query, key and value are three matrices, each with a norm of its own, that lie in one.
        inner = [{"params": stacked, "blocks": 3, **decay}, {"params": single, **decay}]
        return (Lamb([*inner, tables, {**vectors, "adapted": False}], **adam),)
    muon = Muon(
        [{"params": stacked, "blocks": 3}, {"params": single, "blocks": 1}],
        lr=settings.muon_learning_rate,
        weight_decay=settings.weight_decay,
        dtype=choose_dtype(settings.precision, next(model.parameters()).device),
    )
    # Embeddings, biases, norms and heads stay with AdamW: they are tables and vectors, not maps between hidden states.
    return muon, adamw(others, settings)


def adamw(parameters: Iterable[nn.Parameter], settings: TrainingSettings) -> torch.optim.AdamW:
    """AdamW in one fused pass; no decay on biases and norms."""
    return torch.optim.AdamW(
        _by_decay(parameters, settings),
        lr=settings.learning_rate,
        betas=(settings.adam_beta1, settings.adam_beta2),
        eps=settings.adam_epsilon,
        fused=True,
    )


def _by_decay(parameters: Iterable[nn.Parameter], settings: TrainingSettings) -> tuple[dict[str, Any], dict[str, Any]]:
    """The groups of what decays and of what does not."""
    parameters = list(parameters)
    return (
        {"params": [p for p in parameters if decays(p)], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if not decays(p)], "weight_decay": 0.0},
    )


def _layer_matrices(model: Bert) -> tuple[list[Tensor], list[Tensor]]:
    """The matrices inside the layers that are to move: those of query, key and value, three in one, and the others."""
    stacked: list[Tensor] = []
    single: list[Tensor] = []
    for layer in model.encoder.layers:
        assert isinstance(layer, EncoderLayer)
        stacked.append(layer.attention.query_key_value.weight)
        single += [linear.weight for linear in (layer.attention.output, layer.expand, layer.contract)]
    return [matrix for matrix in stacked if matrix.requires_grad], [m for m in single if m.requires_grad]
