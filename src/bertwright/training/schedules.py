"""Learning rate and batch size as functions of the step."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bertwright.training.settings import TrainingSettings


def rate_share(step: int, settings: TrainingSettings) -> float:
    """The share of its highest learning rate that each optimizer takes at a step (0 is the first)."""
    steps = settings.steps
    warmup = math.ceil(steps * settings.warmup_fraction)
    if step < warmup:
        return (step + 1) / warmup
    if settings.schedule == "linear":
        return linear_decay(step, first=warmup, steps=steps)
    if settings.schedule == "cosine":
        return cosine_decay(step, first=warmup, steps=steps)
    return linear_decay(step, first=max(warmup, steps - math.ceil(steps * settings.decay_fraction)), steps=steps)


def linear_decay(step: int, *, first: int, steps: int) -> float:
    """1 up to step `first`, then down to 0 at `steps` on a straight line.

    As `create_optimizer` of the original code, which lets the decay start at step 0 beneath the warm-up; here it starts
    where the warm-up ends, so that the highest rate is really reached.
    """
    return min(1.0, max(0.0, (steps - step) / max(1, steps - first)))


def cosine_decay(step: int, *, first: int, steps: int) -> float:
    """1 at step `first`, then down to 0 at `steps` on half a wave of the cosine (Loshchilov and Hutter 2017)."""
    if step >= steps:
        return 0.0
    done = max(0.0, (step - first) / max(1, steps - first))
    return (1 + math.cos(math.pi * done)) / 2


def batch_sizes(settings: TrainingSettings) -> NDArray[np.int64]:
    """The examples in each step: (steps,). Constant, or a ramp in equal stairs of `ramp_from` up to `batch_size`."""
    if settings.ramp_from is None:
        return np.full(settings.steps, settings.batch_size)
    stairs = settings.batch_size // settings.ramp_from
    # The last stair is the full batch, which lasts to the end: the ramp has one stair less.
    length = max(1, math.ceil(settings.steps * settings.ramp_fraction))
    stair = np.minimum(np.arange(settings.steps) * (stairs - 1) // length + 1, stairs)
    return stair * settings.ramp_from
