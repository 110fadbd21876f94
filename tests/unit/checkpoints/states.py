"""Training states of a few bytes."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from bertwright.checkpoints.training_state import TrainingState

FILES = ("model.safetensors", "optimizer.safetensors", "state.json")


def state(step: int, floats: int = 4) -> TrainingState:
    """A state whose every number says its step."""
    weights = {"a.weight": torch.full((2, floats // 2), float(step)), "b.bias": torch.tensor([step + 0.5])}
    moments = {
        "a.weight/exp_avg": torch.full((2, floats // 2), -float(step)),
        "a.weight/step": torch.tensor(float(step)),
    }
    return TrainingState(step, weights, moments, {"cursor": {"epoch": 1, "index": step}, "seconds": step / 4})


def bits(tensors: dict[str, Tensor]) -> dict[str, tuple[torch.dtype, tuple[int, ...], bytes]]:
    """What two tensors must share to be the same to the last bit, NaN or not."""
    return {
        name: (tensor.dtype, tuple(tensor.shape), tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        for name, tensor in tensors.items()
    }


def assert_same(found: TrainingState | None, wanted: TrainingState) -> None:
    assert found is not None
    assert (found.step, found.values) == (wanted.step, wanted.values)
    assert bits(found.weights) == bits(wanted.weights)
    assert bits(found.optimizer) == bits(wanted.optimizer)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
