"""Adam as the original code has it: no bias correction, and weight decay beside the gradient, not in it.

`AdamWeightDecayOptimizer` of optimization.py (Devlin et al. 2018). Without bias correction the first steps are up to
(1 - beta1) / sqrt(1 - beta2) times as long, 3.2 with the usual betas; the warm-up is what keeps them short.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Iterable


class Adam2018(torch.optim.Optimizer):
    """parameter -= lr * (mean / (sqrt(mean square) + eps) + weight_decay * parameter)."""

    def __init__(self, groups: Iterable[dict[str, Any]], *, lr: float, betas: tuple[float, float], eps: float) -> None:
        """groups: `params` and `weight_decay`."""
        super().__init__(groups, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # training computes the loss elsewhere
        """Move every parameter that has a gradient."""
        assert closure is None
        for group in self.param_groups:
            moving = [parameter for parameter in group["params"] if parameter.grad is not None]
            if not moving:
                continue
            gradients = [parameter.grad for parameter in moving]
            for parameter in moving:
                if not self.state[parameter]:
                    self.state[parameter]["mean"] = torch.zeros_like(parameter)
                    self.state[parameter]["mean_square"] = torch.zeros_like(parameter)
            means = [self.state[parameter]["mean"] for parameter in moving]
            squares = [self.state[parameter]["mean_square"] for parameter in moving]
            beta1, beta2 = group["betas"]
            torch._foreach_lerp_(means, gradients, 1 - beta1)
            torch._foreach_mul_(squares, beta2)
            torch._foreach_addcmul_(squares, gradients, gradients, 1 - beta2)
            updates = torch._foreach_sqrt(squares)  # noqa: SLF001  # what torch builds its own optimizers of
            torch._foreach_add_(updates, group["eps"])
            updates = torch._foreach_div(means, updates)  # noqa: SLF001
            torch._foreach_add_(updates, moving, alpha=group["weight_decay"])
            torch._foreach_add_(moving, updates, alpha=-group["lr"])
