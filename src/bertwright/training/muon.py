"""Muon: momentum, made orthogonal before each step, for the matrices inside the layers.

The gradient of a matrix lies mostly along a few directions. Muon replaces its running mean by the nearest orthogonal
matrix, so that all directions are learned at one rate (K. Jordan et al., "Muon: An optimizer for hidden layers", 2024).
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import torch

from bertwright.training.sharded import like, whole

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor, nn

# The quintic of Jordan et al.: steep at 0, so that five rounds bring every singular value near 1 (0.7 to 1.2).
_QUINTIC = (3.4445, -4.7750, 2.0315)
_ROUNDS = 5


class Muon(torch.optim.Optimizer):
    """Muon over matrices; a matrix that is `blocks` matrices one under the other is treated as those.

    groups: `params`, all of two dimensions, and `blocks`.
    """

    def __init__(
        self,
        groups: Iterable[dict[str, Any]],
        *,
        lr: float,
        weight_decay: float,
        momentum: float = 0.95,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """`dtype` is what the iteration computes in."""
        self._dtype = dtype
        super().__init__(groups, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "blocks": 1})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # training computes the loss elsewhere
        """Move every matrix that has a gradient."""
        assert closure is None
        for group in self.param_groups:
            # Matrices of one shape go through the iteration together: on a GPU that is one call instead of dozens.
            alike: dict[tuple[int, int], list[tuple[nn.Parameter, Tensor]]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    # What processes share out comes together here: the direction is that of the whole matrix.
                    update = whole(self._with_momentum(parameter, group["momentum"]))
                    rows, columns = parameter.shape
                    alike[rows // group["blocks"], columns].append((parameter, update))
            for (rows, columns), pairs in alike.items():
                directions = orthogonalised(
                    torch.cat([update.view(-1, rows, columns) for _, update in pairs]), self._dtype
                )
                # A map to more dimensions than it comes from must be longer to change what comes out as much.
                rate = group["lr"] * max(1.0, rows / columns) ** 0.5
                for (parameter, _), direction in zip(pairs, directions.split(group["blocks"]), strict=True):
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.add_(like(parameter, direction.reshape(parameter.shape)), alpha=-rate)

    def _with_momentum(self, parameter: nn.Parameter, momentum: float) -> Tensor:
        """The gradient and its running mean, mixed (Nesterov)."""
        assert parameter.grad is not None
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        mean: Tensor = state["momentum"].lerp_(parameter.grad, 1 - momentum)
        return parameter.grad.lerp(mean, momentum)


def orthogonalised(matrices: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """The nearest (semi-)orthogonal matrix of each, nearly: most singular values between 0.7 and 1.2.

    matrices: (count, rows, columns). By Newton-Schulz iteration in `dtype`, which needs products only. bf16 is exact
    enough, and fast where the processor multiplies in it; elsewhere it is emulated at a fiftieth of the speed.
    """
    a, b, c = _QUINTIC
    rows, columns = matrices.shape[-2:]
    found = matrices.to(dtype)
    if rows > columns:
        found = found.mT
    # The Frobenius norm is no smaller than the largest singular value, which the iteration wants to be at most 1.
    found = found / found.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)
    for _ in range(_ROUNDS):
        gram = found @ found.mT
        found = torch.baddbmm(found, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), found, beta=a)
    return (found.mT if rows > columns else found).to(matrices.dtype)
