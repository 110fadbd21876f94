"""Training states: everything needed to go on as if nothing had happened.

A state is a directory `step-00001000` with `model.safetensors`, `optimizer.safetensors` (both fp32, our names) and
`state.json`. It appears whole, by one rename; the one before it is removed only afterwards.
"""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING, Any

import torch

from bertwright.checkpoints.weights import read_tensors, write_tensors
from bertwright.errors import ModelError
from bertwright.files import new_directory, read_json, to_json, write_atomic

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from bertwright.training.loop import Trainee

_NAME = re.compile(r"step-(\d{8})")
_DAMAGED = "the checkpoint is damaged; begin anew with --overwrite"
_FILES = ("model.safetensors", "optimizer.safetensors", "state.json")


def write_state(folder: Path, trainee: Trainee, extra: dict[str, Any]) -> Path:
    """Write the state of step `trainee.step` under `folder`, then remove older ones; `extra` is kept in state.json."""
    path = folder / f"step-{trainee.step:08d}"
    with new_directory(path, overwrite=_FILES) as partial:
        write_tensors(partial / "model.safetensors", dict(trainee.model.named_parameters()))
        write_tensors(partial / "optimizer.safetensors", _optimizer_tensors(trainee))
        write_atomic(partial / "state.json", to_json({"step": trainee.step, **extra}))
    for old in _states(folder):
        if old != path:
            shutil.rmtree(old)
    return path


def latest_state(folder: Path) -> Path | None:
    """The newest state under `folder`, or None."""
    states = _states(folder)
    return states[-1] if states else None


def read_state(path: Path, trainee: Trainee) -> dict[str, Any]:
    """Put a state into `trainee`, whose model and optimizers are built alike; returns state.json. Raises ModelError."""
    values = read_json(path / "state.json", ModelError)
    if not isinstance(values.get("step"), int):
        raise ModelError("holds no `step`, so it is no training state", where=path / "state.json", cure=_DAMAGED)
    tensors = read_tensors(path / "model.safetensors")
    parameters = dict(trainee.model.named_parameters())
    if {n: t.shape for n, t in tensors.items()} != {n: p.shape for n, p in parameters.items()}:
        raise ModelError(
            "the weights do not fit this recipe's model", where=path, cure="resume with the run's own recipe"
        )
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(tensors[name])
    _load_optimizers(trainee, read_tensors(path / "optimizer.safetensors"), path)
    trainee.step = values["step"]
    return values


def _states(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name) and path.is_dir())


def _optimizer_tensors(trainee: Trainee) -> dict[str, Tensor]:
    """The optimizers' moments as `parameter/moment`."""
    return {
        f"{name}/{moment}": tensor
        for name, parameter in trainee.model.named_parameters()
        for optimizer in trainee.optimizers
        for moment, tensor in optimizer.state.get(parameter, {}).items()
    }


def _load_optimizers(trainee: Trainee, tensors: dict[str, Tensor], path: Path) -> None:
    parameters = dict(trainee.model.named_parameters())
    owner = {
        parameter: optimizer
        for optimizer in trainee.optimizers
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    for key, tensor in tensors.items():
        name, _, moment = key.rpartition("/")
        if name not in parameters:
            raise ModelError(f"the optimizer's `{key}` belongs to no parameter", where=path, cure=_DAMAGED)
        parameter = parameters[name]
        # A fused optimizer counts its steps on the device of the parameter.
        owner[parameter].state[parameter][moment] = tensor.to(parameter.device)
