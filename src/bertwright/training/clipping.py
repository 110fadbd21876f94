"""The gradient of all parameters together, and cutting it to a length."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from bertwright.training.sharded import whole

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor, nn


def clip_gradients(parameters: Iterable[nn.Parameter], longest: float) -> Tensor:
    """Scale all gradients down so that together they are no longer than `longest`; returns how long they were."""
    moving = [parameter for parameter in parameters if parameter.grad is not None]
    gradients = [parameter.grad for parameter in moving if parameter.grad is not None]
    if gradients[0].device.type == "cpu":
        # Row by row: over a whole table torch adds the squares up in a line, and is off by up to 3 parts in 10,000.
        rows = [torch.linalg.vector_norm(gradient, dim=-1) for gradient in gradients]
        norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(row) for row in rows]))
    else:
        norm = get_total_norm(gradients)
    found = whole(norm)
    # Shorter ones stay as they are: to multiply all of them by 1 is a pass over memory. No number is not shorter.
    if not found <= longest:
        clip_grads_with_norm_(moving, longest, found)
    return found
