"""Optimizers, and which parameters decay."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import nn

    from bertwright.training.settings import TrainingSettings


def decays(parameter: nn.Parameter) -> bool:
    """Weight decay is for matrices; biases and norms, of one dimension, have none.

    As `exclude_from_weight_decay` of the original code.
    """
    return parameter.dim() > 1


def adamw(model: nn.Module, settings: TrainingSettings) -> torch.optim.AdamW:
    """AdamW over all parameters, in one fused pass; no decay on biases and norms."""
    parameters = list(model.parameters())
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
