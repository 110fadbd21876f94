"""LAMB: Adam whose step is, for each matrix, as long as a fixed share of the matrix (You et al. 2020, algorithm 2).

With batches of thousands of examples a learning rate that suits one layer throws another off. LAMB scales each matrix's
update to the norm of the matrix itself, so that one rate suits all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from bertwright.training.sharded import like, whole

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor


class Lamb(torch.optim.Optimizer):
    """LAMB with bias correction; a matrix that is `blocks` matrices one under the other is treated as those.

    Groups with `adapted` false (biases and norms) take Adam's plain step, as the authors' code has it.
    """

    def __init__(self, groups: Iterable[dict[str, Any]], *, lr: float, betas: tuple[float, float], eps: float) -> None:
        """groups: `params`, `weight_decay`, `blocks`, `adapted`."""
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": 0.0, "blocks": 1, "adapted": True}
        super().__init__(groups, defaults)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # training computes the loss elsewhere
        """Move every parameter that has a gradient."""
        assert closure is None
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["mean"], state["mean_square"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
                    state["step"] = torch.zeros(())
                # On the CPU, also after a resume: its number is needed here, and nothing is to wait for a GPU.
                state["step"] = state["step"].cpu() + 1
                number = float(state["step"])
                mean = state["mean"].lerp_(parameter.grad, 1 - beta1)
                square = state["mean_square"].mul_(beta2).addcmul_(parameter.grad, parameter.grad, value=1 - beta2)
                root = (square / (1 - beta2**number)).sqrt_().add_(group["eps"])
                update = (mean / (1 - beta1**number)).div_(root).add_(parameter, alpha=group["weight_decay"])
                if group["adapted"]:
                    update = update * self._trust(parameter, update, group["blocks"])
                parameter.add_(update, alpha=-group["lr"])

    def _trust(self, parameter: Tensor, update: Tensor, blocks: int) -> Tensor:
        """The norm of the weights over that of the update, for each row of the parameter: (rows, 1)."""
        rows = parameter.shape[0]
        weight_norm, update_norm = (
            # Row by row first, for exactness: see clipping.py.
            whole(tensor).norm(dim=1).view(blocks, -1).norm(dim=1)
            for tensor in (parameter.detach(), update)
        )
        # Where one of them is 0 the plain step is taken: weights of 0 could never move else.
        ratio = torch.where((weight_norm > 0) & (update_norm > 0), weight_norm / update_norm, 1.0)
        return like(parameter, ratio.repeat_interleave(rows // blocks)[:, None])
