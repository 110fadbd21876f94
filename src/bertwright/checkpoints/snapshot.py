"""From what is being trained to a training state, and back."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from bertwright.checkpoints.training_state import TrainingState
from bertwright.errors import ModelError
from bertwright.training.sharded import like, put, reshard, whole

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from bertwright.training.loop import Trainee


def snapshot(trainee: Trainee, values: dict[str, Any], *, keep: bool = True) -> TrainingState:
    """A copy of all that training goes on changing, whole and on the CPU; `values` is kept with it.

    Where processes hold shares of the weights, each of them calls this; those that do not `keep` it get no tensors.
    """
    reshard(trainee.model)
    parameters = dict(trainee.model.named_parameters())
    moments = {
        f"{name}/{moment}": tensor
        for name, parameter in parameters.items()
        for optimizer in trainee.optimizers
        for moment, tensor in optimizer.state.get(parameter, {}).items()
    }
    weights, optimizer = _copies(parameters, keep=keep), _copies(moments, keep=keep)
    return TrainingState(trainee.step, weights, optimizer, copy.deepcopy(values))


def restore(trainee: Trainee, state: TrainingState, path: Path) -> None:
    """Put a state into `trainee`, whose model and optimizers are built alike; `path` is where it was read.

    Raises ModelError where it does not fit, with nothing changed.
    """
    parameters = dict(trainee.model.named_parameters())
    owner = {
        parameter: optimizer
        for optimizer in trainee.optimizers
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    split = {key: key.rpartition("/") for key in state.optimizer}
    if {name: tensor.shape for name, tensor in state.weights.items()} != {
        name: parameter.shape for name, parameter in parameters.items()
    } or not {name for name, _, _ in split.values()} <= parameters.keys():
        raise ModelError(
            "the weights do not fit this recipe's model", where=path, cure="resume with the run's own recipe"
        )
    moved = {name for name, _, _ in split.values()}
    moving = {name for name, parameter in parameters.items() if parameter.requires_grad}
    if moved and (missing := moving - moved):
        what = f"the optimizer's moments of `{min(missing)}` are missing, and of {len(missing) - 1} others"
        raise ModelError(what, where=path, cure="begin anew with --overwrite")
    for name, parameter in parameters.items():
        put(parameter, state.weights[name])
    for key, tensor in state.optimizer.items():
        parameter = parameters[split[key][0]]
        # A fused optimizer counts its steps on the device of the parameter. Copied: a state that was read is a file
        # mapped into memory, which would hold the disk's space for as long as the run goes on.
        there = tensor.to(parameter.device, copy=True)
        moment = like(parameter, there) if there.shape == parameter.shape else there
        owner[parameter].state[parameter][split[key][2]] = moment
    trainee.step = state.step


def _copies(tensors: dict[str, Any], *, keep: bool) -> dict[str, Tensor]:
    """One after the other, so that no device holds more than one of them whole."""
    found = {}
    for name, tensor in tensors.items():
        gathered = whole(tensor.detach())
        if keep:
            found[name] = gathered.to("cpu", copy=True)
    return found
