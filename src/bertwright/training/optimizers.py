"""Which optimizer moves which parameters, at what rate, and which of them decay."""

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
    """The optimizers of a run: every parameter that learns belongs to one of them, a frozen one to none."""
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if settings.optimizer == "adamw":
        return (_adamw(_by_depth(model, learning, settings), settings),)
    adam: dict[str, Any] = {
        "lr": settings.learning_rate,
        "betas": (settings.adam_beta1, settings.adam_beta2),
        "eps": settings.adam_epsilon,
    }
    if settings.optimizer == "adam-2018":
        return (Adam2018(_by_decay(learning, settings), **adam),)
    stacked, single = _layer_matrices(model)
    inside = {*stacked, *single}
    others = [parameter for parameter in learning if parameter not in inside]
    if settings.optimizer == "lamb":
        tables, vectors = _by_decay(others, settings)
        decay = {"weight_decay": settings.weight_decay}
        # Query, key and value are three matrices, each with a norm of its own, that lie in one.
        inner = [{"params": stacked, "blocks": 3, **decay}, {"params": single, **decay}]
        return (Lamb([*inner, tables, {**vectors, "adapted": False}], **adam),)
    # Embeddings, biases, norms and heads stay with AdamW: they are tables and vectors, not maps between hidden states.
    rest = adamw(others, settings)
    if not inside:
        return (rest,)
    muon = Muon(
        [{"params": stacked, "blocks": 3}, {"params": single, "blocks": 1}],
        lr=settings.muon_learning_rate,
        weight_decay=settings.weight_decay,
        dtype=choose_dtype(settings.precision, next(model.parameters()).device),
    )
    return muon, rest


def rate_factors(model: Bert, layer_decay: float) -> dict[nn.Parameter, float]:
    """What the learning rate of each parameter is multiplied by: 1 for pooler and heads, then less on each floor below.

    `layer_decay` for the last layer, its square for the one beneath, and so on down to the embeddings, which the
    masked-word head shares. As in ULMFiT (Howard and Ruder 2018, section 3.2), whose factor is 1 / 2.6. ELECTRA's code
    (`_get_layer_lrs` of optimization.py, Clark et al. 2020) counts a floor between heads and last layer that no
    parameter lies on, so there all that lies below the heads is slower by one more factor.
    """
    floors = [model.encoder.embeddings, *model.encoder.layers]
    factors = dict.fromkeys(model.parameters(), 1.0)
    for floor, part in enumerate(floors):
        factors |= dict.fromkeys(part.parameters(), layer_decay ** (len(floors) - floor))
    return factors


def adamw(parameters: Iterable[nn.Parameter], settings: TrainingSettings) -> torch.optim.AdamW:
    """AdamW in one fused pass; no decay on biases and norms."""
    return _adamw(_by_decay(parameters, settings), settings)


def _adamw(groups: Iterable[dict[str, Any]], settings: TrainingSettings) -> torch.optim.AdamW:
    return torch.optim.AdamW(
        groups,
        lr=settings.learning_rate,
        betas=(settings.adam_beta1, settings.adam_beta2),
        eps=settings.adam_epsilon,
        fused=True,
    )


def _by_depth(model: Bert, parameters: Iterable[nn.Parameter], settings: TrainingSettings) -> list[dict[str, Any]]:
    """The groups of each floor of the model: what decays, and what does not."""
    factors = rate_factors(model, settings.layer_decay)
    floors: dict[float, list[nn.Parameter]] = {}
    for parameter in parameters:
        floors.setdefault(factors[parameter], []).append(parameter)
    return [
        {**group, "lr": settings.learning_rate * factor}
        for factor, floor in floors.items()
        for group in _by_decay(floor, settings)
    ]


def _by_decay(parameters: Iterable[nn.Parameter], settings: TrainingSettings) -> tuple[dict[str, Any], dict[str, Any]]:
    """The groups of what decays and of what does not."""
    parameters = list(parameters)
    return (
        {"params": [p for p in parameters if decays(p)], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if not decays(p)], "weight_decay": 0.0},
    )


def _layer_matrices(model: Bert) -> tuple[list[Tensor], list[Tensor]]:
    """The matrices inside the layers that learn: those of query, key and value, three in one, and the others."""
    stacked: list[Tensor] = []
    single: list[Tensor] = []
    for layer in model.encoder.layers:
        assert isinstance(layer, EncoderLayer)
        stacked.append(layer.attention.query_key_value.weight)
        single += [linear.weight for linear in (layer.attention.output, layer.expand, layer.contract)]
    return [p for p in stacked if p.requires_grad], [p for p in single if p.requires_grad]
